"""Stretch each feature where training rows are crowded: the unit of the default's certificate."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from ocsdf.operations.matrix_bounds import ROUNDOFF, summation_error
from ocsdf.operations.piecewise import Piecewise, contraction

# Quantiles that a feature's normal scores are read at.
_N_QUANTILES = 64
# A feature has steps where it has so few values, each so often on average.
_MOST_STEPS, _LEAST_COPIES = 500, 5
# Closer values are not told apart any better.
_STEEPEST = 2.0**20
# Of the largest value: even the steepest map gives values that are as close the same number.
_CLOSEST = 2.0**-60
# Knots and slopes of a feature that is not stretched.
_AS_IT_IS = np.zeros(1), np.ones(2), np.ones(2)


class Views(NamedTuple):
    """What rows in the units of the certificate are taken back to; all slopes are at most 1.

    `halfway` leads to the mean of standardized features and normal scores, in which steps do not
    count, and `standardized` to standardized features.
    """

    halfway: Piecewise
    standardized: Piecewise


def fit_feature_maps(points, fixed=None):
    r"""Choose the stretching of each feature from standardized training rows.

    The slope of a feature's map at x is the largest of

    * 1, so that nothing is squeezed: no change is longer in standard deviations than in units of
      the map;
    * the slope of the normal score :math:`\Phi^{-1}(F(x))`, linear between 64 quantiles, with F
      the share of training rows below x, half of those at x included;
    * where the feature has at most 500 values, five rows each on average: 1 over the gap between
      neighbouring values, so that a step between them has length 1.

    Beyond the training rows it is 1. One unit of the map is thus one standard deviation, one
    normal score or one step of the feature, whichever is the smallest change.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features), float64
    fixed : ndarray of shape (n_features,), bool, or None, default=None
        Features that are left as they are.

    Returns
    -------
    stretched : Piecewise
        From standardized rows to the units of the certificate; all slopes are >= 1.
    views : Views
        From those to two others, 1-Lipschitz.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.recipes import fit_feature_maps
    >>> points = np.random.default_rng(0).normal(size=(500, 2))
    >>> stretched, views = fit_feature_maps(points)
    >>> bool(stretched.slopes.min() >= 1.0), bool(views.halfway.bound() <= 1.0)
    (True, True)
    """
    fixed = np.zeros(points.shape[1], bool) if fixed is None else fixed
    parts = [
        _AS_IT_IS if still else _feature_map(column)
        for column, still in zip(points.T, fixed, strict=True)
    ]
    knots, slopes, halves = (np.concatenate(part) for part in zip(*parts, strict=True))
    counts = np.array([len(part[0]) for part in parts])
    # Training rows' medians stay where they are, up to a constant.
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    stretched = Piecewise(knots, slopes, counts, knots[firsts])
    halfway, standardized = (
        contraction(stretched, other, knots[firsts]) for other in (halves, np.ones_like(slopes))
    )
    return stretched, Views(halfway, standardized)


def point_rounding(stretched):
    r"""Bound how far stretched rows stray that are standardized and stretched in float64.

    It is at most ``relative * ||p|| + absolute`` in l2 for the image p of z: as no slope is below
    1, :math:`\|z\| \le \|p\| + \|p_0\|` with that of 0, and what is rounded is affine in
    :math:`\|p\|`.
    """
    rounding = stretched.rounding((len(stretched.counts),))
    zero = np.linalg.norm(stretched.evaluate(np.zeros((1, len(stretched.counts)))))
    gamma = summation_error(rounding.n_terms) + 2.0 * ROUNDOFF
    slope = 2.0 * gamma * stretched.bound()
    absolute = slope * float(zero) + 2.0 * gamma * rounding.offset
    return slope, absolute


def _feature_map(column):
    """Return a feature's knots, its slopes, and those of the mean with no steps."""
    values, copies = _distinct(column)
    if len(values) == 1:
        return values, np.ones(2), np.ones(2)
    places, scores = _normal_scores(values, copies)
    has_steps = len(values) <= min(_MOST_STEPS, len(column) / _LEAST_COPIES)
    knots = values if has_steps else places
    within = np.searchsorted(places, knots[1:], side="left") - 1
    # A quotient that overflows is as steep as they get.
    with np.errstate(over="ignore"):
        stretch = (np.diff(scores) / np.diff(places))[within]
        stretch = np.clip(stretch, 1.0, _STEEPEST)
        steps = 1.0 / np.diff(knots) if has_steps else stretch
    slopes = np.clip(np.maximum(stretch, steps), 1.0, _STEEPEST)
    ends = np.ones(1)
    return (
        knots,
        np.concatenate([ends, slopes, ends]),
        np.concatenate([ends, (stretch + 1.0) / 2.0, ends]),
    )


def _distinct(column):
    """Return the values of a feature that a map tells apart, and how many rows have each."""
    values, copies = np.unique(column, return_counts=True)
    is_new = np.diff(values, prepend=-np.inf) > _CLOSEST * np.abs(values).max()
    return values[is_new], np.add.reduceat(copies, np.flatnonzero(is_new))


def _normal_scores(values, copies):
    """Choose at most 64 of a feature's values; return their normal scores, too."""
    below = np.cumsum(copies)
    if len(values) > _N_QUANTILES:
        levels = np.linspace(0.0, below[-1], _N_QUANTILES)
        chosen = np.unique(np.minimum(np.searchsorted(below, levels), len(values) - 1))
    else:
        chosen = np.arange(len(values))
    shares = (below[chosen] - copies[chosen] / 2.0) / below[-1]
    return values[chosen], ndtri(shares)
