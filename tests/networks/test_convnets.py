"""Networks of images: their size, their bounds against their Jacobians, and their files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from deel.lip.layers import ScaledGlobalL2NormPooling2D, ScaledL2NormPooling2D

from ocsdf.networks.builders import condense
from ocsdf.networks.convnets import build_convnet, build_downsampling_net, condense_convnet
from ocsdf.networks.lipschitz import layer_bound, network_bound

SMALL = {"image_shape": (8, 9, 2), "channels": (4, 6), "depths": (2, 1)}


def with_biases(model, seed=0):
    """The network with biases that are not 0, as training makes them."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if hasattr(layer, "bias"):
            layer.bias.assign(rng.normal(scale=0.02, size=layer.bias.shape))
    return model


def gradients(model, rows):
    """The gradient of f at rows, in float32."""
    rows = tf.constant(rows, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        values = model(rows)
    return tape.gradient(values, rows).numpy()


def in_float64(model):
    layers = [
        type(layer).from_config(layer.get_config() | {"dtype": "float64"}) for layer in model.layers
    ]
    exact = keras.Sequential([keras.Input(model.input_shape[1:], dtype="float64"), *layers])
    exact.set_weights(model.get_weights())
    return exact


@pytest.fixture(scope="module")
def convnet():
    return with_biases(build_convnet(**SMALL, seed=1))


@pytest.fixture(scope="module")
def condensed(convnet):
    return condense_convnet(convnet)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).uniform(-1.0, 1.0, size=(40, 8 * 9 * 2))


def test_papers_network_has_its_parameters():
    # Table 6: 2,103K, of one input channel.
    assert build_convnet((28, 28, 1)).count_params() == 2_103_617


def test_papers_network_is_that_of_table_6():
    def name(layer):
        if isinstance(layer, keras.layers.Conv2D):
            return f"conv-{'x'.join(map(str, layer.kernel_size))}-{layer.filters}"
        return type(layer).__name__

    names = [name(layer) for layer in build_convnet((32, 32, 3)).layers]
    pool, sort = "ScaledL2NormPooling2D", "GroupSort2"
    expected = ["Reshape"]
    for n_channels, depth in ((64, 4), (128, 4), (256, 3)):
        expected += [f"conv-3x3-{n_channels}", sort] * depth + [pool]
    assert names == [*expected, "ScaledGlobalL2NormPooling2D", "Dense"]


def test_width_multiplies_channels_to_even_numbers():
    def channels(width):
        layers = build_convnet((16, 16, 1), (64, 128), (1, 1), width).layers
        return [layer.filters for layer in layers if isinstance(layer, keras.layers.Conv2D)]

    assert [channels(width) for width in (0.25, 0.05, 0.01)] == [[16, 32], [4, 6], [2, 2]]


def test_seed_decides_the_weights():
    first, second, other = (build_convnet(**SMALL, seed=seed).get_weights() for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert not (first[0] == other[0]).all()


def test_too_small_images_are_refused():
    with pytest.raises(ValueError, match="at least 8 pixels each way.*fewer channels"):
        build_convnet((7, 28, 1))


class TestCondensing:
    def test_every_bound_is_at_most_1_and_close_to_it(self, condensed):
        shape = condensed.input_shape
        for layer in condensed.layers:
            assert 0.999999 < layer_bound(layer, shape) <= 1.0
            shape = layer.compute_output_spec(keras.KerasTensor(shape)).shape
        assert 0.99999 < network_bound(condensed) <= 1.0

    def test_bound_holds_for_differences_and_gradients(self, condensed, rows):
        exact = in_float64(condensed)
        rng = np.random.default_rng(1)
        for size in (1e-3, 0.1, 3.0):
            step = rng.normal(size=rows.shape)
            step *= size / np.linalg.norm(step, axis=1, keepdims=True)
            change = np.abs(exact(rows + step).numpy() - exact(rows).numpy())[:, 0]
            assert (change <= network_bound(condensed) * size).all() and change.max() > 0.0
        assert np.linalg.norm(gradients(condensed, rows), axis=1).max() <= 1.0 + 1e-6

    def test_gradient_at_the_first_singular_vector_of_a_mean_filter(self):
        model = build_convnet((32, 32, 1), (2,), (1,))
        convolution = model.layers[1]
        convolution.kernel.assign(np.full((3, 3, 1, 2), 1.0) * [[[[1.0, 0.0]]]])
        model.layers[-1].kernel.assign([[0.0], [1.0]])
        model = condense_convnet(model)
        wave = np.sin(np.pi * np.arange(1, 33) / 33)
        image = np.outer(wave, wave).reshape(1, -1)
        # Divided by the 9 of an image set in zeros; on 32 pixels an axis, a little less is reached.
        attained = (1.0 + 2.0 * np.cos(np.pi / 33)) ** 2 / 9.0
        norm = np.linalg.norm(gradients(model, image))
        assert norm == pytest.approx(attained, rel=1e-5) and norm <= network_bound(model) <= 1.0

    def test_only_the_scale_changes(self, convnet, condensed, rows):
        before, after = (in_float64(model)(rows).numpy()[:, 0] for model in (convnet, condensed))
        factor = after[0] / before[0]
        assert factor > 1.0 and np.ptp(before) > 1e-4 * np.abs(before).max()
        np.testing.assert_allclose(after, factor * before, rtol=1e-5)

    def test_nothing_but_plain_layers_is_left(self, condensed):
        kept = [layer for layer in condensed.layers if hasattr(layer, "kernel")]
        assert [layer.kernel_constraint for layer in kept] == [None] * 4

    def test_global_randomness_is_left_alone(self, convnet):
        keras.utils.set_random_seed(5)
        expected = keras.random.normal((3,)).numpy()
        keras.utils.set_random_seed(5)
        condense_convnet(convnet)
        assert (keras.random.normal((3,)).numpy() == expected).all()


@pytest.mark.parametrize("kind", ["training", "condensed", "downsampling"])
def test_saves_and_loads(kind, convnet, condensed, rows, tmp_path):
    downsampling = build_downsampling_net((8, 9, 2), (6,))
    model = {"training": convnet, "condensed": condensed, "downsampling": downsampling}[kind]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.predict(rows, verbose=0) == model.predict(rows, verbose=0)).all()
    assert network_bound(loaded) == network_bound(model)


