"""A cloud near a surface as smooth points with normals, and its signed distance."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree

# Neighbours of a local fit, of which cross-validation picks a number.
NEIGHBOURS = (12, 16, 24, 32, 48, 64, 96, 144, 216, 324)
_N_VALIDATED, _ROWS_AT_ONCE = 2_000, 2_048
# The smoothest fit whose error is as good as the best, to the accuracy of 2,000 points.
_TOLERANCE = 1.03
# Neighbours that a normal agrees with, and that a point's area is measured by.
_GRAPH, _AREA = 12, 10
# Neighbours of a signed distance near the cloud, and the typical distances up to which it is near.
_NEAREST, _NEAR = 12, 3.0
_MOST_FOR_SIGNS, _CELLS = 10_000, 2**23


class LocalSurface:
    r"""Points moved onto quadrics fitted to their neighbours, with outward normals.

    Each point x goes to :math:`x + h n`, where n is the normal of the plane through its
    neighbours, and h the height above x of the quadric that fits them best, weighted by a
    Gaussian (moving least squares). How many neighbours is decided by cross-validation: by how
    well quadrics foretell points that were left out.

    Parameters
    ----------
    points : ndarray of shape (n_points, 3)
        With or without noise; at least 16 of them.

    Attributes
    ----------
    points : ndarray of shape (n_points, 3)
    normals : ndarray of shape (n_points, 3)
        Outward unit vectors, where the surface is closed.
    n_neighbours : int
    spacing : float
        Median distance between neighbouring points.
    """

    def __init__(self, points):
        points = np.asarray(points, dtype=np.float64)
        self.n_neighbours = choose_neighbours(points)
        heights, directions, slopes = fit_quadrics(points, points, self.n_neighbours)
        self.points = points + heights[:, np.newaxis] * directions
        self.normals = orient(self.points, slopes)
        self._tree = cKDTree(self.points)
        distances, _ = self._tree.query(self.points, k=_AREA + 1)
        self.spacing = float(np.median(distances[:, 1:4].mean(axis=1)))
        self._areas = np.pi * distances[:, -1] ** 2 / _AREA

    def signed_distance(self, queries):
        r"""Measure from points to the surface, positive inside.

        Near the points, the mean of :math:`(p - x)^T n` over the nearest of them, weighted by a
        Gaussian (implicit moving least squares). Farther away, the distance to the nearest, with
        the sign of the winding number

        .. math:: w(x) = \sum_i a_i \frac{(p_i - x)^T n_i}{4 \pi \|p_i - x\|^3}

        above or below one half, where :math:`a_i` is the area that a point stands for.

        Parameters
        ----------
        queries : ndarray of shape (n, 3)

        Returns
        -------
        ndarray of shape (n,)
        """
        distances, places = self._tree.query(queries, k=_NEAREST)
        offsets = np.einsum(
            "nki,nki->nk", self.points[places] - queries[:, np.newaxis], self.normals[places]
        )
        weights = np.exp((distances[:, :1] ** 2 - distances**2) / (2.0 * self.spacing**2))
        signed = np.sum(weights * offsets, axis=1) / weights.sum(axis=1)
        far = distances[:, 0] > _NEAR * self.spacing
        signs = np.where(self.winding_number(queries[far]) > 0.5, 1.0, -1.0)
        signed[far] = signs * distances[far, 0]
        return signed

    def winding_number(self, queries):
        """Tell how often the surface goes around each point: about 1 inside, 0 outside.

        Parameters
        ----------
        queries : ndarray of shape (n, 3)

        Returns
        -------
        ndarray of shape (n,)
        """
        some = np.random.default_rng(0).permutation(len(self.points))[:_MOST_FOR_SIGNS]
        points, normals = (part[some].astype(np.float32) for part in (self.points, self.normals))
        areas = self._areas[some] * len(self.points) / len(some) / (4.0 * np.pi)
        found, rows = np.empty(len(queries)), max(1, _CELLS // len(some))
        for start in range(0, len(queries), rows):
            x = queries[start : start + rows].astype(np.float32)
            squares = np.sum(x**2, axis=1)[:, np.newaxis] + np.sum(points**2, axis=1)
            squares = np.maximum(squares - 2.0 * x @ points.T, 1e-8)
            flux = np.sum(points * normals, axis=1) - x @ normals.T
            found[start : start + rows] = (flux / (squares * np.sqrt(squares))) @ areas
        return found


def choose_neighbours(points):
    """Choose the neighbours of a local fit by cross-validation, one point left out at a time.

    Parameters
    ----------
    points : ndarray of shape (n_points, 3)

    Returns
    -------
    int
        Of :data:`NEIGHBOURS`: the largest whose mean error is within 3 % of the least, as
        neighbours' own noise makes the best number for a point that takes part larger.
    """
    some = np.random.default_rng(0).permutation(len(points))[:_N_VALIDATED]
    possible = [k for k in NEIGHBOURS if k < len(points) - 1]
    errors = np.array(
        [np.abs(fit_quadrics(points, points[some], k, leave_out=True)[0]).mean() for k in possible]
    )
    return possible[int(np.flatnonzero(errors <= _TOLERANCE * errors.min())[-1])]


def fit_quadrics(points, queries, n_neighbours, leave_out=False):
    """Fit a quadric to the points around each query.

    Parameters
    ----------
    points : ndarray of shape (n_points, 3)
    queries : ndarray of shape (n, 3)
    n_neighbours : int
        At least 6. Their Gaussian weights fall to exp(-2) at the farthest.
    leave_out : bool, default=False
        Whether the nearest point, a query itself, is left out of its fit.

    Returns
    -------
    heights : ndarray of shape (n,)
        Of the quadric above each query, along the plane's normal.
    directions : ndarray of shape (n, 3)
        The plane's normals, of either orientation.
    normals : ndarray of shape (n, 3)
        The quadrics' unit normals there.
    """
    tree = cKDTree(points)
    parts = []
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        some = queries[start : start + _ROWS_AT_ONCE]
        distances, places = tree.query(some, k=n_neighbours + leave_out)
        kept = slice(int(leave_out), None)
        parts.append(_fit(points[places[:, kept]], some, distances[:, kept]))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _fit(neighbours, queries, distances):
    radii = np.maximum(distances[:, -1:], np.finfo(float).tiny)
    weights = np.exp(-2.0 * (distances / radii) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    offsets = (neighbours - queries[:, np.newaxis]) / radii[:, :, np.newaxis]
    centred = offsets - np.einsum("nk,nki->ni", weights, offsets)[:, np.newaxis]
    _, axes = np.linalg.eigh(np.einsum("nk,nki,nkj->nij", weights, centred, centred))
    z, x, y = np.moveaxis(np.einsum("nki,nij->nkj", offsets, axes), -1, 0)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    normal_matrix = np.einsum("nk,nka,nkb->nab", weights, terms, terms) + 1e-4 * np.eye(6)
    right = np.einsum("nk,nka,nk->na", weights, terms, z)
    height, by_x, by_y = np.linalg.solve(normal_matrix, right[..., np.newaxis])[:, :3, 0].T
    direction, first, second = np.moveaxis(axes, -1, 0)
    normals = direction - by_x[:, np.newaxis] * first - by_y[:, np.newaxis] * second
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return radii[:, 0] * height, direction, normals


def orient(points, normals):
    r"""Turn normals outward: along a minimum spanning tree they agree (Hoppe et al., 1992).

    Parameters
    ----------
    points, normals : ndarray of shape (n_points, 3)

    Returns
    -------
    ndarray of shape (n_points, 3)
        In each connected part of the graph of neighbours, so that the volume that the part
        encloses, :math:`\propto \sum_i (p_i - \bar p)^T n_i`, is positive.
    """
    n_points = len(points)
    n_graph = min(_GRAPH, n_points - 1)
    _, places = cKDTree(points).query(points, k=n_graph + 1)
    rows, columns = np.repeat(np.arange(n_points), n_graph), places[:, 1:].ravel()
    # An edge of weight 0 would be none.
    bends = 1.0 + 1e-6 - np.abs(np.sum(normals[rows] * normals[columns], axis=1))
    graph = coo_matrix((bends, (rows, columns)), (n_points, n_points)).tocsr()
    tree = minimum_spanning_tree(graph.maximum(graph.T))
    n_parts, labels = connected_components(tree, directed=False)
    turned = normals.copy()
    for part in range(n_parts):
        members = np.flatnonzero(labels == part)
        order, before = breadth_first_order(tree, members[0], directed=False)
        for one in order[1:]:
            if turned[one] @ turned[before[one]] < 0.0:
                turned[one] *= -1.0
        offsets = points[members] - points[members].mean(axis=0)
        if np.sum(offsets * turned[members]) < 0.0:
            turned[members] *= -1.0
    return turned
