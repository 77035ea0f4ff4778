"""Upper bounds against float64 SVD, exact fractions and a float64 forward pass."""

from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from deel.lip import layers as deel
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.layers import ACTIVATIONS, Asinh, BjorckDense, FullSort
from ocsdf.networks.lipschitz import float_error, layer_bound, network_bound
from ocsdf.operations.matrix_bounds import matrix_bound
from tests.reference import forward, input_gradient, matrix_with, singular_values
from tests.samples import build_distance


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
    @settings(max_examples=300)
    def test_is_above_sigma_max_and_tight(self, matrix):
        sigma = singular_values(matrix)[0]
        bound = matrix_bound(matrix)
        # A Frobenius norm of the 2^12-th power of a Gram matrix exceeds sigma^(2^13) by the
        # root of the rank at most.
        assert sigma * (1 - 1e-14) <= bound <= sigma * min(matrix.shape) ** 2.0**-13 * (1 + 1e-6)

    @given(st.lists(st.integers(-50, 50), min_size=1, max_size=9), st.integers(1, 9))
    @settings(max_examples=100)
    def test_rank_one_is_bounded_exactly(self, left, n_columns):
        right = np.arange(1, n_columns + 1)
        squared = sum(v * v for v in left) * int(np.sum(right**2))
        assert Fraction(matrix_bound(np.outer(left, right))) ** 2 >= squared

    @given(matrices())
    @settings(max_examples=50)
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
    @settings(max_examples=40)
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
            (
                keras.layers.Dense(2, activation="gelu", name="mine"),
                "Dense with the activation gelu",
            ),
            (keras.layers.Activation("softmax", name="mine"), "Activation with the activation sof"),
            (keras.layers.ReLU(threshold=0.5, name="mine"), "ReLU with threshold=0.5"),
            (keras.layers.UnitNormalization(name="mine"), "UnitNormalization;"),
            # A subclass may compute something else than the class whose rule is known.
            (BjorckDense(2, name="mine"), "BjorckDense;"),
        ],
    )
    def test_unknown_layers_are_named(self, layer, kind):
        model = keras.Sequential([keras.Input((2,)), layer])
        message = f"No Lipschitz bound is known for layer 'mine' of type {kind}"
        for function in (network_bound, float_error):
            with pytest.raises(TypeError, match=message):
                function(model)

    def test_only_sequential_models(self):
        inputs = keras.Input((2,))
        outputs = keras.layers.Dense(1)(inputs) + keras.layers.Dense(1)(inputs)
        with pytest.raises(TypeError, match="Expected a keras.Sequential model.* got Functional"):
            network_bound(keras.Model(inputs, outputs))

    def test_a_sequential_model_that_does_more_is_refused(self):
        class Doubled(keras.Sequential):
            def call(self, inputs, training=None, mask=None):
                return 2.0 * super().call(inputs)

        model = Doubled([keras.Input((2,)), FullSort()])
        with pytest.raises(TypeError, match="Expected a keras.Sequential model.* got Doubled"):
            network_bound(model)

    def test_a_network_inside_counts_as_its_layers(self):
        inner = dense_net(4, 6, 4)
        outer = keras.Sequential([keras.Input((4,)), inner, FullSort(), dense_net(4, 1, seed=1)])
        kernels = [w for w in outer.get_weights() if w.ndim == 2]
        exact = np.prod([singular_values(w)[0] for w in kernels])
        assert exact <= network_bound(outer) <= 1.02 * exact


