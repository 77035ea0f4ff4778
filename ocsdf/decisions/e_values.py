"""Conformal e-values: evidence that may be averaged, and that an attacker cannot inflate."""

import numpy as np
from scipy.special import expit, logsumexp

from ocsdf.decisions.checks import check_shift, lowered
from ocsdf.utils.checks import check_vector

# Ranks among n + 1 anomaly scores of the two that set the scale of the evidence.
_UPPER, _MIDDLE = 0.75, 0.5
_TEMPERATURE = 0.5
_MOST_EXPONENT = 50.0
# The scale is at least this share of the scores it is made of, and the evidence is lowered by a
# little more than rounding of the scores can do to it at this scale.
_LEAST_SCALE = 2.0**-20
_DISCOUNT = 1.0 - 2.0**-10


def conformal_e_values(calibration_scores, scores, shift=0.0):
    r"""Weigh the evidence that rows are anomalies: soft ranks among calibration rows.

    With a = -f the anomaly scores, q and m the 75th and the 50th percentile of the calibration
    rows' a_i (order statistics whose rank is that share of n + 1), and
    :math:`\tau = (q - m) / 2`,

    .. math:: E(x) = (n + 1) \, \frac{w(a(x) - \sigma)}{w(a(x) - \sigma) + \sum_i w(a_i)}
       \, 1[a(x) - \sigma \ge q], \quad w(a) = \exp(\min((a - q) / \tau, 50)) \, 1[a \ge q]

    Where x and the calibration rows are exchangeable, :math:`E[E(x)] \le 1` at
    :math:`\sigma = 0`: over all n + 1 rows the fractions sum to 1, and where :math:`a(x) \ge q`
    both percentiles are those of the n + 1 rows together, in which no row plays a special part.
    E grows with a(x) and depends on no other row to judge, so with :math:`\sigma = L \epsilon` it
    is at most the value before any attack of radius :math:`\epsilon`: still an e-value, for any
    number of rows attacked jointly by someone who sees all of them (soft ranks: Ramdas and Wang,
    Hypothesis Testing with E-values, 2025).

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        High for normal rows.
    scores : array-like of shape (m,)
    shift : float or array-like of shape (m,), default=0.0
        What an attack and rounding may have taken from each score, in units of the score, >= 0.

    Returns
    -------
    ndarray of shape (m,), float64
        In [0, n + 1]; large for anomalies.

    Raises
    ------
    ValueError
        If scores are not vectors of finite numbers, or the shift is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.decisions import conformal_e_values
    >>> e_values = conformal_e_values(np.arange(99.0), [-50.0, 60.0])
    >>> e_values.round(1)
    array([82.8,  0. ])
    """
    calibration = np.sort(-check_vector("calibration_scores", calibration_scores, least=0))
    scores = check_vector("scores", scores, least=0)
    anomaly_scores = lowered(-scores, check_shift(shift, len(scores)))
    n = len(calibration)
    upper, middle = (int(np.ceil(share * (n + 1))) - 1 for share in (_UPPER, _MIDDLE))
    if upper >= n:
        return np.zeros(len(scores))
    level = calibration[upper]
    least = _LEAST_SCALE * max(abs(level), abs(calibration[middle]), np.finfo(float).tiny)
    scale = max(_TEMPERATURE * (level - calibration[middle]), least)

    def exponent(values):
        with np.errstate(over="ignore"):
            return np.minimum((values - level) / scale, _MOST_EXPONENT)

    rest = logsumexp(exponent(calibration[calibration >= level]))
    evidence = (n + 1) * expit(exponent(anomaly_scores) - rest)
    return np.where(anomaly_scores >= level, _DISCOUNT * evidence, 0.0)
