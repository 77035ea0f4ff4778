"""Random search finds what closed forms say, without a gradient, and never leaves its balls."""

from types import SimpleNamespace

import numpy as np
import pytest

from ocsdf.attacks import random_search

WEIGHTS = np.array([0.75, -1.0, 0.5])
ROWS = np.random.default_rng(0).normal(scale=2.0, size=(60, 3))
SIGNS = np.where(np.arange(60) % 2, 1.0, -1.0)
AFFINE = SimpleNamespace(score=lambda points: points @ WEIGHTS)
CENTER = np.array([1.0, 0.0, 0.0])
CONE = SimpleNamespace(score=lambda points: -np.linalg.norm(points - CENTER, axis=1))


@pytest.mark.parametrize("radius", [0.1, 2.0])
def test_affine_scores_move_almost_as_far_as_they_can(radius):
    found = random_search(AFFINE, ROWS, SIGNS, radius, lipschitz=np.linalg.norm(WEIGHTS))
    gain = SIGNS * (found.scores - AFFINE.score(ROWS))
    assert np.all(gain >= 0.95 * radius * np.linalg.norm(WEIGHTS))
    assert np.all(np.linalg.norm(found.points - ROWS, axis=1) <= radius)
    assert np.array_equal(found.scores, AFFINE.score(found.points))
    assert found.excess.max() <= 1e-12
    again = random_search(AFFINE, ROWS, SIGNS, radius)
    assert np.array_equal(again.points, found.points)


def test_a_known_row_leads_straight_to_the_answer():
    found = random_search(CONE, ROWS, SIGNS, 0.5, landmarks=[CENTER], n_queries=1)
    distance = np.linalg.norm(ROWS - CENTER, axis=1)
    expected = np.where(SIGNS > 0, -np.maximum(distance - 0.5, 0.0), -distance - 0.5)
    np.testing.assert_allclose(found.scores, expected, atol=1e-9)


def test_steps_of_one_feature_find_what_trees_look_at():
    stump = SimpleNamespace(score=lambda points: (points[:, 3] > 0.9).astype(float))
    rows = np.zeros((40, 5))
    found = random_search(stump, rows, 1, 1.0, n_queries=400)
    assert found.scores.mean() > 0.5


def test_so_many_scores_are_asked_for_and_no_more():
    asked = []
    network = SimpleNamespace(score=lambda points: asked.append(len(points)) or points[:, 0])
    random_search(network, ROWS, 1, 0.3, n_queries=10)
    # The rows themselves come first.
    assert sum(asked) == 11 * len(ROWS)
    asked.clear()
    clean = random_search(network, ROWS, 1, 0.0)
    assert sum(asked) == len(ROWS) and np.array_equal(clean.points, ROWS)


def test_a_detector_is_attacked_in_the_units_of_x(judged):
    detector, X, _, _, _ = judged
    rows = X[:20]
    found = random_search(detector, rows, -1, 0.2, landmarks=X[20:], n_queries=40)
    moved = detector._points_of(found.points) - detector._points_of(rows)
    assert np.all(np.linalg.norm(moved, axis=1) <= 0.2)
    assert np.all(found.scores <= detector.score_samples(rows))
    np.testing.assert_allclose(found.scores, detector.score_samples(found.points), atol=1e-12)
    assert np.all(found.scores >= detector.score_samples(rows) - 0.2 * 1.000001)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"landmarks": np.zeros((2, 4))}, "landmarks must have 3 features"),
        ({"n_queries": 0}, "n_queries"),
        ({"radius": -1.0}, "radius"),
    ],
)
def test_bad_input(options, message):
    arguments = {"radius": 0.1} | options
    with pytest.raises(ValueError, match=message):
        random_search(AFFINE, ROWS, 1, **arguments)
