"""Rows of the plane: toy sets, shapes whose signed distance is known, and seeds clear of rows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from sklearn.datasets import make_blobs, make_circles, make_moons


class ToySet(NamedTuple):
    """A toy set of OCSDF Figure 2, with m and the square [-reach, reach]^2 of its picture (App. E).

    ``draw(n_rows, seed)`` returns rows (n_rows, 2).
    """

    draw: Callable
    margin: float
    reach: float


class Shape(NamedTuple):
    """A set X of the plane that rows are drawn from uniformly, by ``draw(n_rows, random_state)``.

    ``signed_distance`` of points (n, 2) is the l2 distance to the edge of X, positive inside X and
    negative outside (OCSDF Sec. 2).
    """

    draw: Callable
    signed_distance: Callable


def draw_toy_set(name, n_rows, seed):
    """Draw a toy set and bring its columns to mean 0 and variance 1 (App. E)."""
    rows = TOY_SETS[name].draw(n_rows, seed)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def draw_ring(inner, outer, n_rows, random_state):
    """Draw uniformly from the ring inner <= ||x|| <= outer; a disc where inner is 0."""
    # Area grows with the square of the radius.
    radius = np.sqrt(random_state.uniform(inner**2, outer**2, n_rows))
    angle = random_state.uniform(0.0, 2.0 * np.pi, n_rows)
    return radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def clear_seeds(domain, rows, gap):
    """Draw uniformly from the points of B that keep a distance from the data.

    Def. 1 of OCSDF asks for negatives on B that leave a gap of 2 m; in two or three dimensions,
    unlike in many (Sec. 3.2), many uniform points would lie among the data. ``sample(n_samples,
    random_state)`` gives float32 points, and a ValueError where none of as many points is clear.
    """
    tree = cKDTree(rows)

    def sample(n_samples, random_state):
        parts, n_found = [], 0
        while n_found < n_samples:
            points = domain.sample(n_samples, random_state)
            nearest, _ = tree.query(points, distance_upper_bound=gap)
            # What has no row within the bound is said to be infinitely far.
            points = points[np.isinf(nearest)]
            if not len(points):
                raise ValueError(
                    f"none of {n_samples} points of B is more than {gap:g} from all rows; "
                    "choose a smaller margin"
                )
            parts.append(points)
            n_found += len(points)
        return np.concatenate(parts)[:n_samples]

    return sample


def ring_signed_distance(inner, outer, points):
    r"""Measure the signed distance to a ring.

    .. math:: S(x) = \min(r_2 - \|x\|, \; \|x\| - r_1)

    with r_1 the inner radius and r_2 the outer.
    """
    radius = np.linalg.norm(points, axis=1)
    return np.minimum(outer - radius, radius - inner)


def _blobs(spreads, centers):
    def draw(n_rows, seed):
        return make_blobs(n_rows, centers=centers, cluster_std=spreads, random_state=seed)[0]

    return draw


def _circles(n_rows, seed):
    return make_circles(n_rows, noise=0.05, factor=0.5, random_state=seed)[0]


def _moons(n_rows, seed):
    return make_moons(n_rows, noise=0.05, random_state=seed)[0]


def _draw_disc(n_rows, random_state):
    return draw_ring(0.0, 1.0, n_rows, random_state)


def _disc_signed_distance(points):
    return 1.0 - np.linalg.norm(points, axis=1)


def _draw_unit_ring(n_rows, random_state):
    return draw_ring(*_RING, n_rows, random_state)


def _unit_ring_signed_distance(points):
    return ring_signed_distance(*_RING, points)


def _draw_two_discs(n_rows, random_state):
    centers = _CENTERS[random_state.integers(len(_CENTERS), size=n_rows)]
    return centers + draw_ring(0.0, _RADIUS, n_rows, random_state)


def _two_discs_signed_distance(points):
    # The discs do not touch: inside one of them the edge of the other is no nearer.
    distances = np.linalg.norm(points[:, np.newaxis] - _CENTERS, axis=2)
    return _RADIUS - distances.min(axis=1)


_PAIR = ((2.0, 2.0), (-2.0, -2.0))
# Those of scikit-learn's comparison of anomaly detectors, without its outliers; and circles.
TOY_SETS = {
    "one cloud": ToySet(_blobs(0.5, ((0.0, 0.0),)), 0.05, 5.0),
    "two circles": ToySet(_circles, 0.05, 3.0),
    "two blobs": ToySet(_blobs((0.5, 0.5), _PAIR), 0.05, 3.0),
    "blob and cloud": ToySet(_blobs((1.5, 0.3), _PAIR), 0.1, 4.0),
    "two moons": ToySet(_moons, 0.05, 3.0),
}
_RING = (0.5, 1.0)
_CENTERS = np.array([[-1.0, 0.0], [1.0, 0.0]])
_RADIUS = 0.5
SHAPES = {
    "disc": Shape(_draw_disc, _disc_signed_distance),
    "ring": Shape(_draw_unit_ring, _unit_ring_signed_distance),
    "two discs": Shape(_draw_two_discs, _two_discs_signed_distance),
}
