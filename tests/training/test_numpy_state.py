"""Networks in training, as plain arrays and as Keras's: the same bits, and who trains which."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ocsdf.networks.builders import ORTHOGONALITY, build_mlp, condense
from ocsdf.networks.layers import ACTIVATIONS, FullSort
from ocsdf.networks.translation import translate
from ocsdf.training.domain import Box
from ocsdf.training.keras_state import KerasState, trains_on_host
from ocsdf.training.losses import hkr
from ocsdf.training.numpy_engine import _SORTS, HostTraining, _Network
from ocsdf.training.numpy_state import NumpyState, initial_weights
from ocsdf.training.numpy_updates import orthogonalize_in_place, update
from ocsdf.training.tensorflow_engine import TrainingGraph
from ocsdf.training.trainer import Settings, Trainer
from ocsdf.utils.threads import crew
from tests.training.test_numpy_engine import setting

ROWS = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)


def trained(state, **changes):
    settings = Settings(margin=0.1, batch_size=16, epochs=4, uniform_epochs=1, **changes)
    trainer = Trainer(state, ROWS, Box.from_data(ROWS), settings, np.random.default_rng(1))
    return trainer.run()


def states(activation, sizes=(8, 6)):
    weights = initial_weights(3, sizes, 2)
    model = build_mlp(3, sizes, activation)
    model.set_weights(weights)
    return NumpyState(weights, activation, 1e-2), KerasState(model, keras.optimizers.RMSprop(1e-2))


@pytest.mark.parametrize("updates", [1, 2, "converged"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_training_of_the_keras_model(activation, updates):
    plain, of_keras = states(activation)
    changes = {"updates_per_batch": updates, "decaying_rate": 1e-2}
    assert trained(plain, **changes) == trained(of_keras, **changes)
    for one, other in zip(plain.values, of_keras.values, strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = (state.certified().evaluate(np.float64(ROWS)) for state in (plain, of_keras))
    np.testing.assert_array_equal(one, other)
    assert plain.certified().bound() <= 1.0


def test_training_leaves_the_weights_that_it_was_given():
    weights = initial_weights(3, (8, 6), 2)
    copies = [weight.copy() for weight in weights]
    state = NumpyState(weights, "fullsort", 1e-2)
    trained(state)
    for one, other, now in zip(weights, copies, state.weights, strict=True):
        np.testing.assert_array_equal(one, other)
        assert (one != now).any()


def test_a_rate_that_is_too_large_keeps_the_last_finite_network():
    state = NumpyState(initial_weights(3, (8, 6), 2), "fullsort", 1e30)
    assert trained(state).diverged
    assert all(np.all(np.isfinite(weight)) for weight in state.weights)


def test_initial_weights():
    one, same, other = (initial_weights(3, (8, 4), seed) for seed in (1, 1, 2))
    assert [weight.shape for weight in one] == [(3, 8), (8,), (8, 4), (4,), (4, 1), (1,)]
    assert {weight.dtype for weight in one} == {np.dtype(np.float32)}
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((a != b).any() for a, b in zip(one[0::2], other[0::2], strict=True))
    assert not any(bias.any() for bias in one[1::2])


def clear_of_kinks(points, weights, activation):
    """Tell which rows have no two units that float32 may take for the other's place."""
    clear = np.full(len(points), True)
    for kernel, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        points = points @ np.float64(kernel) + bias
        halves = np.split(points, 2, axis=1)
        points = np.sort(points, axis=1)
        gaps = np.diff(points, axis=1)
        if activation == "groupsort2":
            points = np.hstack([np.minimum(*halves), np.maximum(*halves)])
            gaps = np.abs(halves[0] - halves[1])
        clear &= gaps.min(axis=1) > 1e-4
    return clear


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_those_of_keras_in_float64(activation, seed):
    """Random sizes and weights; float32 rounds sums of up to 16 products, layer by layer."""
    rng = np.random.default_rng(seed)
    n_features, *sizes = (2 * rng.integers(1, 9, size=4)).tolist()
    margin, weight, n_rows = 0.3, 7.0, 20
    weights = initial_weights(n_features, sizes, seed)
    for bias in weights[1::2]:
        bias[:] = rng.normal(scale=0.3, size=len(bias))
    points = rng.normal(size=(400, n_features)).astype(np.float32)
    points = points[clear_of_kinks(np.float64(points), weights, activation)][: 2 * n_rows]
    labels = np.repeat(np.float32([1.0, -1.0]), n_rows)
    network = _Network(weights, [_SORTS[activation]] * len(sizes))
    scores, gradients = network.loss_gradient(points, labels, margin, weight, slice(None))
    values, input_gradient = network.value_and_gradient(points)

    layers = [keras.Input((n_features,), dtype="float64")]
    for units in sizes:
        sort = ACTIVATIONS[activation](dtype="float64")
        layers += [keras.layers.Dense(units, dtype="float64"), sort]
    model = keras.Sequential([*layers, keras.layers.Dense(1, dtype="float64")])
    model.set_weights(weights)
    inputs, truth = tf.constant(points, tf.float64), tf.constant(labels, tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        expected = model(inputs)[:, 0]
        loss = 2.0 * tf.reduce_mean(hkr(truth, expected, margin, weight))
    # Nor may a score lie where the hinge begins.
    assert np.abs(labels * expected - margin).min() > 1e-5
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_array_equal(values, scores)
    np.testing.assert_allclose(input_gradient, tape.gradient(expected, inputs), atol=1e-5)
    expected = tape.gradient(loss, model.trainable_variables)
    for found, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("shape", [(6, 1), (40, 40), (70, 33), (33, 70)])
@pytest.mark.parametrize("noise", [1e-3, 0.05, 0.5])
def test_a_kernel_that_threads_share(shape, noise):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))[0]
    kernel = rotation if shape[0] >= shape[1] else rotation.T
    kernel = np.float32(kernel + noise * rng.normal(size=shape) / np.sqrt(max(shape)))
    alone, shared = kernel.copy(), kernel.copy()
    orthogonalize_in_place(alone)
    with crew(2) as run:
        orthogonalize_in_place(shared, run)
    np.testing.assert_allclose(shared, alone, atol=2e-6)
    singular_values = np.linalg.svd(np.float64(shared), compute_uv=False)
    np.testing.assert_allclose(singular_values, 1.0, atol=2e-2)


@pytest.mark.parametrize("wide", [0, 2**16])
def test_parts_of_a_gradient_are_summed(monkeypatch, wide):
    monkeypatch.setattr("ocsdf.training.numpy_updates.WIDE", wide)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=size).astype(np.float32) for size in (150, 3, 70)]
    velocities = [np.square(weight) for weight in weights]
    parts = [tuple(rng.normal(size=(3, len(w))).astype(np.float32)) for w in weights]
    expected = []
    for weight, velocity, (one, two, three) in zip(weights, velocities, parts, strict=True):
        gradient = one + two + three
        velocity = np.float32(0.9) * velocity + np.float32(1.0 - 0.9) * gradient**2
        expected += [velocity, weight - np.float32(1e-2) * gradient / np.sqrt(velocity + 1e-7)]
    with crew(2) as run:
        update(run, weights, velocities, parts, 1e-2, 0.9, 1e-7)
    for index, (weight, velocity) in enumerate(zip(weights, velocities, strict=True)):
        np.testing.assert_array_equal(velocity, expected[2 * index])
        np.testing.assert_array_equal(weight, expected[2 * index + 1])


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
