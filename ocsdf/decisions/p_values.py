"""Conformal p-values: how rarely a normal row looks as abnormal, also after an attack."""

import numpy as np

from ocsdf.decisions.checks import check_replaced, check_shift, raised
from ocsdf.utils.checks import check_vector


def conformal_p_values(calibration_scores, scores, shift=0.0, replaced=0):
    r"""Compare scores with those of normal rows that fitting did not see.

    .. math:: p(x) = \min\Big(1, \frac{1 + k + \#\{i : f_i \le f(x) + \sigma\}}{n + 1}\Big)

    with f high for normal rows, f_i the scores of n calibration rows, :math:`\sigma` the `shift`
    and k the number of `replaced` rows. With :math:`\sigma = 0` and k = 0: where x and the
    calibration rows are exchangeable (drawn from one source in no particular order),
    :math:`P(p(x) \le \alpha) \le \alpha` for every alpha (Vovk et al., Algorithmic Learning in a
    Random World, 2005, Prop. 2.8; Bates et al., Testing for Outliers with Conformal p-values,
    2023).

    An attacker who moves x to x' with :math:`\|x' - x\| \le \epsilon` changes an L-Lipschitz
    score by at most :math:`L \epsilon`. With :math:`\sigma = L \epsilon`, the value at x' is
    never below p(x): it stays valid whatever the attacker does. An attacker who replaces, adds or
    removes k calibration rows changes the count by at most k, and n by at most k; the formula
    covers each of the three.

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        High for normal rows. Where they were rounded, a lower bound of each. Without any, p is 1.
    scores : array-like of shape (m,)
    shift : float or array-like of shape (m,), default=0.0
        What an attack and rounding may have taken from each score, in units of the score, >= 0.
    replaced : int, default=0
        Calibration rows that an attacker may have chosen.

    Returns
    -------
    ndarray of shape (m,), float64
        In (0, 1]; small for anomalies. Never below 1 / (n + 1).

    Raises
    ------
    ValueError
        If scores are not vectors of finite numbers, or the shift or count is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.decisions import conformal_p_values
    >>> conformal_p_values(np.arange(99.0), [-5.0, 49.5])
    array([0.01, 0.51])
    >>> conformal_p_values(np.arange(99.0), [-5.0, 49.5], shift=10.0)
    array([0.07, 0.61])
    """
    calibration = np.sort(check_vector("calibration_scores", calibration_scores, least=0))
    scores = check_vector("scores", scores, least=0)
    replaced = check_replaced(replaced)
    upper = raised(scores, check_shift(shift, len(scores)))
    count = np.searchsorted(calibration, upper, side="right")
    return np.minimum(1.0, (1 + replaced + count) / (len(calibration) + 1))
