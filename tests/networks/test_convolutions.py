"""Orthogonal convolutions: their factor, their constraint, and what they do to an image."""

import keras
import numpy as np
import pytest
from deel.lip.layers.convolutional import _compute_conv_lip_factor

from ocsdf.networks.convolutions import OrthogonalKernel, convolution_factor, orthogonal_convolution
from ocsdf.operations.convolution_bounds import convolution_bound
from tests.reference import singular_values


def as_matrix(kernel):
    return np.asarray(kernel, dtype=np.float64).reshape(-1, kernel.shape[-1])


def unrolled(layer, shape):
    """The matrix of a convolution without bias on images of a shape, a row an input pixel."""
    size = int(np.prod(shape))
    pixels = np.eye(size, dtype=np.float32).reshape(size, *shape)
    return layer(pixels).numpy().reshape(size, -1).astype(np.float64)


@pytest.mark.parametrize("n_in, n_out", [(1, 8), (3, 64), (4, 4), (16, 8)])
@pytest.mark.parametrize("spread", [0.05, 0.5, 2.0])
def test_constraint_brings_singular_values_to_the_factor_after_an_update(n_in, n_out, spread):
    layer = orthogonal_convolution(n_out, (9, 7), seed=1)
    layer.build((None, 9, 7, n_in))
    kernel = layer.kernel.numpy()
    rng = np.random.default_rng(0)
    # An update as large as this share of the kernel's own spectral norm.
    update = rng.normal(size=kernel.shape)
    scale = spread * layer.kernel_constraint.factor / np.linalg.norm(as_matrix(update), 2)
    moved = layer.kernel_constraint(np.float32(kernel + scale * update))
    found = singular_values(as_matrix(moved)) / layer.kernel_constraint.factor
    assert np.abs(found - 1.0).max() <= 2e-2
    assert np.abs(moved - kernel).max() > 1e-3 * np.abs(kernel).max()


def test_constraint_acts_in_training_and_is_saved_with_the_layer(tmp_path):
    layer = orthogonal_convolution(6, (5, 5), seed=2)
    model = keras.Sequential([keras.Input((5, 5, 2)), layer])
    model.compile(keras.optimizers.RMSprop(1e-2), "mse")
    rng = np.random.default_rng(0)
    images = np.float32(rng.normal(size=(32, 5, 5, 2)))
    before = layer.kernel.numpy()
    model.fit(images, rng.normal(size=(32, 5, 5, 6)), epochs=3, verbose=0)
    found = singular_values(as_matrix(layer.kernel.numpy())) / layer.kernel_constraint.factor
    assert np.abs(found - 1.0).max() <= 2e-2
    assert np.abs(layer.kernel.numpy() - before).max() > 1e-2
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.predict(images, verbose=0) == model.predict(images, verbose=0)).all()
    assert loaded.layers[-1].kernel_constraint.factor == layer.kernel_constraint.factor


@pytest.mark.parametrize("shape", [(5, 5), (6, 4), (28, 28)])
@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (5, 3)])
def test_factor_is_that_of_deel_lip(shape, taps):
    expected = _compute_conv_lip_factor(taps, (1, 1), (None, *shape, 1), "channels_last")
    assert convolution_factor(shape, taps) == pytest.approx(expected, rel=1e-12)


def test_factor_counts_the_taps_that_reach_a_pixel():
    # In a row of 4 pixels, 3 taps reach the inner ones and 2 the outer ones: 2.5 on average.
    assert convolution_factor((4, 4)) == pytest.approx(1.0 / 2.5)
    assert convolution_factor((4, 4), (1, 1)) == 1.0


@pytest.mark.parametrize("n_channels", [1, 2, 4])
def test_orthogonal_convolution_is_about_1_lipschitz(n_channels):
    shape = (6, 5, n_channels)
    layer = orthogonal_convolution(n_channels, shape[:2], seed=3)
    layer.build((None, *shape))
    norm = singular_values(unrolled(layer, shape)).max()
    assert norm <= 1.02 * 3.0 * layer.kernel_constraint.factor
    assert norm <= convolution_bound(layer.kernel.numpy(), shape[:2]) * (1.0 + 1e-6)


@pytest.mark.parametrize("n_pixels", [8, 14, 28])
def test_equal_taps_are_the_worst_case(n_pixels):
    # A mean filter, orthogonal as a matrix; the factor makes it a little longer than 1.
    kernel = np.full((3, 3, 1, 1), convolution_factor((n_pixels, n_pixels)) / 3.0)
    shape = (n_pixels, n_pixels, 1)
    layer = keras.layers.Conv2D(1, 3, padding="same", use_bias=False)
    layer.build((None, *shape))
    layer.kernel.assign(kernel)
    # Largest eigenvalue of one axis, 1 + 2 cos(pi / (n + 1)), squared for two.
    exact = kernel[0, 0, 0, 0] * (1.0 + 2.0 * np.cos(np.pi / (n_pixels + 1))) ** 2
    assert 1.0 < exact < 1.021
    assert exact <= convolution_bound(kernel, shape[:2])
    rows = np.sin(np.pi * np.arange(1, n_pixels + 1) / (n_pixels + 1))
    image = np.float32(np.outer(rows, rows))[None, ..., None]
    stretched = np.linalg.norm(layer(image)) / np.linalg.norm(image)
    assert stretched == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("taps", [(2, 3), (9, 3)])
def test_factor_refuses_even_and_huge_kernels(taps):
    with pytest.raises(ValueError, match="odd kernel size below twice the image's"):
        convolution_factor((4, 4), taps)


@pytest.mark.parametrize("factor", [0.0, -1.0, np.inf, np.nan])
def test_constraint_refuses_a_factor_that_is_no_scale(factor):
    with pytest.raises(ValueError, match="finite number > 0"):
        OrthogonalKernel(factor)
