"""Keras networks in training: which of them NumPy trains, and that the state is the model's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ocsdf.networks.builders import ORTHOGONALITY, build_mlp, condense
from ocsdf.networks.layers import ACTIVATIONS, FullSort
from ocsdf.networks.translation import translate
from ocsdf.training.domain import Box
from ocsdf.training.keras_state import KerasState, trains_on_host
from ocsdf.training.numpy_engine import HostTraining
from ocsdf.training.tensorflow_engine import TrainingGraph
from ocsdf.training.trainer import Settings
from tests.training.test_numpy_engine import setting


def state_of(optimizer=None):
    return KerasState(build_mlp(3, (8, 6)), optimizer or keras.optimizers.RMSprop(1e-2))


def test_values_are_those_of_the_model_and_the_optimizer():
    state = state_of()
    values = [np.full_like(value, number) for number, value in enumerate(state.values)]
    state.values = values
    for variable, value in zip(state.model.variables, values, strict=False):
        np.testing.assert_array_equal(variable, value)
    assert float(state.optimizer.learning_rate) == float(values[len(state.weights) + 1])
    state.set_learning_rate(0.25)
    assert float(state.optimizer.learning_rate) == 0.25
    for weight, value in zip(state.weights, values, strict=False):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("orthogonality", ORTHOGONALITY)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_certified_network_is_the_condensed_one(activation, orthogonality):
    model = build_mlp(3, (8, 6), activation, orthogonality, seed=1)
    certified = KerasState(model, keras.optimizers.RMSprop()).certified()
    rows = np.random.default_rng(0).normal(size=(20, 3))
    expected = translate(condense(model)).evaluate(rows)
    np.testing.assert_array_equal(certified.evaluate(rows), expected)
    assert certified.bound() <= 1.0


def test_callbacks_find_a_compiled_model():
    state = state_of()
    state.engine(Settings(margin=0.1), Box)
    assert state.watched is state.model and state.model.optimizer is state.optimizer


@pytest.mark.parametrize(
    ("optimizer", "engine"),
    [(keras.optimizers.RMSprop(1e-3), HostTraining), (keras.optimizers.Adam(1e-3), TrainingGraph)],
)
def test_the_engine_that_can(optimizer, engine):
    assert isinstance(state_of(optimizer).engine(Settings(margin=0.1), Box), engine)


class TestTrainsOnHost:
    def test_default_setting(self):
        model, optimizer, _, _ = setting()
        assert trains_on_host(model, optimizer)

    @pytest.mark.parametrize(
        "optimizer",
        [
            keras.optimizers.Adam(1e-3),
            keras.optimizers.RMSprop(1e-3, momentum=0.5),
            keras.optimizers.RMSprop(1e-3, clipnorm=1.0),
            keras.optimizers.RMSprop(keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5)),
        ],
    )
    def test_other_optimizers_need_the_graph(self, optimizer):
        assert not trains_on_host(setting()[0], optimizer)

    def test_other_networks_need_the_graph(self):
        optimizer = keras.optimizers.RMSprop(1e-3)
        assert not trains_on_host(build_mlp(3, (8,), orthogonality="reparametrization"), optimizer)
        scaled = keras.Sequential(
            [keras.Input((3,)), *build_mlp(3, (8,)).layers[:1], FullSort(k_coef_lip=2.0)]
        )
        assert not trains_on_host(scaled, optimizer)

    def test_a_gpu_trains_itself(self, monkeypatch):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"])
        model, optimizer, _, _ = setting()
        assert not trains_on_host(model, optimizer)
