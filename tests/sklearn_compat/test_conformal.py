"""ConformalDetector: any detector, decisions with a guarantee, certified where there is a bound."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import LocalOutlierFactor
from sklearn.utils.estimator_checks import parametrize_with_checks

from ocsdf import OCSDF, ConformalDetector
from ocsdf.attacks import pgd
from ocsdf.sklearn_compat.distance_detectors import SubsampleDistanceDetector
from ocsdf.utils.archives import from_archive, to_archive

TINY = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, random_state=0)
FOREST = IsolationForest(n_estimators=10, random_state=0)


@parametrize_with_checks(
    [ConformalDetector(FOREST), ConformalDetector(SubsampleDistanceDetector())]
)
@pytest.mark.filterwarnings("ignore:.*calibration rows:UserWarning")
def test_estimator_passes_check(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows():
    X, _ = make_blobs(900, centers=1, n_features=4, random_state=0)
    return X - X.mean(axis=0)


@pytest.fixture(scope="module")
def detector(rows):
    """A certified detector, calibrated by 200 of its first 500 rows."""
    return ConformalDetector(TINY, calibration=200, random_state=0).fit(rows[:500])


@pytest.fixture(scope="module")
def forest(rows):
    return ConformalDetector(FOREST, random_state=0).fit(rows[:500])


def test_share_of_rows_and_the_formula(forest, rows):
    (scores,) = forest.calibration_.scores.values()
    assert len(scores) == 100 and np.all(np.diff(scores) >= 0)
    f = forest.estimator_.score_samples(rows[500:])
    expected = (1 + (scores <= f[:, None]).sum(axis=1)) / 101
    assert np.max(np.abs(forest.p_values(rows[500:]) - expected)) <= 1 / 101 + 1e-12
    assert np.all(forest.p_values(rows[500:]) >= expected)


@pytest.mark.parametrize("name", ["detector", "forest"])
def test_alarms_are_small_p_values(name, rows, request):
    detector = request.getfixturevalue(name)
    X = np.vstack([rows[500:], rows[:40] + 9.0])
    alarms = detector.p_values(X) <= detector.alpha
    assert np.array_equal(detector.predict(X) == -1, alarms) and alarms[-40:].all()
    assert np.array_equal(detector.decision_function(X) < 0, alarms)
    assert np.mean(alarms[:-40]) < 0.12


def test_scores_are_the_detectors_own_plus_rounding(detector, rows):
    own = detector.estimator_.score_samples(rows)
    assert np.all(detector.score_samples(rows) > own)
    assert np.allclose(detector.score_samples(rows), own, rtol=0, atol=1e-9)


def attack_towards_false_alarm(detector, rows, radius):
    """Rows, moved in standardized units by the strongest attack there is, in raw units again."""
    inner = detector.estimator_
    points = (rows - inner.mean_) / inner.scale_
    moved = pgd(inner._network, points, -1, radius, n_steps=20, n_restarts=2).points
    return moved * inner.scale_ + inner.mean_


@pytest.mark.parametrize("radius", [0.05, 0.3])
def test_attacked_rows_keep_their_p_value(detector, rows, radius):
    normal = rows[500:600]
    moved = attack_towards_false_alarm(detector, normal, radius)
    # Back in raw units a row may be moved by a last bit more than the radius.
    certified = detector.p_values(moved, radius * (1 + 1e-12))
    assert np.all(certified >= detector.p_values(normal))
    assert np.all(detector.e_values(moved, radius * (1 + 1e-12)) <= detector.e_values(normal))
    assert np.mean(detector.p_values(moved)) < np.mean(detector.p_values(normal)) < 1.0
    assert not np.any(detector.no_false_alarm(normal, radius) & (detector.predict(moved) == -1))


@pytest.mark.parametrize("alarm_radius", [0.0, 0.2])
def test_guaranteed_detection_is_never_above_attacked_detection(detector, rows, alarm_radius):
    direction = np.array([1.0, -1.0, 1.0, 1.0])
    anomalies = rows[600:700] + np.linspace(0.5, 4.0, 100)[:, None] * direction
    inner, rates = detector.estimator_, []
    for radius in (0.0, 0.1, 0.5):
        points = (anomalies - inner.mean_) / inner.scale_
        moved = pgd(inner._network, points, 1, radius, n_steps=20, n_restarts=2).points
        moved = moved * inner.scale_ + inner.mean_
        kept = detector.no_masking(anomalies, radius * (1 + 1e-12), alarm_radius)
        left = detector.p_values(moved, alarm_radius) <= detector.alpha
        assert not np.any(kept & ~left)
        rates.append((kept.mean(), left.mean()))
    guaranteed, attacked = np.transpose(rates)
    assert np.all(np.diff(guaranteed) <= 0) and np.all(guaranteed <= attacked)
    assert guaranteed[1] > 0.1, "or the guarantee would say nothing"


def test_tied_rows_scored_in_other_batches_stay_valid():
    """Three distinct rows, many times over: without the slack P(p <= 0.05) may be a third."""
    rng = np.random.default_rng(0)
    values = np.array([[0.1, 0.2, 0.7], [1.3, -0.4, 0.2], [-2.2, 0.3, 1.7]])
    train, rest = values[rng.integers(3, size=200)], values[rng.integers(3, size=400)]
    inner = SubsampleDistanceDetector(random_state=0).fit(train + 1e-3 * rng.normal(size=(200, 3)))
    p = []
    for _ in range(40):
        order = rng.permutation(400)
        calibrated = ConformalDetector(FrozenEstimator(inner), alpha=0.1).fit(rest[order[:100]])
        # Batches of another size than at calibration: one row, and a few.
        p += [calibrated.p_values(rest[row : row + 1])[0] for row in order[100:103]]
        p += calibrated.p_values(rest[order[103:140]]).tolist()
    p = np.array(p)
    assert len(np.unique(np.round(p, 2))) > 3
    for alpha in (0.01, 0.05, 0.1):
        assert np.mean(p <= alpha) <= alpha


def test_discoveries(detector, rows):
    X = np.vstack([rows[500:700], rows[:50] + 9.0])
    for method, radius in (("auto", 0.0), ("auto", 0.2), ("by", 0.2), ("e-bh", 0.0), ("bh", 0.0)):
        called = detector.discoveries(X, 0.2, radius, method=method)
        assert called.shape == (250,) and called[200:].mean() > 0.9 and called[:200].mean() < 0.1
    assert np.array_equal(detector.discoveries(X), detector.discoveries(X, method="bh"))
    assert np.array_equal(
        detector.discoveries(X, radius=0.2), detector.discoveries(X, radius=0.2, method="e-bh")
    )
    with pytest.warns(UserWarning, match="Benjamini-Hochberg is not proved"):
        detector.discoveries(X, radius=0.2, method="bh")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.discoveries(X, radius=0.2)


def test_what_has_no_bound_is_not_certified(forest, rows):
    message = "needs a detector with a proven Lipschitz constant.*IsolationForest has none"
    with pytest.raises(ValueError, match=message):
        forest.certified_radius(rows)
    for call in (forest.p_values, forest.e_values, forest.no_masking, forest.no_false_alarm):
        with pytest.raises(ValueError, match=message):
            call(rows, radius=0.1)
    with pytest.raises(ValueError, match=message):
        forest.discoveries(rows, radius=0.1)


def test_certified_radius_is_where_the_guarantees_end(detector, rows):
    X = np.vstack([rows[500:560], rows[:20] + 3.0])
    radius, alarms = detector.certified_radius(X), detector.predict(X) == -1
    for share, holds in ((1.0 - 1e-9, True), (1.0 + 1e-6, False)):
        for place in np.flatnonzero(radius > 1e-6):
            row, r = X[place : place + 1], share * radius[place]
            kept = detector.no_masking if alarms[place] else detector.no_false_alarm
            assert kept(row, r)[0] == holds
    inner = detector.estimator_
    expected = np.abs(inner.score_samples(X) - detector.offset_) / inner.lipschitz_bound_
    assert np.allclose(radius, expected, rtol=1e-6, atol=1e-9)


def test_groups_are_calibrated_each_by_its_own_rows(rows):
    # The second segment spreads twice as wide: alarms of all rows together would be its alone.
    groups = np.where(np.arange(900) % 2, "wide", "narrow")
    X = rows * np.where(groups == "wide", 2.0, 1.0)[:, None]
    pooled = ConformalDetector(FOREST, calibration=0.5, alpha=0.1, random_state=0).fit(X[:600])
    by_group = ConformalDetector(FOREST, calibration=0.5, alpha=0.1, random_state=0)
    by_group.fit(X[:600], groups=groups[:600])
    wide, new = groups[600:] == "wide", X[600:]
    alarms = by_group.p_values(new, groups=groups[600:]) <= 0.1
    assert np.mean(pooled.predict(new)[wide] == -1) > 2 * np.mean(pooled.predict(new)[~wide] == -1)
    assert max(alarms[wide].mean(), alarms[~wide].mean()) < 0.17
    assert np.array_equal(by_group.predict(new, groups[600:]) == -1, alarms)
    assert not hasattr(by_group, "offset_")
    with pytest.raises(ValueError, match="pass groups="):
        by_group.predict(new)
    with pytest.raises(ValueError, match="fitted without groups"):
        pooled.predict(new, groups[600:])
    with pytest.raises(ValueError, match="groups hold 'other', of which fit saw no row"):
        by_group.p_values(new[:1], groups=["other"])
    with pytest.raises(ValueError, match="groups must hold 1 labels"):
        by_group.p_values(new[:1], groups=["wide", "wide"])
    with pytest.raises(ValueError, match="no missing labels"):
        ConformalDetector(FOREST).fit(X[:2], groups=["a", np.nan])


def test_too_few_rows_warn_and_flag_nothing(rows):
    detector = ConformalDetector(FOREST, alpha=0.01, calibration=98)
    with pytest.warns(UserWarning, match="alpha=0.01 needs at least 99 calibration rows; got 98"):
        detector.fit(rows[:300])
    assert np.all(detector.predict(rows * 100) == 1) and detector.offset_ == -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.set_params(calibration=99).fit(rows[:300])
    assert np.all(detector.predict(rows[:5] + 100) == -1)


def test_pac_takes_a_lower_threshold_and_replaced_rows_too(rows):
    frozen = FrozenEstimator(FOREST.fit(rows[:300]))
    plain, pac, wary = (
        ConformalDetector(frozen, alpha=0.1, **options).fit(rows[300:600])
        for options in ({}, {"delta": 0.05}, {"replaced": 5})
    )
    assert pac.offset_ < plain.offset_ and wary.offset_ < plain.offset_
    assert np.all(wary.p_values(rows) >= plain.p_values(rows))
    assert np.array_equal(pac.p_values(rows), plain.p_values(rows))
    with pytest.raises(ValueError, match="e-values need calibration rows that are all trusted"):
        wary.e_values(rows)


def test_frozen_detector_is_calibrated_by_all_rows(rows):
    inner = IsolationForest(random_state=0).fit(rows[:300])
    detector = ConformalDetector(FrozenEstimator(inner)).fit(rows[300:])
    assert detector.estimator_ is inner and len(detector.calibration_.scores[None]) == 600


def test_data_frames_keep_their_names(rows):
    frame = pd.DataFrame(rows, columns=list("abcd"))
    detector = ConformalDetector(TINY, random_state=0).fit(frame)
    assert detector.feature_names_in_.tolist() == list("abcd") and detector.n_features_in_ == 4
    same = ConformalDetector(TINY, random_state=0).fit(rows)
    assert np.array_equal(detector.p_values(frame), same.p_values(rows))


@pytest.mark.parametrize("grouped", [False, True])
def test_file_without_pickle(grouped, rows, tmp_path):
    groups = np.arange(900) % 2 if grouped else None
    first, last = (groups[:500], groups[500:]) if grouped else (None, None)
    detector = ConformalDetector(TINY, alpha=0.07, random_state=0).fit(rows[:500], groups=first)
    detector.save(tmp_path / "detector.ocsdf")
    again = ConformalDetector.load(tmp_path / "detector.ocsdf")
    X = rows[500:]
    assert np.array_equal(again.p_values(X, 0.1, last), detector.p_values(X, 0.1, last))
    assert np.array_equal(again.predict(X, last), detector.predict(X, last))
    assert again.alpha == 0.07 and again.get_params()["estimator__epochs"] == 2


def test_file_refuses_what_it_must(forest, rows, tmp_path):
    with pytest.raises(TypeError, match="IsolationForest has no file format of its own"):
        forest.save(tmp_path / "forest")
    (tmp_path / "bad").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="not a detector saved by ConformalDetector.save"):
        ConformalDetector.load(tmp_path / "bad")
    copy = pickle.loads(pickle.dumps(forest))
    assert np.array_equal(copy.p_values(rows), forest.p_values(rows))


def test_file_says_what_it_cannot_hold(detector, tmp_path):
    odd = pickle.loads(pickle.dumps(detector))
    odd.random_state = np.random.RandomState(0)
    with pytest.warns(UserWarning, match="random_state is no integer and is not saved"):
        odd.save(tmp_path / "file")
    assert ConformalDetector.load(tmp_path / "file").random_state is None
    odd.calibration_.scores = {("a", "b"): np.zeros(3)}
    with pytest.warns(UserWarning), pytest.raises(TypeError, match="where they are text or num"):
        odd.save(tmp_path / "file")


@pytest.mark.parametrize("changed", [{"format": "other"}, {"groups": ["x", "y"]}, {"counts": [7]}])
def test_file_whose_parts_do_not_fit_is_refused(detector, tmp_path, changed):
    detector.save(tmp_path / "file")
    meta, members = from_archive((tmp_path / "file").read_bytes())
    (tmp_path / "file").write_bytes(to_archive(meta | changed, members))
    with pytest.raises(ValueError, match=r"not a detector saved by ConformalDetector\.save"):
        ConformalDetector.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"alpha": 0.0}, ValueError, "alpha must be a number between 0 and 1"),
        ({"alpha": "5 %"}, ValueError, "alpha must be a number between 0 and 1"),
        ({"delta": 2}, ValueError, "delta must be a number between 0 and 1"),
        ({"calibration": 1.0}, ValueError, "calibration must be a share in"),
        ({"calibration": True}, ValueError, "calibration must be a share in"),
        ({"calibration": 900}, ValueError, "leaves no row to fit on; got n_samples=900"),
        ({"replaced": -1}, ValueError, "replaced must be an integer >= 0"),
        ({"estimator": LocalOutlierFactor()}, TypeError, "must have score_samples"),
    ],
)
def test_bad_parameters(changes, kind, message, rows):
    with pytest.raises(kind, match=message):
        ConformalDetector(FOREST).set_params(**changes).fit(rows)


def test_bad_radius_and_method(forest, rows):
    with pytest.raises(ValueError, match="radius must be a finite number >= 0; got -1"):
        forest.p_values(rows, radius=-1)
    with pytest.raises(ValueError, match="method must be one of 'auto', 'bh', 'by', 'e-bh'"):
        forest.discoveries(rows, method="fdr")


def test_scores_that_are_nan_are_no_shortage_of_rows(rows):
    class Broken(IsolationForest):
        def score_samples(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match="Broken gives 60 of 60 rows no score: NaN"):
        ConformalDetector(Broken(n_estimators=5), calibration=60).fit(rows)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_missing_group_is_named(missing, rows):
    groups = pd.Series(["a"] * (len(rows) - 1) + [missing], dtype=object)
    with pytest.raises(ValueError, match="groups must have no missing labels"):
        ConformalDetector(IsolationForest()).fit(rows, groups=groups)
