"""T7: columns whose squares leave float64 are standardized as any other."""

import numpy as np
import pytest

from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance
from ocsdf.sklearn_compat.standardization import FARTHEST, standardization, standardized

ROWS = np.random.default_rng(0).normal(size=(200, 3)) + [0.0, 3.0, -1.0]


@pytest.mark.parametrize(
    "exponent", [-1015, -600, -541, -500, -399, 0, 399, 401, 508, 520, 531, 532, 600, 900, 990]
)
def test_T7_a_power_of_two_changes_no_bit(exponent):
    mean, scale = standardization(ROWS)
    scaled = np.ldexp(ROWS, exponent)
    large_mean, large_scale = standardization(scaled)
    np.testing.assert_array_equal(large_mean, np.ldexp(mean, exponent))
    np.testing.assert_array_equal(large_scale, np.ldexp(scale, exponent))
    expected = standardized(ROWS, mean, scale)
    np.testing.assert_allclose(standardized(scaled, large_mean, large_scale), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "size", [1e153, 1e156, 1e160, 1e200, 1e299, 1e-153, 1e-163, 1e-200, 1e-300]
)
def test_T7_columns_of_any_size_have_finite_distances(size):
    X = ROWS * [1.0, size, 1.0]
    detector = NearestNeighborDistance().fit(X)
    assert detector.scale_[1] == pytest.approx(size * ROWS[:, 1].std(), rel=1e-12)
    expected = NearestNeighborDistance().fit(ROWS).score_samples(ROWS + 0.1)
    found = detector.score_samples((ROWS + 0.1) * [1.0, size, 1.0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("cell", [1e160, -1e200, 1e299])
def test_T7_one_large_cell_is_standardized(cell):
    X = ROWS.copy()
    X[7, 1] = cell
    mean, scale = standardization(X)
    assert mean[1] == pytest.approx(cell / 200, rel=1e-9)
    assert scale[1] == pytest.approx(abs(cell) * np.sqrt(199) / 200, rel=1e-9)
    assert np.isfinite(standardized(X, mean, scale)).all()


@pytest.mark.parametrize("value", [0.0, 5.0, 1e160, 1e-163, -1e299])
def test_T7_a_constant_column_has_scale_one(value):
    X = ROWS.copy()
    X[:, 2] = value
    mean, scale = standardization(X)
    assert scale[2] == 1.0
    assert mean[2] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("value", [1.1e300, 1e308, -1.7e308])
def test_T7_numbers_whose_differences_overflow_are_refused(value):
    X = ROWS.copy()
    X[0, 0] = value
    with pytest.raises(ValueError, match="values above 1e\\+300, so large that their differences"):
        standardization(X)


def test_T7_differences_of_large_numbers_do_not_overflow():
    found = standardized(
        np.array([[1.7e308, 0.0]]), np.array([-1e300, 0.0]), np.array([1e300, 1.0])
    )
    assert found[0, 0] == pytest.approx(1.7e8, rel=1e-6)
    assert standardized(np.array([[1e308]]), np.zeros(1), np.ones(1)) == FARTHEST
