"""A signed distance as a mesh: marching cubes on a grid pruned by the Lipschitz bound."""

from importlib import import_module
from typing import NamedTuple

import numpy as np

from ocsdf.utils.extras import how_to_install

# Cells along the side of the first blocks, and of the last, whose corners are evaluated.
_COARSEST, _FINEST = 32, 2
_ROWS_AT_ONCE = 2**16
# Share of a cell's side: nearer than that to the level a value is moved away from it, so that no
# two vertices of a mesh coincide.
_CLEAR = 1e-4


class Grid(NamedTuple):
    """A regular grid of cubic cells over a box.

    Attributes
    ----------
    lower : ndarray of shape (3,)
        The first vertex.
    side : float
        Side of a cell.
    shape : tuple of three int
        Vertices along each axis.

    Examples
    --------
    >>> from ocsdf.surfaces import lay_grid
    >>> grid = lay_grid([0.0, 0.0, 0.0], [2.0, 1.0, 1.0], resolution=9)
    >>> grid.side, grid.shape
    (0.25, (9, 5, 5))
    """

    lower: np.ndarray
    side: float
    shape: tuple

    def at(self, indices):
        """Return the points at vertices, ndarray of shape (n, 3); indices may be fractions."""
        return self.lower + self.side * indices


class Samples(NamedTuple):
    """A function on the vertices of a grid.

    Attributes
    ----------
    values : ndarray of the grid's shape, float32
        Minus the level. On a block without a surface, the value at its centre stands at every
        vertex that no other block needs: the sign is right.
    n_evaluations : int
        Points at which the function was evaluated.

    Examples
    --------
    >>> from ocsdf.surfaces import Samples
    >>> Samples._fields
    ('values', 'n_evaluations')
    """

    values: np.ndarray
    n_evaluations: int


def lay_grid(lower, upper, resolution):
    """Lay a grid of cubic cells over a box.

    Parameters
    ----------
    lower, upper : array-like of shape (3,)
        Corners of the box.
    resolution : int
        Vertices along the longest side, at least 2; the others have as many as they need.

    Returns
    -------
    Grid

    Raises
    ------
    ValueError
        If the box has no extent along some axis, or the resolution is below 2.

    Examples
    --------
    >>> from ocsdf.surfaces import lay_grid
    >>> lay_grid([-1.0, -1.0, -1.0], [1.0, 1.0, 1.0], resolution=5).shape
    (5, 5, 5)
    """
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if lower.shape != (3,) or upper.shape != (3,) or not (lower < upper).all():
        raise ValueError(
            "lower and upper must be corners of a box of three dimensions, lower < upper; got "
            f"{lower.tolist()} and {upper.tolist()}."
        )
    if resolution < 2:
        raise ValueError(f"resolution must be 2 or more vertices a side; got {resolution}.")
    side = float((upper - lower).max()) / (resolution - 1)
    cells = np.ceil((upper - lower) / side - 1e-9).astype(int)
    return Grid(lower, side, tuple((cells + 1).tolist()))


def sample_grid(distance, grid, level=0.0, lipschitz=1.0):
    r"""Evaluate a function on a grid, but where its Lipschitz bound rules a surface out.

    In a block of cells with the centre c and the half diagonal r, an L-Lipschitz f with

    .. math:: |f(c) - t| > L r

    does not reach the level t. Blocks are halved from 32 cells a side down to 2.

    Parameters
    ----------
    distance : callable
        f. Maps an ndarray of shape (n, 3) to n numbers.
    grid : Grid
    level : float, default=0.0
        t.
    lipschitz : float, default=1.0
        L, in l2. Infinity evaluates every vertex.

    Returns
    -------
    Samples

    Raises
    ------
    ValueError
        If L is not above 0, or f does not give one finite number a point.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.surfaces import lay_grid, sample_grid
    >>> def ball(points):
    ...     return 1.0 - np.linalg.norm(points, axis=1)
    >>> grid = lay_grid([-2.0, -2.0, -2.0], [2.0, 2.0, 2.0], resolution=33)
    >>> float(sample_grid(ball, grid).values[16, 16, 16]) > 0.0
    True
    """
    if not lipschitz > 0.0:
        raise ValueError(f"lipschitz must be a number above 0; got {lipschitz!r}.")
    values = np.empty(grid.shape, dtype=np.float32)
    blocks = _all_blocks(grid, _COARSEST)
    side, n_evaluations = _COARSEST, 0
    while lipschitz < np.inf:
        gaps = _evaluate(distance, grid.at(blocks + side / 2.0)) - level
        n_evaluations += len(blocks)
        # What rounding may add to a bound must not rule out a block.
        keep = np.abs(gaps) <= lipschitz * grid.side * side * np.sqrt(3.0) / 2.0 * (1.0 + 1e-6)
        places = _vertices(blocks[~keep], side, grid.shape)
        values.reshape(-1)[places] = gaps[~keep, np.newaxis]
        blocks = blocks[keep]
        if side == _FINEST:
            break
        side //= 2
        blocks = _halves(blocks, side, grid.shape)
    places = np.unique(_vertices(blocks, side, grid.shape))
    found = np.stack(np.unravel_index(places, grid.shape), axis=1)
    values.reshape(-1)[places] = _evaluate(distance, grid.at(found)) - level
    return Samples(values, n_evaluations + len(places))


