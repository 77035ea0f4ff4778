"""Ranks, means and tests against examples worked by hand."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, wilcoxon

from ocsdf.benchmark.files import adbench_form, write_report
from ocsdf.benchmark.rank_tests import compare_ranks, critical_difference, pairwise_wilcoxon
from ocsdf.benchmark.statistics import (
    average_families,
    certified_means,
    contamination_curve,
    mean_auroc,
    median_costs,
    rank_tables,
    seed_spread,
    shortfalls,
)
from ocsdf.benchmark.summary import summarize_protocol

NAN = np.nan


def cells(values, protocol="ad", **columns):
    """Rows of {(table, detector): AUROC of each seed}; a text in its place is an error."""
    rows = [
        {
            "protocol": protocol,
            "table": table,
            "detector": detector,
            "seed": seed,
            "rows": NAN,
            "auroc": NAN if isinstance(value, str) else value,
            "aupr": NAN if isinstance(value, str) else value / 2,
            "fit_seconds": 2.0,
            "score_seconds": 0.5,
            "peak_mb": 100.0,
            "transductive": detector == "COF",
            "leaks": False,
            "error": value if isinstance(value, str) else NAN,
        }
        | columns
        for (table, detector), seeds in values.items()
        for seed, value in enumerate(seeds)
    ]
    return pd.DataFrame(rows)


def frame(columns, index=None):
    return pd.DataFrame(columns, index=index)


def test_mean_over_seeds_and_failures():
    rows = cells(
        {
            ("6_cardio", "A"): [90, 92, 94],
            ("4_breastw", "A"): [80, "ValueError: no", 99],
            ("6_cardio", "B"): [70],
        }
    )
    auroc, failures = mean_auroc(rows)
    assert list(auroc.index) == ["4_breastw", "6_cardio"]
    assert auroc.loc["6_cardio"].tolist() == [92, 70]
    assert auroc.loc["4_breastw"].isna().all()
    assert failures.to_dict("records") == [
        {"table": "4_breastw", "detector": "A", "failed": 1, "seeds": 3, "reason": "ValueError: no"}
    ]


def test_a_missing_auroc_is_a_failure_too():
    _, failures = mean_auroc(cells({("t", "A"): [NAN], ("t", "B"): [50]}))
    assert failures[["detector", "reason"]].to_numpy().tolist() == [["A", "no AUROC"]]


def test_ranks_with_ties_and_failures():
    auroc = frame({"A": [90, 80, NAN], "B": [90, 70, 50], "C": [60, 80, NAN], "D": [95, 80, 40]})
    np.testing.assert_array_equal(
        rank_tables(auroc), [[2.5, 2.5, 4, 1], [2, 4, 2, 2], [3.5, 1, 3.5, 2]]
    )


def test_means_of_equal_figures_tie():
    """0.1 + 0.2 over 2 and 0.15 differ in the last bit only."""
    auroc, _ = mean_auroc(cells({("t", "A"): [0.1, 0.2], ("t", "B"): [0.15], ("t", "C"): [99]}))
    assert rank_tables(auroc).iloc[0].tolist() == [2.5, 2.5, 1]


@given(
    st.lists(st.lists(st.sampled_from([NAN, 10.0, 20.0, 30.0]), min_size=4, max_size=4), min_size=1)
)
def test_ranks_of_a_table_sum_to_the_same(values):
    ranks = rank_tables(pd.DataFrame(values))
    np.testing.assert_allclose(ranks.sum(axis=1), 10)


def test_families_are_averaged_first():
    index = ["4_breastw", "6_cardio", "16_http", "42_WBC", "odds_wbc", "smtp"]
    auroc = frame({"A": [90, 50, 80, 60, 30, 40], "B": [80, 60, NAN, 80, 80, 99]}, index)
    families = average_families(auroc)
    assert families.to_dict("index") == {
        "breast cancer": {"A": 60, "B": 80},
        "6_cardio": {"A": 50, "B": 60},
        "http and smtp": {"A": 60, "B": pytest.approx(NAN, nan_ok=True)},
    }
    np.testing.assert_array_equal(rank_tables(families), [[2, 1], [2, 1], [1, 2]])


def test_family_of_tables_changes_the_standing():
    """A leads on two tables of one family by little, B on another table: 1.33 against 1.5."""
    values = {"A": [91, 92, 60], "B": [90, 91, 70], "C": [10, 10, 10]}
    tables = ["4_breastw", "42_WBC", "6_cardio"]
    rows = cells(
        {(t, d): [v] for d, column in values.items() for t, v in zip(tables, column, strict=True)}
    )
    told = summarize_protocol(rows)
    assert list(told.auroc) == ["A", "B", "C"]
    assert told.detectors["mean_rank"].tolist() == pytest.approx([4 / 3, 5 / 3, 3])
    assert told.detectors["family_mean_rank"].tolist() == [1.5, 1.5, 3]
    assert told.detectors["family_mean_auroc"].tolist() == [75.75, 80.25, 10]
    assert (told.rank_test.n_tables, told.family_rank_test.n_tables) == (3, 2)


def test_shortfall_below_the_better_reference():
    auroc = frame(
        {
            "IForest": [80, 90, 70],
            "KNN": [85, 60, 95],
            "A": [84, 70, NAN],
            "B": [99, 99, 99],
            "C": [NAN] * 3,
        },
        ["x", "y", "z"],
    )
    worst = shortfalls(auroc)
    assert worst["shortfall"].tolist()[:4] == [25, 30, 20, -4]
    assert worst["shortfall_table"].tolist()[:4] == ["z", "y", "y", "z"]
    assert worst.loc["C"].isna().all()
    assert shortfalls(auroc[["A"]])["shortfall"].isna().all()
    assert shortfalls(auroc[["KNN", "A"]]).loc["A"].tolist() == [1, "x"]


# Quantiles q of Demšar (2006), Table 5a, at the 5 % level.
@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
@pytest.mark.parametrize("n", [2, 14, 20])
def test_critical_difference(k, q, n):
    expected = q * np.sqrt(k * (k + 1) / (6 * n))
    assert critical_difference(k, n) == pytest.approx(expected, rel=1e-3)


def test_nemenyi_and_friedman_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    auroc = pd.DataFrame(rng.normal(size=(20, 6)) + np.arange(6) / 2, columns=list("ABCDEF"))
    ranks = rank_tables(auroc)
    told = compare_ranks(ranks)
    assert told.friedman == pytest.approx(friedmanchisquare(*auroc.to_numpy().T).pvalue)
    assert list(told.mean_ranks) == sorted(ranks.mean())
    assert told.critical_difference == critical_difference(6, 20)
    means = ranks.mean().to_numpy()
    apart = np.abs(means[:, None] - means) > told.critical_difference
    assert apart.any()
    assert not apart[np.triu_indices(6, 1)].all()
    np.testing.assert_array_equal(told.p_values.loc[list("ABCDEF"), list("ABCDEF")] < 0.05, apart)


@pytest.mark.parametrize(
    ("ranks", "note"),
    [
        (frame({"A": [1, 2], "B": [2, 1]}), "at least 3 detectors on 2 tables, .* are 2 on 2"),
        (frame({"A": [1], "B": [2], "C": [3]}), "there are 3 on 1"),
        (frame({"A": [2, 2], "B": [2, 2], "C": [2, 2]}), "tie on every table"),
    ],
)
def test_tests_are_left_out_with_a_sentence(ranks, note):
    told = compare_ranks(ranks)
    assert told.friedman is told.p_values is told.critical_difference is None
    assert re.search(note, told.note)


def test_without_scikit_posthocs(monkeypatch):
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    told = compare_ranks(frame({"A": [1, 1], "B": [2, 3], "C": [3, 2]}))
    assert told.friedman is not None
    assert told.p_values is None
    assert told.note.endswith("pip install 'ocsdf[experiments]'")


def test_spread_of_the_seeds_that_finished():
    rows = cells({("t", "A"): [90, 92, "late"], ("t", "B"): [5], ("u", "B"): [5, "late"]})
    assert seed_spread(rows).to_dict("records") == [
        {"table": "t", "detector": "A", "mean": 91, "std": pytest.approx(np.sqrt(2)), "seeds": 2}
    ]


def test_certified_means_over_the_tables_of_all():
    rows = cells({(t, d): [90, 94] for t in "tu" for d in "ABC"})
    bounded = rows["detector"] != "C"
    rows["certified_auroc_0.5"] = (rows["auroc"] - 40).where(bounded)
    rows["certified_auroc_0.1"] = (rows["auroc"] - 10).where(bounded)
    rows.loc[rows["table"] == "u", ["auroc", "certified_auroc_0.1"]] -= 20
    means, n_tables = certified_means(rows)
    assert (list(means.index), list(means), n_tables) == (["A", "B"], [0.0, 0.1, 0.5], 2)
    assert means.loc["A"].tolist() == [82, 72, 52]
    late = (rows["table"] == "u") & (rows["detector"] == "B") & (rows["seed"] == 1)
    rows.loc[late, ["auroc", "certified_auroc_0.1", "certified_auroc_0.5"]] = NAN
    means, n_tables = certified_means(rows)
    assert n_tables == 1
    assert means.to_numpy().tolist() == [[92, 82, 52]] * 2
    assert certified_means(rows[~bounded])[0].empty
    assert certified_means(cells({("t", "A"): [90]}))[0].empty


def test_costs_are_medians_over_tables_of_means_over_seeds():
    rows = cells({("t", "A"): [1, 1], ("u", "A"): [1], ("v", "A"): [1], ("w", "A"): ["late"]})
    rows["fit_seconds"] = [1.0, 3.0, 10.0, 20.0, 300.0]
    assert median_costs(rows).loc["A"].tolist() == [10.0, 0.5, 100.0]


def test_contamination_curve():
    parts = [
        cells({("t", "A"): [90 - c], ("u", "A"): [80 - c], ("t", "B"): [70]}, contamination=c / 100)
        for c in (0, 20)
    ]
    rows = pd.concat(parts).assign(protocol="contaminated")
    curve, n_tables = contamination_curve(rows)
    assert n_tables == 1
    assert curve.to_dict() == {"A": {0.0: 90, 0.2: 70}, "B": {0.0: 70, 0.2: 70}}
    curve, n_tables = contamination_curve(rows[rows["detector"] == "A"])
    assert n_tables == 2
    assert curve["A"].tolist() == [85, 65]
    failed = rows.assign(error=np.where(rows["detector"] == "B", "late", None))
    assert list(contamination_curve(failed)[0]) == ["A"]


def test_adbench_form():
    frames = adbench_form(cells({("6_cardio", "A"): [90, "late"], ("6_cardio", "B"): [50]}))
    assert list(frames) == ["AUCROC", "AUCPR", "Time_fit", "Time_inference"]
    assert frames["AUCROC"].to_csv() == (
        ",A,B\n\"('6_cardio', 0.0, 0)\",0.9,0.5\n\"('6_cardio', 0.0, 1)\",,\n"
    )
    assert frames["AUCPR"].iloc[0].tolist() == [0.45, 0.25]
    assert frames["Time_fit"]["A"].tolist() == [2.0, pytest.approx(NAN, nan_ok=True)]


def test_who_is_ranked():
    values = {"A": 90, "OCSDF": 80, "OCSDF paper": 99, "nearest neighbour": 98}
    rows = cells({(t, d): [v] for t in "tu" for d, v in values.items()})
    rows["certified_auroc_0.1"] = np.where(rows["detector"] == "OCSDF paper", 60.0, NAN)
    told = summarize_protocol(rows, beside=("nearest neighbour",))
    assert list(told.auroc) == ["A", "OCSDF"]
    assert told.rank_test.mean_ranks.to_dict() == {"A": 1, "OCSDF": 2}
    assert told.beside.loc["OCSDF paper"].tolist() == [99, 60]
    assert told.beside.loc["nearest neighbour", "mean_auroc"] == 98


def test_lists_have_one_order_whatever_the_order_of_the_rows():
    values = {("6_cardio", name): [90] for name in ("B", "COF", "A")}
    rows = cells(values | {("4_breastw", name): [80] for name in ("COF", "A", "B")})
    rows = rows.assign(transductive=True, leaks=True, rows="all")
    for order in (rows, rows[::-1]):
        told = summarize_protocol(order)
        assert told.transductive == told.uncut == ["A", "B", "COF"]
        assert told.leaking == ["4_breastw", "6_cardio"]


def test_tables_not_run_by_all_are_in_no_rank():
    rows = cells({("t", "A"): [90], ("t", "B"): ["late"], ("u", "A"): [10]})
    told = summarize_protocol(rows)
    assert told.left_out == ["u"]
    assert told.rank_test.n_tables == 1
    assert told.detectors["mean_rank"].tolist() == [1, 2]
    assert told.detectors.loc["A", "mean_auroc"] == 90
    assert np.isnan(told.detectors.loc["B", "mean_auroc"])


def test_complaints(tmp_path):
    rows = cells({("t", "A"): [90]})
    with pytest.raises(ValueError, match="columns protocol, table, .*; got 1 rows without auroc"):
        write_report(rows.drop(columns="auroc"), tmp_path)
    with pytest.raises(ValueError, match="at least one cell .* got 0 rows"):
        write_report(rows[:0], tmp_path)
    with pytest.raises(ValueError, match="protocol must be one of ad, oc, .*; got other"):
        write_report(rows.assign(protocol="other"), tmp_path)
    with pytest.raises(ValueError, match="each cell must have one row; ad, t, A, 0, .* has two"):
        write_report(pd.concat([rows, rows]), tmp_path)
    assert list(tmp_path.iterdir()) == []


pytest.importorskip("statsmodels")


def test_wilcoxon_with_holms_correction():
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(40, 3)) + [0.0, 0.4, 1.0], columns=list("abc"))
    found = pairwise_wilcoxon(values)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    raw = np.array([wilcoxon(values[one], values[other]).pvalue for one, other in pairs])
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * [3, 2, 1])
    expected = np.empty(3)
    expected[order] = np.minimum(stepped, 1.0)
    assert [found.loc[pair] for pair in pairs] == pytest.approx(list(expected))
    assert found.equals(found.T) and np.all(np.diag(found) == 1.0)


def test_tables_that_lack_a_figure_are_left_out_and_ties_differ_in_nothing():
    values = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [1.0, 2.0, 5.0]})
    assert pairwise_wilcoxon(values).loc["a", "b"] == 1.0
