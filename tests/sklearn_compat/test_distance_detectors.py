"""Exact distances as detectors: closed forms, and certificates that no attack breaks."""

import pickle

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from scipy.special import comb
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from ocsdf.sklearn_compat.distance_detectors import (
    NearestNeighborDistance,
    NearestNeighborsDistance,
    SubsampleDistanceDetector,
)

BOTH = [NearestNeighborDistance(), SubsampleDistanceDetector(random_state=0)]
# scikit-learn's battery wants outliers among the training rows, which are all at distance 0.
NO_OUTLIERS = dict.fromkeys(
    ("check_outliers_train", "check_outliers_fit_predict"),
    "every training row is at distance 0 from itself",
)


@pytest.fixture(scope="module")
def rows():
    """Training rows of several scales, rows to judge, and which of these are anomalies."""
    random_state = np.random.default_rng(0)
    scales = np.array([1.0, 30.0, 0.01, 1.0])
    train = 5.0 + random_state.normal(size=(200, 4)) * scales
    normal = 5.0 + random_state.normal(size=(60, 4)) * scales
    far = 5.0 + 3.0 * random_state.normal(size=(40, 4)) * scales
    return train, np.concatenate([normal, far]), np.repeat([0, 1], [60, 40])


@pytest.fixture(params=BOTH, ids=lambda detector: type(detector).__name__)
def fitted(request, rows):
    return clone(request.param).fit(rows[0])


def standardized(train, X):
    return (X - train.mean(axis=0)) / train.std(axis=0)


def test_nearest_neighbour_is_the_smallest_distance(rows):
    train, X, _ = rows
    detector = NearestNeighborDistance().fit(train)
    expected = cdist(standardized(train, X), standardized(train, train)).min(axis=1)
    np.testing.assert_allclose(detector.score_samples(X), -expected, rtol=1e-6)
    np.testing.assert_array_equal(detector.score_samples(train), 0.0)
    assert detector.offset_ == 0.0
    assert np.all(detector.predict(train) == 1) and np.all(detector.predict(X) == -1)


@pytest.mark.parametrize("k", [1, 5, 500])
def test_nearest_neighbours_are_a_root_mean_square(rows, k):
    train, X, _ = rows
    detector = NearestNeighborsDistance(n_neighbors=k).fit(train)
    distances = np.sort(cdist(standardized(train, X), standardized(train, train)), axis=1)
    expected = np.sqrt(np.square(distances[:, :k]).mean(axis=1))
    np.testing.assert_allclose(detector.score_samples(X), -expected, rtol=1e-6)
    assert detector.lipschitz_bound_ == 1.0
    with pytest.raises(ValueError, match="n_neighbors must be an integer >= 1; got 0"):
        NearestNeighborsDistance(n_neighbors=0).fit(train)


def test_subsamples_are_a_mean_over_groups_of_two_sizes(rows):
    train, X, _ = rows
    detector = SubsampleDistanceDetector(random_state=0).fit(train)
    references = detector.model_.layers[-1].references.numpy().astype(np.float64)
    # 1,024 draws from 200 rows: five whole passes and a part of a sixth.
    _, counts = np.unique(references, axis=0, return_counts=True)
    assert sorted(set(counts)) == [5, 6] and counts.sum() == 1024
    distances = cdist(standardized(train, X), references)
    means = [distances.reshape(len(X), -1, k).min(axis=2).mean(axis=1) for k in (8, 64)]
    np.testing.assert_allclose(detector.score_samples(X), -np.mean(means, axis=0), rtol=1e-6)


def test_subsamples_come_close_to_their_expectation(rows):
    train, X, _ = rows
    # The nearest of k rows drawn from n is the i-th nearest with probability C(n-i, k-1) / C(n, k).
    ordered = np.sort(cdist(standardized(train, X), standardized(train, train)), axis=1)
    n, places = len(train), np.arange(1, len(train) + 1)
    shares = [comb(n - places, k - 1) / comb(n, k) for k in (8, 64)]
    assert np.sum(shares, axis=1) == pytest.approx([1.0, 1.0])
    expected = np.mean([ordered @ share for share in shares], axis=0)
    scores = [SubsampleDistanceDetector(seed).fit(train).score_samples(X) for seed in range(20)]
    error = np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores))
    assert np.all(np.abs(-np.mean(scores, axis=0) - expected) < 5.0 * error)


