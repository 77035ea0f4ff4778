"""Bounds of convolutions, and orthogonal matrices, against singular values in float64."""

import keras
import numpy as np
import pytest
from deel.lip.layers.convolutional import _compute_conv_lip_factor
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.lipschitz import layer_bound, network_bound
from ocsdf.operations import orthogonal
from ocsdf.operations.convolution_bounds import convolution_bound
from ocsdf.operations.matrix_bounds import matrix_bound
from ocsdf.operations.orthogonal import nearest_orthogonal, polished, random_orthogonal
from tests.reference import matrix_with, singular_values


def convolution(kernel, padding="same", strides=1):
    """A layer without bias that has the kernel."""
    classes = {3: keras.layers.Conv1D, 4: keras.layers.Conv2D, 5: keras.layers.Conv3D}
    *taps, n_in, n_out = kernel.shape
    layer = classes[kernel.ndim](n_out, taps, strides, padding, use_bias=False)
    layer.build((None, *[max(taps)] * len(taps), n_in))
    layer.kernel.assign(kernel)
    return layer


def exact_matrix(layer, shape):
    """The matrix of a linear layer on images of a shape, from what it makes of each pixel."""
    size = int(np.prod(shape))
    pixels = np.eye(size, dtype=np.float32).reshape(size, *shape)
    return layer(pixels).numpy().reshape(size, -1).astype(np.float64)


def gram_iteration(kernel, grid, n_iterations=8):
    """Upper bound of a circular convolution's norm, at each frequency (Delattre et al., 2023)."""
    axes = tuple(range(len(grid)))
    power = np.fft.fftn(kernel, grid, axes=axes)
    log_scale = np.zeros((*grid, 1, 1))
    for _ in range(n_iterations):
        norm = np.linalg.norm(power, axis=(-2, -1), keepdims=True)
        log_scale = 2.0 * (log_scale + np.log(norm))
        power = power / norm
        power = power.conj().swapaxes(-2, -1) @ power
    norm = np.linalg.norm(power, axis=(-2, -1), keepdims=True)
    return np.exp((np.log(norm) + log_scale) / 2.0**n_iterations).max()


def largest_at_frequencies(kernel, grid):
    axes = tuple(range(len(grid)))
    spectra = np.fft.fftn(kernel.astype(np.float64), grid, axes=axes)
    return np.linalg.norm(spectra, 2, axis=(-2, -1)).max()


@st.composite
def kernels(draw, n_axes=2):
    """Float32 kernels of every kind: generic, sparse, constant, of one channel or of several."""
    taps = [draw(st.integers(1, 4)) for _ in range(n_axes)]
    shape = (*taps, draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["generic", "constant", "sparse", "smooth"]))
    kernel = rng.normal(size=shape)
    if kind == "constant":
        kernel = np.broadcast_to(kernel[(0,) * n_axes], shape)
    elif kind == "sparse":
        kernel = kernel * (rng.uniform(size=shape) < 0.3)
    elif kind == "smooth":
        kernel = np.abs(kernel)
    return np.float32(10.0 ** draw(st.floats(-6, 6)) * kernel)


class TestAgainstTheExactMatrix:
    @given(kernels(), st.data())
    @settings(max_examples=60)
    def test_bound_is_above_the_largest_singular_value(self, kernel, data):
        shape = [data.draw(st.integers(k, 7)) for k in kernel.shape[:2]]
        padding = data.draw(st.sampled_from(["same", "valid"]))
        layer = convolution(kernel, padding, data.draw(st.integers(1, 3)))
        exact = singular_values(exact_matrix(layer, (*shape, kernel.shape[2])))[0]
        for known in (shape, [shape[0], None], None):
            assert exact <= convolution_bound(kernel, known) * (1 + 1e-14)

    @pytest.mark.parametrize(
        ("n_axes", "padding"),
        [(1, "same"), (1, "valid"), (1, "causal"), (3, "same"), (3, "valid")],
    )
    def test_one_and_three_axes(self, n_axes, padding):
        kernel = np.random.default_rng(0).normal(size=(*[3] * n_axes, 2, 3)).astype(np.float32)
        shape = (5,) * n_axes
        exact = singular_values(exact_matrix(convolution(kernel, padding), (*shape, 2)))[0]
        bound = convolution_bound(kernel, shape)
        assert exact <= bound <= 1.7 * exact
        assert bound <= convolution_bound(kernel)

    def test_it_is_attained_up_to_the_edge(self):
        # Of long lines the circular convolution differs by the ends alone.
        kernel = np.random.default_rng(1).normal(size=(3, 2, 2)).astype(np.float32)
        exact = singular_values(exact_matrix(convolution(kernel), (200, 2)))[0]
        assert exact <= convolution_bound(kernel, (200,)) <= 1.002 * exact

    def test_one_tap_is_a_matrix(self):
        kernel = np.random.default_rng(2).normal(size=(1, 1, 5, 3)).astype(np.float32)
        exact = singular_values(kernel[0, 0])[0]
        for shape in ((6, 9), None):
            assert convolution_bound(kernel, shape) == pytest.approx(exact, rel=1e-9)
            assert convolution_bound(kernel, shape) >= exact

    def test_a_shift_is_an_isometry(self):
        kernel = np.zeros((3, 3, 4, 4), np.float32)
        kernel[0, 2] = np.eye(4)
        assert 1.0 <= convolution_bound(kernel, (8, 8)) <= 1 + 1e-9


