"""Whether new rows still look like those that a detector was calibrated by."""

from typing import NamedTuple

import numpy as np
from scipy.stats import betabinom, ks_2samp

# Of the p-values: the share beyond which is counted, and how many times as many are a word worth.
LEVEL, _TIMES = 0.01, 2.0
# The Kolmogorov-Smirnov distance from which on a change matters, and how sure it must be.
_DISTANCE, _SURE = 0.1, 1e-3


class ScoreDrift(NamedTuple):
    """How the scores of new rows compare with those of calibration rows.

    Attributes
    ----------
    n_rows : int
    ks_distance : float
        Kolmogorov-Smirnov: the largest difference of the two distribution functions.
    ks_p_value : float
        How rarely it is as large where all rows have one source.
    share_beyond : float
        Share of rows whose p-value is at most 0.01; about 0.01 is expected.
    beyond_p_value : float
        How rarely it is as large where all rows have one source.
    """

    n_rows: int
    ks_distance: float
    ks_p_value: float
    share_beyond: float
    beyond_p_value: float

    @property
    def drifted(self):
        """Whether a change is both sure, p below 0.001, and large: a distance of 0.1, or twice
        as many rows beyond as expected.
        """
        differs = self.ks_distance >= _DISTANCE and self.ks_p_value < _SURE
        beyond = self.share_beyond >= _TIMES * LEVEL and self.beyond_p_value < _SURE
        return bool(differs or beyond)


def score_drift(calibration_scores, scores, only_lower=False):
    r"""Compare scores of new rows with those of calibration rows.

    The Kolmogorov-Smirnov test of two samples is that of the p-values against the calibration's
    own: p-values of one calibration set depend on each other, so that a test against the uniform
    distribution would raise false alarms. With n calibration scores and
    :math:`k = \lfloor 0.01 (n + 1) \rfloor`, the number of m new rows whose p-value is at most
    0.01 has the distribution BetaBinomial(m, k, n + 1 - k) where all rows have one source and
    scores no ties.

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
    scores : array-like of shape (m,)
        At least one.
    only_lower : bool, default=False
        Whether only scores that are lower than those of calibration count, in the
        Kolmogorov-Smirnov test, too: for references that are training rows, which score higher
        when they are scored themselves.

    Returns
    -------
    ScoreDrift

    Raises
    ------
    ValueError
        If there are no calibration scores, or no new ones.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.decisions import score_drift
    >>> rng = np.random.default_rng(0)
    >>> calibration, same, moved = rng.normal(size=(3, 2000)) - [[0.0], [0.0], [0.5]]
    >>> score_drift(calibration, same).drifted, score_drift(calibration, moved).drifted
    (False, True)
    """
    calibration, scores = np.sort(np.asarray(calibration_scores)), np.asarray(scores)
    n, m = len(calibration), len(scores)
    if min(n, m) == 0:
        raise ValueError(f"drift needs calibration rows and new rows; got {n} and {m}.")
    alternative = "less" if only_lower else "two-sided"
    test = ks_2samp(calibration, scores, alternative=alternative, method="asymp")
    k = int(LEVEL * (n + 1))
    n_beyond = int(np.count_nonzero(scores < calibration[k - 1])) if k else 0
    surprise = float(betabinom.sf(n_beyond - 1, m, k, n + 1 - k)) if k else 1.0
    return ScoreDrift(m, float(test.statistic), float(test.pvalue), n_beyond / m, surprise)
