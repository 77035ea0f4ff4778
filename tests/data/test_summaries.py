"""Moments and samples from one pass: the sums of all rows, whatever the parts (issue 22)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from ocsdf.data import RowSummary
from ocsdf.data.summaries import Moments, summarize_rows

ROWS = np.random.default_rng(0).normal(loc=5.0, size=(1000, 3)) * [1.0, 1e-3, 1e6]
FRAME = pd.DataFrame(ROWS, columns=list("abc"))


def parts(cuts):
    edges = [0, *sorted(cuts), 1000]
    return [FRAME.iloc[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 1000), max_size=6))
def test_chunks_of_any_size_make_the_same_summary(cuts):
    whole, summary = summarize_rows([FRAME], 1, 50), summarize_rows(parts(cuts), 1, 50)
    pd.testing.assert_frame_equal(summary.rows, whole.rows)
    for name, (mean, deviation) in summary.standardization().items():
        assert mean == pytest.approx(FRAME[name].mean(), rel=1e-12)
        assert deviation == pytest.approx(FRAME[name].std(ddof=0), rel=1e-9)


@settings(max_examples=25)
@given(st.permutations(range(4)))
def test_merged_parts_do_not_depend_on_the_order(order):
    def merged(places):
        total = RowSummary(0, 40)
        for place in places:
            total.merge(RowSummary((0, place), 40).update(parts([10, 10, 700])[place]))
        return total

    expected, found = merged(range(4)), merged(order)
    pd.testing.assert_frame_equal(found.rows, expected.rows)
    assert found.n_seen == 1000
    mean, deviation = found.standardization()["c"]
    assert (mean, deviation) == pytest.approx((FRAME["c"].mean(), FRAME["c"].std(ddof=0)))


def test_every_row_is_as_likely_to_be_kept():
    frame = pd.DataFrame({"row": np.arange(40)})
    kept = np.concatenate(
        [summarize_rows([frame[:13], frame[13:]], seed, 10).rows["row"] for seed in range(400)]
    )
    counts = np.bincount(kept, minlength=40)
    assert counts.sum() == 4000
    # Without replacement counts vary less than multinomial ones: the test is on the safe side.
    assert chisquare(counts).pvalue > 1e-4


def test_rows_are_those_that_came_and_each_once():
    rows = summarize_rows(parts([300]), 0, 200).rows
    assert len(rows) == 200 and not rows.duplicated().any()
    assert set(map(tuple, rows.to_numpy())) <= set(map(tuple, ROWS))


def test_all_rows_are_kept_where_there_is_room():
    rows = summarize_rows(parts([300]), 0).rows
    np.testing.assert_array_equal(np.sort(rows.to_numpy(), axis=0), np.sort(ROWS, axis=0))


def test_values_that_are_not_there_do_not_count():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "t": ["x", "y", None], "i": [1, 2, 3]})
    summary = summarize_rows([frame[:2], frame[2:]])
    assert set(summary.standardization()) == {"i"}
    assert summary.unfit() == (["a"], [])
    moments = Moments.of(frame[["a"]].to_numpy())
    assert (moments.count[0], moments.mean[0], moments.deviation[0]) == (2.0, 2.0, 1.0)
    assert summarize_rows([frame.assign(i=np.inf)]).unfit() == (["a"], ["i"])


@pytest.mark.parametrize("make", [pd.DataFrame, np.asarray], ids=["frames", "arrays"])
def test_chunks_of_other_columns_are_refused(make):
    with pytest.raises(ValueError, match="same columns"):
        summarize_rows([make(ROWS), make(ROWS[:, :2])])


def test_no_rows_are_one_line():
    with pytest.raises(ValueError, match="no rows"):
        _ = RowSummary().rows
    summary = summarize_rows([FRAME[:0], FRAME])
    assert summary.n_seen == 1000
