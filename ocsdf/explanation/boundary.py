"""The boundary of a verdict near a row: a point across it, as near as a search gets."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ocsdf.explanation.field import TOLERANCE, Field, check_points
from ocsdf.explanation.paths import section, turn, walk

_SEEDS = 256
# Powers of two by which a boundary point is moved outward until rounding leaves it there.
_STRETCHES = (-50, 7)


class BoundaryPoints(NamedTuple):
    """Points just beyond a level set, each near one row.

    Attributes
    ----------
    points : ndarray of shape (n, n_features)
        NaN where not converged.
    distance : ndarray of shape (n,)
        l2, from the row; infinite where not converged.
    converged : ndarray of shape (n,), bool
    rows : ndarray of shape (n, n_features)
        The points as rows in the given units: ``points`` is what they are standardized to.

    Examples
    --------
    Where f has no such value, there is no such point:

    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.explanation import boundary_points
    >>> from ocsdf.operations import Chain, Dense
    >>> constant = CertifiedNetwork(Chain([Dense(np.zeros((2, 1)), np.ones(1))], (2,)))
    >>> found = boundary_points(constant, np.array([[3.0, 4.0]]))
    >>> found.converged, found.distance
    (array([False]), array([inf]))
    """

    points: np.ndarray
    distance: np.ndarray
    converged: np.ndarray
    rows: np.ndarray


def boundary_points(
    network,
    points,
    level=0.0,
    domain=None,
    tolerance=TOLERANCE,
    random_state=0,
    within=None,
    units=(0.0, 1.0, None),
    free=None,
    whole=None,
):
    r"""Find, near each row, a point on the other side of a level set.

    A path of Newton steps (:func:`ocsdf.training.newton.newton_step`) leads across; false position
    and bisection find where the segment from the row to its end crosses the level; then the
    segment is turned towards the gradient at its end for as long as that shortens it. At the
    nearest point of the level set the two agree, though not only there.

    A point's score is beyond the level by half the tolerance to the whole, plus what rounding does
    to scores there and at the row. As f is continuous, the segment meets the level set: the
    distance is an upper bound of the row's distance to it, as
    :func:`ocsdf.certificate.metrics.certified_radius` is a lower one.

    Parameters
    ----------
    network : CertifiedNetwork
    points : ndarray of shape (n, n_features)
        Standardized rows. Those with a score of `level` or more are inside.
    level : float, default=0.0
    domain : Box or Ball, default=None
        B. Given, the segments to the nearest of 256 points across, found from uniform
        seeds in B, are tried too: Newton's path may end at a peak or in a valley short of the
        level, or lead to a far part of it.
    tolerance : float, default=1e-6
        In units of the score.
    random_state : int or numpy.random.Generator, default=0
        Draws the seeds.
    within : Box or Ball, default=None
        A convex set that holds the points and is not left.
    units : tuple, default=(0.0, 1.0, None)
        Mean and scale, ndarrays of shape (n_features,) or floats, that were taken from rows to make
        the points of them, and a Piecewise that stretched them then, or None. A point has to be
        across once it is a row in float64: where rounding takes it back, it is moved outward.
    free : ndarray of shape (n_features,), bool, or None, default=None
        Features that may change, with all others held. Of B no points are tried then, which have
        other values of these. None lets all change.
    whole : ndarray of shape (n_features,), bool, or None, default=None
        Features whose changed values are rounded to integers in rows, as those of dates are.

    Returns
    -------
    BoundaryPoints
        A row for which no point across is found has not converged: its distance is infinite.

    Raises
    ------
    ValueError
        If the points or level do not fit the network or are not finite; or tolerance <= 0.

    Notes
    -----
    Gradients choose the path; both claims above rest on heights alone. A row takes 100 to 200
    scores and half as many gradients.

    Examples
    --------
    The nearest point of height 1 to a point of height 5 lies 4 away, along the gradient:

    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.explanation import boundary_points
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.6], [0.8]]), np.zeros(1))], (2,)))
    >>> found = boundary_points(network, np.array([[3.0, 4.0]]), level=1.0)
    >>> found.points.round(3), found.distance.round(3)
    (array([[0.6, 0.8]]), array([4.]))
    """
    points = check_points(network, points)
    field = Field(network, level, tolerance, within, free)
    domain = domain if free is None else None
    return settle(field, points, _find(field, points, domain, random_state), *units, whole)


def _find(field, points, domain, random_state=0):
    side = field.other_side(points)
    ends = walk(field, side, points)
    if domain is not None:
        ends = _nearer(points, ends, _landmarks(field, side, points, domain, random_state))
    found = np.full(points.shape, np.nan)
    converged = np.isfinite(ends).all(axis=1)
    starts, side = points[converged], side[converged]
    found[converged] = turn(field, side, starts, section(field, side, starts, ends[converged]))
    return found


def settle(field, points, found, mean, scale, stretched, whole=None, moves=None):
    """Judge points as the rows that they become, and move outward what is across no longer.

    Features that are not in `moves`, a row of bool each, stay those of the row; None moves all.
    """
    side = field.other_side(points)
    own = (points if stretched is None else stretched.inverse(points)) * scale + mean
    rows, seen = np.full((2, *points.shape), np.nan)
    left = np.flatnonzero(np.isfinite(found).all(axis=1))
    for stretch in (0.0, *(2.0 ** np.arange(*_STRETCHES))):
        if not len(left):
            break
        moved = field.confine(found[left] + stretch * (found[left] - points[left]))
        with np.errstate(over="ignore", invalid="ignore"):
            moved = (moved if stretched is None else stretched.inverse(moved)) * scale + mean
            moved = moved if whole is None else np.where(whole, np.rint(moved), moved)
            moved = moved if moves is None else np.where(moves[left], moved, own[left])
            again = (moved - mean) / scale
            again = again if stretched is None else stretched.evaluate(again)
            again = again if field.free is None else np.where(field.free, again, points[left])
        finite = np.isfinite(again).all(axis=1)
        across = field.is_across(np.where(finite[:, None], again, points[left]), side[left])
        rows[left[across]], seen[left[across]] = moved[across], again[across]
        left = left[finite & ~across]
    if moves is not None:
        # What rounding does to a feature that stays is judged above, and is no move.
        seen = np.where(moves | np.isnan(seen), seen, points)
    converged = np.isfinite(seen).all(axis=1)
    distance = np.linalg.norm(seen - points, axis=1)
    return BoundaryPoints(seen, np.where(converged, distance, np.inf), converged, rows)


def _landmarks(field, side, points, domain, random_state):
    """For each row, the nearest of the points across that are found from seeds in B."""
    seeds = domain.sample(_SEEDS, np.random.default_rng(random_state)).astype(np.float64)
    away = field.other_side(seeds)
    walked = walk(field, away, seeds)
    nearest = np.full(points.shape, np.nan)
    for sign in (-1.0, 1.0):
        rows = side == sign
        candidates = np.concatenate([walked[away == sign], seeds[away == -sign]])
        candidates = candidates[np.isfinite(candidates).all(axis=1)]
        candidates = candidates[field.height(candidates, np.full(len(candidates), sign)) > 0.0]
        if rows.any() and len(candidates):
            nearest[rows] = candidates[cKDTree(candidates).query(points[rows])[1]]
    return nearest


def _nearer(points, ends, others):
    """Choose the nearer of two ends of each row; NaN counts as infinitely far."""
    distances = (np.linalg.norm(places - points, axis=1) for places in (others, ends))
    closer, distance = (np.where(np.isnan(length), np.inf, length) for length in distances)
    return np.where((closer < distance)[:, None], others, ends)
