"""Training by NumPy against training by a TensorFlow graph, and against oracles."""

from itertools import combinations, product

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.builders import build_mlp
from ocsdf.networks.layers import ACTIVATIONS
from ocsdf.training.domain import DOMAINS
from ocsdf.training.engine import Batches
from ocsdf.training.numpy_engine import HostTraining, _Network, _sort_all, _sort_halves
from ocsdf.training.tensorflow_engine import training_graph, variables_of
from ocsdf.utils import threads
from tests.reference import forward, hkr, input_gradient

SORTS = {"fullsort": _sort_all, "groupsort2": _sort_halves}
MARGIN, WEIGHT = 0.1, 20.0


def batches_for(domain, n_steps=3, batch_size=8, n_features=3):
    rng = np.random.default_rng(1)
    shape = (n_steps, batch_size)
    return Batches(
        rng.normal(size=(*shape, n_features)).astype(np.float32),
        domain.sample(n_steps * batch_size, rng).reshape(*shape, n_features),
        rng.random(shape, dtype=np.float32),
    )


def setting(sizes=(8, 6), activation="fullsort", domain="box"):
    model = build_mlp(3, sizes, activation, seed=2)
    optimizer = keras.optimizers.RMSprop(1e-2)
    optimizer.build(model.trainable_variables)
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    domain = DOMAINS[domain].from_data(rows)
    values = [variable.numpy() for variable in variables_of(model, optimizer)]
    return model, optimizer, domain, values


def trained(engine, values, domain, batches, attractor=(), newton_steps=4):
    values, sums = engine.run(
        values, list(attractor), domain, batches, newton_steps, MARGIN, WEIGHT
    )
    return [np.asarray(value) for value in values], sums


# Each two values of two settings meet in one of these; all combinations take a minute.
PAIRS = {
    (1, "printed", "ball", "fullsort"),
    (1, "even", "box", "groupsort2"),
    (3, "printed", "box", "fullsort"),
    (3, "even", "ball", "groupsort2"),
    ("converged", "printed", "box", "groupsort2"),
    ("converged", "even", "ball", "fullsort"),
}
COMBINATIONS = [*product([1, 3, "converged"], ["printed", "even"], DOMAINS, ACTIVATIONS)]


def test_each_two_settings_meet():
    for places in combinations(range(4), 2):
        every, met = (
            {tuple(one[i] for i in places) for one in some} for some in (COMBINATIONS, PAIRS)
        )
        assert met == every


