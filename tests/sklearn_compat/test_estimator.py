"""OCSDF's contract: verdicts, certificates, reproducibility, and life among other estimators."""

import copy
import math
import pickle
import random
import time
import warnings

import joblib
import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from ocsdf import OCSDF
from ocsdf.recipes import core_rows

TINY = {"hidden_layer_sizes": (16, 16), "epochs": 2, "uniform_epochs": 1, "random_state": 0}
TRAINED = TINY | {"epochs": 20, "uniform_epochs": 5, "batch_size": 32, "learning_rate": 1e-2}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(200, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]


@pytest.fixture(scope="module")
def X_test(X):
    """Rows from the data's middle to far outside it."""
    random_state = np.random.default_rng(1)
    spread = random_state.uniform(0.0, 6.0, size=(150, 1))
    return X.mean(axis=0) + spread * X.std(axis=0) * random_state.normal(size=(150, 3))


@pytest.fixture(scope="module")
def detector(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # a sound run gives none
        return OCSDF(**TRAINED).fit(X)


@pytest.fixture(scope="module")
def paper(X):
    return OCSDF(method="paper", activation="groupsort2", **TRAINED).fit(X)


@pytest.fixture(scope="module")
def tiny(X):
    return OCSDF(**TINY).fit(X)


@pytest.fixture(scope="module")
def tiny_scores(X, tiny):
    return tiny.score_samples(X)


def standardized(detector, X):
    """The rows that the network sees."""
    return detector._points_of(X)


def unit_gradient(detector, points):
    points = tf.constant(points, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = detector.model_(points)
    gradient = tape.gradient(scores, points).numpy().astype(np.float64)
    return gradient / np.linalg.norm(gradient, axis=1, keepdims=True)


# Scores and verdicts


def test_decision_function_is_score_minus_offset(X, X_test):
    detector = OCSDF(contamination=0.1, **TINY).fit(X)
    scores = detector.score_samples(X_test)
    assert scores.dtype == np.float64 and scores.shape == (len(X_test),)
    assert detector.offset_ != 0.0
    np.testing.assert_array_equal(
        detector.decision_function(X_test), scores - detector.offset_, strict=True
    )
    verdicts = detector.predict(X_test)
    np.testing.assert_array_equal(verdicts, np.where(scores >= detector.offset_, 1, -1))
    assert set(verdicts) == {-1, 1}
    # The offset is the quantile of scores of rows that were left out, and new rows fare alike.
    assert detector.offset_ == pytest.approx(np.quantile(detector.training_scores_, 0.1))
    others = np.random.default_rng(5).normal(size=(2000, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
    assert 0.02 < np.mean(detector.predict(others) == -1) < 0.2
    assert np.mean(detector.predict(X) == -1) == pytest.approx(0.1, abs=1.0 / len(X))


def test_zero_is_inside(detector, X):
    on_the_edge = copy.copy(detector)
    on_the_edge.offset_ = detector.score_samples(X)[7]
    assert on_the_edge.decision_function(X)[7] == 0.0
    assert on_the_edge.predict(X)[7] == 1


def test_anchored_leaves_one_row_in_a_hundred_outside(detector, X):
    assert detector.offset_ == 0.0
    # Each training row was left out of what it was compared with, but for the network: others fare
    # alike. The level stands between the second and the third of 200, and at most one in 10^4 draws
    # would leave more than one in twenty beyond both.
    others = np.random.default_rng(5).normal(size=(2000, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
    assert 0.001 < np.mean(detector.predict(others) == -1) < 0.05
    assert np.mean(detector.predict(X) == -1) <= 0.01


def test_paper_does_not_shift(paper, X):
    assert paper.offset_ == 0.0
    assert abs(np.quantile(paper.score_samples(X), 0.01)) > 1e-3


def test_fit_predict_is_fit_then_predict(X, tiny):
    np.testing.assert_array_equal(OCSDF(**TINY).fit_predict(X), tiny.predict(X), strict=True)


def test_scores_are_the_network_of_model(detector, paper, X_test):
    for fitted in (detector, paper):
        assert isinstance(fitted.model_, keras.Model)
        assert fitted.model_.input_shape == (None, 3) and fitted.model_.output_shape == (None, 1)
        in_float32 = fitted.model_(standardized(fitted, X_test)).numpy()[:, 0]
        np.testing.assert_allclose(fitted.score_samples(X_test), in_float32, atol=1e-5)


def test_trained_detector_tells_data_from_the_rest(detector, X):
    anomalies = X.mean(axis=0) + 8.0 * X.std(axis=0) * np.array([[1, 1, 1], [-1, 1, 0], [0, 0, -1]])
    assert np.all(detector.predict(anomalies) == -1)
    assert detector.predict(X.mean(axis=0)[np.newaxis]) == 1


@pytest.mark.parametrize("size", [1e30, 1e300, np.finfo(float).max])
def test_far_rows_are_finite_anomalies(detector, size):
    rows = size * np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0], [0.0, 1.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = detector.score_samples(rows)
        radii = detector.certified_radius(rows)
    assert np.all(np.isfinite(scores)) and np.all(scores < 0.0)
    assert np.all(np.isfinite(radii)) and np.all(radii > 0.0)


def test_a_constant_column_is_kept_with_scale_one(X):
    with_constant = np.column_stack([X, np.full(len(X), 7.0)])
    detector = OCSDF(**TINY).fit(with_constant)
    assert detector.scale_[3] == 1.0 and detector.mean_[3] == 7.0
    assert detector.n_features_in_ == 4
    moved = with_constant + [0.0, 0.0, 0.0, 50.0]
    assert np.all(np.isfinite(detector.score_samples(moved)))
    assert not np.array_equal(detector.score_samples(moved), detector.score_samples(with_constant))


# Speed, and scores that depend on their company by less than their slack


def test_batches_at_odd_places_change_a_score_by_less_than_the_slack(detector):
    rows = np.random.default_rng(2).normal(size=(8_300, 3)) * 5.0
    scores, slack = detector.score_samples(rows), detector.float_slack(rows)
    np.testing.assert_array_equal(detector.score_samples(rows), scores)
    order = np.random.default_rng(3).permutation(len(rows))
    assert (np.abs(detector.score_samples(rows[order]) - scores[order]) < slack[order]).all()
    for size in (1, 7, 64, 65):
        for start in (0, 13, 4095):
            place = slice(start, start + size)
            assert (
                np.abs(detector.score_samples(rows[place]) - scores[place]) < slack[place]
            ).all()


def test_a_single_row_takes_under_ten_milliseconds(detector, X):
    times = []
    for _ in range(50):
        start = time.perf_counter()
        detector.score_samples(X[:1])
        times.append(time.perf_counter() - start)
    # The least time: other work on the machine only ever adds to it.
    assert min(times) < 0.010


# Seeds


def test_same_seed_same_scores(X, tiny_scores):
    same = OCSDF(**TINY).fit(X)
    np.testing.assert_array_equal(same.score_samples(X), tiny_scores)
    seeds = (np.random.RandomState(5), np.random.RandomState(5))
    first, second = (OCSDF(**TINY | {"random_state": seed}).fit(X) for seed in seeds)
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert not np.array_equal(first.score_samples(X), tiny_scores)


def test_without_a_seed_fits_differ(X):
    first, second = (OCSDF(**TINY | {"random_state": None}).fit(X) for _ in range(2))
    assert not np.array_equal(first.score_samples(X), second.score_samples(X))


def test_memory_layout_does_not_change_scores(X, tiny_scores):
    fitted = OCSDF(**TINY).fit(np.asfortranarray(X))
    np.testing.assert_array_equal(fitted.score_samples(X), tiny_scores)
    np.testing.assert_array_equal(fitted.score_samples(np.asfortranarray(X)), tiny_scores)


def test_fit_leaves_global_seeds_alone(X, detector, tmp_path):
    tf.random.set_seed(11)
    expected = [tf.random.uniform((2,)).numpy() for _ in range(2)]
    tf.random.set_seed(11)
    drawn = [tf.random.uniform((2,)).numpy()]
    numpy_state, python_state = check_random_state(None).get_state(), random.getstate()
    OCSDF(**TINY).fit(X)
    detector.save(tmp_path / "saved")
    OCSDF.load(tmp_path / "saved")
    drawn.append(tf.random.uniform((2,)).numpy())
    np.testing.assert_array_equal(drawn, expected)
    assert random.getstate() == python_state
    for now, before in zip(check_random_state(None).get_state(), numpy_state, strict=True):
        np.testing.assert_array_equal(now, before)


# The certificate


def test_bound_is_at_most_one(detector, paper):
    for fitted in (detector, paper):
        assert isinstance(fitted.lipschitz_bound_, float)
        assert 0.99 < fitted.lipschitz_bound_ <= 1.0


def test_no_pair_exceeds_the_bound(detector, paper):
    random_state = np.random.default_rng(4)
    for fitted in (detector, paper):
        points = random_state.normal(scale=3.0, size=(10_000, 3))
        steps = random_state.normal(size=points.shape)
        steps[5_000:] = unit_gradient(fitted, points[5_000:])
        others = points + steps * 10.0 ** random_state.uniform(-4.0, 2.0, size=(len(points), 1))
        score = fitted._network.score
        difference = np.abs(score(others) - score(points))
        distance = np.linalg.norm(others - points, axis=1)
        # 1e-11: what float64 rounding of f itself may add, relative to scores of this size.
        assert np.all(difference <= fitted.lipschitz_bound_ * distance + 1e-11)
        assert np.max(difference / distance) > 0.5, "the pairs should strain the bound"


def test_certified_radius_formula(detector, X_test):
    scores, slack = detector.score_samples(X_test), detector.float_slack(X_test)
    radii = detector.certified_radius(X_test)
    expected = np.maximum(0.0, np.abs(scores - detector.offset_) - slack)
    np.testing.assert_allclose(radii, expected / detector.lipschitz_bound_, rtol=1e-14)
    assert np.all(slack > 0.0) and np.all(slack < 1e-8)
    assert np.mean(radii > 0.0) > 0.9


def test_radius_is_zero_within_the_slack(detector, X):
    scores, slack = detector.score_samples(X), detector.float_slack(X)
    near = copy.copy(detector)
    near.offset_ = scores[0] + 0.5 * slack[0]
    assert near.certified_radius(X)[0] == 0.0
    near.offset_ = scores[0] + 2.0 * slack[0]
    assert near.certified_radius(X)[0] > 0.0


@pytest.mark.parametrize("contamination", ["auto", 0.2])
def test_no_attack_within_the_radius_flips_a_verdict(detector, X, X_test, contamination):
    victim = copy.copy(detector)
    if contamination != "auto":
        victim.offset_ = float(np.quantile(detector.score_samples(X), contamination))
    verdicts, radii = victim.predict(X_test), victim.certified_radius(X_test)
    start = standardized(victim, X_test)
    points, n_steps = start.copy(), 10
    for _ in range(n_steps):
        # Against the verdict: down for normal rows, up for anomalies.
        direction = -verdicts[:, np.newaxis] * unit_gradient(victim, points)
        points += 0.99 / n_steps * radii[:, np.newaxis] * direction
    assert np.all(np.linalg.norm(points - start, axis=1) <= radii)
    attacked = victim._rows_of(points)
    np.testing.assert_array_equal(victim.predict(attacked), verdicts)
    gap = np.abs(victim.decision_function(X_test))
    left = np.abs(victim.decision_function(attacked))
    assert np.median(left / gap) < 0.8, "the attack should have moved scores"


def test_certified_auroc(detector, X, X_test):
    rows, y = np.vstack([X, X_test]), np.repeat([0, 1], [len(X), len(X_test)])
    radii = np.array([0.0, 0.01, 0.1, 0.5, 1.0, 100.0])
    values = detector.certified_auroc(rows, y, radii)
    assert values.shape == radii.shape
    assert values[0] == pytest.approx(roc_auc_score(y, -detector.score_samples(rows)), abs=1e-12)
    assert np.all(np.diff(values) <= 0.0) and values[1] < values[0] and values[-1] == 0.0
    # Rounding is charged: the plain formula on scores alone is no smaller.
    normals, anomalies = detector.score_samples(X), detector.score_samples(X_test)
    gaps = normals[:, np.newaxis] - anomalies
    plain = [np.mean(gaps > 2.0 * detector.lipschitz_bound_ * radius) for radius in radii[1:]]
    assert np.all(values[1:] <= plain) and np.all(values[1:] > np.array(plain) - 1e-3)


def test_certified_auroc_takes_any_label(detector, X, X_test):
    rows, y = np.vstack([X, X_test]), np.repeat([0, 1], [len(X), len(X_test)])
    expected = detector.certified_auroc(rows, y, [0.0, 0.1])
    names = np.where(y == 1, "bad", "good")
    for labels, pos_label in (
        (names, "bad"),
        (names.tolist(), "bad"),
        (pd.Series(names), "bad"),
        (y == 1, True),
        (1 - y, 0),
    ):
        values = detector.certified_auroc(rows, labels, [0.0, 0.1], pos_label=pos_label)
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1]}, "y must have 200 labels"),
        ({"y": np.zeros((200, 1))}, "y must have 200 labels"),
        ({"y": np.zeros(200)}, "got only normal rows"),
        ({"y": np.ones(200)}, "got only anomalies"),
        ({"pos_label": "bad"}, "label 'bad'.*got only normal rows"),
        ({"radii": [-0.1]}, "radii must be 0 or more"),
        ({"radii": [np.nan]}, "radii must be finite"),
    ],
)
def test_certified_auroc_refuses(detector, X, change, message):
    arguments = {"y": np.arange(200) % 2, "radii": [0.0]} | change
    with pytest.raises(ValueError, match=message):
        detector.certified_auroc(X, **arguments)


# Parameters


@pytest.mark.parametrize("method", ["anchored", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "change",
    [
        {"margin": 0.7},
        {"newton_steps": 1},
        {"updates_per_batch": 2},
        {"updates_per_batch": "converged"},
        {"orthogonality": "reparametrization"},
        {"hinge_weight": 2.0},
        {"hidden_layer_sizes": (8, 16)},
        *(
            pytest.param(change, marks=pytest.mark.slow)
            for change in (
                {"epochs": 3},
                {"learning_rate": 0.05},
                {"max_steps": 3},
                {"uniform_epochs": 0},
                {"batch_size": 50},
                {"optimizer": "adam"},
                {"domain": "ball"},
                {"standardize": False},
            )
        ),
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_parameter_is_honoured(X, default_fit, method, change):
    fitted, default = OCSDF(**TINY | {"method": method} | change).fit(X), default_fit(method)
    assert not np.array_equal(fitted.score_samples(X), default.score_samples(X))
    # The trained network is another one: no mere change of the rows drawn at random.
    points = standardized(default, X)
    assert not np.array_equal(learned(fitted)(points), learned(default)(points))
    assert fitted.lipschitz_bound_ <= 1.0
    in_float32 = fitted.model_(standardized(fitted, X)).numpy()[:, 0]
    np.testing.assert_allclose(fitted.score_samples(X), in_float32, atol=1e-4)


@pytest.fixture(scope="module")
def default_fit(X, tiny):
    fitted = {"anchored": tiny}

    def of(method):
        if method not in fitted:
            fitted[method] = OCSDF(method=method, **TINY).fit(X)
        return fitted[method]

    return of


def learned(detector):
    """The trained network alone."""
    network = detector._network.network
    if detector.method == "paper":
        return network.evaluate
    *halfway, mean = network.operations[0].members[0].operations
    # Without standardizing there is no way to go half of.
    before = halfway[0].evaluate if halfway else np.asarray
    return lambda points: mean.members[1].evaluate(before(points))


def test_methods_differ_by_more_than_a_constant(X, tiny, tiny_scores, default_fit):
    paper = default_fit("paper")
    assert np.ptp(tiny_scores - paper.score_samples(X)) > 1e-6
    points = standardized(tiny, X)
    assert np.ptp(learned(tiny)(points) - learned(paper)(points)) > 1e-6


@pytest.mark.parametrize(
    "method, change",
    [
        ("anchored", {"seeds": "uniform"}),
        ("paper", {"seeds": "clear"}),
        ("anchored", {"activation": "fullsort"}),
        ("paper", {"activation": "groupsort2"}),
    ],
)
def test_what_methods_choose_otherwise_is_honoured(X, default_fit, method, change):
    fitted = OCSDF(**TINY | {"method": method} | change).fit(X)
    points = standardized(fitted, X)
    assert not np.array_equal(learned(fitted)(points), learned(default_fit(method))(points))


@pytest.mark.parametrize(
    "method, sizes, activation",
    [
        ("anchored", (8, 8), "groupsort2"),
        ("anchored", (8, 7), "fullsort"),
        ("paper", (8, 8), "fullsort"),
    ],
)
def test_pairs_are_sorted_by_the_default_where_there_are_pairs(X, method, sizes, activation):
    settings = TINY | {"method": method, "hidden_layer_sizes": sizes}
    automatic = OCSDF(**settings).fit(X)
    named = OCSDF(**settings, activation=activation).fit(X)
    np.testing.assert_array_equal(automatic.score_samples(X), named.score_samples(X))


@pytest.mark.parametrize("method", ["anchored", "paper"])
def test_labels_never_change_a_bit(X, method):
    y = np.arange(len(X)) % 2
    settings = TINY | {"method": method, "max_steps": 4, "random_state": 3}
    expected = OCSDF(**settings).fit(X).score_samples(X)
    for labels in (y, 1 - y, np.random.default_rng(8).permutation(y)):
        fitted = OCSDF(**settings).fit(X, labels)
        np.testing.assert_array_equal(fitted.score_samples(X), expected)
        assert fitted.offset_ == 0.0


# The default's parts


def test_anchored_is_a_mean_of_exact_distances_and_the_network(detector, X, X_test):
    (mean,) = detector._network.network.operations
    assert mean.shares == (0.4, 0.1, 0.3, 0.2)
    points = standardized(detector, X_test)
    parts = [
        share * m.evaluate(points)[:, 0] for share, m in zip(mean.shares, mean.members, strict=True)
    ]
    found = detector.score_samples(X_test)
    np.testing.assert_allclose(found, sum(parts) + mean.bias[0], atol=1e-12)
    first, steps, plain, values = (member.operations for member in mean.members)
    assert [type(part[0]).__name__ for part in (first, plain)] == ["Piecewise"] * 2
    assert first[1].shares == (0.5, 0.5) and len(first[1].members[1].operations) > 2
    inside = standardized(detector, X)[detector.predict(X) == 1]
    assert {tuple(row) for row in steps[0].references} == {tuple(row) for row in inside}
    assert values[0].counts.sum() == sum(len(np.unique(column)) for column in inside.T)


def test_emphasis_on_the_certificate_leaves_two_distances_out(X):
    fitted = OCSDF(**TINY, emphasis="certificate").fit(X)
    (mean,) = fitted._network.network.operations
    assert mean.shares == (0.2, 0.8) and fitted.lipschitz_bound_ <= 1.0


def test_emphasis_on_contamination_takes_units_and_references_from_the_core(X, tmp_path):
    spread = X.std(axis=0)
    rows = np.vstack([X, X.mean(axis=0) + spread * ([9.0, 9.0, -9.0] + 0.1 * X[:50] / spread)])
    fitted = OCSDF(**TINY, emphasis="contamination").fit(rows)
    core = rows[core_rows((rows - rows.mean(axis=0)) / rows.std(axis=0))]
    assert len(core) == 175
    assert fitted.mean_ == pytest.approx(core.mean(axis=0))
    assert fitted.scale_ == pytest.approx(core.std(axis=0))
    scores = fitted.score_samples(rows)
    assert scores[200:].max() < scores[:200].min()
    assert fitted.lipschitz_bound_ <= 1.0
    fitted.save(tmp_path / "core.ocsdf")
    loaded = OCSDF.load(tmp_path / "core.ocsdf")
    np.testing.assert_array_equal(loaded.score_samples(rows), scores)
    # A fifth of all rows is told apart: none of them is normal, and no other row is flagged.
    flagged = OCSDF(**TINY, emphasis="contamination", contamination=0.2).fit(rows).predict(rows)
    np.testing.assert_array_equal(flagged, np.repeat([1, -1], [200, 50]))


def test_emphasis_on_contamination_keeps_the_unit_of_a_mark_that_few_rows_have(X):
    # The core has none of them, and a unit of its own would be that of the numbers.
    marked = np.column_stack([X, np.arange(len(X)) % 40 == 0])
    scores = []
    for unit in (2.0**-14, 1.0, 2.0**14):
        rows = marked * [1.0, 1.0, 1.0, unit]
        fitted = OCSDF(**TINY, emphasis="contamination").fit(rows)
        assert fitted.scale_[3] == pytest.approx(rows[:, 3].std())
        scores.append(fitted.score_samples(rows))
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[2] == pytest.approx(scores[1], abs=1e-6)


def test_anchored_sets_a_cluster_of_anomalies_aside(X):
    rows = np.vstack([X, X.mean(axis=0) + X.std(axis=0) * [9.0, 9.0, -9.0] + 1e-2 * X[:4]])
    scores = OCSDF(**TINY).fit(rows).score_samples(rows)
    # No row of the cluster vouches for another.
    assert scores[200:].max() < np.quantile(scores[:200], 0.05)


@pytest.mark.parametrize("emphasis", ["accuracy", "contamination"])
@pytest.mark.parametrize("n_rows", [*range(2, 7), 9, 15, 20])
def test_few_rows_are_enough(X, n_rows, emphasis):
    rows = X[:n_rows]
    fitted = OCSDF(**TINY, emphasis=emphasis).fit(rows)
    scores = fitted.score_samples(rows)
    assert np.all(np.isfinite(scores)) and fitted.lipschitz_bound_ <= 1.0
    # The most isolated row may lie outside; no other does.
    assert np.count_nonzero(scores < 0.0) <= 1
    far = rows.mean(axis=0) + 50.0 * X.std(axis=0)
    assert fitted.predict(far[np.newaxis]) == -1


@pytest.mark.parametrize("n_zeros, n_ones, n_features", [(99, 1, 1), (999, 1, 2), (990, 10, 2)])
@pytest.mark.parametrize("emphasis", ["accuracy", "contamination"])
def test_two_distinct_rows_leave_room_for_seeds(n_zeros, n_ones, n_features, emphasis):
    rows = np.repeat([[0.0], [1.0]], [n_zeros, n_ones], axis=0) @ np.ones((1, n_features))
    fitted = OCSDF(**TINY, emphasis=emphasis).fit(rows)
    ends = np.repeat([[0.0], [50.0]], n_features, axis=1)
    np.testing.assert_array_equal(fitted.predict(ends), [1, -1])


def test_without_standardizing_scores_are_in_raw_units(X):
    fitted = OCSDF(standardize=False, margin=0.5, **TRAINED).fit(X)
    np.testing.assert_array_equal(fitted.mean_, np.zeros(3), strict=True)
    np.testing.assert_array_equal(fitted.scale_, np.ones(3), strict=True)
    # 1-Lipschitz in the raw units: no score changes by more than the row does.
    rows = X + np.random.default_rng(5).normal(size=X.shape)
    moved = np.linalg.norm(rows - X, axis=1)
    slack = fitted.float_slack(X) + fitted.float_slack(rows)
    assert np.all(np.abs(fitted.score_samples(rows) - fitted.score_samples(X)) <= moved + slack)
    # So is B, ten standard deviations wide.
    sides = fitted.domain_.upper - fitted.domain_.lower
    np.testing.assert_allclose(sides, 10.0 * X.std(axis=0), rtol=1e-5)
    assert fitted.margin_ == 0.5


def test_automatic_margin(X):
    scaled = StandardScaler().fit_transform(X)
    nearest, _ = NearestNeighbors(n_neighbors=2).fit(scaled).kneighbors(scaled)
    typical = np.median(nearest[:, 1])
    paper = OCSDF("paper", hidden_layer_sizes=(16, 16), max_steps=2, random_state=0).fit(X)
    assert paper.margin_ == pytest.approx(0.05 * typical, rel=1e-5)
    anchored = clone(paper).set_params(method="anchored", standardize=False).fit(scaled)
    assert anchored.margin_ == pytest.approx(typical, rel=1e-5)


@pytest.mark.parametrize("domain", ["box", "ball"])
def test_domain_contains_the_training_rows(X, domain):
    outlier = X.mean(axis=0) + 30.0 * X.std(axis=0)
    rows = np.vstack([X, outlier])
    fitted = OCSDF(domain=domain, **TINY).fit(rows)
    assert np.all(fitted.domain_.contains(standardized(fitted, rows)))
    assert not fitted.domain_.contains(np.full((1, 3), 1e3))[0]


def test_history_has_a_row_an_epoch(detector):
    assert set(detector.history_) == {"loss", "share_inside", "gradient_norm", "hinge_share"}
    assert {len(values) for values in detector.history_.values()} == {20} == {detector.n_iter_}
    for name in ("share_inside", "gradient_norm", "hinge_share"):
        assert all(0.0 <= value <= 1.0 + 1e-5 for value in detector.history_[name])
    assert detector.history_["loss"][-1] < detector.history_["loss"][0]


def test_max_steps_ends_training(X):
    settings = TINY | {"method": "paper", "epochs": 50, "batch_size": 50, "max_steps": 9}
    assert OCSDF(**settings).fit(X).n_iter_ == 9


def test_a_budget_bounds_the_default_alone(X, monkeypatch):
    monkeypatch.setattr("ocsdf.sklearn_compat.fitting._MAX_STEPS", {"paper": None, "anchored": 4})
    settings = TINY | {"epochs": 6}
    assert OCSDF(**settings).fit(X).n_iter_ == 4
    assert OCSDF(**settings | {"max_steps": None}).fit(X).n_iter_ == 6
    assert OCSDF(**settings | {"method": "paper"}).fit(X).n_iter_ == 6


class Rates(keras.callbacks.Callback):
    """Keeps the learning rate of each epoch."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def test_learning_rate_decays_in_the_default_alone(X):
    rates = Rates()

    def of(**changes):
        OCSDF(**TINY | {"epochs": 4, "callbacks": [rates]} | changes).fit(X)
        return rates.rates

    assert of() == pytest.approx([1e-2, 7.5e-3, 5e-3, 2.5e-3])
    assert of(learning_rate=0.4) == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert of(method="paper") == pytest.approx([1e-3] * 4)
    assert of(method="paper", learning_rate=0.4) == pytest.approx([0.4] * 4)


def test_a_schedule_of_the_user_has_the_last_word(X):
    rates = Rates()
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.125)
    OCSDF(**TINY | {"callbacks": [schedule, rates]}).fit(X)
    assert rates.rates == [0.125, 0.125]


def test_verbose_speaks(X, capsys):
    OCSDF(verbose=2, **TINY).fit(X)
    assert "loss" in capsys.readouterr().out


# Sample weights


def test_rows_of_weight_zero_are_as_if_removed(X):
    # The rows left out would move the scaling, the margin, B and the threshold.
    spoilt = np.vstack([X[:100], X[100:] + 1e3])
    weight = np.repeat([1.0, 0.0], 100)
    left_out = OCSDF(**TINY).fit(spoilt, sample_weight=weight)
    removed = OCSDF(**TINY).fit(X[:100], sample_weight=np.ones(100))
    np.testing.assert_array_equal(left_out.score_samples(X), removed.score_samples(X))
    np.testing.assert_array_equal(left_out.mean_, removed.mean_)


def test_weights_count_in_proportion(X):
    weight = np.random.default_rng(6).uniform(0.1, 1.0, size=len(X))
    scores = OCSDF(**TINY).fit(X, sample_weight=weight).score_samples(X)
    scaled = OCSDF(**TINY).fit(X, sample_weight=4.0 * weight).score_samples(X)
    np.testing.assert_array_equal(scores, scaled)


def test_heavy_rows_pull_the_boundary(X):
    # Nearly all draws are from rows on one side, so that the other side ends up outside.
    side = X[:, 0] > np.median(X[:, 0])
    weight = np.where(side, 1.0, 1e-6)

    def share_of_pairs_in_order(sample_weight, seed):
        detector = OCSDF(**TRAINED | {"random_state": seed}).fit(X, sample_weight=sample_weight)
        return roc_auc_score(side, detector.score_samples(X))

    # From 0.84 to 0.94 with the seed, where rows of equal weight give 0.46 to 0.59.
    assert np.mean([share_of_pairs_in_order(weight, seed) for seed in range(3)]) > 0.8
    assert np.mean([share_of_pairs_in_order(None, seed) for seed in range(3)]) < 0.65


# Callbacks and interruption


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} end with {sorted(logs)[-1]}")

    def on_train_end(self, logs=None):
        self.calls.append("train end")


class Interrupt(keras.callbacks.Callback):
    def __init__(self, hook, epoch):
        super().__init__()
        self.hook, self.epoch = hook, epoch

    def on_epoch_begin(self, epoch, logs=None):
        if (self.hook, self.epoch) == ("begin", epoch):
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if (self.hook, self.epoch) == ("end", epoch):
            raise KeyboardInterrupt


class StopAtOnce(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_callbacks_get_their_hooks_in_silence(X, tiny_scores, capsys):
    recorder = Recorder()
    fitted = OCSDF(callbacks=[recorder], **TINY).fit(X)
    assert capsys.readouterr().out == ""
    assert recorder.calls == [
        "train begin",
        "epoch 0 begin",
        "epoch 0 end with share_inside",
        "epoch 1 begin",
        "epoch 1 end with share_inside",
        "train end",
    ]
    np.testing.assert_array_equal(fitted.score_samples(X), tiny_scores)


def test_a_callback_may_stop_training(X):
    assert OCSDF(callbacks=[StopAtOnce()], **TINY).fit(X).n_iter_ == 1


@pytest.mark.parametrize(("hook", "epoch", "n_epochs"), [("begin", 0, 0), ("end", 2, 3)])
def test_ctrl_c_keeps_what_was_learned(X, hook, epoch, n_epochs):
    parameters = TINY | {"epochs": 10, "contamination": 0.1}
    fitted = OCSDF(callbacks=[Interrupt(hook, epoch)], **parameters)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    assert fitted.n_iter_ == n_epochs == len(fitted.history_["loss"])
    assert fitted.lipschitz_bound_ <= 1.0
    assert np.all(np.isfinite(fitted.certified_radius(X)))
    assert np.mean(fitted.predict(X) == -1) == pytest.approx(0.1, abs=1.0 / len(X))


# Runs that went wrong


def test_a_collapsed_run_warns(X):
    with pytest.warns(ConvergenceWarning, match="collapsed.*Lower hinge_weight or margin"):
        OCSDF(standardize=False, **TINY).fit(1e-6 * X)


def test_a_diverged_run_warns(X):
    with pytest.warns(ConvergenceWarning, match="diverged.*Lower learning_rate"):
        OCSDF(**TINY | {"learning_rate": 1e30}).fit(X)


def test_negatives_above_the_data_warn(X):
    with pytest.warns(ConvergenceWarning, match="score above the data.*Raise epochs or margin"):
        OCSDF(**TINY | {"method": "paper", "max_steps": 1}).fit(X)


# Feature names


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_feature_names(X, tiny_scores, library):
    frame = library.DataFrame(dict(zip(["a", "b", "c"], X.T, strict=True)))
    fitted = OCSDF(**TINY).fit(frame)
    np.testing.assert_array_equal(fitted.feature_names_in_, ["a", "b", "c"])
    np.testing.assert_allclose(fitted.score_samples(frame), tiny_scores, atol=1e-4)
    renamed = library.DataFrame(dict(zip(["a", "b", "z"], X.T, strict=True)))
    with pytest.raises(ValueError, match="feature names should match.* z "):
        fitted.score_samples(renamed)
    with pytest.raises(ValueError, match="same order"):
        fitted.score_samples(frame[["b", "a", "c"]])


def test_a_fit_on_an_array_forgets_the_names(X):
    fitted = OCSDF(**TINY | {"max_steps": 1}).fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    assert not hasattr(fitted.fit(X[:, :2]), "feature_names_in_")
    assert fitted.n_features_in_ == 2 and fitted.score_samples(X[:, :2]).shape == (len(X),)


# Among other estimators


def test_clone_is_unfitted_and_fits_the_same(X, tiny, tiny_scores):
    copied = clone(tiny)
    assert copied.get_params() == tiny.get_params()
    assert not hasattr(copied, "model_")
    np.testing.assert_array_equal(copied.fit(X).score_samples(X), tiny_scores)


def through_joblib(detector, folder):
    joblib.dump(detector, folder / "detector.joblib")
    return joblib.load(folder / "detector.joblib")


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda detector, folder: pickle.loads(pickle.dumps(detector)),
        through_joblib,
        lambda detector, folder: copy.deepcopy(detector),
        lambda detector, folder: copy.copy(detector),
    ],
    ids=["pickle", "joblib", "deepcopy", "copy"],
)
def test_duplicates_keep_scores(detector, X_test, tmp_path, duplicate):
    duplicated = duplicate(detector, tmp_path)
    for method in ("score_samples", "predict", "certified_radius", "float_slack"):
        expected = getattr(detector, method)(X_test)
        np.testing.assert_array_equal(getattr(duplicated, method)(X_test), expected, strict=True)
    assert duplicated.lipschitz_bound_ == detector.lipschitz_bound_
    assert duplicated.history_ == detector.history_


def test_an_unfitted_detector_pickles():
    restored = pickle.loads(pickle.dumps(OCSDF(margin=0.3)))
    assert restored.margin == 0.3 and not hasattr(restored, "model_")


def test_pipeline(X, X_test):
    pipeline = make_pipeline(StandardScaler(), OCSDF(**TINY)).fit(X)
    scaled = pipeline[0].transform(X_test)
    scores = pipeline.score_samples(X_test)
    np.testing.assert_array_equal(scores, pipeline[-1].score_samples(scaled))
    np.testing.assert_array_equal(pipeline.predict(X_test), np.where(scores >= 0.0, 1, -1))


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search(X, n_jobs):
    rows = np.vstack([X, X[:40] + 20.0 * X.std(axis=0)])
    y = np.repeat([1, 0], [len(X), 40])
    order = np.random.default_rng(7).permutation(len(rows))
    search = GridSearchCV(
        OCSDF(**TINY),
        {"margin": [0.1, 0.5][: n_jobs or 1]},
        scoring="roc_auc",
        cv=2,
        n_jobs=n_jobs,
        error_score="raise",
    ).fit(rows[order], y[order])
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.best_estimator_.margin_ == search.best_params_["margin"]
    assert not math.isnan(search.score(rows, y))


@pytest.mark.parametrize("domain", ["box", "ball"])
def test_sampled_level_set_is_on_the_level(X, domain):
    detector = OCSDF(**TINY | {"domain": domain, "epochs": 4}).fit(X)
    level = float(np.quantile(detector.score_samples(X), 0.3))
    points = detector.sample_level_set(40, level=level)
    assert points.shape == (40, X.shape[1])
    # 1e-3 on the network's own float32 points, and what rounding to X's units and back adds.
    np.testing.assert_allclose(detector.score_samples(points), level, atol=1.1e-3)
    scaled = standardized(detector, points)
    assert detector.domain_.contains(scaled * (1 - 1e-6)).all()
    np.testing.assert_array_equal(points, detector.sample_level_set(40, level=level))
    assert len(np.unique(points, axis=0)) == 40


def test_level_that_f_does_not_take_is_refused(X):
    detector = OCSDF(**TINY).fit(X)
    with pytest.raises(ValueError, match="points reached level 1000.*Choose a level in between"):
        detector.sample_level_set(5, level=1000.0)
    with pytest.raises(ValueError, match="n_samples must be an integer >= 1; got 0"):
        detector.sample_level_set(0)


def test_rows_far_from_zero_need_no_standardizing(X):
    """A shift of rows that are not standardized changes last bits of the exact parts alone."""
    settings = TINY | {"standardize": False}
    near, far = OCSDF(**settings).fit(X), OCSDF(**settings).fit(X + 1000.0)
    members = [fitted._network.network.operations[0].members[1:] for fitted in (near, far)]
    for here, there in zip(*members, strict=True):
        found, expected = there.evaluate(X + 1000.0), here.evaluate(X)
        np.testing.assert_allclose(np.diff(found, axis=0), np.diff(expected, axis=0), atol=1e-6)


def test_explanations_hold_what_they_say(detector, X_test):
    rows = X_test[:12]
    explanation = detector.explain(rows)
    assert explanation.boundary.shape == explanation.shares.shape == rows.shape
    np.testing.assert_array_equal(explanation.radius, detector.certified_radius(rows))
    assert explanation.converged.all()
    # The boundary row has the other verdict, at the distance said, and no nearer than certified.
    assert np.all(detector.predict(explanation.boundary) == -detector.predict(rows))
    moved = standardized(detector, explanation.boundary) - standardized(detector, rows)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), explanation.distance, rtol=1e-6)
    assert np.all(explanation.radius <= explanation.distance)
    np.testing.assert_allclose(explanation.shares.sum(axis=1), 1.0)


def test_verdicts_are_counted_at_each_radius(detector, X_test):
    radii = [0.0, 0.1, 1e6]
    counts = detector.verdict_counts(X_test, radii)
    certified = detector.certified_radius(X_test) > np.array(radii)[:, np.newaxis]
    normal = detector.predict(X_test) == 1
    np.testing.assert_array_equal(counts.normal, (certified & normal).sum(axis=1))
    np.testing.assert_array_equal(counts.anomalous, (certified & ~normal).sum(axis=1))
    assert counts.uncertified[-1] == len(X_test)
    assert np.all(counts.normal + counts.anomalous + counts.uncertified == len(X_test))
