"""Networks: their size, their bound, and that condensing keeps the function."""

import keras
import numpy as np
import pytest

from ocsdf.networks.builders import (
    ORTHOGONALITY,
    average,
    build_mlp,
    condense,
    initial_weights,
)
from ocsdf.networks.layers import ACTIVATIONS
from ocsdf.networks.lipschitz import network_bound
from ocsdf.operations.matrix_bounds import matrix_bound
from tests.reference import forward, input_gradient, singular_values
from tests.samples import build_distance, least


def with_random_biases(model, seed=0):
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(rng.normal(scale=0.3, size=layer.units))
    return model


def rows(n_rows, n_features, seed=0):
    return np.random.default_rng(seed).normal(scale=2.0, size=(n_rows, n_features))


class TestBuild:
    def test_size_of_the_papers_network(self):
        # 2-512-512-512-512-1: weights and biases; the paper's Table 6 says 792K, which is with
        # the vector of each layer's power iteration.
        sizes = [2, 512, 512, 512, 512, 1]
        n_weights = sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))
        assert n_weights == 790_017
        assert build_mlp(2, sizes[1:-1]).count_params() == n_weights
        model = build_mlp(2, sizes[1:-1], orthogonality="reparametrization")
        assert sum(np.prod(w.shape) for w in model.trainable_weights) == n_weights
        assert model.count_params() == n_weights + sum(sizes[1:]) == 792_066

    @pytest.mark.parametrize("orthogonality", ORTHOGONALITY)
    def test_starts_orthogonal_and_one_dimensional(self, orthogonality):
        model = build_mlp(3, (8, 4, 6), orthogonality=orthogonality)
        assert model.output_shape == (None, 1)
        kernels = [w.numpy() for w in model.trainable_weights if w.name == "kernel"]
        assert [k.shape for k in kernels] == [(3, 8), (8, 4), (4, 6), (6, 1)]
        for kernel in kernels:
            np.testing.assert_allclose(singular_values(kernel), 1.0, atol=1e-5)

    def test_initial_weights_are_those_of_the_model(self):
        weights = initial_weights(3, (8, 4, 6), seed=5)
        for one, other in zip(weights, build_mlp(3, (8, 4, 6), seed=5).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other, strict=True)

    def test_seed_decides(self):
        one, same, other = (build_mlp(3, (4, 4), seed=seed).get_weights() for seed in (1, 1, 2))
        for a, b in zip(one, same, strict=True):
            np.testing.assert_array_equal(a, b)
        assert all((a != b).any() for a, b in zip(one[0::2], other[0::2], strict=True))
        # Layers of one shape do not share their values.
        square = build_mlp(4, (4, 4), seed=1).get_weights()
        assert (square[0] != square[2]).any()

    def test_odd_pairs_are_refused(self):
        message = r"even number of units; got 7 in hidden_layer_sizes=\(8, 7\)"
        with pytest.raises(ValueError, match=message):
            build_mlp(2, (8, 7), activation="groupsort2")
        assert build_mlp(3, (8, 6), activation="groupsort2").output_shape == (None, 1)


class TestCondense:
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("orthogonality", ORTHOGONALITY)
    def test_keeps_the_function(self, activation, orthogonality):
        model = with_random_biases(build_mlp(3, (8, 8, 4), activation, orthogonality))
        condensed = condense(model)
        points = rows(50, 3).astype(np.float32)
        np.testing.assert_allclose(condensed(points), model(points), atol=1e-4)
        np.testing.assert_allclose(condensed(points)[:, 0], forward(condensed, points), atol=1e-5)
        kinds = {type(layer) for layer in condensed.layers}
        assert kinds == {keras.layers.Dense, ACTIVATIONS[activation]}

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("sizes", [(16, 16), (5, 12, 3), ()])
    def test_bound_is_at_most_one_exactly(self, sizes, seed):
        condensed = condense(build_mlp(3, sizes, seed=seed))
        assert network_bound(condensed) <= 1.0
        for kernel in condensed.get_weights()[0::2]:
            assert matrix_bound(kernel) <= 1.0
            np.testing.assert_allclose(singular_values(kernel), 1.0, atol=2e-6)

    def test_takes_the_nearest_orthogonal_kernel(self):
        model = build_mlp(4, (6, 5))
        rng = np.random.default_rng(0)
        model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
        condensed = condense(model)
        assert network_bound(condensed) <= 1.0
        before, after = model.get_weights(), condensed.get_weights()
        for free, kernel in zip(before[0::2], after[0::2], strict=True):
            left, _, right = np.linalg.svd(np.float64(free), full_matrices=False)
            np.testing.assert_allclose(kernel, left @ right, atol=3e-6)
        for free, bias in zip(before[1::2], after[1::2], strict=True):
            np.testing.assert_array_equal(bias, free)

    def test_leaves_the_trained_model_alone(self):
        model = build_mlp(2, (4,))
        model.layers[0].kernel.assign(2.0 * model.layers[0].kernel)
        before = model.get_weights()
        condense(model)
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize(("sizes", "steepest"), [((16, 6, 16), 0.35), ((4, 4), 0.99999)])
    def test_no_pair_of_points_exceeds_the_bound(self, sizes, steepest, activation):
        model = condense(with_random_biases(build_mlp(4, sizes, activation)))
        bound = network_bound(model)
        start = rows(10_000, 4)
        gradient = input_gradient(model, start)
        step = 10.0 ** np.random.default_rng(1).uniform(-3, 1, size=(len(start), 1))
        for end in (rows(len(start), 4, seed=2), start + step * gradient, start - step * gradient):
            apart = np.linalg.norm(start - end, axis=1)
            rise = np.abs(forward(model, start) - forward(model, end))
            assert (rise <= bound * apart + 1e-13).all()
        # Following the gradient comes close to the bound: the check above has teeth.
        assert (rise / apart).max() > steepest


