"""Do detectors differ over tables, and which of them: Friedman, Nemenyi, Wilcoxon."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd


class RankTest(NamedTuple):
    """Do the detectors differ, and which of them?

    Mean ranks (1 is best) further apart than `critical_difference` differ at the 5 % level
    (Nemenyi). The fields are None where a test is undefined, and `note` says why.
    """

    mean_ranks: pd.Series
    n_tables: int
    friedman: float | None = None
    critical_difference: float | None = None
    p_values: pd.DataFrame | None = None
    note: str = ""


def critical_difference(n_detectors, n_tables, alpha=0.05):
    r"""Nemenyi's critical difference of mean ranks.

    .. math:: CD = q_\alpha \sqrt{k (k + 1) / (6 N)}

    where k is the number of detectors, N of tables, and q_alpha the upper quantile of the
    studentized range of k groups with infinite degrees of freedom, over sqrt(2) (Demšar, 2006,
    Section 3.2.2).
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

    Unlike Nemenyi's test it does not lose power with every detector that is added. Values are of
    tables x detectors, without tables that lack one; p-values are two-sided, and 1 on the diagonal
    and where two detectors tie on every table.
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
