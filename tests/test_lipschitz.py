"""Upper bounds against float64 SVD, exact fractions and a float64 forward pass."""

from fractions import Fraction

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import forward, input_gradient, matrix_with, singular_values

from ocsdf.distances import SubsampleDistance
from ocsdf.layers import ACTIVATIONS, Asinh, BjorckDense, FullSort
from ocsdf.lipschitz import float_error, layer_bound, matrix_bound, network_bound
from ocsdf.models import build_distance


@st.composite
def matrices(draw):
    """Matrices of every kind: generic, low rank, scaled orthogonal, equal columns, diagonal."""
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["generic", "low rank", "orthogonal", "repeated", "diagonal"]))
    if kind == "generic":
        matrix = rng.normal(size=shape)
    elif kind == "low rank":
        rank = draw(st.integers(1, 2))
        matrix = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    elif kind == "orthogonal":
        matrix = matrix_with(np.ones(min(shape)), shape, rng)
    elif kind == "repeated":
        matrix = np.repeat(rng.normal(size=(shape[0], 1)), shape[1], axis=1)
    else:
        matrix = np.zeros(shape)
        np.fill_diagonal(matrix, rng.lognormal(sigma=3.0, size=min(shape)))
    matrix = 10.0 ** draw(st.floats(-6, 6)) * matrix
    return matrix.astype(draw(st.sampled_from([np.float32, np.float64])))


def dense_net(*sizes, activation="fullsort", scale=1.0, seed=0):
    """Sequential net of linear Dense and sorting layers with random weights."""
    rng = np.random.default_rng(seed)
    layers = [keras.Input((sizes[0],))]
    for index, units in enumerate(sizes[1:]):
        layers += [ACTIVATIONS[activation]()] * (index > 0) + [keras.layers.Dense(units)]
    model = keras.Sequential(layers)
    weights = [rng.normal(size=weight.shape) for weight in model.get_weights()]
    model.set_weights([w * scale / np.sqrt(len(w)) if w.ndim == 2 else w for w in weights])
    return model


class TestMatrixBound:
    @given(matrices())
    @settings(max_examples=300, deadline=None)
    def test_is_above_sigma_max_and_tight(self, matrix):
        sigma = singular_values(matrix)[0]
        bound = matrix_bound(matrix)
        # A Frobenius norm of the 2^12-th power of a Gram matrix exceeds sigma^(2^13) by the
        # root of the rank at most.
        assert sigma * (1 - 1e-14) <= bound <= sigma * min(matrix.shape) ** 2.0**-13 * (1 + 1e-6)

    @given(st.lists(st.integers(-50, 50), min_size=1, max_size=9), st.integers(1, 9))
    @settings(max_examples=100, deadline=None)
    def test_rank_one_is_bounded_exactly(self, left, n_columns):
        right = np.arange(1, n_columns + 1)
        squared = sum(v * v for v in left) * int(np.sum(right**2))
        assert Fraction(matrix_bound(np.outer(left, right))) ** 2 >= squared

    @given(matrices())
    @settings(max_examples=50, deadline=None)
    def test_transposing_changes_nothing_but_rounding(self, matrix):
        assert matrix_bound(matrix.T) == pytest.approx(matrix_bound(matrix), rel=1e-9)

    @pytest.mark.parametrize("shape", [(64, 64), (200, 30), (30, 200), (512, 1), (2, 512)])
    def test_orthogonal_float32_kernel(self, shape):
        kernel = matrix_with(np.ones(min(shape)), shape, np.random.default_rng(0))
        bound = matrix_bound(kernel.astype(np.float32))
        sigma = singular_values(kernel.astype(np.float32))[0]
        assert sigma <= bound <= 1 + 1e-6

    @pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 5)])
    def test_zeros_have_bound_zero(self, shape):
        assert matrix_bound(np.zeros(shape)) == 0.0

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value):
        with pytest.raises(ValueError, match="Cannot bound a matrix with NaN or infinite entries"):
            matrix_bound([[1.0, value], [0.0, 1.0]])

    @pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160])
    def test_is_above_sigma_max_where_squares_leave_float64(self, scale):
        assert matrix_bound(np.diag([3.0, 1.0]) * scale) >= 3.0 * scale


