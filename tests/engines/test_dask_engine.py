"""Dask: partitions are scored where they are, and fitted on from one pass (issue 22)."""

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.data import RowSummary
from ocsdf.sklearn_compat import SegmentedDetector, score_frame

dd = pytest.importorskip("dask.dataframe", reason="Dask is an extra: engines")
distributed = pytest.importorskip("distributed", reason="Dask's cluster is an extra: engines")


@pytest.fixture(scope="module")
def cluster():
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as local, distributed.Client(local) as client:
        yield client


@pytest.fixture(scope="module")
def frame(parts):
    """The parts as partitions, as they are."""
    return dd.from_map(lambda place: parts[place], range(len(parts)), meta=parts[0].iloc[:0])


def test_partitions_are_scored_where_they_are(cluster, detector, frame, agrees):
    scores = frame.map_partitions(
        lambda part: score_frame(detector, part, keep=["key"], reasons=1),
        meta=score_frame(detector, frame._meta, keep=["key"], reasons=1),
    )
    agrees(scores.compute())


def test_the_columns_are_known_without_rows(detector, frame):
    scores = frame.map_partitions(lambda part: score_frame(detector, part, keep=["key"]))
    assert list(scores.columns)[:3] == ["key", "score", "verdict"]
    assert scores["score"].dtype == np.float64


def test_blocks_of_arrays_are_scored_too(detector, parts):
    array = pytest.importorskip("dask.array")
    rows = np.concatenate([part[list("abc")] for part in parts])
    blocks = array.from_array(rows, chunks=(70, 3))
    plain = detector.estimator_
    scores = blocks.map_blocks(lambda b: plain.score_samples(pd.DataFrame(b, columns=list("abc"))),
                               drop_axis=1, dtype=float, meta=np.empty(0))  # fmt: skip
    expected = plain.score_samples(pd.DataFrame(rows, columns=list("abc")))
    assert np.all(np.abs(scores.compute() - expected) <= 1e-9)


def test_a_fit_sees_the_moments_of_all_rows(frame, parts):
    rows = pd.concat(parts)[list("abc")]
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector.fit(frame[list("abc")])
    np.testing.assert_allclose(detector.mean_, rows.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(detector.scale_, rows.std(ddof=0), rtol=1e-12)
    again = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(frame[list("abc")])
    np.testing.assert_array_equal(again.score_samples(rows), detector.score_samples(rows))


@pytest.mark.slow
def test_models_of_segments_are_fitted_by_the_cluster(cluster):
    joblib = pytest.importorskip("joblib")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(300, 2)), columns=list("ab"))
    rows["site"] = np.repeat(["x", "y"], 150)
    small = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    here = SegmentedDetector(small, by="site").fit(rows)
    with joblib.parallel_config("dask"):
        there = SegmentedDetector(small, by="site", n_jobs=2).fit(rows)
    difference = score_frame(here, rows)["score"] - score_frame(there, rows)["score"]
    assert np.abs(difference).max() < 1e-6


def test_summaries_of_partitions_do_not_need_their_rows(frame):
    from ocsdf.sklearn_compat.chunks import summarize_chunks

    summary = summarize_chunks(frame, 0)
    assert isinstance(summary, RowSummary)
    assert summary.n_seen == 200
    assert sorted(summary.rows["key"]) == list(range(200))
