"""Spark: partitions are scored by two workers, with a model that is broadcast (issue 22)."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.sklearn_compat import score_frame

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17 or later"),
]
sql = pytest.importorskip("pyspark.sql", reason="Spark is an extra: engines")


@pytest.fixture(scope="module")
def spark():
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
def frame(spark, parts):
    """The parts as partitions, as they are."""
    schema = "key long, a double, b double, c double"
    first, *others = (spark.createDataFrame(part, schema).coalesce(1) for part in parts)
    for other in others:
        first = first.union(other)
    return first


def test_partitions_are_scored_where_they_are(spark, frame, detector, parts, agrees):
    model = spark.sparkContext.broadcast(detector)
    sample = score_frame(detector, parts[0][:2], keep=["key"], reasons=1)

    def score(batches):
        for batch in batches:
            yield score_frame(model.value, batch, keep=["key"], reasons=1)

    scores = frame.mapInPandas(score, spark.createDataFrame(sample).schema)
    agrees(scores.toPandas().sort_values("key", ignore_index=True))


def test_a_fit_sees_the_moments_of_all_rows(frame, parts):
    rows = pd.concat(parts)[list("abc")]
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector.fit(frame.select("a", "b", "c"))
    np.testing.assert_allclose(detector.mean_, rows.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(detector.scale_, rows.std(ddof=0), rtol=1e-12)
