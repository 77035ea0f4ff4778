"""Bounds of activations, pooling and rearrangements, against what the layers do."""

import keras
import numpy as np
import pytest
from deel.lip import layers as deel
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from ocsdf.networks.layers import FullSort, GroupSort2
from ocsdf.networks.lipschitz import layer_bound
from tests.reference import singular_values


def built(layer, shape):
    """The layer, built for inputs of a shape, without the batch."""
    layer(np.zeros((1, *shape), np.float32))
    return layer


def bound_on(layer, shape):
    return layer_bound(built(layer, shape), (None, *shape))


def exact_matrix(layer, shape):
    """The matrix of a linear layer on inputs of a shape."""
    size = int(np.prod(shape))
    pixels = np.eye(size, dtype=np.float32).reshape(size, *shape)
    return layer(pixels).numpy().reshape(size, -1).astype(np.float64)


def steepest(layer, shape, n=4000, seed=0):
    """Largest |f(x) - f(y)| / |x - y| found, near and far, along axes and at random."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(n, *shape)) * 10.0 ** rng.uniform(-1, 1, size=(n, *[1] * len(shape)))
    step = rng.normal(size=start.shape)
    step[: n // 2] *= rng.uniform(size=start[: n // 2].shape) < 0.1
    end = start + step * 10.0 ** rng.uniform(-2, 1, size=(n, *[1] * len(shape)))
    start, end = start.astype(np.float32), end.astype(np.float32)
    moved = (layer(end).numpy().astype(float) - layer(start).numpy()).reshape(n, -1)
    apart = np.linalg.norm((end.astype(float) - start).reshape(n, -1), axis=1)
    return np.max(np.linalg.norm(moved, axis=1) / np.maximum(apart, 1e-2))


class TestActivations:
    @pytest.mark.parametrize(
        ("layer", "bound"),
        [
            (layers.ReLU(), 1.0),
            (layers.ReLU(max_value=2.0, negative_slope=1.5), 1.5),
            (layers.LeakyReLU(0.25), 1.0),
            (layers.LeakyReLU(4.0), 4.0),
            (layers.PReLU(alpha_initializer=keras.initializers.Constant(-2.5)), 2.5),
            (layers.ELU(), 1.0),
            (layers.ELU(alpha=3.0), 3.0),
            (layers.Activation("linear"), 1.0),
            (layers.Activation("relu"), 1.0),
            (layers.Activation("relu6"), 1.0),
            (layers.Activation("leaky_relu"), 1.0),
            (layers.Activation("elu"), 1.0),
            (layers.Activation("tanh"), 1.0),
            (layers.Activation("sigmoid"), 0.25),
            (layers.Activation("softplus"), 1.0),
            (layers.Activation("softsign"), 1.0),
        ],
    )
    def test_the_steepest_slope_is_the_bound(self, layer, bound):
        assert bound_on(layer, (1,)) == bound
        assert 0.9 * bound < steepest(layer, (1,)) <= bound * (1 + 1e-3)

    @pytest.mark.parametrize(
        "layer",
        [
            deel.GroupSort(n=2),
            deel.GroupSort2(),
            deel.FullSort(),
            deel.MaxMin(),
            FullSort(),
            GroupSort2(),
        ],
    )
    def test_sorting(self, layer):
        assert bound_on(layer, (6,)) == 1.0
        assert 0.9 < steepest(layer, (6,)) <= 1 + 1e-3

    def test_a_coefficient_is_rounded_up(self):
        assert layer_bound(deel.GroupSort2(k_coef_lip=0.1)) == float(np.float32(0.1)) > 0.1

    def test_the_slope_that_float32_layers_take(self):
        assert layer_bound(layers.LeakyReLU(1.1)) == float(np.float32(1.1)) > 1.1

    def test_weights_must_be_finite(self):
        layer = layers.PReLU(alpha_initializer=keras.initializers.Constant(np.nan), name="mine")
        with pytest.raises(ValueError, match="Cannot bound layer 'mine' with NaN or infinite"):
            bound_on(layer, (2,))


class TestBatchNormalization:
    @pytest.mark.parametrize("scale", [True, False])
    def test_closed_form(self, scale):
        layer = built(layers.BatchNormalization(scale=scale, epsilon=0.5), (4, 3))
        layer.moving_variance.assign([3.5, 0.0, 1.5])
        layer.moving_mean.assign([1.0, -2.0, 3.0])
        if scale:
            layer.gamma.assign([-8.0, 2.0, 1.0])
        expected = 4.0 if scale else np.sqrt(2.0)
        assert expected <= layer_bound(layer) <= expected * (1 + 1e-15)
        assert steepest(layer, (4, 3)) <= expected * (1 + 1e-3)

    def test_negative_variances_are_refused(self):
        layer = built(layers.BatchNormalization(name="mine"), (1,))
        layer.moving_variance.assign([-1.0])
        with pytest.raises(ValueError, match="Expected variances > -epsilon in 'mine'"):
            layer_bound(layer)


class TestNormalizationAndRescaling:
    @pytest.mark.parametrize("invert", [False, True])
    def test_closed_form_of_normalization(self, invert):
        layer = layers.Normalization(mean=[1.0, -2.0], variance=[0.0625, 9.0], invert=invert)
        layer.build((None, 2))
        expected = 3.0 if invert else 4.0
        assert expected <= layer_bound(layer) <= expected * (1 + 1e-15)
        assert 0.9 * expected < steepest(layer, (2,)) <= expected * (1 + 1e-3)

    def test_a_constant_feature_is_divided_by_epsilon(self):
        layer = layers.Normalization()
        layer.adapt(np.float32([[1.0, 5.0], [3.0, 5.0]]))
        assert layer_bound(layer) == pytest.approx(1.0 / keras.config.epsilon(), rel=1e-6)
        assert steepest(layer, (2,)) <= layer_bound(layer) * (1 + 1e-3)

    @pytest.mark.parametrize("scale", [1 / 255, -3.0, [0.5, -2.0]])
    def test_rescaling(self, scale):
        layer = built(layers.Rescaling(scale, offset=0.01), (2,))
        assert layer_bound(layer) == pytest.approx(np.max(np.abs(scale)), rel=1e-7)
        assert layer_bound(layer) >= np.max(np.abs(np.float32(scale)))
        assert 0.9 * layer_bound(layer) < steepest(layer, (2,)) <= layer_bound(layer) * (1 + 1e-3)

    def test_nan_is_refused(self):
        layer = layers.Normalization(mean=0.0, variance=np.nan, name="mine")
        layer.build((None, 2))
        with pytest.raises(ValueError, match="Cannot bound layer 'mine' with NaN or infinite"):
            layer_bound(layer)


@st.composite
def windows(draw, paddings=("same", "valid")):
    """Window, stride, padding and length of one axis; TensorFlow takes no longer window."""
    window = draw(st.integers(1, 4))
    length = draw(st.integers(window, 9))
    return window, draw(st.integers(1, 4)), draw(st.sampled_from(paddings)), length


class TestPooling:
    @given(windows(), windows())
    @settings(max_examples=60)
    def test_average_is_above_the_exact_matrix(self, rows, columns):
        pool_size, strides = (rows[0], columns[0]), (rows[1], columns[1])
        layer = layers.AveragePooling2D(pool_size, strides, rows[2])
        shape = (rows[3], columns[3], 1)
        exact = singular_values(exact_matrix(layer, shape))[0]
        bound = bound_on(layer, shape)
        assert exact <= bound * (1 + 1e-6)
        assert bound <= 1.02 * exact
        assert bound <= layer_bound(layer)

    @pytest.mark.parametrize(
        ("pool_size", "bound"), [((2, 2), 0.5), ((3, 3), 1 / 3), ((4, 1), 0.5)]
    )
    def test_average_of_windows_that_do_not_overlap(self, pool_size, bound):
        layer = layers.AveragePooling2D(pool_size)
        for found in (layer_bound(layer), bound_on(layer, (12, 12, 2))):
            assert bound <= found <= bound * (1 + 1e-15)

    def test_average_at_the_edge(self):
        # Three pixels in windows of two: the last window holds one, and keeps all of it.
        layer = layers.AveragePooling1D(2, padding="same")
        assert bound_on(layer, (3, 1)) == layer_bound(layer) == 1.0
        assert singular_values(exact_matrix(layer, (3, 1)))[0] == pytest.approx(1.0)
        assert bound_on(layer, (4, 1)) == pytest.approx(np.sqrt(0.5))

    @given(windows())
    @settings(max_examples=60)
    def test_one_pixel_attains_the_maximum_pooling(self, axis):
        window, stride, padding, length = axis
        layer = layers.MaxPooling1D(window, stride, padding)
        spikes = np.eye(length, dtype=np.float32)[:, :, np.newaxis]
        moved = np.linalg.norm(layer(spikes).numpy(), axis=(1, 2)).max()
        bound = bound_on(layer, (length, 1))
        assert bound == pytest.approx(moved, rel=1e-6)
        assert bound <= layer_bound(layer)

    @pytest.mark.parametrize("strides", [1, 2, 3])
    def test_no_pair_exceeds_the_maximum_pooling(self, strides):
        layer = layers.MaxPooling2D(2, strides)
        bound = bound_on(layer, (6, 6, 1))
        assert bound == (2.0 if strides == 1 else 1.0)
        assert steepest(layer, (6, 6, 1)) <= bound * (1 + 1e-3)

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_global_pooling(self, data_format):
        shape = (3, 4, 5)
        n_pixels = 12 if data_format == "channels_last" else 20
        mean = layers.GlobalAveragePooling2D(data_format)
        bound = bound_on(mean, shape)
        assert n_pixels**-0.5 <= bound <= n_pixels**-0.5 * (1 + 1e-15)
        assert singular_values(exact_matrix(mean, shape))[0] == pytest.approx(bound)
        assert layer_bound(mean) == 1.0
        assert bound_on(layers.GlobalMaxPooling2D(data_format=data_format), shape) == 1.0

    @pytest.mark.parametrize("pool_size", [(2, 2), (3, 2)])
    @pytest.mark.parametrize("coefficient", [1.0, 3.0])
    def test_the_library_s_scaled_pooling(self, pool_size, coefficient):
        shape = (6, 6, 2)
        for layer in (
            deel.ScaledAveragePooling2D(pool_size, k_coef_lip=coefficient),
            deel.ScaledL2NormPooling2D(pool_size, k_coef_lip=coefficient),
        ):
            bound = bound_on(layer, shape)
            # Its square root of 6 is rounded, to float32 at last.
            assert coefficient * (1 - 1e-15) <= bound <= coefficient * (1 + 1e-7)
            assert 0.1 * coefficient < steepest(layer, shape) <= coefficient * (1 + 1e-3)
        assert bound_on(deel.ScaledL2NormPooling2D((2, 2)), shape) == 1.0

    @pytest.mark.parametrize("coefficient", [1.0, 3.0])
    def test_the_library_s_global_pooling(self, coefficient):
        shape = (4, 4, 2)
        for layer in (
            deel.ScaledGlobalAveragePooling2D(k_coef_lip=coefficient),
            deel.ScaledGlobalL2NormPooling2D(k_coef_lip=coefficient),
        ):
            assert bound_on(layer, shape) == coefficient
            assert steepest(layer, shape) <= coefficient * (1 + 1e-3)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Flatten(),
        layers.Reshape((2, -1)),
        layers.Permute((3, 1, 2)),
        layers.ZeroPadding2D(2),
        layers.Cropping2D(1),
        layers.Identity(),
        layers.Dropout(0.5),
        layers.AlphaDropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(1.0),
        deel.InvertibleDownSampling((2, 2)),
    ],
)
def test_what_only_moves_numbers_counts_one(layer):
    shape = (4, 4, 2)
    assert bound_on(layer, shape) == 1.0
    assert singular_values(exact_matrix(layer, shape))[0] == 1.0