class TestAgainstFourierAndGram:
    @given(kernels(), st.integers(4, 9), st.integers(4, 9))
    @settings(max_examples=60)
    def test_it_is_the_maximum_over_the_frequencies(self, kernel, height, width):
        grid = [n + k - 1 for n, k in zip((height, width), kernel.shape, strict=False)]
        largest = largest_at_frequencies(kernel, grid)
        bound = convolution_bound(kernel, (height, width))
        assert largest * (1 - 1e-13) <= bound
        # An axis of two taps is sampled at 32 frequencies, which 8 + 1 are fewer than.
        assert bound <= largest * (1 + 1e-9)

    @pytest.mark.parametrize("shape", [(3, 3, 1, 1), (3, 3, 4, 8), (5, 2, 6, 3), (3, 3, 16, 16)])
    def test_the_gram_iteration_agrees(self, shape):
        kernel = np.random.default_rng(3).normal(size=shape)
        grid = [12 + k - 1 for k in shape[:2]]
        bound, by_gram = convolution_bound(kernel, (12, 12)), gram_iteration(kernel, grid)
        # Its power's Frobenius norm is above, by the root of the rank at most.
        assert bound <= by_gram * (1 + 1e-9)
        assert by_gram <= bound * min(shape[2:]) ** (1 / 2**8)

    @given(kernels(n_axes=1))
    @settings(max_examples=60)
    def test_every_size_is_no_less_than_a_fine_grid(self, kernel):
        finest = largest_at_frequencies(kernel, (5000,))
        assert finest * (1 - 1e-13) <= convolution_bound(kernel) <= finest * (1 + 1.3e-3)

    def test_the_correction_between_frequencies_is_needed(self):
        # One cosine, whose top lies in the middle between two of the 32 frequencies.
        shift = np.exp(1j * np.pi / 32)
        # Two real channels hold a complex number.
        turn = np.array([[shift.real, -shift.imag], [shift.imag, shift.real]])
        kernel = np.stack([np.eye(2), turn])
        assert largest_at_frequencies(kernel, (32,)) < 1.9991
        assert 2.0 <= convolution_bound(kernel) <= 2.0 * (1 + 1e-9)

    def test_a_long_axis_is_taken_as_endless(self):
        kernel = np.random.default_rng(4).normal(size=(3, 3, 2, 2))
        assert convolution_bound(kernel, (500, 500)) == convolution_bound(kernel)
        assert convolution_bound(kernel, (12, None)) <= convolution_bound(kernel)


class TestNumbers:
    @pytest.mark.parametrize("scale", [2.0**-600, 2.0**-500, 2.0**500])
    def test_scales_where_squares_leave_float64(self, scale):
        kernel = np.random.default_rng(5).normal(size=(3, 2, 2))
        assert convolution_bound(scale * kernel, (9,)) == scale * convolution_bound(kernel, (9,))

    def test_channels_may_change_places(self):
        kernel = np.random.default_rng(6).normal(size=(3, 3, 2, 7))
        swapped = kernel[::-1, ::-1].swapaxes(2, 3)
        bounds = [convolution_bound(k, (8, 8)) for k in (kernel, swapped)]
        assert bounds[0] == pytest.approx(bounds[1], rel=1e-9)

    def test_zeros_have_bound_zero(self):
        assert convolution_bound(np.zeros((3, 3, 2, 2)), (8, 8)) == 0.0

    def test_frequencies_where_nothing_passes(self):
        # The difference of neighbours lets no constant through.
        assert 2.0 <= convolution_bound(np.reshape([1.0, -1.0], (2, 1, 1)), (9,)) <= 2 + 1e-8

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_not_finite(self, value):
        with pytest.raises(ValueError, match="Cannot bound a convolution with NaN or infinite"):
            convolution_bound(np.full((3, 3, 1, 1), value), (8, 8))

    def test_the_shape_must_fit(self):
        with pytest.raises(ValueError, match="shorter"):
            convolution_bound(np.ones((3, 3, 1, 1)), (8,))


