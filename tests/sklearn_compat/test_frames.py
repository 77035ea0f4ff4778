"""Scores, verdicts and certificates in one frame, from one evaluation (P3)."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.ensemble import IsolationForest

from ocsdf import OCSDF, ConformalDetector
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.sklearn_compat import score_frame
from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance

X = np.random.default_rng(0).normal(size=(80, 3))


@pytest.fixture(scope="module", params=[0.1, "auto"])
def detector(request):
    settings = {"epochs": 2, "contamination": request.param, "random_state": 0}
    return OCSDF(hidden_layer_sizes=(8, 8), **settings).fit(X)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, pd.DataFrame])
def test_P3_a_frame_agrees_with_the_methods_and_evaluates_once(detector, kind, monkeypatch):
    rows = kind(X)
    expected = detector.score_samples(rows), detector.certified_radius(rows), detector.predict(rows)
    calls, score = [], CertifiedNetwork.score
    monkeypatch.setattr(
        CertifiedNetwork, "score", lambda self, points: calls.append(1) or score(self, points)
    )
    frame = score_frame(detector, rows)
    assert calls == [1]
    np.testing.assert_array_equal(frame["score"], expected[0])
    np.testing.assert_array_equal(frame["certified_radius"], expected[1])
    np.testing.assert_array_equal(frame["verdict"] == "normal", expected[2] == 1)


def test_P3_verdict_counts_evaluate_once(detector, monkeypatch):
    calls, score = [], CertifiedNetwork.score
    monkeypatch.setattr(
        CertifiedNetwork, "score", lambda self, points: calls.append(1) or score(self, points)
    )
    detector.verdict_counts(X, [0.1, 0.2])
    assert calls == [1]


def test_the_index_stays_and_distance_detectors_have_frames_too():
    index = pd.Index(list("pqrs"))
    frame = pd.DataFrame(X[:4], index=index, columns=list("abc"))
    scores = score_frame(NearestNeighborDistance().fit(X), frame.to_numpy())
    assert list(scores.index) == [0, 1, 2, 3]
    scores = score_frame(NearestNeighborDistance().fit(frame), frame)
    assert list(scores.index) == list("pqrs")


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame(X, columns=list("abc"), index=np.arange(80) + 1000)


@pytest.fixture(scope="module")
def fitted(frame):
    return OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0).fit(frame)


@pytest.fixture(scope="module")
def calibrated(frame):
    estimator = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0)
    return ConformalDetector(estimator, alpha=0.2, random_state=0).fit(frame)


class TestColumns:
    """What else a frame says, and that the parts of an engine agree with the whole."""

    def test_percentiles_are_ranks_among_left_out_training_scores(self, fitted, frame):
        scores = score_frame(fitted, frame)
        expected = [100.0 * np.mean(fitted.training_scores_ <= score) for score in scores["score"]]
        assert scores["percentile"].to_numpy() == pytest.approx(expected)
        far = score_frame(fitted, frame + 100.0)
        assert np.all(far["percentile"] == 0.0)

    def test_percentiles_of_new_rows_are_nearly_uniform(self):
        rng = np.random.default_rng(1)
        rows, new = rng.normal(size=(2, 600, 3))
        fitted = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(rows)
        percentiles = score_frame(fitted, new)["percentile"]
        # Two samples of 600: a distance of 0.12 is exceeded once in 3,000 times.
        assert kstest(percentiles / 100.0, "uniform").statistic < 0.12

    def test_training_scores_are_saved_and_older_files_do_without(self, fitted, frame, tmp_path):
        fitted.save(tmp_path / "m.ocsdf")
        again = OCSDF.load(tmp_path / "m.ocsdf")
        np.testing.assert_array_equal(again.training_scores_, fitted.training_scores_)
        again.training_scores_ = None
        again.save(tmp_path / "m.ocsdf")
        older = score_frame(OCSDF.load(tmp_path / "m.ocsdf"), frame)
        assert list(older) == ["score", "verdict", "certified_radius"]

    def test_a_calibrated_frame_agrees_with_the_methods(self, calibrated, frame, monkeypatch):
        expected = {
            "score": calibrated.score_samples(frame),
            "certified_radius": calibrated.certified_radius(frame),
            "p_value": calibrated.p_values(frame),
        }
        normal = calibrated.predict(frame) == 1
        calls, score = [], CertifiedNetwork.score
        monkeypatch.setattr(
            CertifiedNetwork, "score", lambda self, points: calls.append(1) or score(self, points)
        )
        scores = score_frame(calibrated, frame)
        assert calls == [1]
        for name, values in expected.items():
            np.testing.assert_array_equal(scores[name], values)
        np.testing.assert_array_equal(scores["verdict"] == "normal", normal)
        assert "percentile" in scores

    def test_groups_are_a_kept_column(self, frame):
        segments = np.repeat(["north", "south"], 40)
        forest = IsolationForest(n_estimators=10, random_state=0)
        calibrated = ConformalDetector(forest, alpha=0.2, random_state=0)
        calibrated.fit(frame, groups=segments)
        rows = frame.assign(region=segments)
        scores = score_frame(calibrated, rows, keep=["region"], groups="region")
        assert list(scores) == ["region", "score", "verdict", "p_value"]
        np.testing.assert_array_equal(
            scores["p_value"], calibrated.p_values(frame, groups=segments)
        )
        assert list(scores.index) == list(frame.index)
        with pytest.raises(ValueError, match="one of keep"):
            score_frame(calibrated, rows, groups="region")

    @pytest.mark.parametrize("name", ["fitted", "calibrated"])
    def test_no_rows_give_the_same_columns_and_types(self, name, frame, request):
        detector = request.getfixturevalue(name)
        for reasons in (0, 2):
            full = score_frame(detector, frame[:6] + 9.0, reasons=reasons)
            empty = score_frame(detector, frame[:0], reasons=reasons)
            pd.testing.assert_frame_equal(empty, full[:0])

    @pytest.mark.parametrize("name", ["fitted", "calibrated"])
    def test_reasons_name_what_moved(self, name, frame, request):
        rows = frame.copy()
        rows.iloc[:5, 1] += 50.0
        scores = score_frame(request.getfixturevalue(name), rows, reasons=1)
        assert scores["reasons"].str.match(r"b \d+ %").iloc[:5].all()
        assert (scores.loc[scores["verdict"] == "normal", "reasons"] == "").all()
        assert (scores.loc[scores["verdict"] == "anomaly", "reasons"] != "").all()

    def test_wrong_columns_are_one_line(self, fitted, frame):
        with pytest.raises(ValueError, match="'key'"):
            score_frame(fitted, frame, keep=["key"])
        with pytest.raises(TypeError, match="data frame"):
            score_frame(fitted, X, keep=["key"])
        with pytest.raises(ValueError, match="groups"):
            score_frame(fitted, frame, groups=np.zeros(80))
        with pytest.raises(TypeError, match="explains nothing"):
            score_frame(NearestNeighborDistance().fit(X), X + 100.0, reasons=1)
