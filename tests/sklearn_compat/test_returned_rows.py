"""T6: what explain and sample_level_set promise holds for the rows that they return."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ocsdf import OCSDF, ImageOCSDF

SMALL = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(120, 3))


def fit(rows, **change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OCSDF(**SMALL | change).fit(rows)


def check_explanation(detector, rows):
    explained = detector.explain(rows)
    converged = explained.converged
    boundary = explained.boundary[converged]
    assert np.isfinite(boundary).all()
    verdicts = detector.predict(rows)[converged]
    np.testing.assert_array_equal(detector.predict(boundary), -verdicts)
    points = detector._points_of
    scaled = np.linalg.norm(points(boundary) - points(rows[converged]), axis=1)
    np.testing.assert_allclose(explained.distance[converged], scaled, rtol=1e-9)
    assert np.all(explained.radius <= explained.distance)
    assert np.isnan(explained.boundary[~converged]).all()
    assert np.isinf(explained.distance[~converged]).all()
    return converged


SHIFTS = {
    "large mean": [1e10, 0.0, 0.0],
    "larger mean": [0.0, 3e12, 0.0],
    "coarse grid": [0.0, 0.0, 2e14],
    "all columns": [1e11, -1e12, 1e13],
}


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_T6_boundaries_of_columns_with_large_means(shift):
    detector = fit(ROWS + shift)
    far = np.concatenate([ROWS[:12], 4.0 * ROWS[12:20]]) + shift
    assert check_explanation(detector, far).mean() > 0.8


@pytest.fixture(scope="module")
def plain():
    return fit(ROWS)


@pytest.mark.parametrize("norm", [1e6, 1e10, 1e11, 1e13, 1e16])
def test_T6_boundaries_of_rows_far_away(plain, norm):
    directions = RNG.normal(size=(8, 3))
    rows = norm * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    converged = check_explanation(plain, rows)
    assert norm > 1e13 or converged.all()


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12, 1e150])
def test_T6_boundaries_of_columns_of_any_unit(scale):
    rows = ROWS * [scale, 1.0, 1.0]
    assert check_explanation(fit(rows), rows[:12]).mean() > 0.8


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("offset", [0.02, -0.5])
def test_T6_boundaries_of_other_thresholds(standardize, offset):
    detector = fit(ROWS + [0.0, 1e11, 0.0], standardize=standardize)
    detector.offset_ = float(np.median(detector.score_samples(ROWS + [0.0, 1e11, 0.0]))) + offset
    check_explanation(detector, ROWS[:12] + [0.0, 1e11, 0.0])


@pytest.mark.parametrize("shift", [[0.0, 0.0, 0.0], *list(SHIFTS.values())[1:3]])
def test_T6_level_sets_of_columns_with_large_means(shift):
    detector = fit(ROWS + shift)
    # Halfway to the median: f peaks at training rows, and few peaks are higher.
    level = float(np.median(detector.score_samples(ROWS + shift))) / 2.0
    try:
        rows = detector.sample_level_set(10, level=level)
    except ValueError as error:
        assert np.abs(shift).max() > 1e13
        assert "keep level" in str(error) and "subtract a constant" in str(error)
    else:
        assert np.abs(detector.score_samples(rows) - level).max() <= 1e-3


@pytest.fixture(scope="module")
def images():
    digits = load_digits()
    shown = digits.images / 16.0
    detector = ImageOCSDF(hidden_layer_sizes=(32, 32), max_steps=40, random_state=0)
    return detector.fit(shown[digits.target == 0]), shown


NEW_IMAGES = {
    "the others": lambda shown: shown[:20],
    "black": lambda shown: np.zeros((1, 8, 8)),
    "white": lambda shown: np.ones((1, 8, 8)),
    "inverted": lambda shown: 1.0 - shown[:10],
    "two values": lambda shown: np.round(shown[:10]),
}


@pytest.mark.parametrize("make", NEW_IMAGES.values(), ids=NEW_IMAGES)
def test_T6_boundaries_of_images_are_images(images, make):
    detector, shown = images
    new = make(shown)
    explained = detector.explain(new)
    boundary = explained.boundary[explained.converged]
    assert explained.converged.mean() > 0.6
    assert boundary.min() >= 0.0 and boundary.max() <= 1.0
    expected = -detector.predict(new)[explained.converged]
    np.testing.assert_array_equal(detector.predict(boundary), expected)
    change = boundary - new.reshape(len(new), -1)[explained.converged]
    np.testing.assert_allclose(
        explained.distance[explained.converged], np.linalg.norm(change, axis=1), rtol=1e-9
    )
    assert np.all(explained.radius <= explained.distance)


def test_T6_level_sets_of_images_are_images(images):
    detector, _ = images
    rows = detector.sample_level_set(5, level=-1.0)
    assert rows.min() >= 0.0 and rows.max() <= 1.0
    np.testing.assert_allclose(detector.score_samples(rows), -1.0, atol=1e-3)
