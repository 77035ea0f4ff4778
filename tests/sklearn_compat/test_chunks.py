"""Fits on rows that come in chunks (issue 22): the moments of all, and a sample of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest

from ocsdf import OCSDF, ConformalDetector
from ocsdf.data import RowSummary, summaries
from ocsdf.sklearn_compat.chunks import come_in_chunks

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 3)) * [1, 10, 0.1] + 5.0)
ROWS.columns = list("abc")
CUTS = (0, 100, 100, 101, 400)
SMALL = {"hidden_layer_sizes": (8, 8), "epochs": 1, "random_state": 0}


def chunks(make=lambda part: part):
    return [make(ROWS.iloc[a:b]) for a, b in zip(CUTS, CUTS[1:], strict=False)]


def arrow(kind):
    arrow = pytest.importorskip("pyarrow", reason="Arrow is the extra parquet")
    dataset = pytest.importorskip("pyarrow.dataset", reason="Arrow is the extra parquet")
    table = arrow.Table.from_pandas(ROWS)
    made = {"dataset": dataset.dataset(table), "reader": table.to_reader(max_chunksize=90)}
    return made[kind]


SOURCES = {
    "iterator": lambda: iter(chunks()),
    "generator of arrays": lambda: (part.to_numpy() for part in chunks()),
    "list": lambda: chunks(),
    "list of arrays": lambda: chunks(pd.DataFrame.to_numpy),
    "Arrow dataset": lambda: arrow("dataset"),
    "Arrow reader": lambda: arrow("reader"),
    "summary": lambda: RowSummary(0).update(ROWS),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_any_chunks_are_fitted_on(source):
    detector = OCSDF(**SMALL).fit(source())
    np.testing.assert_allclose(detector.mean_, ROWS.mean(), rtol=1e-12)
    np.testing.assert_allclose(detector.scale_, ROWS.std(ddof=0), rtol=1e-12)
    named = hasattr(detector, "feature_names_in_")
    rows = ROWS if named else ROWS.to_numpy()
    assert detector.predict(rows).mean() > 0.9
    if named:
        assert list(detector.feature_names_in_) == list("abc")


def test_moments_are_of_all_rows_where_the_sample_is_not(monkeypatch):
    monkeypatch.setattr(summaries, "SAMPLE_ROWS", 60)
    moved = ROWS.copy()
    moved.loc[moved.index % 50 == 0, "b"] += 1e3
    detector = OCSDF(**SMALL).fit(iter([moved[:150], moved[150:]]))
    np.testing.assert_allclose(detector.mean_, moved.mean(), rtol=1e-12)
    np.testing.assert_allclose(detector.scale_, moved.std(ddof=0), rtol=1e-12)


def test_chunks_of_any_size_give_the_same_detector():
    first = OCSDF(**SMALL).fit(iter([ROWS])).score_samples(ROWS)
    again = OCSDF(**SMALL).fit(iter([ROWS[:33], ROWS[33:]])).score_samples(ROWS)
    np.testing.assert_allclose(again, first, rtol=1e-6, atol=1e-6)


def test_tables_come_whole():
    assert not any(map(come_in_chunks, [ROWS, ROWS.to_numpy(), ROWS.to_numpy().tolist(), []]))
    assert not come_in_chunks(ROWS.to_numpy()[np.newaxis])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (lambda: iter([]), "no rows"),
        (lambda: iter([ROWS, ROWS[["a"]]]), "same columns"),
        (lambda: iter([ROWS, ROWS.replace(ROWS.iloc[7, 1], np.nan)]), "NaN in columns 'b'"),
        (lambda: iter([ROWS, ROWS.replace(ROWS.iloc[7, 2], np.inf)]), "infinity in columns 'c'"),
        (lambda: iter([ROWS.to_numpy()[0]]), "must be a table"),
    ],
)
def test_bad_chunks_are_one_line(source, told):
    detector = OCSDF(**SMALL)
    with pytest.raises(ValueError, match=told):
        detector.fit(source())
    assert not hasattr(detector, "mean_")


def test_weights_are_for_tables():
    with pytest.raises(ValueError, match="sample_weight is for tables"):
        OCSDF(**SMALL).fit(iter([ROWS]), sample_weight=np.ones(400))


def test_a_calibrated_detector_takes_chunks_too():
    forest = IsolationForest(n_estimators=10, random_state=0)
    detector = ConformalDetector(forest, random_state=0).fit(iter(chunks()))
    assert len(detector.calibration_.scores[None]) == 80