class TestTheLibrarysAverageFactor:
    """deel-lip scales a kernel of reshaped norm 1 by a factor that makes it 1-Lipschitz on average.

    The constant kernel shows that it does not in the worst case.
    """

    def scaled_constant(self, n_pixels, channels=1):
        # Reshaped, (9 channels, channels), its norm is 1.
        rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(channels, channels)))[0]
        kernel = np.broadcast_to(rotation / 3.0, (3, 3, channels, channels))
        assert singular_values(kernel.reshape(-1, channels))[0] == pytest.approx(1.0)
        shape = (None, n_pixels, n_pixels, channels)
        return kernel * _compute_conv_lip_factor((3, 3), (1, 1), shape, "channels_last")

    @pytest.mark.parametrize(("n_pixels", "excess"), [(8, 1.005), (14, 1.020), (16, 1.020)])
    def test_its_claim_of_one_is_below_the_true_norm(self, n_pixels, excess):
        kernel = self.scaled_constant(n_pixels).astype(np.float32)
        layer = convolution(kernel)
        exact = singular_values(exact_matrix(layer, (n_pixels, n_pixels, 1)))[0]
        assert exact == pytest.approx(excess, abs=6e-4)
        assert 1.0 < exact <= layer_bound(layer, (None, n_pixels, n_pixels, 1))

    @pytest.mark.parametrize("n_pixels", [8, 14, 28, 32])
    def test_a_network_with_it_is_not_certified_as_one_lipschitz(self, n_pixels):
        kernel = self.scaled_constant(n_pixels, channels=3)
        model = keras.Sequential(
            [keras.Input((n_pixels, n_pixels, 3)), convolution(kernel), convolution(kernel)]
        )
        assert network_bound(model) > 1.0


SHAPES = [(1, 1), (6, 1), (1, 6), (40, 40), (70, 33), (33, 70)]


def kernel_with(least, most, shape, seed=0):
    rng = np.random.default_rng(seed)
    return matrix_with(rng.uniform(least, most, size=min(shape)), shape, rng)


def polar_factor(kernel):
    left, _, right = np.linalg.svd(kernel, full_matrices=False)
    return left @ right


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("least", "most"), [(1.0, 1.0), (0.98, 1.02), (0.5, 1.4), (0.1, 30.0)])
def test_the_nearest_is_the_polar_factor(shape, least, most):
    kernel = kernel_with(least, most, shape)
    found = nearest_orthogonal(kernel)
    # The factor moves by at most 2 / (the least singular value) times what the kernel does.
    rounding = 1e2 * max(shape) * 2.0**-53
    np.testing.assert_allclose(found, polar_factor(kernel), atol=rounding * (2.0 / least + most))
    np.testing.assert_allclose(singular_values(found), 1.0, atol=rounding)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_training_leaves_needs_no_svd(shape, monkeypatch):
    monkeypatch.setattr(orthogonal, "polar", None)
    kernel = kernel_with(0.98, 1.02, shape).astype(np.float32)
    np.testing.assert_allclose(
        nearest_orthogonal(kernel), polar_factor(kernel.astype(np.float64)), atol=1e-13
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=30)
def test_a_polished_kernel_has_a_bound_of_one_at_most(seed, n_in, n_out):
    kernel = kernel_with(0.98, 1.02, (n_in, n_out), seed).astype(np.float32)
    found = polished(kernel)
    assert found.dtype == np.float32
    assert matrix_bound(found) <= 1.0
    # Rounding to float32 moves each entry by at most 2^-24, singular values by the norm of that.
    moved = 2.0**-24 * np.sqrt(n_in * n_out)
    np.testing.assert_allclose(singular_values(found), 1.0, atol=4.0 * moved)


def test_a_kernel_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="infs or NaNs"):
        polished(np.full((3, 3), np.nan))


@pytest.mark.parametrize("shape", SHAPES)
def test_random_matrices_are_orthogonal(shape):
    found = random_orthogonal(*shape, np.random.default_rng(0))
    assert found.shape == shape
    np.testing.assert_allclose(singular_values(found), 1.0, atol=1e-13)
    same, other = (random_orthogonal(*shape, np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(found, same)
    assert min(shape) == max(shape) == 1 or (found != other).any()


def test_random_matrices_have_no_favourite_direction():
    rng = np.random.default_rng(0)
    drawn = np.array([random_orthogonal(3, 2, rng) for _ in range(2000)])
    # Each entry has mean 0 and variance 1/3; five standard errors.
    assert np.abs(drawn.mean(axis=0)).max() < 5.0 * np.sqrt(1.0 / 3.0 / len(drawn))
    assert np.abs(np.square(drawn).mean(axis=0) - 1.0 / 3.0).max() < 5.0 / np.sqrt(len(drawn))
