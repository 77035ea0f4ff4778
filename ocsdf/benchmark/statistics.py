"""Benchmark rows to means, ranks and their tests."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

# The better of these two is what a user would otherwise take.
REFERENCES = ("IForest", "KNN")
# Tables made of the same rows, or of the same source, are one piece of evidence.
FAMILIES = {
    "breast cancer": {"breastw", "WBC", "odds_wbc", "WDBC", "breast_cancer"},
    "http and smtp": {"http", "smtp"},
}
# Shown with their certificates, but not ranked, as is every variant named "OCSDF ...".
BESIDE = ("nearest neighbour", "random subsamples")
CONTAMINATED = "contaminated"
_CERTIFIED = re.compile(r"certified_auroc_([\d.]+)")
# Means of equal figures may differ in the last bit, which is no difference in rank.
_DIGITS = 9


class Comparison(NamedTuple):
    """Do the detectors differ, and which of them?

    Attributes
    ----------
    mean_ranks : Series
        Of each detector, best first; 1 is best.
    n_tables : int
    friedman : float or None
        p-value of the Friedman test; None where it is undefined.
    critical_difference : float or None
        Mean ranks further apart than this differ at the 5 % level (Nemenyi).
    p_values : DataFrame or None
        Nemenyi's p-value for each pair of detectors.
    note : str
        Why there is no test; empty where there is one.
    """

    mean_ranks: pd.Series
    n_tables: int
    friedman: float | None = None
    critical_difference: float | None = None
    p_values: pd.DataFrame | None = None
    note: str = ""


class Standing(NamedTuple):
    """What one protocol's rows say.

    Attributes
    ----------
    protocol : str
    auroc : DataFrame of tables x detectors
        Mean over seeds in percent, detectors in the ranking only, best mean rank first; NaN for
        a cell that failed or was not run.
    failures : DataFrame
        Failed cells: table, detector, failed and seeds (counts), reason.
    left_out : list of str
        Tables that some detector in the ranking has not been run on: in no mean and no rank.
    summary : DataFrame, one row per detector
        mean_auroc, mean_rank, shortfall, shortfall_table, and with families family_mean_auroc
        and family_mean_rank.
    comparison, family_comparison : Comparison
        Over tables; over tables with families averaged first, None where no family is met.
    beside : DataFrame
        As `certified`, of the detectors beside the ranking.
    certified : DataFrame of detectors x radii
        Mean over `certified_tables` tables of the certified AUROC, in percent.
    certified_tables : int
    spread : DataFrame
        table, detector, mean, std, seeds: of detectors with more than one seed.
    costs : DataFrame of detectors x (fit_seconds, score_seconds, peak_mb)
        Medians over tables.
    transductive, leaking, uncut : list of str
        Detectors that use the test rows together; tables whose test rows leak into training;
        detectors that had all rows of the large tables.
    """

    protocol: str
    auroc: pd.DataFrame
    failures: pd.DataFrame
    left_out: list
    summary: pd.DataFrame
    comparison: Comparison
    family_comparison: Comparison | None
    beside: pd.DataFrame
    certified: pd.DataFrame
    certified_tables: int
    spread: pd.DataFrame
    costs: pd.DataFrame
    transductive: list
    leaking: list
    uncut: list


def mean_auroc(rows):
    """Mean AUROC over the seeds of each table and detector.

    Parameters
    ----------
    rows : DataFrame
        Of one protocol.

    Returns
    -------
    auroc : DataFrame of tables x detectors
        NaN where a seed failed or no cell was run: a detector that fails at some seeds must not
        be judged by its lucky ones.
    failures : DataFrame
        table, detector, failed, seeds, reason (of the first seed that failed).
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
    return auroc.loc[sorted(auroc.index, key=_sort_key)].round(_DIGITS), failures


def rank_tables(auroc):
    """Rank detectors on each table, 1 for the highest AUROC.

    Parameters
    ----------
    auroc : DataFrame of tables x detectors
        NaN counts as worse than every value.

    Returns
    -------
    ranks : DataFrame of tables x detectors
        Ties share the mean of their places, so every row sums to k (k + 1) / 2.
    """
    return auroc.fillna(-np.inf).rank(axis=1, ascending=False, method="average")


