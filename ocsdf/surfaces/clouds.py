"""Clouds of points in space: what can carry a surface, and which points belong to none."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_FEWEST = 100
# Of the largest extent: what is thinner is flat.
_FLAT = 1e-3
# Points nearer than so many typical distances belong together; groups of fewer points, or of a
# smaller share of all, are stray.
_LINK, _NEIGHBOURS, _GROUP, _SHARE = 10.0, 8, 50, 0.005


class Cloud(NamedTuple):
    """Points, with what their file tells of them.

    Attributes
    ----------
    points : ndarray of shape (n_points, 3), float64
        Distinct.
    normals : ndarray of shape (n_points, 3) or None
        As the file has them; None if it has none.
    colours : ndarray of shape (n_points, 3), uint8, or None
        Red, green and blue.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.surfaces import read_cloud
    >>> np.save("cloud.npy", np.random.default_rng(0).normal(size=(200, 3)))
    >>> cloud = read_cloud("cloud.npy")
    >>> cloud.points.shape, cloud.normals is None
    ((200, 3), True)
    """

    points: np.ndarray
    normals: np.ndarray | None
    colours: np.ndarray | None = None

    def at(self, rows):
        """Return the cloud of some of the rows, by their places or a mask."""
        return Cloud(*(None if part is None else part[rows] for part in self))


def find_stray(points):
    """Find points that belong to no surface: small groups far from all others.

    Points within ten times the median distance to the eighth neighbour belong together. A group of
    fewer than 50 points, or of less than half a percent of all, is stray, as long as most points
    are in larger ones.
    """
    n_points, n_others = len(points), min(_NEIGHBOURS, len(points) - 1)
    distances, neighbours = cKDTree(points).query(points, k=n_others + 1)
    near = distances[:, 1:] <= _LINK * np.median(distances[:, -1])
    rows = np.broadcast_to(np.arange(n_points)[:, np.newaxis], near.shape)[near]
    links = (np.ones(len(rows)), (rows, neighbours[:, 1:][near]))
    _, groups = connected_components(coo_matrix(links, (n_points, n_points)), directed=False)
    sizes = np.bincount(groups)
    stray = (sizes < max(_GROUP, _SHARE * n_points))[groups]
    return stray if stray.mean() < 0.5 else np.zeros(n_points, dtype=bool)


def check_cloud(points, name="the cloud"):
    """Make sure that points can carry a surface.

    Parameters
    ----------
    points : array-like of shape (n_points, 3)
    name : str, default="the cloud"
        For the messages.

    Returns
    -------
    ndarray of shape (n_distinct, 3), float64

    Raises
    ------
    ValueError
        If there are no points or fewer than 100 distinct ones, if they are not of three
        coordinates, or not finite, or thinner than a thousandth of their length.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.surfaces import check_cloud
    >>> points = np.random.default_rng(0).normal(size=(200, 3))
    >>> check_cloud(np.concatenate([points, points])).shape
    (200, 3)
    """
    return points_of(points, name)[0]


def points_of(points, name):
    """Check points as :func:`check_cloud`; returns them and the rows that they come from."""
    points = np.asarray(points)
    if not points.size:
        raise ValueError(f"{name} is empty: it holds no points.")
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} must hold points of three numbers, an array of shape (n, 3); got shape "
            f"{points.shape} of {points.dtype}."
        )
    points = points.astype(np.float64)
    broken = int((~np.isfinite(points).all(axis=1)).sum())
    if broken:
        raise ValueError(
            f"{broken:,} of the {len(points):,} points of {name} have a coordinate that is not "
            "finite; remove them first."
        )
    _, first = np.unique(points, axis=0, return_index=True)
    if len(first) < _FEWEST:
        raise ValueError(
            f"{name} has {len(first)} distinct points; a surface needs {_FEWEST} or more."
        )
    extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if extents[2] <= _FLAT * extents[0]:
        raise ValueError(
            f"{name} is flat, or a line: its points enclose nothing that is as thick as "
            f"{_FLAT:g} of its length. Points far from all others make it look so, too."
        )
    first = np.sort(first)
    return points[first], first
