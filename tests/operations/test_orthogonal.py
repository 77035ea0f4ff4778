"""Orthogonal matrices: nearest ones against the SVD, rounded ones against their bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.operations import orthogonal
from ocsdf.operations.matrix_bounds import matrix_bound
from ocsdf.operations.orthogonal import nearest_orthogonal, polished, random_orthogonal
from tests.reference import matrix_with, singular_values

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
