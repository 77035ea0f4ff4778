"""Estimate from the training scores alone how many of the training rows are anomalies."""

import numpy as np

from ocsdf.utils.checks import check_vector

# Leys et al., 2013: between "poorly" and "very" conservative.
_DEVIATIONS = 2.5
# Makes the median absolute deviation of a normal distribution its standard deviation.
_NORMAL = 1.4826


def estimated_threshold(scores):
    r"""Choose the score below which training rows lie apart from the others; no label is used.

    .. math:: m - 2.5 \cdot 1.4826 \, \mathrm{median}_i |f_i - m|, \qquad
        m = \mathrm{median}_i f_i

    (Leys et al., Detecting Outliers: Do Not Use Standard Deviation around the Mean, Use Absolute
    Deviation around the Median, 2013.) Of normally distributed scores 0.6 % lie below, and never
    more than half; half of the rows may be anomalies without moving either median beyond the normal
    rows' scores. Where more than half of the scores are equal it is their first percentile.
    """
    scores = check_vector("scores", scores)
    median = np.median(scores)
    spread = np.median(np.abs(scores - median))
    if spread == 0.0:
        return float(np.quantile(scores, 0.01))
    return float(median - _DEVIATIONS * _NORMAL * spread)