def image_net(activation="relu", pooling="average", dtype="float32"):
    """A network of 10 x 9 images with two channels, all of whose layers are summed as written."""
    pool = {
        "average": lambda: keras.layers.AveragePooling2D(3, 2, "same"),
        "max": lambda: keras.layers.MaxPooling2D(3, 2),
        "l2": deel.ScaledL2NormPooling2D,
    }
    layers = [
        keras.layers.Conv2D(6, 3, padding="same", activation=activation),
        pool[pooling](),
        keras.layers.ZeroPadding2D(1),
        keras.layers.Conv2D(4, (3, 2), strides=2),
        keras.layers.LeakyReLU(0.3),
        keras.layers.Permute((3, 1, 2)),
        keras.layers.Reshape((2, -1)),
        keras.layers.Dense(3),
        keras.layers.Dropout(0.5),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((10, 9, 2))])
    for layer in layers:
        model.add(type(layer).from_config(layer.get_config() | {"dtype": dtype}))
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    return model


def images(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 10, 9, 2))


class TestImageNetworks:
    @pytest.mark.parametrize("pooling", ["average", "max", "l2"])
    def test_no_gradient_is_longer_than_the_bound(self, pooling):
        single, double = image_net(pooling=pooling), image_net(pooling=pooling, dtype="float64")
        points = tf.Variable(images(100))
        # Upwards and downwards: where the function is steepest.
        for direction in (1.0, -1.0):
            for _ in range(10):
                with tf.GradientTape() as tape:
                    value = double(points)
                slopes = tape.gradient(value, points)
                points.assign_add(direction * slopes)
        longest = np.linalg.norm(slopes.numpy().reshape(100, -1), axis=1).max()
        assert 0.02 * network_bound(single) < longest <= network_bound(single)

    def test_it_is_the_product_of_the_layers_on_their_own_sizes(self):
        model, shape, product = image_net(), (None, 10, 9, 2), 1.0
        for layer in model.layers:
            product *= layer_bound(layer, shape)
            shape = layer.compute_output_shape(shape)
        assert network_bound(model) == pytest.approx(product, rel=1e-12)
        unsized = np.prod([layer_bound(layer) for layer in model.layers])
        assert network_bound(model) < unsized

    def test_a_layer_that_two_networks_share_is_bounded_in_each(self):
        # Of the difference of neighbours, 2 pixels miss the highest frequency and 7 have it.
        layer = keras.layers.Conv1D(1, 2)
        small = keras.Sequential([keras.Input((2, 1)), layer])
        large = keras.Sequential([keras.Input((7, 1)), layer])
        layer.kernel.assign(np.float32([[[1.0]], [[-1.0]]]))
        assert network_bound(small) == pytest.approx(np.sqrt(3.0), rel=1e-9)
        assert network_bound(large) == pytest.approx(2.0, rel=1e-9)

    def test_sizes_may_be_unknown(self):
        layers = [keras.layers.Conv2D(3, 3), keras.layers.GlobalAveragePooling2D()]
        model = keras.Sequential([keras.Input((None, None, 1)), *layers])
        layer = model.layers[0]
        assert network_bound(model) == layer_bound(layer) > layer_bound(layer, (None, 5, 5, 1))
        with pytest.raises(TypeError, match="No bound of rounding errors is known .* type Conv2D"):
            float_error(model)
        model = keras.Sequential([keras.Input((None, None, 1)), layers[1]])
        with pytest.raises(TypeError, match="No bound of rounding errors.* GlobalAveragePooling2D"):
            float_error(model)

    @pytest.mark.parametrize("settings", [{"groups": 2}, {"dilation_rate": 2}])
    def test_settings_without_a_bound_are_named(self, settings):
        layer = keras.layers.Conv2D(2, 3, name="mine", **settings)
        model = keras.Sequential([keras.Input((9, 9, 2)), layer])
        message = (
            "No Lipschitz bound is known for layer 'mine' of type Conv2D with groups=.*dilation"
        )
        for function in (network_bound, float_error):
            with pytest.raises(TypeError, match=message):
                function(model)

    @pytest.mark.parametrize("factor", [0.5, 1.01, 3.0])
    def test_a_scaled_layer_scales_the_bound(self, factor):
        model = image_net()
        before = network_bound(model)
        kernel = model.layers[0].kernel
        kernel.assign(np.float32(factor) * kernel.numpy())
        assert network_bound(model) == pytest.approx(factor * before, rel=1e-6)

    def test_a_layer_as_activation_counts(self):
        activation = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(3.0))
        layer = keras.layers.Dense(2, activation=activation, kernel_initializer="identity")
        model = keras.Sequential([keras.Input((2,)), layer])
        model(np.zeros((1, 2)))
        assert network_bound(model) == pytest.approx(3.0, rel=1e-12)
        half = keras.layers.LeakyReLU(dtype="float16")
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=half)])
        with pytest.raises(TypeError, match="Expected float32 layers.* policy float16"):
            network_bound(model)


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

    @pytest.mark.parametrize("pooling", ["average", "max", "l2"])
    @pytest.mark.parametrize("activation", ["relu", "leaky_relu", None])
    def test_covers_the_rounding_of_images(self, activation, pooling):
        single = image_net(activation, pooling)
        double = image_net(activation, pooling, dtype="float64")
        constant, slope = float_error(single, UNIT)
        rows = images(400) * 10.0 ** np.random.default_rng(1).uniform(-2, 3, size=(400, 1, 1, 1))
        error = np.abs(single(rows.astype(np.float32)).numpy() - double(rows).numpy())[:, 0]
        assert error.max() > 0.0
        assert (error <= constant + slope * np.linalg.norm(rows.reshape(400, -1), axis=1)).all()
        assert max(float_error(single)) < 1e-10

    def test_a_bias_counts_once_for_each_place(self):
        layer = keras.layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(3.0))
        constant, _ = float_error(keras.Sequential([keras.Input((4, 5, 1)), layer]), UNIT)
        # gamma_2: one product and the bias.
        assert constant == pytest.approx(2 * UNIT * 3.0 * np.sqrt(20), rel=1e-5)
        layer = keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(3.0))
        constant, _ = float_error(keras.Sequential([keras.Input((4, 5, 1)), layer]), UNIT)
        assert constant == pytest.approx(2 * UNIT * 3.0 * np.sqrt(20), rel=1e-5)

    def test_closed_form_of_one_convolution(self):
        layer = keras.layers.Conv1D(1, 3, padding="same", use_bias=False)
        model = keras.Sequential([keras.Input((9, 1)), layer])
        layer.kernel.assign(np.float32([[[1.0]], [[-1.0]], [[2.0]]]))
        constant, slope = float_error(model, UNIT)
        gamma = 4 * UNIT / (1 - 4 * UNIT)
        # Of the absolute values the norm is 1 + 1 + 2, of the kernel itself a little less.
        expected = 2 * UNIT * layer_bound(layer, (None, 9, 1)) + gamma * 4 * (1 + 2 * UNIT)
        # What may underflow, and nothing else.
        assert 0.0 < constant < 1e-35
        assert slope == pytest.approx(expected, rel=2e-6)

    @pytest.mark.parametrize(
        "layer",
        [
            keras.layers.Dense(2, activation="tanh", name="mine"),
            keras.layers.Activation("sigmoid", name="mine"),
            keras.layers.ELU(name="mine"),
            keras.layers.BatchNormalization(name="mine"),
        ],
    )
    def test_layers_of_unknown_rounding_are_named(self, layer):
        model = keras.Sequential([keras.Input((2,)), layer])
        assert network_bound(model) > 0.0
        with pytest.raises(
            TypeError, match="No bound of rounding errors is known for layer 'mine'"
        ):
            float_error(model)

    def test_too_coarse_a_format(self):
        with pytest.raises(ValueError, match=r"Expected n u < 1 .* got n=513 terms"):
            float_error(dense_net(512, 1), 2.0**-9)

    def test_layers_must_be_float32(self):
        half = keras.layers.Dense(1, dtype="float16")
        model = keras.Sequential([keras.Input((2,)), half])
        for function in (network_bound, float_error):
            with pytest.raises(TypeError, match="Expected float32 layers.* policy float16"):
                function(model)