def test_groups_as_large_as_the_table_are_the_nearest_neighbour(rows):
    train, X, _ = rows
    small = train[:8]
    subsamples = SubsampleDistanceDetector(random_state=3).fit(small).score_samples(X)
    np.testing.assert_allclose(subsamples, NearestNeighborDistance().fit(small).score_samples(X))


def test_subsamples_follow_the_seed(rows):
    train, X, _ = rows
    scores = [SubsampleDistanceDetector(seed).fit(train).score_samples(X) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def attack(detector, X, radii, upwards):
    """Move rows by radii in scaled l2, along the gradient of f or against it."""
    points = tf.constant((X - detector.mean_) / detector.scale_, dtype=tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = detector.model_(points)
    steps = tape.gradient(scores, points).numpy().astype(np.float64)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    steps *= np.where(upwards, radii, np.negative(radii))[:, None]
    return X + steps * detector.scale_


def test_no_attack_within_the_certified_radius_flips_a_verdict(fitted, rows):
    _, X, _ = rows
    radii = fitted.certified_radius(X)
    verdicts = fitted.predict(X)
    assert np.median(radii) > 0.1
    attacked = attack(fitted, X, radii * (1 - 1e-9), upwards=verdicts == -1)
    np.testing.assert_array_equal(fitted.predict(attacked), verdicts)
    # The attack is a good one: towards a nearest neighbour, f grows as fast as it may.
    gained = np.abs(fitted.score_samples(attacked) - fitted.score_samples(X))
    assert np.max(gained / radii) > 0.9


def test_no_attack_pushes_the_auroc_below_what_is_certified(fitted, rows):
    _, X, y = rows
    radii = np.array([0.0, 0.05, 0.2, 0.5])
    certified = fitted.certified_auroc(X, y, radii)
    assert certified[0] == pytest.approx(roc_auc_score(y, -fitted.score_samples(X)), abs=1e-12)
    assert np.all(np.diff(certified) < 0.0) and certified[1] > 0.5
    for radius, bound in zip(radii[1:], certified[1:], strict=True):
        attacked = attack(fitted, X, np.full(len(X), radius), upwards=y == 1)
        assert roc_auc_score(y, -fitted.score_samples(attacked)) >= bound


def test_rounding_is_covered(fitted, rows):
    # A row so far off that float32 keeps but whole units of it.
    X = np.random.default_rng(1).normal(size=(50, 4)) * 2.0**24 * fitted.scale_
    references = fitted.model_.layers[-1].references.numpy().astype(np.float64)
    distances = cdist((X - fitted.mean_) / fitted.scale_, references)
    sizes = fitted.model_.layers[-1].group_sizes
    means = [distances.reshape(len(X), -1, k).min(axis=2).mean(axis=1) for k in sizes]
    error = np.abs(-np.mean(means, axis=0) - fitted.score_samples(X))
    assert error.max() > 1e-3
    assert np.all(2.0 * error <= fitted.float_slack(X))


def test_a_pickled_detector_scores_and_certifies_alike(fitted, rows):
    _, X, _ = rows
    copy = pickle.loads(pickle.dumps(fitted))
    for method in ("score_samples", "predict", "certified_radius", "float_slack"):
        np.testing.assert_array_equal(getattr(copy, method)(X), getattr(fitted, method)(X))


def test_what_cannot_be_is_refused(fitted, rows, tmp_path):
    with pytest.raises(TypeError, match="has no file format of its own: pickle it"):
        fitted.save(tmp_path / "detector.ocsdf")
    with pytest.raises(ValueError, match="contains NaN in columns 1"):
        clone(fitted).fit([[0.0, np.nan], [1.0, 2.0]])
    with pytest.raises(ValueError, match="X has 3 features, but .* is expecting 4 features"):
        fitted.score_samples(rows[1][:, :3])
    with pytest.raises(NotFittedError):
        clone(fitted).score_samples(rows[1])


def test_a_column_that_is_constant_counts_by_what_it_is_off():
    detector = NearestNeighborDistance().fit([[-1.0, 7.0], [1.0, 7.0]])
    assert detector.score_samples([[1.0, 7.0], [1.0, 9.0]]).tolist() == [0.0, -2.0]


def expected_failed_checks(estimator):
    return NO_OUTLIERS if isinstance(estimator, NearestNeighborDistance) else {}


@parametrize_with_checks(BOTH, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_agrees(estimator, check):
    check(estimator)
