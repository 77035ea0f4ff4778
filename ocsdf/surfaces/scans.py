"""A watertight mesh of raw points: local quadrics near them, a winding number elsewhere."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ocsdf.surfaces.blending import blend, fill_brick, join, mark_blocks
from ocsdf.surfaces.local_fit import LocalSurface
from ocsdf.surfaces.meshing import import_surface_package

# Side of a cell in typical distances of points, and the most cells along a block.
_FINE, _MOST_CELLS = 0.6, 32
# Standard deviation of a point's weight in its own spacing; bounds in cells and in the median.
# Wider ones reach across folds and make pockets there (gargoyle, daratech, homer, cow).
_WIDTH, _NARROWEST, _WIDEST = 0.8, 0.5, 1.2
_REACH = 3.0
# Blocks along the side of the bricks that marching cubes takes at a time.
_BRICK = 16
# Share of a cell: nearer than that to 0 a value is moved away.
_CLEAR = 1e-3
# Beyond so many sides of a block the far distance is cut off.
_FARTHEST = 3.0
# A part of the mesh needs so many points within so many typical distances.
_FEWEST, _NEAR = 20, 4.0


class Reconstruction(NamedTuple):
    """A mesh, and the smooth points that it follows.

    Attributes
    ----------
    mesh : trimesh.Trimesh
        Watertight; faces turn outwards.
    surface : LocalSurface
        In units where the longest side of the cloud is 1.
    side : float
        Side of a cell, in the units of the cloud.
    hole_area : float
        Share of the mesh's area that is farther than four typical distances from every point:
        where holes of the cloud were closed.

    Examples
    --------
    >>> from ocsdf.surfaces import Reconstruction
    >>> Reconstruction._fields
    ('mesh', 'surface', 'side', 'hole_area')
    """

    mesh: object
    surface: LocalSurface
    side: float
    hole_area: float


def reconstruct_scan(points, normals=None, resolution="auto"):
    r"""Make a watertight mesh of raw points, with no network.

    Quadrics are fitted to the neighbours of each point, their number cross-validated around it;
    sides are found from the winding number of all points at once; near the points the surface is
    the zero set of the quadrics' blend, and in holes it is where the winding number is one half.
    The grid is fine near the points alone.

    Parameters
    ----------
    points : ndarray of shape (n_points, 3)
        As of :func:`ocsdf.surfaces.clouds.check_cloud`.
    normals : ndarray of shape (n_points, 3) or None, default=None
        Outward; only their side is used.
    resolution : int or "auto", default="auto"
        Cells along the longest side of the cloud, at least; "auto" has cells of 0.6 typical
        distances between points.

    Returns
    -------
    Reconstruction

    Raises
    ------
    ImportError
        If the extra ``surfaces`` is not installed.

    Examples
    --------
    The ball inside a sphere of radius 1 has a volume of 4.19:

    >>> import numpy as np
    >>> from ocsdf.surfaces import reconstruct_scan
    >>> directions = np.random.default_rng(0).normal(size=(600, 3))
    >>> sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    >>> mesh = reconstruct_scan(sphere, resolution=24).mesh
    >>> mesh.is_watertight, round(float(mesh.volume), 1)
    (True, 4.2)
    """
    trimesh = import_surface_package("trimesh")
    lowest, highest = points.min(axis=0), points.max(axis=0)
    center, scale = (lowest + highest) / 2.0, float((highest - lowest).max())
    surface = LocalSurface((points - center) / scale, normals)
    fine = _FINE * surface.spacing if resolution == "auto" else 1.0 / resolution
    cells = int(np.clip(np.ceil(surface.winding.side / fine - 1e-9), 1, _MOST_CELLS))
    blocks, values, far = _sample(surface, cells)
    vertices, faces = _extract(blocks, values, far, cells)
    side = surface.winding.side / cells
    vertices = surface.winding.lower + side * vertices
    kept, distances = _near_parts(vertices, faces, surface)
    faces = faces[kept[faces[:, 0]]]
    used, faces = np.unique(faces, return_inverse=True)
    mesh = trimesh.Trimesh(center + scale * vertices[used], faces.reshape(-1, 3), process=False)
    away = (distances[used] > _NEAR * surface.spacing)[mesh.faces].all(axis=1)
    hole_area = float(mesh.area_faces[away].sum() / mesh.area)
    return Reconstruction(mesh, surface, scale * side, hole_area)


def _sample(surface, cells):
    """Evaluate the blended distance on the blocks that points reach or the far one crosses."""
    grid = surface.winding
    side = grid.side / cells
    far = np.clip(surface.far_distance, -_FARTHEST * grid.side, _FARTHEST * grid.side)
    widths = _WIDTH * surface.spacings / side
    widths = np.clip(widths, _NARROWEST, max(_NARROWEST, _WIDEST * surface.spacing / side))
    places = (surface.points - grid.lower) / side
    blocks = np.zeros([n - 1 for n in grid.shape], dtype=np.int32)
    mark_blocks(places / cells, _REACH * widths / cells, blocks)
    corners = [
        far[x : n_x + x, y : n_y + y, z : n_z + z] > 0.0
        for n_x, n_y, n_z in [blocks.shape]
        for x, y, z in np.ndindex(2, 2, 2)
    ]
    blocks[np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)] = 1
    corners = np.argwhere(blocks)
    blocks[:] = -1
    blocks[tuple(corners.T)] = np.arange(len(corners))
    values, weights = np.zeros((2, len(corners), cells, cells, cells), dtype=np.float32)
    blend(places, surface.frames, surface.curvatures * side, widths, blocks, cells, values, weights)
    join(corners, cells, far, side, _CLEAR * side, values, weights)
    return blocks, values, far


def _extract(blocks, values, far, cells):
    """March through bricks of blocks, and join what they share: vertices in cells, and faces."""
    measure = import_surface_package("skimage.measure")
    bricks = np.unique(np.argwhere(blocks >= 0) // _BRICK, axis=0)
    # The last cells of the brick before reach to the first vertices of this one.
    before = -np.stack(np.unravel_index(np.arange(8), (2, 2, 2)), axis=1)
    bricks = np.unique((bricks[:, np.newaxis] + before).reshape(-1, 3), axis=0)
    brick = np.empty((_BRICK * cells + 1,) * 3, dtype=np.float32)
    vertices, faces, n_vertices = [np.empty((0, 3))], [np.empty((0, 3), dtype=np.int64)], 0
    for first in bricks[(bricks >= 0).all(axis=1)] * (_BRICK * cells):
        if fill_brick(first, cells, blocks, values, far, brick):
            found, triangles, _, _ = measure.marching_cubes(
                brick, 0.0, gradient_direction="ascent", method="lewiner"
            )
            vertices.append(found.astype(np.float64) + first)
            faces.append(triangles + n_vertices)
            n_vertices += len(found)
    vertices, faces = np.concatenate(vertices), np.concatenate(faces)
    # What two bricks share is at one place in both but for the rounding of float32.
    _, kept, joined = np.unique(
        np.round(vertices * 4096.0).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    return vertices[kept], joined.reshape(-1)[faces]


def _near_parts(vertices, faces, surface):
    """Tell which vertices belong to a part that follows points, and how far points are."""
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), (len(vertices),) * 2)
    n_parts, parts = connected_components(graph, directed=False)
    reach = _NEAR * surface.spacing
    distances, nearest = cKDTree(vertices).query(surface.points, distance_upper_bound=reach)
    counts = np.bincount(parts[nearest[np.isfinite(distances)]], minlength=n_parts)
    from_points, _ = cKDTree(surface.points).query(vertices, distance_upper_bound=2.0 * reach)
    return (counts >= min(_FEWEST, counts.max()))[parts], from_points
