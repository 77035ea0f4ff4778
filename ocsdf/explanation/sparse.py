"""Flips that move few features, for people who can change few."""

import numpy as np

from ocsdf.explanation.boundary import BoundaryPoints, settle
from ocsdf.explanation.field import TOLERANCE, Field
from ocsdf.explanation.paths import section, turn, walk

# A flip of fewer features may be so many times as long as the nearest one found.
LONGEST = 2.0
# How far the change of the chosen features is stretched in search of the other side.
_STRETCHES = (1.0, 1.25, 1.5, 2.0)


def sparse_boundary_points(
    network,
    points,
    nearest,
    level=0.0,
    tolerance=TOLERANCE,
    within=None,
    units=(0.0, 1.0, None),
):
    r"""Find boundary points that move as few features as possible.

    Features are ranked by what they have in the change to the nearest boundary point found. The
    fewest of them that are enough are found by bisection: a search as in
    :func:`ocsdf.explanation.boundary.boundary_points` in the plane through the row along these
    features alone has to come across within twice that point's distance, and the point that it
    finds is judged as a row. Fewer may be enough where the ranking misleads, or the search ends
    short.

    Parameters
    ----------
    network : CertifiedNetwork
    points : ndarray of shape (n, n_features)
    nearest : BoundaryPoints
        What :func:`ocsdf.explanation.boundary.boundary_points` returns, for the same rows.
    level, tolerance, within, units
        As there.

    Returns
    -------
    BoundaryPoints
        Never farther than twice the nearest ones; those themselves where nothing sparser is found.
        Features that are not moved are the row's own, to the last bit.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.explanation import boundary_points, sparse_boundary_points
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.3], [0.9]]), np.zeros(1))], (2,)))
    >>> row = np.array([[3.0, 4.0]])
    >>> nearest = boundary_points(network, row)
    >>> sparse_boundary_points(network, row, nearest).points.round(3)
    array([[ 3., -1.]])
    """
    field = Field(network, level, tolerance, within)
    ranks = np.argsort(np.argsort(-np.abs(nearest.points - points), axis=1), axis=1)
    best = BoundaryPoints(*(part.copy() for part in nearest))
    # Enough, and too few, as far as is known.
    enough, few = np.full(len(points), points.shape[1]), np.zeros(len(points), dtype=np.int64)
    while True:
        rows = np.flatnonzero(nearest.converged & (enough - few > 1))
        if not len(rows):
            return best
        count = (enough[rows] + few[rows]) // 2
        free = ranks[rows] < count[:, np.newaxis]
        toward = nearest.points[rows] - points[rows]
        found = _find(field, points[rows], toward, free)
        found = settle(field, points[rows], found, *units, moves=free)
        better = found.converged & (found.distance <= LONGEST * nearest.distance[rows])
        enough[rows[better]], few[rows[~better]] = count[better], count[~better]
        for part, new in zip(best, found, strict=True):
            part[rows[better]] = new[better]


def _find(field, points, toward, free):
    """Search along the free features: by Newton's path, and along the change to the nearest."""
    side = field.other_side(points)
    ends = walk(field, side, points, free)
    for stretch in _STRETCHES:
        straight = field.confine(points + np.where(free, stretch * toward, 0.0))
        straight = np.where(free, straight, points)
        across = np.isnan(ends).any(axis=1) & (field.height(straight, side) > 0.0)
        ends[across] = straight[across]
    found = np.full(points.shape, np.nan)
    rows = np.isfinite(ends).all(axis=1)
    starts, side, free = points[rows], side[rows], free[rows]
    found[rows] = turn(field, side, starts, section(field, side, starts, ends[rows]), free)
    return found