def test_singular_values_stay_in_training(rows):
    model = build_convnet(**SMALL)
    model.compile(keras.optimizers.RMSprop(1e-2), "mse")
    model.fit(rows, rows[:, :1], epochs=2, batch_size=10, verbose=0)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            matrix = layer.kernel.numpy().astype(np.float64).reshape(-1, layer.kernel.shape[-1])
            factor = getattr(layer.kernel_constraint, "factor", 1.0)
            found = np.linalg.svd(matrix, compute_uv=False) / factor
            assert np.abs(found - 1.0).max() <= 2e-2


@pytest.mark.parametrize("pooling", [ScaledL2NormPooling2D((2, 2)), ScaledGlobalL2NormPooling2D()])
def test_norm_pooling_is_the_norm_and_has_a_finite_gradient_at_0(pooling):
    images = np.zeros((3, 2, 2, 2), np.float32)
    images[1, ..., 0] = [[1.0, 2.0], [4.0, 2.0]]
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        pooled = tf.reshape(pooling(images), (3, 2))
    np.testing.assert_allclose(pooled, [[0.0, 0.0], [5.0, 0.0], [0.0, 0.0]], rtol=1e-6)
    slope = tape.gradient(pooled, images).numpy()
    np.testing.assert_allclose(slope[1, ..., 0], [[0.2, 0.4], [0.8, 0.4]], rtol=1e-5)
    assert not slope[0].any() and not slope[2].any()


def test_gradient_of_the_network_is_finite_at_a_black_image(condensed):
    assert np.isfinite(gradients(condensed, np.zeros((2, 144)))).all()


class TestDownsampling:
    @pytest.mark.parametrize("shape", [(8, 8, 1), (12, 8, 3), (5, 7, 1)])
    def test_gradient_has_norm_1(self, shape):
        size = int(np.prod(shape))
        model = with_biases(build_downsampling_net(shape, (size // 2 * 2, 10), seed=2))
        rows = np.random.default_rng(0).normal(size=(20, size))
        assert np.abs(np.linalg.norm(gradients(model, rows), axis=1) - 1.0).max() < 2e-2
        certified = condense(model)
        assert network_bound(certified) <= 1.0
        assert np.abs(np.linalg.norm(gradients(certified, rows), axis=1) - 1.0).max() < 1e-4

    def test_blocks_end_where_a_side_is_odd(self):
        model = build_downsampling_net((28, 28, 1), (4,), depth=1)
        units = [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        assert units == [4, 16, 4, 1]
        assert model.layers[-4].output.shape == (None, 784)

    def test_odd_widths_are_refused(self):
        with pytest.raises(
            ValueError, match=r"even number of units; got hidden_layer_sizes=\(5,\)"
        ):
            build_downsampling_net((8, 8, 1), (5,))
