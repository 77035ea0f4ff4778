"""A detector a segment (issue 22): each row by its own, rare and new ones by that of all rows."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest

from ocsdf import OCSDF, ConformalDetector
from ocsdf.data import RowSummary
from ocsdf.sklearn_compat import SegmentedDetector, score_frame
from ocsdf.sklearn_compat.loading import load_detector

SMALL = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(420, 2)), columns=["a", "b"])
    frame["site"] = rng.permutation(np.repeat(["x", "y", "rare"], [200, 200, 20]))
    frame.loc[frame["site"] == "y", "a"] += 50.0
    return frame


@pytest.fixture(scope="module")
def detector(frame):
    return SegmentedDetector(SMALL, by="site").fit(frame)


def test_each_row_is_judged_by_its_segments_detector(detector, frame):
    scores = score_frame(detector, frame, reasons=1)
    assert list(scores.index) == list(frame.index)
    assert {label: len(own.training_scores_) for label, own in detector.segments_.items()} == {
        "x": 200,
        "y": 200,
    }
    for label, own in [*detector.segments_.items(), ("rare", detector.common_)]:
        rows = frame[frame["site"] == label]
        expected = own.score_samples(rows[["a", "b"]])
        np.testing.assert_array_equal(scores.loc[rows.index, "score"], expected)
    assert set(scores.loc[frame["site"] == "rare", "model"]) == {"all rows"}
    new = frame[:3].assign(site="new")
    assert set(score_frame(detector, new)["model"]) == {"all rows"}


def test_keys_and_no_rows(detector, frame):
    keyed = frame.assign(key=np.arange(420))
    scores = score_frame(detector, keyed, keep=["key"])
    assert list(scores["key"]) == list(range(420))
    pd.testing.assert_frame_equal(score_frame(detector, keyed[:0], keep=["key"]), scores[:0])


def test_jobs_change_nothing(detector, frame):
    again = SegmentedDetector(SMALL, by="site", n_jobs=1).fit(iter([frame[:100], frame[100:]]))
    assert set(again.segments_) == set(detector.segments_)
    assert again.n_rows_ == detector.n_rows_ == {"x": 200, "y": 200, "rare": 20}


def test_a_folder_of_models_is_read_back(detector, frame, tmp_path):
    detector.save(tmp_path / "models")
    again = load_detector(tmp_path / "models")
    pd.testing.assert_frame_equal(score_frame(again, frame), score_frame(detector, frame))
    with pytest.raises(ValueError, match="not empty"):
        detector.save(tmp_path / "models")
    index = tmp_path / "models" / "segments.json"
    lines = json.loads(index.read_text())
    lines["segments"][0]["file"] = "../elsewhere.ocsdf"
    index.write_text(json.dumps(lines))
    with pytest.raises(ValueError, match="damaged"):
        load_detector(tmp_path / "models")
    with pytest.raises(ValueError, match="no folder of models"):
        SegmentedDetector.load(tmp_path)


def test_segments_are_ranked(detector, frame):
    moved = frame.copy()
    moved.loc[moved["site"] == "y", "b"] += 9.0
    ranked = detector.report(moved)
    assert list(ranked["segment"])[0] == "y" and bool(ranked["drifted"][0])
    x = ranked.set_index("segment").loc["x"]
    assert not x["drifted"] and x["model"] == "own" and x["n_fitted"] == 200
    assert ranked["n_rows"].sum() == 420
    assert (ranked["share"] == ranked["anomalies"] / ranked["n_rows"]).all()


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda frame: frame.drop(columns="site"), TypeError, "column 'site'"),
        (lambda frame: frame.to_numpy(), TypeError, "column 'site'"),
        (lambda frame: frame.assign(site=None), ValueError, "missing values"),
        (lambda frame: frame.assign(a=np.nan), ValueError, "segment .*NaN"),
    ],
)
def test_bad_rows_are_one_line(change, error, told, frame):
    with pytest.raises(error, match=told):
        SegmentedDetector(SMALL, by="site").fit(change(frame))


def test_segments_of_partitions_and_of_summaries(detector, frame):
    dd = pytest.importorskip("dask.dataframe", reason="Dask is the extra engines")
    fitted = SegmentedDetector(SMALL, by="site").fit(dd.from_pandas(frame, npartitions=3))
    assert fitted.n_rows_ == detector.n_rows_
    with pytest.raises(TypeError, match="chunks of rows; got a RowSummary"):
        SegmentedDetector(SMALL, by="site").fit(RowSummary().update(frame))


def test_bad_parameters_are_one_line(frame):
    with pytest.raises(TypeError, match="an OCSDF or a ConformalDetector; got IsolationForest"):
        SegmentedDetector(IsolationForest(), by="site").fit(frame)
    with pytest.raises(ValueError, match="least_rows"):
        SegmentedDetector(SMALL, by="site", least_rows=1).fit(frame)


@pytest.fixture(scope="module")
def calibrated(frame):
    rows = frame[["a", "b"]].assign(a=frame["a"] % 50.0)
    return ConformalDetector(SMALL, calibration=0.5, random_state=0).fit(rows)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    return pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])


class TestDrift:
    def test_new_rows_of_the_same_kind_have_not_drifted(self, frame):
        rng = np.random.default_rng(2)
        rows, new = (pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"]) for _ in "ab")
        calibrated = ConformalDetector(SMALL, calibration=0.5, random_state=0).fit(rows)
        drift = calibrated.drift(new)
        assert not drift.drifted and drift.sentence() == "the rows look like training rows"
        assert len(drift.segments) == 0

    def test_columns_that_moved_are_named_first(self, calibrated, rows):
        drift = calibrated.drift(rows.assign(b=rows["b"] * 2.0 + 40.0))
        assert drift.drifted and "b by +" in drift.sentence()
        mean, scale = calibrated.estimator_.mean_[1], calibrated.estimator_.scale_[1]
        first = drift.columns.iloc[0]
        expected = ((2.0 * rows["b"] + 40.0).mean() - mean) / scale
        assert (first["column"], first["shift"]) == ("b", pytest.approx(expected))
        assert first["spread"] == pytest.approx(2.0 * rows["b"].std(ddof=0) / scale)

    def test_segments_drift_alone(self, rows):
        rng = np.random.default_rng(3)
        normal = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
        calibrated = ConformalDetector(SMALL, calibration=0.5, random_state=0).fit(normal)
        site = np.repeat(["x", "y"], 150)
        moved = rows.assign(a=rows["a"] + 5.0 * (site == "y"))
        segments = calibrated.drift(moved, by=site).segments
        assert list(segments["segment"]) == ["y", "x"]
        assert list(segments["drifted"]) == [True, False]

    def test_groups_are_compared_with_their_own_calibration(self, rows):
        rng = np.random.default_rng(4)
        normal = pd.DataFrame(rng.normal(size=(800, 2)), columns=["a", "b"])
        groups = np.repeat(["x", "y"], 400)
        normal["a"] *= np.where(groups == "y", 5.0, 1.0)
        forest = IsolationForest(n_estimators=20, random_state=0)
        calibrated = ConformalDetector(forest, calibration=0.5, random_state=0)
        calibrated.fit(normal, groups=groups)
        new = rows.assign(a=rows["a"] * np.where(np.arange(300) < 150, 5.0, 1.0))
        swapped = calibrated.drift(new, groups=np.repeat(["x", "y"], 150))
        straight = calibrated.drift(new, groups=np.repeat(["y", "x"], 150))
        assert swapped.segments["drifted"].any() and not straight.segments["drifted"].any()
        assert len(straight.columns) == 0  # a forest does not standardize
        with pytest.raises(ValueError, match="pass groups="):
            calibrated.drift(new)
