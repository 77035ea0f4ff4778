"""A cloud near a surface as smooth points with outward normals, and its signed distance."""

from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ocsdf.surfaces.orientation import orient
from ocsdf.surfaces.quadrics import fit_around, move_onto, validate
from ocsdf.surfaces.winding import WindingGrid, solve
from ocsdf.utils.threads import crew

# Neighbours of a local fit, of which cross-validation picks a number for each point.
NEIGHBOURS = np.array([10, 14, 20, 28, 40, 56, 80, 112, 160, 224])
_ROWS_AT_ONCE = 2_048
# The smoothest first fit whose error is near the best: its planes only have to lie well.
_FIRST_TOLERANCE, _ROUNDS = 1.25, 2
# Points whose errors are averaged; how many points' worth of the whole cloud's errors they are
# drawn towards; and the smoothest fit whose error is as good as the best.
_WINDOW, _PRIOR, _TOLERANCE = 64, 48, 1.02
# Neighbours whose plane turns a normal after the first round, and that measure a point's area.
_PLANE, _AREA = 28, 10
# Least side of a cell of the winding grid in typical distances; cells along its longest side.
_COARSE, _FEWEST_CELLS, _MOST_CELLS = 0.6, 32, 128
# Steps that make the winding number one half at the points, and how firmly.
_STEPS, _RIDGE = 10, 0.1
# Neighbours of a signed distance near the cloud, and the typical distances up to which it is near.
_NEAREST, _NEAR = 12, 3.0
_N_SLOPES = 4_096


class LocalSurface:
    r"""Points moved onto quadrics fitted to their neighbours, with outward normals.

    Each point x goes to :math:`x + h n`, where n is the normal of a plane near its neighbours, and
    h the height above x of the quadric that fits them best, weighted by a Gaussian (moving least
    squares). How many neighbours is decided by cross-validation around each point: by how well
    quadrics foretell points that were left out.

    Parameters
    ----------
    points : ndarray of shape (n_points, 3)
        With or without noise; at least 16 of them.
    normals : ndarray of shape (n_points, 3) or None, default=None
        Outward, and of any length; only their side is used. None finds the sides from the points
        (:func:`ocsdf.surfaces.orientation.orient`).

    Attributes
    ----------
    points : ndarray of shape (n_points, 3)
    frames : ndarray of shape (n_points, 3, 3)
        The outward unit normal, and two unit tangents, as columns.
    curvatures : ndarray of shape (n_points, 3)
        Second derivatives of the outward height over the two tangents: uu, uv, vv.
    n_neighbours : ndarray of shape (n_points,), int
    spacings : ndarray of shape (n_points,)
        Side of the square that each point stands for.
    spacing : float
        Their median.
    winding : WindingGrid

    Examples
    --------
    On a sphere around 0, the outward normals point where the points are:

    >>> import numpy as np
    >>> from ocsdf.surfaces import LocalSurface
    >>> directions = np.random.default_rng(0).normal(size=(600, 3))
    >>> sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    >>> surface = LocalSurface(sphere)
    >>> outward = np.sum(surface.frames[:, :, 0] * surface.points, axis=1)
    >>> bool(np.median(outward) > 0.99)
    True
    """

    def __init__(self, points, normals=None):
        points = np.ascontiguousarray(points, dtype=np.float64)
        self.n_neighbours, self.points, frames, curvatures = smooth(points)
        self._tree = cKDTree(self.points)
        distances, _ = self._tree.query(self.points, k=min(_AREA + 1, len(points)))
        self._areas = np.pi * distances[:, -1] ** 2 / (distances.shape[1] - 1)
        self.spacings = np.sqrt(self._areas)
        self.spacing = float(np.median(self.spacings))
        # A grid finer than the points are apart would tell nothing more of them.
        longest = float(np.ptp(self.points, axis=0).max())
        n_cells = np.clip(longest / (_COARSE * self.spacing), _FEWEST_CELLS, _MOST_CELLS)
        self.winding = WindingGrid(self.points, int(n_cells))
        if normals is None:
            signs = orient(self.points, frames[:, :, 0], self._areas, self.winding)
        else:
            signs = np.where(np.sum(frames[:, :, 0] * normals, axis=1) < 0.0, -1.0, 1.0)
        frames[:, :, 0] *= signs[:, np.newaxis]
        self.frames, self.curvatures = frames, curvatures * signs[:, np.newaxis]

    @property
    def normals(self):
        """Outward unit vectors, ndarray of shape (n_points, 3)."""
        return self.frames[:, :, 0]

    @cached_property
    def far_distance(self):
        r"""A distance on the vertices of the winding grid that closes holes smoothly.

        The winding number of the normals, made one half at the points by the least change of
        their vectors, minus one half, over its slope there.

        Returns
        -------
        ndarray of the grid's shape, float32
            Positive inside. True to scale near the points alone.
        """
        grid = self.winding
        areas = self._areas / grid.side**2
        vectors = areas[:, np.newaxis] * self.normals
        missing = 0.5 - grid.at_points(vectors)
        vectors = vectors + solve(grid, areas, missing, _STEPS, _RIDGE)
        values = grid.on_grid(vectors) - np.float32(0.5)
        some = np.random.default_rng(0).permutation(len(self.points))[:_N_SLOPES]
        step = grid.side * self.normals[some]
        rise = grid.interpolate(values, self.points[some] - step)
        rise -= grid.interpolate(values, self.points[some] + step)
        return values * np.float32(2.0 * grid.side / max(np.median(rise), 1e-3))

    def signed_distance(self, queries):
        r"""Measure from points to the surface, positive inside.

        Near the points, the mean of :math:`(p - x)^T n` over the nearest of them, weighted by a
        Gaussian (implicit moving least squares). Farther away, the distance to the nearest, with
        the sign of :attr:`far_distance`.

        Parameters
        ----------
        queries : ndarray of shape (n, 3)
            Anywhere in space, in the units of the cloud.

        Returns
        -------
        ndarray of shape (n,)
            In the same units; an estimate, not a bound.
        """
        distances, places = self._tree.query(queries, k=min(_NEAREST, len(self.points)))
        offsets = np.einsum(
            "nki,nki->nk", self.points[places] - queries[:, np.newaxis], self.normals[places]
        )
        weights = np.exp((distances[:, :1] ** 2 - distances**2) / (2.0 * self.spacing**2))
        signed = np.sum(weights * offsets, axis=1) / weights.sum(axis=1)
        far = distances[:, 0] > _NEAR * self.spacing
        sides = self.winding.interpolate(self.far_distance, queries[far])
        signed[far] = np.where(sides > 0.0, 1.0, -1.0) * distances[far, 0]
        return signed


