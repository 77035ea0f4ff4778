"""The experiments on large tables and engines: their rows, and what they write."""

import numpy as np
import pandas as pd
import pytest

from experiments import engines, scale
from ocsdf.data.batches import Batches
from ocsdf.data.features import AS_IT_IS

pytest.importorskip("pyarrow", reason="large tables are the extra parquet")


def test_tables_are_generated_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "_PIECE", 100)
    path = tmp_path / "work" / "rows.parquet"
    scale.generate(path, 250, 3)
    rows = pd.concat([frame for frame, _ in Batches(path, AS_IT_IS)])
    assert rows.shape == (250, 3) and not rows.duplicated().any()
    written = path.stat().st_mtime_ns
    scale.generate(path, 250, 3)
    assert path.stat().st_mtime_ns == written
    assert [one.name for one in path.parent.iterdir()] == ["rows.parquet"]


def test_a_forest_scores_every_row(tmp_path):
    scale.generate(tmp_path / "rows.parquet", 300, 2)
    scale.run_forest(tmp_path / "rows.parquet", tmp_path)
    assert len(pd.read_parquet(tmp_path / "forest.parquet")) == 300


def test_parts_are_all_rows_uneven_and_one_is_empty():
    parts = engines.make_parts(1000)
    np.testing.assert_array_equal(np.concatenate([part["key"] for part in parts]), range(1000))
    sizes = {len(part) for part in parts}
    assert 0 in sizes and 7 in sizes and len(parts) == 16


def test_one_process_is_its_own_measure(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "_FITTED", 100)
    engines.fit_model(tmp_path / "m.ocsdf")
    row = engines.run_here("one process", 1, 200, tmp_path / "m.ocsdf")
    assert row["keys_in_order"] and row["verdicts_that_differ"] == 0
    assert row["largest_difference_over_slack"] <= 1.0