def extract_surface(distance, lower, upper, resolution=200, level=0.0, lipschitz=1.0):
    """Turn a level set of a function into a watertight mesh (Lewiner marching cubes).

    Parameters
    ----------
    distance : callable
        Maps an ndarray of shape (n, 3) to n numbers, positive inside.
    lower, upper : array-like of shape (3,)
        Corners of the box to look in. A surface that leaves it is closed there.
    resolution : int, default=200
        Vertices of the grid along the box's longest side.
    level : float, default=0.0
    lipschitz : float, default=1.0
        A Lipschitz constant of the function in l2, by which most of the grid needs no evaluation:
        see :func:`sample_grid`.

    Returns
    -------
    trimesh.Trimesh
        Faces turn outwards.

    Raises
    ------
    ValueError
        As of :func:`lay_grid` and :func:`sample_grid`; and if no point of the grid is above the
        level.
    ImportError
        If the extra ``surfaces`` is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.surfaces import extract_surface
    >>> def ball(points):
    ...     return 1.0 - np.linalg.norm(points, axis=1)
    >>> mesh = extract_surface(ball, [-1.5] * 3, [1.5] * 3, resolution=40)
    >>> mesh.is_watertight, round(float(mesh.volume), 1)
    (True, 4.2)
    """
    trimesh, measure = import_surface_package("trimesh"), import_surface_package("skimage.measure")
    grid = lay_grid(lower, upper, resolution)
    values = sample_grid(distance, grid, level, lipschitz).values
    if values.max() <= 0.0:
        raise ValueError(
            f"no surface at level {level:g}: on the grid the function is at most "
            f"{values.max() + level:g}. Choose a lower level or another box."
        )
    nearest = np.float32(_CLEAR * grid.side)
    near = np.abs(values) < nearest
    values[near] = np.where(values[near] < 0.0, -nearest, nearest)
    closed = np.pad(values, 1, constant_values=-np.abs(values).max())
    vertices, faces, _, _ = measure.marching_cubes(
        closed, 0.0, gradient_direction="ascent", method="lewiner"
    )
    return trimesh.Trimesh(grid.at(vertices.astype(np.float64) - 1.0), faces, process=False)


def import_surface_package(module):
    """Import a module of the extra ``surfaces``."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"Surfaces need {module.split('.')[0]}: {how_to_install('surfaces')} ({error})"
        ) from None


def _evaluate(distance, points):
    parts = [
        np.asarray(distance(points[start : start + _ROWS_AT_ONCE]), dtype=np.float64).reshape(-1)
        for start in range(0, len(points), _ROWS_AT_ONCE)
    ]
    values = np.concatenate([np.empty(0), *parts])
    if len(values) != len(points) or not np.isfinite(values).all():
        raise ValueError(
            f"distance must give one finite number for each of {len(points)} points; got "
            f"{len(values)}, {np.count_nonzero(~np.isfinite(values))} of them not finite."
        )
    return values


def _all_blocks(grid, side):
    """Return the first corners, in vertices, of the blocks that cover a grid."""
    starts = [np.arange(0, n - 1, side) for n in grid.shape]
    return np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 3)


def _halves(blocks, side, shape):
    """Cut blocks into eight of the given side, but for those beyond the grid."""
    corners = side * np.indices((2, 2, 2)).reshape(3, -1).T
    blocks = (blocks[:, np.newaxis] + corners).reshape(-1, 3)
    return blocks[(blocks < np.array(shape) - 1).all(axis=1)]


def _vertices(blocks, side, shape):
    """Return the places of each block's vertices, ndarray of shape (n_blocks, (side + 1)^3)."""
    within = np.indices((side + 1,) * 3).reshape(3, -1)
    last = np.array(shape)[:, np.newaxis] - 1
    return np.ravel_multi_index(
        np.moveaxis(np.minimum(blocks[:, :, np.newaxis] + within, last), 1, 0), shape
    )