def average_families(auroc):
    """Merge tables of one family into one row, the mean of theirs.

    Parameters
    ----------
    auroc : DataFrame of tables x detectors

    Returns
    -------
    auroc : DataFrame of families and other tables x detectors
        NaN where a detector has NaN on a table of the family.
    """
    if auroc.empty:
        return auroc
    names = [_family(table) for table in auroc.index]
    return auroc.groupby(names, sort=False).agg(lambda column: column.mean(skipna=False))


def shortfalls(auroc, references=REFERENCES):
    """Find where each detector falls furthest below the better of the references.

    Parameters
    ----------
    auroc : DataFrame of tables x detectors
    references : sequence of str
        Those among the columns count.

    Returns
    -------
    worst : DataFrame, one row per detector
        shortfall in points (negative if the detector is better on every table) and
        shortfall_table; NaN without a reference or a table.
    """
    best = auroc[[name for name in references if name in auroc]].max(axis=1)
    gaps = auroc.rsub(best, axis=0)
    worst = [
        (gap.max(), gap.idxmax()) if gap.notna().any() else (np.nan, None)
        for _, gap in gaps.items()
    ]
    return pd.DataFrame(worst, index=auroc.columns, columns=["shortfall", "shortfall_table"])


def critical_difference(n_detectors, n_tables, alpha=0.05):
    """Nemenyi's critical difference of mean ranks.

    .. math:: CD = q_\\alpha \\sqrt{k (k + 1) / (6 N)}

    where k is the number of detectors, N of tables, and q_alpha the upper quantile of the
    studentized range of k groups with infinite degrees of freedom, over sqrt(2) (Demšar, 2006,
    Section 3.2.2).

    Parameters
    ----------
    n_detectors, n_tables : int
    alpha : float, default=0.05

    Returns
    -------
    difference : float
        In ranks.
    """
    from scipy.stats import studentized_range

    quantile = studentized_range.ppf(1 - alpha, n_detectors, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_detectors * (n_detectors + 1) / (6 * n_tables)))


def compare(ranks):
    """Test whether detectors differ (Friedman), and which (Nemenyi).

    Parameters
    ----------
    ranks : DataFrame of tables x detectors

    Returns
    -------
    comparison : Comparison
        Without tests and with a note for fewer than 3 detectors or 2 tables, where all ranks
        are equal, or where scikit-posthocs is not installed.
    """
    mean_ranks = ranks.mean().sort_values(kind="stable")
    n_tables, k = ranks.shape
    told = Comparison(mean_ranks, n_tables)
    if k < 3 or n_tables < 2:
        return told._replace(
            note="The Friedman and Nemenyi tests are left out: they need at least 3 detectors on "
            f"2 tables, and there are {k} on {n_tables}."
        )
    if (ranks.nunique(axis=1) == 1).all():
        return told._replace(note="All detectors tie on every table: there is nothing to test.")
    from scipy.stats import friedmanchisquare

    told = told._replace(friedman=float(friedmanchisquare(*ranks.to_numpy().T).pvalue))
    try:
        from scikit_posthocs import posthoc_nemenyi_friedman
    except ImportError:
        return told._replace(
            note="The Nemenyi test and its diagram need scikit-posthocs: "
            "pip install -e '.[experiments]'"
        )
    return told._replace(
        critical_difference=critical_difference(k, n_tables),
        p_values=posthoc_nemenyi_friedman(ranks),
    )


def seed_spread(rows):
    """Mean and standard deviation of the AUROC over seeds.

    Parameters
    ----------
    rows : DataFrame
        Of one protocol.

    Returns
    -------
    spread : DataFrame
        table, detector, mean, std (divided by seeds - 1), seeds; cells with one seed that
        finished are left out.
    """
    groups = rows[~has_failed(rows)].groupby(["table", "detector"])["auroc"]
    spread = groups.agg(["mean", "std", "count"]).rename(columns={"count": "seeds"})
    return spread[spread["seeds"] > 1].reset_index()


