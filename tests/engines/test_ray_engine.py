"""Ray Data: batches are scored by two workers, and fitted on as they come (issue 22)."""

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.sklearn_compat import score_frame

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="Ray is an extra: engines")
pytest.importorskip("ray.data", reason="Ray Data is an extra: engines")


@pytest.fixture(scope="module")
def dataset(parts):
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**28)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    yield ray.data.from_pandas(parts)
    ray.shutdown()


def test_batches_are_scored_where_they_are(dataset, detector, agrees):
    model = ray.put(detector)
    scores = dataset.map_batches(
        lambda part: score_frame(ray.get(model), part, keep=["key"], reasons=1),
        batch_format="pandas",
        batch_size=64,
    )
    agrees(scores.to_pandas())


def test_a_fit_sees_all_rows(dataset, parts):
    rows = pd.concat(parts)[list("abc")]
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector.fit(dataset.drop_columns(["key"]))
    np.testing.assert_allclose(detector.mean_, rows.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(detector.scale_, rows.std(ddof=0), rtol=1e-12)