class TestNetworkBound:
    def test_product_over_layers(self):
        model = dense_net(3, 8, 6, 1)
        exact = np.prod([singular_values(w)[0] for w in model.get_weights()[0::2]])
        assert exact <= network_bound(model) <= 1.02 * exact

    def test_sorting_counts_one(self):
        assert network_bound(keras.Sequential([keras.Input((4,)), FullSort()])) == 1.0
        assert layer_bound(keras.layers.InputLayer((3,))) == 1.0

    def test_exact_layers_count_one(self):
        assert layer_bound(Asinh(2.0)) == layer_bound(SubsampleDistance(8, (2, 8))) == 1.0
        rows = np.random.default_rng(0).normal(size=(8, 3))
        assert network_bound(build_distance(rows, (2, 8), softening=2.0)) == 1.0

    @given(st.integers(0, 2**32 - 1), st.floats(-6, 3), st.floats(-2, 3))
    @settings(max_examples=40, deadline=None)
    def test_no_pair_of_points_exceeds_the_bound_of_the_default(
        self, anchored, seed, exponent, spread
    ):
        bound = network_bound(anchored)
        assert bound <= 1.0
        rng = np.random.default_rng(seed)
        start = 10.0**spread * rng.normal(size=(50, 3))
        steps = np.concatenate([rng.normal(size=(25, 3)), input_gradient(anchored, start[:25])])
        end = start + 10.0**exponent * steps
        rise = np.abs(forward(anchored, end) - forward(anchored, start))
        apart = np.linalg.norm(end - start, axis=1)
        # 1e-14: what float64 rounding of f itself may add, relative to its argument.
        rounding = 1e-14 * (10.0 + np.abs(start).max() + np.abs(end).max())
        assert (rise <= bound * apart + rounding).all()

    def test_the_default_comes_close_to_its_bound(self, anchored):
        # Beyond all references in one direction, both members fall and softening is still slight:
        # the check above has teeth.
        start = np.random.default_rng(0).normal(size=(2000, 3))
        slopes = np.linalg.norm(input_gradient(anchored, start), axis=1)
        assert 0.5 < slopes.max() <= network_bound(anchored)

    def test_a_layer_with_a_coefficient_is_bounded_by_what_it_does(self):
        for activation in ACTIVATIONS.values():
            for coefficient in (0.5, 2.0):
                layer = activation(k_coef_lip=coefficient)
                points = np.float32([[0.0, 1.0], [2.0, 3.0]])
                moved = np.linalg.norm(np.diff(layer(points), axis=0))
                assert moved <= layer_bound(layer) * np.linalg.norm(np.diff(points, axis=0))

    @pytest.mark.parametrize(
        ("layer", "kind"),
        [
            (keras.layers.Dense(2, activation="relu", name="mine"), "Dense"),
            (keras.layers.Dropout(0.5, name="mine"), "Dropout"),
            (BjorckDense(2, name="mine"), "BjorckDense"),
            (keras.layers.BatchNormalization(name="mine"), "BatchNormalization"),
        ],
    )
    def test_unknown_layers_are_named(self, layer, kind):
        model = keras.Sequential([keras.Input((2,)), layer])
        message = f"No Lipschitz bound is known for layer 'mine' of type {kind}; use linear Dense"
        for function in (network_bound, float_error):
            with pytest.raises(TypeError, match=message):
                function(model)

    def test_only_sequential_models(self):
        inputs = keras.Input((2,))
        outputs = keras.layers.Dense(1)(inputs) + keras.layers.Dense(1)(inputs)
        with pytest.raises(TypeError, match="Expected a keras.Sequential model.* got Functional"):
            network_bound(keras.Model(inputs, outputs))


# The unit roundoff of float32, whose errors are large enough to be seen.
UNIT = 2.0**-24


class TestFloatError:
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("scale", [1.0, 3.0])
    def test_covers_the_rounding_of_the_forward_pass(self, activation, scale):
        model = dense_net(5, 64, 32, 1, activation=activation, scale=scale)
        constant, slope = float_error(model, UNIT)
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(2000, 5))
        norm = 10.0 ** rng.uniform(-2, 3, size=2000)
        rows *= (norm / np.linalg.norm(rows, axis=1))[:, np.newaxis]
        error = np.abs(model(rows.astype(np.float32)).numpy()[:, 0] - forward(model, rows))
        assert error.max() > 0.0
        assert (error <= constant + slope * norm).all()

    @pytest.mark.parametrize("norm", ["l1", "l2"])
    @pytest.mark.parametrize("softening", [None, 0.7])
    @pytest.mark.parametrize("group_sizes", [(1, 2, 4, 8, 16, 32, 64), (64,)])
    def test_covers_the_rounding_of_distances(self, group_sizes, softening, norm):
        rng = np.random.default_rng(2)
        model = build_distance(rng.normal(size=(64, 5)), group_sizes, norm, softening)
        constant, slope = float_error(model, UNIT)
        rows = rng.normal(size=(1000, 5)) * 10.0 ** rng.uniform(-2, 3, size=(1000, 1))
        error = np.abs(model(rows.astype(np.float32)).numpy()[:, 0] - forward(model, rows))
        assert error.max() > 0.0
        assert (error <= constant + slope * np.linalg.norm(rows, axis=1)).all()

    def test_covers_the_rounding_of_the_default(self, anchored):
        constant, slope = float_error(anchored, UNIT)
        rng = np.random.default_rng(3)
        rows = rng.normal(size=(2000, 3)) * 10.0 ** rng.uniform(-2, 3, size=(2000, 1))
        error = np.abs(anchored(rows.astype(np.float32)).numpy()[:, 0] - forward(anchored, rows))
        assert error.max() > 0.0
        assert (error <= constant + slope * np.linalg.norm(rows, axis=1)).all()
        assert max(float_error(anchored)) < 1e-12

    def test_is_small_for_a_one_lipschitz_net(self):
        model = dense_net(10, 64, 64, 64, 64, 1)
        rng = np.random.default_rng(1)
        shapes = [weight.shape for weight in model.get_weights()]
        model.set_weights(
            [
                matrix_with(np.ones(min(s)), s, rng) if len(s) == 2 else rng.uniform(-0.1, 0.1, s)
                for s in shapes
            ]
        )
        constant, slope = float_error(model, UNIT)
        assert UNIT <= slope < 1e-2
        assert 0.0 < constant < 1e-2
        # In float64, which scores are computed in, nothing to speak of.
        assert max(float_error(model)) < 1e-11

    def test_closed_form_of_one_layer(self):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.set_weights([np.float32([[3.0], [4.0]]), np.float32([2.0])])
        gamma = 3 * UNIT / (1 - 3 * UNIT)
        constant, slope = float_error(model, UNIT)
        assert constant == pytest.approx(gamma * 2.0, rel=1e-5)
        assert slope == pytest.approx(10 * UNIT + gamma * 5 * (1 + 2 * UNIT), rel=1e-5)

    def test_layers_must_be_float32(self):
        half = keras.layers.Dense(1, dtype="float16")
        model = keras.Sequential([keras.Input((2,)), half])
        for function in (network_bound, float_error):
            with pytest.raises(TypeError, match="Expected float32 layers.* policy float16"):
                function(model)
