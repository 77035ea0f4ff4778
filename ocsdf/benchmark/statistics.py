"""Rows of a benchmark to means, ranks, spreads and costs."""

import re

import numpy as np
import pandas as pd

# The better of these two is what a user would otherwise take.
REFERENCES = ("IForest", "KNN")
# Tables made of the same rows, or of the same source, are one piece of evidence.
FAMILIES = {
    "breast cancer": {"breastw", "WBC", "odds_wbc", "WDBC", "breast_cancer"},
    "http and smtp": {"http", "smtp"},
}
CONTAMINATED = "contaminated"
_CERTIFIED = re.compile(r"certified_auroc_([\d.]+)")
# Means of equal figures may differ in the last bit, which is no difference in rank.
_DIGITS = 9


def mean_auroc(rows):
    """Mean AUROC over the seeds of each table and detector, and the cells that failed.

    It is NaN where a seed failed: a detector must not be judged by its lucky seeds.
    """
    failed = has_failed(rows)
    cells = rows.assign(auroc=rows["auroc"].where(~failed), failed=failed)
    cells = cells.assign(reason=rows["error"].astype(object).fillna("no AUROC").where(failed))
    groups = cells.groupby(["table", "detector"])
    auroc = groups["auroc"].mean().where(groups["failed"].sum() == 0).unstack()
    failures = groups.agg(
        failed=("failed", "sum"), seeds=("seed", "size"), reason=("reason", "first")
    )
    failures = failures[failures["failed"] > 0].reset_index()
    return auroc.loc[sorted(auroc.index, key=sort_key)].round(_DIGITS), failures


def rank_tables(auroc):
    """Rank detectors on each table, 1 for the highest AUROC; ties share places, NaN is last."""
    return auroc.fillna(-np.inf).rank(axis=1, ascending=False, method="average")


def average_families(auroc):
    """Merge tables of one family into one row, the mean of theirs; NaN if one of them is."""
    if auroc.empty:
        return auroc
    names = [_family(table) for table in auroc.index]
    return auroc.groupby(names, sort=False).agg(lambda column: column.mean(skipna=False))


def shortfalls(auroc, references=REFERENCES):
    """Find where each detector falls furthest below the better of the references, in points."""
    best = auroc[[name for name in references if name in auroc]].max(axis=1)
    gaps = auroc.rsub(best, axis=0)
    worst = [
        (gap.max(), gap.idxmax()) if gap.notna().any() else (np.nan, None)
        for _, gap in gaps.items()
    ]
    return pd.DataFrame(worst, index=auroc.columns, columns=["shortfall", "shortfall_table"])


def seed_spread(rows):
    """Mean and standard deviation of the AUROC over seeds."""
    groups = rows[~has_failed(rows)].groupby(["table", "detector"])["auroc"]
    spread = groups.agg(["mean", "std", "count"]).rename(columns={"count": "seeds"})
    return spread[spread["seeds"] > 1].reset_index()


def certified_means(rows):
    """Mean over tables of the certified AUROC, of detectors with a bound, in percent.

    Radius 0 is the AUROC. Over the tables that all of these detectors finished, which are counted.
    """
    columns = {name: float(_CERTIFIED.fullmatch(name)[1]) for name in _certified_columns(rows)}
    figures = rows[["table", "detector", "auroc", *columns]].rename(
        columns={"auroc": 0.0} | columns
    )
    bounded = rows.loc[rows[list(columns)].notna().any(axis=1), "detector"].unique()
    figures = figures[figures["detector"].isin(bounded)]
    figures = figures.groupby(["detector", "table"])[[0.0, *columns.values()]]
    cells = figures.agg(lambda column: column.mean(skipna=False))
    by_table = cells.unstack("table")
    whole = by_table.columns.get_level_values("table")[by_table.notna().all()]
    counts = whole.value_counts()
    tables = counts.index[counts == len(columns) + 1]
    means = cells[cells.index.isin(tables, level="table")].groupby("detector").mean()
    return means.sort_index(axis=1), len(tables)


def median_costs(rows):
    """Seconds and memory: mean over seeds, then median over tables, of finished cells."""
    measures = ["fit_seconds", "score_seconds", "peak_mb"]
    cells = rows[~has_failed(rows)].groupby(["detector", "table"])[measures].mean()
    return cells.groupby("detector").median()


def contamination_curve(rows):
    """Mean AUROC against the share of anomalies in the training rows.

    Over the tables that every detector finished at every share, which are counted.
    """
    rows = rows[rows["protocol"] == CONTAMINATED]
    failed = has_failed(rows)
    groups = rows.assign(auroc=rows["auroc"].where(~failed)).groupby(
        ["table", "contamination", "detector"]
    )
    cells = groups["auroc"].agg(lambda column: column.mean(skipna=False)).unstack()
    cells = cells.dropna(axis=1, how="all").unstack("contamination")
    whole = cells.dropna()
    return whole.mean().unstack("detector"), len(whole)


def has_failed(rows):
    """Tell which cells have no AUROC to count."""
    return rows["error"].notna() | rows["auroc"].isna()


def _certified_columns(rows):
    return [name for name in rows if _CERTIFIED.fullmatch(name)]


def _bare(table):
    """A table's name without ADBench's number."""
    return re.sub(r"^\d+_", "", table)


def _family(table):
    return next((name for name, members in FAMILIES.items() if _bare(table) in members), table)


def sort_key(table):
    """The order of tables: by name, without numbers and sources."""
    return _bare(table).removeprefix("odds_").casefold(), table