@pytest.mark.parametrize(
    ("updates", "schedule", "domain", "activation"),
    [pytest.param(*one, marks=() if one in PAIRS else pytest.mark.slow) for one in COMBINATIONS],
)
def test_equals_the_graph(updates, schedule, domain, activation):
    model, optimizer, domain, values = setting(activation=activation, domain=domain)
    host = HostTraining([activation] * 2, schedule, 1 if updates == "converged" else updates)
    graph = training_graph(model, optimizer, type(domain), schedule, updates)
    attractor = []
    if updates == "converged":
        attractor = build_mlp(3, (8, 6), activation, seed=5).get_weights()
    batches = batches_for(domain)
    found, sums = trained(host, values, domain, batches, attractor)
    expected, expected_sums = trained(graph, values, domain, batches, attractor)
    assert len(found) == len(expected) == len(values)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-4)
    assert any((one != other).any() for one, other in zip(found, values, strict=True))
    rows = batches.data[0]
    norm = host.gradient_norm(found, rows)
    assert norm == pytest.approx(graph.gradient_norm(found, rows), rel=1e-5)
    model.set_weights(found[: len(model.weights)])
    norms = np.linalg.norm(input_gradient(model, rows), axis=1)
    assert norm == pytest.approx(norms.mean(), rel=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_number_of_threads_changes_no_bit(activation, monkeypatch):
    _, _, domain, values = setting((264, 264), activation)
    batches = batches_for(domain, batch_size=100)
    runs = []
    for n_threads in (1, 2, 4):
        monkeypatch.setattr(threads, "_n_allowed", lambda n_threads=n_threads: n_threads)
        runs.append(trained(HostTraining([activation] * 2, "even", 1), values, domain, batches))
    for found, sums in runs[1:]:
        for one, other in zip(found, runs[0][0], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(sums, runs[0][1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_work_in_pieces_equals_the_graph(activation, monkeypatch):
    monkeypatch.setattr("ocsdf.training.numpy_engine.WIDE", 0)
    monkeypatch.setattr("ocsdf.training.numpy_updates.WIDE", 0)
    model, optimizer, domain, values = setting(activation=activation)
    batches = batches_for(domain, n_steps=1, batch_size=200)
    graph = training_graph(model, optimizer, type(domain), "even", 1)
    found, sums = trained(HostTraining([activation] * 2, "even", 1), values, domain, batches)
    expected, expected_sums = trained(graph, values, domain, batches)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_newton_steps_leave_the_seeds(activation):
    model, optimizer, domain, values = setting(activation=activation)
    batches = batches_for(domain)
    host = HostTraining([activation] * 2, "even", 1)
    found, _ = trained(host, values, domain, batches, newton_steps=0)
    graph = training_graph(model, optimizer, type(domain), "even", 1)
    expected, _ = trained(graph, values, domain, batches, newton_steps=0)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


def test_arguments_stay_as_they_are():
    _, _, domain, values = setting()
    copies = [np.array(value) for value in values]
    trained(HostTraining(["fullsort"] * 2, "even", 1), values, domain, batches_for(domain))
    for one, other in zip(values, copies, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("activation", ACTIVATIONS)
class TestNetwork:
    @staticmethod
    def network_and_points(activation):
        model = build_mlp(3, (8, 6), activation, seed=3)
        rng = np.random.default_rng(4)
        for layer in model.layers[::2]:
            layer.bias.assign(rng.normal(size=layer.units))
        points = rng.normal(size=(20, 3)).astype(np.float32)
        return model, _Network(model.get_weights(), [SORTS[activation]] * 2), points

    def test_value_and_gradient(self, activation):
        model, network, points = self.network_and_points(activation)
        values, gradient = network.value_and_gradient(points)
        np.testing.assert_allclose(values, forward(model, points), atol=1e-6)
        np.testing.assert_allclose(gradient, input_gradient(model, points), atol=1e-6)

    def test_loss_gradient_against_finite_differences(self, activation):
        model, network, points = self.network_and_points(activation)
        labels = np.repeat(np.float32([1.0, -1.0]), 10)
        parts = [
            network.loss_gradient(points, labels, MARGIN, WEIGHT, rows)
            for rows in (slice(0, 7), slice(7, 20))
        ]
        gradients = [one + other for one, other in zip(parts[0][1], parts[1][1], strict=True)]
        scores = np.concatenate([parts[0][0], parts[1][0]])
        np.testing.assert_allclose(scores, forward(model, points), atol=1e-6)
        weights = [np.float64(weight) for weight in model.get_weights()]
        rng = np.random.default_rng(5)
        for index, gradient in enumerate(gradients):
            direction = rng.normal(size=gradient.shape)
            steps = []
            for sign in (1, -1):
                moved = [weight.copy() for weight in weights]
                moved[index] += sign * 1e-6 * direction
                scores = _Network(moved, [_float64_sorts(activation)] * 2)._forward(
                    np.float64(points)
                )[0]
                # Eq. 2: the mean over data plus that over negatives, 10 rows each.
                steps.append(hkr(labels, scores, MARGIN, WEIGHT).sum() / 10)
            slope = (steps[0] - steps[1]) / 2e-6
            assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-3, abs=1e-4)


def _float64_sorts(activation):
    def sort(values, bias):
        if activation == "fullsort":
            return np.sort(values + bias, axis=1), None
        first, second = np.split(values + bias, 2, axis=1)
        return np.hstack([np.minimum(first, second), np.maximum(first, second)]), None

    return sort


class TestSorts:
    """Values and gradients against those of the layers."""

    @pytest.mark.parametrize("shape", [(1, 2), (5, 6), (3, 14), (64, 128), (10, 500)])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_equals_the_layer(self, activation, shape):
        rng = np.random.default_rng(0)
        rows, upstream = rng.normal(size=(2, *shape)).astype(np.float32)
        bias = rng.normal(size=shape[1]).astype(np.float32)
        ordered, unsort = SORTS[activation](rows.copy(), bias)
        points = tf.constant(rows + bias)
        with tf.GradientTape() as tape:
            tape.watch(points)
            expected = ACTIVATIONS[activation]()(points)
        np.testing.assert_array_equal(ordered, expected)
        expected = tape.gradient(expected, points, upstream)
        np.testing.assert_array_equal(unsort(upstream), expected)

    def test_special_values(self):
        tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
        rows = np.array([[0.0, tiny, -tiny, huge, -huge, -1.0], [0.0] * 6], np.float32)
        ordered, unsort = _sort_all(rows.copy(), np.zeros(6, np.float32))
        np.testing.assert_array_equal(ordered, np.sort(rows, axis=1))
        np.testing.assert_array_equal(unsort(ordered), rows)

    @given(st.integers(0, 2**32 - 1), st.integers(1, 40))
    @settings(max_examples=30)
    def test_gradient_is_the_inverse_permutation_with_ties(self, seed, width):
        rows = np.random.default_rng(seed).integers(-3, 3, size=(4, width)).astype(np.float32)
        ordered, unsort = _sort_all(rows.copy(), np.zeros(width, np.float32))
        np.testing.assert_array_equal(ordered, np.sort(rows, axis=1))
        np.testing.assert_array_equal(unsort(ordered), rows)
        # A permutation: every place of the upstream gradient goes somewhere of its own.
        numbers = np.arange(4.0 * width, dtype=np.float32).reshape(4, width)
        np.testing.assert_array_equal(np.sort(unsort(numbers), axis=1), numbers)
