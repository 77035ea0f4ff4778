"""Do detectors differ over tables, and which of them: Friedman, Nemenyi, Wilcoxon."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd


class RankTest(NamedTuple):
    """Do the detectors differ, and which of them?

    Attributes
    ----------
    mean_ranks : Series
        Mean rank of each detector, best first; 1 is best.
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


def compare_ranks(ranks):
    """Test whether detectors differ (Friedman), and which (Nemenyi).

    There is no test, and a note, for fewer than 3 detectors or 2 tables or where all ranks tie.
    """
    mean_ranks = ranks.mean().sort_values(kind="stable")
    n_tables, k = ranks.shape
    untested = RankTest(mean_ranks, n_tables)
    if k < 3 or n_tables < 2:
        return untested._replace(
            note="The Friedman and Nemenyi tests are left out: they need at least 3 detectors on "
            f"2 tables, and there are {k} on {n_tables}."
        )
    if (ranks.nunique(axis=1) == 1).all():
        return untested._replace(note="All detectors tie on every table: there is nothing to test.")
    from scipy.stats import friedmanchisquare

    tested = untested._replace(friedman=float(friedmanchisquare(*ranks.to_numpy().T).pvalue))
    try:
        from scikit_posthocs import posthoc_nemenyi_friedman
    except ImportError:
        return tested._replace(
            note="The Nemenyi test and its diagram need scikit-posthocs: "
            "pip install 'ocsdf[experiments]'"
        )
    return tested._replace(
        critical_difference=critical_difference(k, n_tables),
        p_values=posthoc_nemenyi_friedman(ranks),
    )


def pairwise_wilcoxon(values):
    """Test each pair of detectors by Wilcoxon's signed ranks, with Holm's correction.

    Unlike Nemenyi's test it does not lose power with every detector that is added.

    Parameters
    ----------
    values : DataFrame of shape (n_tables, n_detectors)
        A measure of each detector on each table; tables that lack one are left out.

    Returns
    -------
    DataFrame of shape (n_detectors, n_detectors)
        Two-sided p-values; 1 on the diagonal and where two detectors tie on every table.

    Raises
    ------
    ImportError
        Without statsmodels, which scikit-posthocs brings.
    """
    from scipy.stats import wilcoxon
    from statsmodels.stats.multitest import multipletests

    values = values.dropna()
    pairs = list(combinations(values.columns, 2))
    raw = [
        1.0 if (values[a] == values[b]).all() else wilcoxon(values[a], values[b]).pvalue
        for a, b in pairs
    ]
    corrected = multipletests(raw, method="holm")[1]
    found = pd.DataFrame(1.0, index=values.columns, columns=values.columns)
    for (a, b), value in zip(pairs, corrected, strict=True):
        found.loc[a, b] = found.loc[b, a] = value
    return found
