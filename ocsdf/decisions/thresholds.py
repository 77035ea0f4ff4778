"""Thresholds of the score that keep the rate of false alarms at a level, and what they need."""

import numpy as np
from scipy.stats import binom

from ocsdf.decisions.checks import check_replaced, check_share
from ocsdf.utils.checks import check_vector


def marginal_threshold(calibration_scores, alpha, replaced=0):
    r"""Choose the threshold whose alarms are the rows with a conformal p-value of at most alpha.

    .. math:: t = f_{(j)}, \quad j = \max\{j : (j + k) / (n + 1) \le \alpha\}

    with :math:`f_{(1)} \le \dots \le f_{(n)}` the calibration scores and k the `replaced` rows. A
    row is an alarm where f(x) < t, and that is exactly where
    :func:`ocsdf.decisions.p_values.conformal_p_values` is at most alpha. The rate of false alarms
    is at most alpha *on average over calibration sets*: for the one at hand it may be more.

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        High for normal rows.
    alpha : float
        Level, 0 < alpha < 1.
    replaced : int, default=0
        Calibration rows that an attacker may have chosen.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are too few calibration rows for alpha; see :func:`rows_needed`.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.decisions import marginal_threshold
    >>> marginal_threshold(np.arange(99.0), alpha=0.05)
    4.0
    """
    return _threshold(calibration_scores, alpha, None, replaced)


def pac_threshold(calibration_scores, alpha, delta, replaced=0):
    r"""Choose a threshold whose false-alarm rate is at most alpha with high probability.

    .. math:: t = f_{(j - k)}, \quad
       j = \max\{j : P(\mathrm{Bin}(n, \alpha) \ge j) \ge 1 - \delta\}

    The rate of false alarms of f(x) < f_(j), given the calibration rows, is distributed as
    Beta(j, n + 1 - j), or lower where scores are tied. So with probability at least
    :math:`1 - \delta` over the calibration rows, at most a share alpha of all future normal rows
    raises an alarm (probably approximately correct; Vovk, Conditional Validity of Inductive
    Conformal Predictors, 2012).

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        High for normal rows, independent draws from one source.
    alpha : float
        Largest rate of false alarms, 0 < alpha < 1.
    delta : float
        Probability that the promise fails, 0 < delta < 1.
    replaced : int, default=0
        As for :func:`marginal_threshold`.

    Returns
    -------
    threshold : float
        A ValueError says that there are too few calibration rows; see :func:`rows_needed`.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.decisions import marginal_threshold, pac_threshold
    >>> scores = np.arange(199.0)
    >>> marginal_threshold(scores, alpha=0.05), pac_threshold(scores, alpha=0.05, delta=0.1)
    (9.0, 5.0)
    """
    return _threshold(calibration_scores, alpha, check_share(delta, "delta"), replaced)


def rows_needed(alpha, delta=None, replaced=0):
    """Count the calibration rows below which no threshold can keep a level.

    Parameters
    ----------
    alpha : float
        Level, 0 < alpha < 1.
    delta : float, default=None
        None asks for :func:`marginal_threshold`, a number for :func:`pac_threshold`.
    replaced : int, default=0

    Returns
    -------
    int
        The least n; 19 for alpha = 0.05 and 99 for alpha = 0.01, both marginal.

    Examples
    --------
    >>> from ocsdf.decisions import rows_needed
    >>> rows_needed(0.05), rows_needed(0.01), rows_needed(0.05, delta=0.1)
    (19, 99, 45)
    """
    alpha = check_share(alpha, "alpha")
    delta = None if delta is None else check_share(delta, "delta")
    replaced = check_replaced(replaced)
    enough = 1
    while _place(enough, alpha, delta) <= replaced:
        enough *= 2
    # The place of the threshold never falls as rows are added.
    low, high = enough // 2, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _place(middle, alpha, delta) <= replaced else (low, middle)
    return high


def _threshold(calibration_scores, alpha, delta, replaced):
    calibration = np.sort(check_vector("calibration_scores", calibration_scores, least=0))
    alpha, replaced = check_share(alpha, "alpha"), check_replaced(replaced)
    place = _place(len(calibration), alpha, delta) - replaced
    if place < 1:
        pac = "" if delta is None else f" and delta={delta:g}"
        trust = f", {replaced} of them not trusted" if replaced else ""
        needed = rows_needed(alpha, delta, replaced)
        raise ValueError(
            f"alpha={alpha:g}{pac} needs at least {needed} calibration rows; got "
            f"{len(calibration)}{trust}. Set more rows aside or choose a larger alpha."
        )
    return float(calibration[place - 1])


def _place(n, alpha, delta):
    """The rank, counted from 1, of the calibration score that is the threshold; 0 if none is."""
    if delta is None:
        place = int(alpha * (n + 1))
        # Shares are compared as p-values are: as float64 reads them, 1 / 20 is 0.05.
        while place + 1 <= n and (place + 1) / (n + 1) <= alpha:
            place += 1
        while place > 0 and place / (n + 1) > alpha:
            place -= 1
        return place
    # P(Bin >= j) falls in j: one fewer than the first j that is too unlikely.
    place = int(binom.ppf(delta, n, alpha))
    while place > 0 and binom.sf(place - 1, n, alpha) < 1.0 - delta:
        place -= 1
    while place < n and binom.sf(place, n, alpha) >= 1.0 - delta:
        place += 1
    return place
