"""Which rows of a batch to call anomalies, with a bound on the share that is called falsely."""

import numpy as np
from scipy.stats import false_discovery_control

from ocsdf.decisions.checks import check_share
from ocsdf.utils.checks import check_vector


def benjamini_hochberg(p_values, fdr):
    r"""Call anomalies by Benjamini and Hochberg's procedure (1995).

    The k rows of the smallest p-values, with the largest k for which
    :math:`p_{(k)} \le \mathrm{fdr} \, k / m`. The expected share of normal rows among those
    called is at most `fdr` for independent p-values, and for clean conformal ones, which are
    positively dependent (Bates et al., 2023, Theorem 2). Under an attack that sees all rows this
    is *not* proved, for p-values of any radius.

    Parameters
    ----------
    p_values : array-like of shape (m,)
        In [0, 1], small for anomalies.
    fdr : float
        Level, 0 < fdr < 1: the share of false discoveries that is allowed on average.

    Returns
    -------
    discovered : ndarray of shape (m,), bool
        True for the rows that are called anomalies.

    Raises
    ------
    ValueError
        If a p-value or the level is out of range.

    Examples
    --------
    >>> from ocsdf.decisions import benjamini_hochberg
    >>> benjamini_hochberg([0.001, 0.03, 0.04, 0.8], fdr=0.1)
    array([ True,  True,  True, False])
    """
    return _controlled(p_values, fdr, "bh")


def benjamini_yekutieli(p_values, fdr):
    r"""Call anomalies by Benjamini and Yekutieli's procedure (2001).

    As :func:`benjamini_hochberg` at the level :math:`\mathrm{fdr} / (1 + 1/2 + \dots + 1/m)`. The
    expected share of normal rows among those called is at most `fdr` under any dependence, so
    with certified p-values also under an attack by someone who sees all rows. Parameters and
    Returns as of :func:`benjamini_hochberg`.

    Examples
    --------
    >>> from ocsdf.decisions import benjamini_yekutieli
    >>> benjamini_yekutieli([0.001, 0.03, 0.04, 0.8], fdr=0.1)
    array([ True, False, False, False])
    """
    return _controlled(p_values, fdr, "by")


def e_benjamini_hochberg(e_values, fdr):
    r"""Call anomalies by the e-value procedure of Wang and Ramdas (2022).

    The k rows of the largest e-values, with the largest k for which
    :math:`e_{(k)} \ge m / (\mathrm{fdr} \, k)`. The expected share of normal rows among those
    called is at most `fdr` under any dependence.

    Parameters
    ----------
    e_values : array-like of shape (m,)
        Not negative, of expectation at most 1 for normal rows.
    fdr : float
        As for :func:`benjamini_hochberg`; so is what is returned.

    Examples
    --------
    >>> from ocsdf.decisions import e_benjamini_hochberg
    >>> e_benjamini_hochberg([50.0, 30.0, 2.0, 0.1], fdr=0.1)
    array([ True,  True, False, False])
    """
    e_values = check_vector("e_values", e_values, least=0)
    if np.any(e_values < 0.0):
        raise ValueError(f"e_values must be 0 or more; got {e_values.min()}.")
    fdr, m = check_share(fdr, "fdr"), len(e_values)
    decreasing = np.sort(e_values)[::-1]
    enough = np.flatnonzero(decreasing * np.arange(1, m + 1) >= m / fdr)
    return e_values >= (decreasing[enough[-1]] if len(enough) else np.inf)


def _controlled(p_values, fdr, method):
    p_values = check_vector("p_values", p_values, least=0)
    if np.any((p_values < 0.0) | (p_values > 1.0)):
        raise ValueError("p_values must lie in [0, 1].")
    fdr = check_share(fdr, "fdr")
    if not len(p_values):
        return np.zeros(0, dtype=bool)
    return false_discovery_control(p_values, method=method) <= fdr
