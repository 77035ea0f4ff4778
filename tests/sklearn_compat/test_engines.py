"""Dask, Ray and Spark: two workers score rows where they are, and a fit sees all (issue 22)."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF, ConformalDetector
from ocsdf.data import RowSummary
from ocsdf.sklearn_compat import SegmentedDetector, score_frame

SIZES = (150, 0, 1, 49)
NEEDS_JAVA = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17 or later")


@pytest.fixture(scope="module")
def detector():
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=list("abc"))
    estimator = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0)
    return ConformalDetector(estimator, alpha=0.1, random_state=0).fit(rows)


@pytest.fixture(scope="module")
def parts():
    """Frames with a key, features that some are far away of, and no rows in one of them."""
    rng, start, frames = np.random.default_rng(1), 0, []
    for size in SIZES:
        rows = pd.DataFrame(3.0 * rng.normal(size=(size, 3)), columns=list("abc"))
        rows.insert(0, "key", np.arange(start, start + size))
        frames.append(rows)
        start += size
    return frames


@pytest.fixture(scope="module")
def agrees(detector, parts):
    """Checks that an engine's scores are those of one process, row by row, to the float slack."""
    rows = pd.concat(parts, ignore_index=True)
    expected = score_frame(detector, rows, keep=["key"], reasons=1)
    slack = detector.estimator_.float_slack(rows[list("abc")])

    def check(scores):
        assert list(scores) == list(expected)
        np.testing.assert_array_equal(scores["key"], expected["key"])
        for name in ("score", "certified_radius"):
            difference = np.abs(scores[name].to_numpy() - expected[name].to_numpy())
            assert np.all(difference <= 4.0 * slack)
        clear = expected["certified_radius"].to_numpy() > 4.0 * slack
        assert clear.mean() > 0.9
        assert (scores["verdict"].to_numpy() == expected["verdict"].to_numpy())[clear].all()
        assert (scores["reasons"] != "").sum() == (expected["verdict"] == "anomaly").sum() > 20

    return check


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="Dask's cluster is an extra: engines")
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as local, distributed.Client(local) as client:
        yield client


@pytest.fixture(scope="module")
def dask_frame(parts):
    """The parts as partitions of Dask, as they are."""
    dd = pytest.importorskip("dask.dataframe", reason="Dask is an extra: engines")
    return dd.from_map(lambda place: parts[place], range(len(parts)), meta=parts[0].iloc[:0])


def test_dask_scores_partitions_where_they_are(cluster, detector, dask_frame, agrees):
    scores = dask_frame.map_partitions(
        lambda part: score_frame(detector, part, keep=["key"], reasons=1),
        meta=score_frame(detector, dask_frame._meta, keep=["key"], reasons=1),
    )
    agrees(scores.compute())


def test_the_columns_are_known_without_rows(detector, dask_frame):
    scores = dask_frame.map_partitions(lambda part: score_frame(detector, part, keep=["key"]))
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


def test_a_fit_on_dask_sees_the_moments_of_all_rows(dask_frame, parts):
    rows = pd.concat(parts)[list("abc")]
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector.fit(dask_frame[list("abc")])
    np.testing.assert_allclose(detector.mean_, rows.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(detector.scale_, rows.std(ddof=0), rtol=1e-12)
    again = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(dask_frame[list("abc")])
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


def test_summaries_of_partitions_do_not_need_their_rows(dask_frame):
    from ocsdf.sklearn_compat.chunks import summarize_chunks

    summary = summarize_chunks(dask_frame, 0)
    assert isinstance(summary, RowSummary)
    assert summary.n_seen == 200
    assert sorted(summary.rows["key"]) == list(range(200))


@pytest.fixture(scope="module")
def ray():
    pytest.importorskip("ray.data", reason="Ray Data is an extra: engines")
    return pytest.importorskip("ray")


@pytest.fixture(scope="module")
def dataset(ray, parts):
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**28)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    yield ray.data.from_pandas(parts)
    ray.shutdown()


@pytest.mark.slow
def test_ray_scores_batches_where_they_are(ray, dataset, detector, agrees):
    model = ray.put(detector)
    scores = dataset.map_batches(
        lambda part: score_frame(ray.get(model), part, keep=["key"], reasons=1),
        batch_format="pandas",
        batch_size=64,
    )
    agrees(scores.to_pandas())


@pytest.mark.slow
def test_a_fit_on_ray_sees_all_rows(dataset, parts):
    rows = pd.concat(parts)[list("abc")]
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector.fit(dataset.drop_columns(["key"]))
    np.testing.assert_allclose(detector.mean_, rows.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(detector.scale_, rows.std(ddof=0), rtol=1e-12)


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql", reason="Spark is an extra: engines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = sql.SparkSession.builder.master("local[2]")
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.execution.arrow.pyspark.enabled": "true",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "64",
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def spark_frame(spark, parts):
    """The parts as partitions of Spark, as they are."""
    schema = "key long, a double, b double, c double"
    first, *others = (spark.createDataFrame(part, schema).coalesce(1) for part in parts)
    for other in others:
        first = first.union(other)
    return first


@pytest.mark.slow
@NEEDS_JAVA
def test_spark_scores_partitions_where_they_are(spark, spark_frame, detector, parts, agrees):
    model = spark.sparkContext.broadcast(detector)
    sample = score_frame(detector, parts[0][:2], keep=["key"], reasons=1)

    def score(batches):
        for batch in batches:
            yield score_frame(model.value, batch, keep=["key"], reasons=1)

    scores = spark_frame.mapInPandas(score, spark.createDataFrame(sample).schema)
    agrees(scores.toPandas().sort_values("key", ignore_index=True))


@pytest.mark.slow
@NEEDS_JAVA
def test_a_fit_on_spark_sees_the_moments_of_all_rows(spark_frame, parts):
    rows = pd.concat(parts)[list("abc")]
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector.fit(spark_frame.select("a", "b", "c"))
    np.testing.assert_allclose(detector.mean_, rows.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(detector.scale_, rows.std(ddof=0), rtol=1e-12)
