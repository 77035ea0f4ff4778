"""Which features a verdict hangs on: shares of a change, of a gradient, radii of one feature."""

import numpy as np

from ocsdf.explanation.field import check_points
from ocsdf.networks.gradients import input_gradient, unit
from ocsdf.utils.checks import check_radii


def change_shares(points, flips):
    r"""Split the changes from standardized rows to flips among the features; each row sums to 1.

    .. math:: s_j = \frac{(z'_j - z_j)^2}{\sum_k (z'_k - z_k)^2}
    """
    return np.square(unit(flips - points))


def gradient_shares(network, points):
    r"""Split the slope of f at standardized rows among the features; each row sums to 1.

    .. math:: s_j = \frac{(\partial_j f)^2}{\sum_k (\partial_k f)^2}

    with derivatives in certificate units: raw ones have units of their own, whose squares do not
    add up. A row is zeros where the gradient is null; a ValueError tells of points that do not fit
    the network or are not finite.
    """
    return np.square(unit(input_gradient(network)(check_points(network, points))))


def feature_radii(radius, scale):
    r"""Express certified radii in raw units, of features that are scaled and not stretched.

    No change u of a row, in raw units, flips its verdict if

    .. math:: \sqrt{\sum_j (u_j / \mathrm{scale}_j)^2} < r

    an ellipsoid with the semi-axes :math:`r \, \mathrm{scale}_j`, of shape (n, n_features) and
    rounded down; so no change of feature j alone does by less than that either. A ValueError tells
    of a radius that is negative or NaN, or a scale that is not positive.
    """
    radius, scale = check_radii(radius, "radius"), np.asarray(scale, dtype=np.float64)
    if scale.ndim != 1 or not np.all(scale > 0.0):
        raise ValueError(f"scale must be a vector of positive numbers, got {scale}.")
    return np.maximum(0.0, np.nextafter(np.outer(radius, scale), -np.inf))