def certified_means(rows):
    """Mean over tables of the certified AUROC, of detectors with a bound.

    Parameters
    ----------
    rows : DataFrame
        Of one protocol, with columns certified_auroc_<radius>.

    Returns
    -------
    means : DataFrame of detectors x radii
        In percent. Radius 0 is the AUROC. Over the tables that all these detectors finished.
    n_tables : int
    """
    columns = {name: float(_CERTIFIED.fullmatch(name)[1]) for name in _certified_columns(rows)}
    figures = rows[["table", "detector", "auroc", *columns]].rename(
        columns={"auroc": 0.0} | columns
    )
    bounded = rows.loc[rows[list(columns)].notna().any(axis=1), "detector"].unique()
    figures = figures[figures["detector"].isin(bounded)]
    cells = figures.groupby(["detector", "table"]).agg(lambda column: column.mean(skipna=False))
    by_table = cells.unstack("table")
    whole = by_table.columns.get_level_values("table")[by_table.notna().all()]
    counts = whole.value_counts()
    tables = counts.index[counts == len(columns) + 1]
    means = cells[cells.index.isin(tables, level="table")].groupby("detector").mean()
    return means.sort_index(axis=1), len(tables)


def median_costs(rows):
    """Seconds and memory: mean over seeds, then median over tables, of finished cells.

    Parameters
    ----------
    rows : DataFrame
        Of one protocol.

    Returns
    -------
    costs : DataFrame of detectors x (fit_seconds, score_seconds, peak_mb)
    """
    measures = ["fit_seconds", "score_seconds", "peak_mb"]
    cells = rows[~has_failed(rows)].groupby(["detector", "table"])[measures].mean()
    return cells.groupby("detector").median()


def contamination_curve(rows):
    """Mean AUROC against the share of anomalies in the training rows.

    Parameters
    ----------
    rows : DataFrame
        Of all protocols; those of "contaminated" count.

    Returns
    -------
    curve : DataFrame of shares x detectors
        In percent, over the tables that every detector finished at every share; detectors that
        finished none are left out.
    n_tables : int
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


def standing(rows, beside=BESIDE):
    """Compute everything that the report says of one protocol.

    Parameters
    ----------
    rows : DataFrame
        Of one protocol.
    beside : sequence of str
        Detectors beside the ranking; those whose name starts with "OCSDF " are so too.

    Returns
    -------
    standing : Standing
    """
    auroc, failures = mean_auroc(rows)
    apart = [name for name in auroc if name in beside or name.startswith("OCSDF ")]
    was_run = rows.groupby(["table", "detector"]).size().unstack().reindex(auroc.index)
    left_out = was_run.index[was_run.drop(columns=apart).isna().any(axis=1)].tolist()
    ranking = auroc.drop(columns=apart)
    complete = ranking.drop(index=left_out)
    comparison = compare(rank_tables(complete))
    ranking = ranking[comparison.mean_ranks.index]
    families = average_families(complete)
    summary = shortfalls(complete).assign(
        mean_auroc=complete.mean(), mean_rank=comparison.mean_ranks
    )
    family_comparison = None
    if len(families) < len(complete):
        family_comparison = compare(rank_tables(families))
        summary["family_mean_auroc"] = families.mean()
        summary["family_mean_rank"] = family_comparison.mean_ranks
    order = [*ranking, *apart]
    certified, certified_tables = certified_means(rows)
    return Standing(
        protocol=rows["protocol"].iloc[0],
        auroc=ranking,
        failures=failures,
        left_out=left_out,
        summary=summary.loc[list(ranking)],
        comparison=comparison,
        family_comparison=family_comparison,
        beside=_beside(auroc[apart], certified),
        certified=certified.reindex([name for name in order if name in certified.index]),
        certified_tables=certified_tables,
        spread=seed_spread(rows),
        costs=median_costs(rows).reindex(order),
        transductive=sorted(set(rows.loc[rows["transductive"].eq(True), "detector"])),
        leaking=sorted(set(rows.loc[rows["leaks"].eq(True), "table"]), key=_sort_key),
        uncut=sorted(set(rows.loc[rows["rows"].eq("all"), "detector"])),
    )


def has_failed(rows):
    """Tell which cells have no AUROC to count.

    Parameters
    ----------
    rows : DataFrame

    Returns
    -------
    Series of bool
    """
    return rows["error"].notna() | rows["auroc"].isna()


def _certified_columns(rows):
    return [name for name in rows if _CERTIFIED.fullmatch(name)]


def _bare(table):
    """A table's name without ADBench's number."""
    return re.sub(r"^\d+_", "", table)


def _family(table):
    return next((name for name, members in FAMILIES.items() if _bare(table) in members), table)


def _sort_key(table):
    return _bare(table).removeprefix("odds_").casefold(), table


def _beside(auroc, certified):
    means = auroc.mean().rename("mean_auroc").to_frame()
    return means.join(certified.drop(columns=0.0, errors="ignore"))
