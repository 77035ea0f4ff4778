"""Why a verdict is what it is: how far the boundary is, where, and which features lead there.

Distances are l2 in standardized units, in which a change of feature j counts as the raw change
divided by the feature's scale. What is in raw units says so.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

from ocsdf.newton import newton_step

# Rows of one gradient, padded: one graph serves all calls, in bounded memory.
_BLOCK = 128
# Newton steps under the guard; after them it widens, since where the gradient is short they would
# come ever nearer to the level and never get across.
_GUARDED, _WIDENING, _WIDER = 8, 40, 1.5
_TOLERANCE = 1e-6
_SECTIONS = 80
_TURNS, _LEAST_WEIGHT = 24, 2.0**-7
_SEEDS = 256


class BoundaryPoints(NamedTuple):
    """Points just beyond a level set, each near one row.

    Attributes
    ----------
    points : ndarray of shape (n, n_features)
        NaN where not converged.
    distance : ndarray of shape (n,)
        l2, from the row; infinite where not converged.
    converged : ndarray of shape (n,), bool
    """

    points: np.ndarray
    distance: np.ndarray
    converged: np.ndarray


class Explanation(NamedTuple):
    """What decides the verdict of each row.

    Attributes
    ----------
    radius : ndarray of shape (n,)
        Certified, in standardized units: the boundary is nowhere nearer.
    distance : ndarray of shape (n,)
        To the boundary point, in standardized units: the boundary is no farther. Infinite where
        not converged.
    boundary : ndarray of shape (n, n_features)
        Boundary points in raw units: rows with the other verdict, by a hair. NaN where not
        converged.
    converged : ndarray of shape (n,), bool
        Whether a boundary point was found.
    shares : ndarray of shape (n, n_features)
        See :func:`gradient_shares`.
    feature_radii : ndarray of shape (n, n_features)
        Raw units, see :func:`feature_radii`.
    """

    radius: np.ndarray
    distance: np.ndarray
    boundary: np.ndarray
    converged: np.ndarray
    shares: np.ndarray
    feature_radii: np.ndarray


class VerdictCounts(NamedTuple):
    """How many rows keep their verdict under any change of l2 norm up to each radius.

    Attributes
    ----------
    radii : ndarray of shape (n_radii,)
    normal : ndarray of shape (n_radii,), int
        Certified normal.
    anomalous : ndarray of shape (n_radii,), int
        Certified anomalous.
    uncertified : ndarray of shape (n_radii,), int
        The rest.
    """

    radii: np.ndarray
    normal: np.ndarray
    anomalous: np.ndarray
    uncertified: np.ndarray


def explain(network, points, radius, *, level=0.0, mean=0.0, scale=1.0, domain=None):
    """Explain the verdicts of rows.

    Parameters
    ----------
    network : CertifiedNetwork
    points : ndarray of shape (n, n_features)
        Standardized rows, ``(X - mean) / scale``.
    radius : ndarray of shape (n,)
        Certified radii of the rows, standardized units.
    level : float, default=0.0
        Score at the boundary of the verdict.
    mean, scale : float or ndarray of shape (n_features,)
        What the rows were standardized with.
    domain : Box or Ball, default=None
        As for :func:`boundary_points`.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        As :func:`boundary_points` and :func:`feature_radii`, or if there is not one radius a row.
    """
    points = _checked_rows(network, points)
    if np.shape(radius) != (len(points),):
        raise ValueError(
            f"radius must hold {len(points)} numbers, one a row; got shape {np.shape(radius)}."
        )
    scale = np.broadcast_to(scale, points.shape[1:])
    axes = feature_radii(radius, scale)
    field = _Field(network, level)
    found = _find(field, points, domain)
    return Explanation(
        radius=np.asarray(radius, dtype=np.float64),
        distance=found.distance,
        boundary=found.points * scale + mean,
        converged=found.converged,
        shares=_shares(field.gradients, points),
        feature_radii=axes,
    )


def boundary_points(network, points, level=0.0, domain=None, tolerance=_TOLERANCE, random_state=0):
    r"""Find, near each row, a point on the other side of a level set.

    A path of Newton steps (:func:`ocsdf.newton.newton_step`) leads across; false position and
    bisection find where the segment from the row to its end crosses the level; then the
    segment is turned towards the gradient at its end for as long as that shortens it. At the
    nearest point of the level set the two agree, though not only there.

    A point's score is beyond the level by half the tolerance to the whole, plus what rounding does
    to scores there and at the row. As f is continuous, the segment meets the level set: the
    distance is an upper bound of the row's distance to it, as
    :func:`ocsdf.certification.certified_radius` is a lower one.

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

    Returns
    -------
    BoundaryPoints
        A row for which no point across is found has not converged: its distance is infinite.

    Raises
    ------
    ValueError
        If the points do not fit the network, or they or the level are not finite, or the
        tolerance is not positive.

    Notes
    -----
    Gradients are float32, and their last digits may depend on the rows beside: they choose the
    path. All heights, and with them both claims above, are float64. A row takes 100 to 200 scores
    and half as many gradients.
    """
    points = _checked_rows(network, points)
    return _find(_Field(network, level, tolerance), points, domain, random_state)


def gradient_shares(network, points):
    r"""Split the slope of f at rows among the features.

    .. math:: s_j = \frac{(\partial_j f)^2}{\sum_k (\partial_k f)^2}

    with derivatives in standardized units: raw ones have units of their own, whose squares do not
    add up.

    Parameters
    ----------
    network : CertifiedNetwork
    points : ndarray of shape (n, n_features)
        Standardized rows.

    Returns
    -------
    ndarray of shape (n, n_features)
        Rows sum to 1; zeros where the gradient is null.

    Raises
    ------
    ValueError
        If the points do not fit the network or are not finite.
    """
    return _shares(_gradients(network.model), _checked_rows(network, points))


def feature_radii(radius, scale):
    r"""Express certified radii in raw units.

    No change u of a row, in raw units, flips its verdict if

    .. math:: \sqrt{\sum_j (u_j / \mathrm{scale}_j)^2} < r

    an ellipsoid with the semi-axes :math:`r \, \mathrm{scale}_j`; so no change of feature j alone
    does by less than that either.

    Parameters
    ----------
    radius : array-like of shape (n,)
        Certified radii r, standardized units.
    scale : array-like of shape (n_features,)
        1 for a feature that was constant.

    Returns
    -------
    ndarray of shape (n, n_features)
        Semi-axes, rounded down, in raw units of each feature.

    Raises
    ------
    ValueError
        If a radius is negative or NaN, or a scale is not positive.
    """
    radius, scale = _checked_radii(radius), np.asarray(scale, dtype=np.float64)
    if scale.ndim != 1 or not np.all(scale > 0.0):
        raise ValueError(f"scale must be a vector of positive numbers, got {scale}.")
    return np.maximum(0.0, np.nextafter(np.outer(radius, scale), -np.inf))


def verdict_counts(radius, verdicts, eps):
    r"""Count the verdicts that no change of l2 norm up to each eps can flip: those with r > eps.

    Parameters
    ----------
    radius : array-like of shape (n,)
        Certified radii r of the rows.
    verdicts : array-like of shape (n,)
        +1 for normal, -1 for anomalous.
    eps : float or array-like of shape (n_radii,)
        In the units of the radii.

    Returns
    -------
    VerdictCounts
        At each eps the three counts sum to n.

    Raises
    ------
    ValueError
        If radii or eps are negative or NaN, or verdicts are not +1 and -1, one a radius.
    """
    radius, eps = _checked_radii(radius), _checked_radii(np.atleast_1d(eps), "eps")
    verdicts = np.asarray(verdicts)
    if verdicts.shape != radius.shape or not np.isin(verdicts, (-1, 1)).all():
        raise ValueError(
            f"verdicts must be +1 or -1, one for each of {len(radius)} radii; got shape "
            f"{verdicts.shape} with values {np.unique(verdicts)[:5]}."
        )
    normal, anomalous = (
        (radius[verdicts == verdict] > eps[:, None]).sum(axis=1) for verdict in (1, -1)
    )
    return VerdictCounts(eps, normal, anomalous, len(radius) - normal - anomalous)


def _find(field, points, domain, random_state=0):
    side = field.other_side(points)
    ends = _walk(field, side, points)
    if domain is not None:
        ends = _nearer(points, ends, _landmarks(field, side, points, domain, random_state))
    found = np.full(points.shape, np.nan)
    converged = np.isfinite(ends).all(axis=1)
    starts, side = points[converged], side[converged]
    found[converged] = _turn(field, side, starts, _section(field, side, starts, ends[converged]))
    distance = np.linalg.norm(found - points, axis=1)
    return BoundaryPoints(found, np.where(converged, distance, np.inf), converged)


def _shares(gradients, points):
    return np.square(_unit(gradients(points)))


class _Field:
    """A score, seen as height over what must be climbed to be across a level.

    Height is positive where the real-valued f is beyond the level, on the other side, by more
    than half the tolerance.
    """

    def __init__(self, network, level, tolerance=_TOLERANCE):
        if not np.isfinite(level):
            raise ValueError(f"level must be a finite number, got {level!r}.")
        if not tolerance > 0.0:
            raise ValueError(f"tolerance must be positive, got {tolerance!r}.")
        self._network, self._level = network, level
        self.gradients = _gradients(network.model)
        self.lipschitz = network.lipschitz_bound
        self.most = tolerance / 2.0

    def other_side(self, points):
        """The sign of f - level that each row does not have."""
        return np.where(self._network.score(points) >= self._level, -1.0, 1.0)

    def height(self, points, side):
        rise = side * (self._network.score(points) - self._level)
        return rise - self._network.rounding_error(points) - self.most

    def toward(self, side):
        """Height as :func:`ocsdf.newton.newton_step` takes it."""
        return _Slope(self, side)


class _Slope(NamedTuple):
    field: _Field
    side: np.ndarray

    def value_and_gradient(self, points):
        gradient = self.side[:, None] * self.field.gradients(points)
        return self.field.height(points, self.side), gradient


def _walk(field, side, starts):
    """Walk from each start until across; NaN where the path ends before."""
    places, left = starts.copy(), np.arange(len(starts))
    for step in range(_GUARDED + _WIDENING):
        if not len(left):
            break
        guard = field.lipschitz / _WIDER ** max(0, step - _GUARDED)
        share = np.ones(len(left))
        slope = field.toward(side[left])
        places[left] = newton_step(slope, places[left], field.most / 2.0, share, guard).points
        left = left[~(field.height(places[left], side[left]) > 0.0)]
    places[left] = np.nan
    return places


def _landmarks(field, side, points, domain, random_state):
    """For each row, the nearest of the points across that are found from seeds in B."""
    seeds = domain.sample(_SEEDS, np.random.default_rng(random_state)).astype(np.float64)
    away = field.other_side(seeds)
    walked = _walk(field, away, seeds)
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
    """Of two ends of each row, the nearer; NaN counts as infinitely far."""
    distances = (np.linalg.norm(places - points, axis=1) for places in (others, ends))
    closer, distance = (np.where(np.isnan(length), np.inf, length) for length in distances)
    return np.where((closer < distance)[:, None], others, ends)


def _section(field, side, starts, ends):
    """Where the segments from starts to ends, which are across, come across.

    False position and bisection in turn: the first is fast where f is nearly affine.
    """
    low, high = np.zeros(len(starts)), np.ones(len(starts))
    below, above = field.height(starts, side), field.height(ends, side)
    for turn in range(_SECTIONS):
        rows = np.flatnonzero(above > field.most)
        if not len(rows):
            break
        rest = field.most / 2.0 - below[rows]
        share = 0.5 if turn % 2 else rest / (rest + above[rows] - field.most / 2.0)
        place = low[rows] + share * (high[rows] - low[rows])
        points = starts[rows] + place[:, None] * (ends[rows] - starts[rows])
        height = field.height(points, side[rows])
        across = height > 0.0
        high[rows[across]], above[rows[across]] = place[across], height[across]
        low[rows[~across]], below[rows[~across]] = place[~across], height[~across]
    return starts + high[:, None] * (ends - starts)


def _turn(field, side, starts, ends):
    """Turn the segments towards the gradient at their ends, as long as they become shorter."""
    length, weight = np.linalg.norm(ends - starts, axis=1), np.ones(len(starts))
    for _ in range(_TURNS):
        rows = np.flatnonzero(weight > _LEAST_WEIGHT)
        if not len(rows):
            break
        gradient = _unit(side[rows, None] * field.gradients(ends[rows]))
        direction = _unit(ends[rows] - starts[rows])
        direction = _unit(direction + weight[rows, None] * (gradient - direction))
        turned = starts[rows] + length[rows, None] * direction
        across = field.height(turned, side[rows]) > 0.0
        weight[rows[~across]] /= 2.0
        rows, turned = rows[across], turned[across]
        turned = _section(field, side[rows], starts[rows], turned)
        shorter = np.linalg.norm(turned - starts[rows], axis=1)
        better = shorter < length[rows]
        weight[rows[~better]] /= 2.0
        rows = rows[better]
        ends[rows], length[rows] = turned[better], shorter[better]
    return ends


def _gradients(model):
    """Return the gradient of a network as a function of float64 rows.

    Zero where float32 has none, as beyond its largest numbers and on top of a reference.
    """
    shape = (_BLOCK, model.input_shape[1])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def differentiate(block):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(block)
            values = model(block)
        return tape.gradient(values, block)

    def gradients(points):
        padded = np.zeros((-(-len(points) // _BLOCK) * _BLOCK, shape[1]), dtype=np.float32)
        padded[: len(points)] = points
        blocks = [differentiate(block) for block in padded.reshape(-1, *shape)]
        gradient = np.reshape(blocks, padded.shape)[: len(points)].astype(np.float64)
        return np.where(np.isfinite(gradient).all(axis=1, keepdims=True), gradient, 0.0)

    return gradients


def _unit(vectors):
    """Rows divided by their norms; null rows stay."""
    largest = np.max(np.abs(vectors), axis=1, keepdims=True, initial=0.0)
    # By the largest entry first, whose square neither overflows nor vanishes.
    vectors = vectors / np.where(largest > 0.0, largest, 1.0)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norm > 0.0, norm, 1.0)


def _checked_rows(network, points):
    points = np.asarray(points, dtype=np.float64)
    width = network.model.input_shape[1]
    if points.ndim != 2 or points.shape[1] != width or not np.isfinite(points).all():
        raise ValueError(
            f"points must be finite, of shape (n, {width}); got shape {points.shape} with "
            f"{np.count_nonzero(~np.isfinite(points))} NaN or infinite."
        )
    return points


def _checked_radii(radii, name="radius"):
    radii = np.asarray(radii, dtype=np.float64)
    if radii.ndim != 1 or not np.all(radii >= 0.0):
        raise ValueError(f"{name} must be a vector of numbers, 0 or more; got {radii}.")
    return radii