class TestDistance:
    @pytest.mark.parametrize("norm", ["l1", "l2"])
    @pytest.mark.parametrize("softening", [None, 0.5, 2.0])
    def test_it_is_the_formula(self, norm, softening):
        references, points = rows(24, 3), rows(40, 3, seed=1)

        def soft(values):
            return values if softening is None else softening * np.arcsinh(values / softening)

        differences = np.abs(soft(points)[:, np.newaxis] - soft(references))
        if norm == "l1":
            distances = differences.sum(axis=2) / np.sqrt(3)
        else:
            distances = np.sqrt((differences**2).sum(axis=2))
        means = [distances.reshape(40, -1, size).min(axis=2).mean(axis=1) for size in (4, 12)]
        model = build_distance(references, (4, 12), norm, softening)
        assert model.output_shape == (None, 1)
        np.testing.assert_allclose(model(points)[:, 0], -np.mean(means, axis=0), atol=1e-5)
        assert network_bound(model) == 1.0

    def test_references_are_left_alone(self):
        references = rows(8, 2)
        before = references.copy()
        build_distance(references, (8,), softening=2.0)
        np.testing.assert_array_equal(references, before)

    def test_a_reference_is_at_distance_zero_from_itself(self):
        references = rows(8, 2)
        model = build_distance(references, (8,), softening=2.0)
        np.testing.assert_allclose(model(references), 0.0, atol=1e-6)

    def test_sizes_must_divide(self):
        with pytest.raises(ValueError, match="must divide the next, and the last n_references"):
            build_distance(rows(9, 2), (2, 4))


def test_average_is_the_weighted_mean_and_one_lipschitz():
    learned = condense(with_random_biases(build_mlp(3, (8, 8))))
    distance = build_distance(rows(16, 3), (4, 16), softening=2.0)
    model, points = average([learned, distance], [0.25, 0.75]), rows(30, 3, seed=1)
    assert model.input_shape == (None, 3) and model.output_shape == (None, 1)
    expected = 0.25 * learned(points) + 0.75 * distance(points)
    np.testing.assert_allclose(model(points), expected, atol=1e-6)
    assert network_bound(model) <= 1.0
    with pytest.raises(ValueError, match="weights must be positive, one for each of 1 members"):
        average([learned], [0.25, 0.75])


@pytest.mark.parametrize("softening", [None, 2.0])
def test_least_is_the_minimum_of_softened_rows(softening):
    near, far = build_distance(rows(16, 3), (16,)), build_distance(rows(16, 3), (2,))
    model, points = least([near, far], [1.0, 0.5], [-0.7, -1.5], softening), rows(30, 3, seed=1)
    assert model.input_shape == (None, 3) and model.output_shape == (None, 1)
    here = points if softening is None else softening * np.arcsinh(points / softening)
    parts = [near(here) + 0.7, 0.5 * (far(here) + 1.5)]
    np.testing.assert_allclose(model(points), np.minimum(*parts), atol=1e-6)
    assert network_bound(model) == 1.0
    with pytest.raises(ValueError, match="scales must be finite and positive, one for each of 2"):
        least([near, far], [1.0], [0.0])