def smooth(points):
    """Move points onto quadrics through their neighbours, in rounds.

    The first round has planes of principal components; each later one has planes through the smooth
    points of the round before, so that noise no longer decides which points are near. Returned are
    the numbers of neighbours, the points, frames (a unit normal, of either side, and tangents as
    columns) and curvatures.
    """
    sizes = NEIGHBOURS[len(points) - 2 > NEIGHBOURS]
    heights, normals = _first_fit(points, sizes)
    origins, tree = points + heights[:, np.newaxis] * normals, cKDTree(points)
    for number in range(_ROUNDS):
        if number:
            normals = _planes(origins, min(_PLANE, len(points) - 2))
        chosen = _choose(points, tree, origins, normals, sizes)
        origins, frames, curvatures = _move(points, tree, origins, normals, chosen)
    return chosen, origins, frames, curvatures


def _first_fit(points, sizes):
    """Fit over planes of principal components: heights above the points, and normals."""
    tree, everyone = cKDTree(points), np.arange(len(points))
    few = sizes[1::2] if len(sizes) > 1 else sizes
    heights, normals = _around(points, tree, everyone, few)
    chosen = _select(np.abs(heights), points, few, _FIRST_TOLERANCE)
    places = np.searchsorted(few, chosen)
    return heights[everyone, places], normals[everyone, places]


def _planes(points, size):
    """Return unit normals of the planes through the neighbours of points."""
    found = _around(points, cKDTree(points), np.arange(len(points)), np.array([size]))
    return found[1][:, 0]


def _around(points, tree, places, sizes):
    def fit(part):
        _, neighbours = tree.query(points[part], k=sizes[-1] + 1)
        # Of points at one place any may come first.
        neighbours[:, 0] = part
        heights = np.empty((len(part), len(sizes)))
        normals = np.empty((len(part), len(sizes), 3))
        fit_around(points, neighbours, sizes, heights, normals)
        return heights, normals

    return _in_parts(fit, places)


def _choose(points, tree, origins, normals, sizes):
    """Choose the number of neighbours at each point by cross-validation around it."""

    def measure(part):
        _, neighbours = tree.query(origins[part], k=sizes[-1] + 1)
        errors = np.empty((len(part), len(sizes)))
        validate(points, origins, normals, neighbours, part[0], sizes, errors)
        return (np.abs(errors),)

    (errors,) = _in_parts(measure, np.arange(len(points)))
    return _select(errors, origins, sizes, _TOLERANCE)


def _select(errors, places, sizes, tolerance):
    """Pick the largest size whose mean error around each place is as good as the best."""
    everywhere = errors.mean(axis=0)
    around = cKDTree(places)
    window = min(_WINDOW, len(places))

    def select(part):
        _, neighbours = around.query(places[part], k=window)
        near = errors[neighbours].mean(axis=1)
        level = (near / everywhere).min(axis=1, keepdims=True)
        near = window * near + _PRIOR * level * everywhere
        good = near <= tolerance * near.min(axis=1, keepdims=True)
        return (sizes[len(sizes) - 1 - np.argmax(good[:, ::-1], axis=1)],)

    return _in_parts(select, np.arange(len(places)))[0]


def _move(points, tree, origins, normals, chosen):
    def move(part):
        _, neighbours = tree.query(origins[part], k=chosen[part].max())
        moved, curvatures = np.empty((2, len(part), 3))
        frames = np.empty((len(part), 3, 3))
        move_onto(points, origins, normals, neighbours, part[0], chosen, moved, frames, curvatures)
        return moved, frames, curvatures

    return _in_parts(move, np.arange(len(points)))


def _in_parts(task, places):
    """Do a task on parts of the places, on several cores, and join what it returns."""
    parts = [places[i : i + _ROWS_AT_ONCE] for i in range(0, len(places), _ROWS_AT_ONCE)]
    with crew(len(parts)) as run:
        return tuple(np.concatenate(found) for found in zip(*run(task, parts), strict=True))
