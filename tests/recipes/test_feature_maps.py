"""Maps of features: slopes at least 1, normal scores, steps, and what rounding takes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from ocsdf.recipes.feature_maps import fit_feature_maps, point_rounding


def rng(seed=0):
    return np.random.default_rng(seed)


def table(seed=0, n_rows=600):
    """A normal feature, one with a heavy tail, one of few values, one without spread."""
    random_state = rng(seed)
    parts = [
        random_state.normal(size=n_rows),
        random_state.standard_cauchy(size=n_rows),
        random_state.integers(0, 20, size=n_rows),
        np.zeros(n_rows),
    ]
    table = np.stack(parts, axis=1)
    deviations = table.std(axis=0)
    return (table - table.mean(axis=0)) / np.where(deviations > 0.0, deviations, 1.0)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_nothing_is_squeezed_and_halfway_nothing_is_stretched(seed):
    stretched, views = fit_feature_maps(table(seed))
    assert stretched.slopes.min() >= 1.0
    assert views.halfway.bound() <= 1.0


def test_halfway_is_the_mean_of_the_row_and_its_normal_score():
    points = table()[:, [1]]
    stretched, views = fit_feature_maps(points)
    found = views.halfway.evaluate(stretched.evaluate(points))[:, 0]
    ranks = np.argsort(np.argsort(points[:, 0]))
    scores = ndtri((ranks + 0.5) / len(points))
    # Where the slope of the score is above 1, and between quantiles that are near each other.
    middle = np.abs(scores) < 1.0
    expected = (points[:, 0] + scores) / 2.0
    assert np.std((found - expected)[middle]) < 0.02


def test_standardized_rows_are_found_again():
    points = table()
    stretched, views = fit_feature_maps(points)
    assert views.standardized.bound() <= 1.0
    found = views.standardized.evaluate(stretched.evaluate(points))
    # Slopes up to 2^20 there and back, each a rounding or two.
    np.testing.assert_allclose(found, points, atol=1e-9)


def test_a_step_has_length_one():
    points = table()[:, [2]]
    stretched, _ = fit_feature_maps(points)
    values = np.unique(points)[:, np.newaxis]
    assert np.diff(stretched.evaluate(values)[:, 0]) == pytest.approx(1.0)


def test_a_feature_of_as_many_values_as_rows_has_no_steps():
    points = np.linspace(-1.0, 1.0, 400)[:, np.newaxis] * np.sqrt(3.0)
    stretched, _ = fit_feature_maps(points)
    length = np.ptp(stretched.evaluate(points))
    assert length < 10.0


def test_normal_features_stay_as_they_are_nearly():
    points = rng().normal(size=(100_000, 1))
    stretched, _ = fit_feature_maps(points)
    inner = np.sort(points[np.abs(points[:, 0]) < 2.0], axis=0)
    moved = stretched.evaluate(inner)
    assert np.ptp(moved) == pytest.approx(np.ptp(inner), rel=0.05)


def test_a_constant_feature_and_values_outside_count_as_they_are():
    stretched, _ = fit_feature_maps(table())
    low, high = np.full((1, 4), 50.0), np.full((1, 4), 53.0)
    assert (stretched.evaluate(high) - stretched.evaluate(low))[0] == pytest.approx(3.0)


def test_values_that_are_nearly_equal_do_not_stretch_without_end():
    points = np.repeat([[0.0], [1e-15], [1.0]], 100, axis=0)
    stretched, _ = fit_feature_maps(points)
    assert stretched.bound() == 2.0**20


@pytest.mark.parametrize("noise", [1e-30, 1e-310, np.nextafter(0.0, 1.0)])
def test_noise_around_the_middle_of_a_feature_is_one_value(noise):
    # Beside heights of 1 the differences of its images are none in float64.
    middle = noise * np.arange(1.0, 6.0)
    column = np.repeat(np.concatenate([[-1.0], middle, [1.0]]), 10)[:, np.newaxis]
    found, _ = fit_feature_maps(column)
    expected, _ = fit_feature_maps(np.where(np.abs(column) < 1.0, middle[0], column))
    np.testing.assert_array_equal(found.knots, expected.knots)
    np.testing.assert_array_equal(found.slopes, expected.slopes)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_rounding_of_points_covers_what_longdouble_finds(offset):
    points = table() + offset
    stretched, _ = fit_feature_maps(points)
    rows = table(seed=1) + offset
    computed = stretched.evaluate(rows)
    exact = np.empty(rows.shape, np.longdouble)
    for j, (first, last) in enumerate(zip(stretched._starts, stretched._starts[1:], strict=False)):
        knots = stretched.knots[first:last].astype(np.longdouble)
        slopes = stretched.slopes[first + j : last + j + 1].astype(np.longdouble)
        heights = np.concatenate([[0.0], np.cumsum(slopes[1:-1] * np.diff(knots))])
        piece = np.searchsorted(knots, rows[:, j], side="right")
        knot = np.maximum(piece - 1, 0)
        start = stretched.origins[j] + heights[knot]
        exact[:, j] = start + slopes[piece] * (rows[:, j] - knots[knot])
    relative, absolute = point_rounding(stretched)
    error = np.linalg.norm((computed - exact).astype(float), axis=1)
    bound = relative * np.linalg.norm(computed, axis=1) + absolute
    assert np.all(error <= bound)
