"""The solids of the experiments in space: meshes at hand, and generated ones."""

import numpy as np

from ocsdf.data.downloads import data_home
from ocsdf.surfaces.meshing import import_surface_package
from ocsdf.surfaces.preview import add_mesh, look_at

# Watertight, from alecjacobson/common-3d-test-models; they replace FAUST and ModelNet10.
MESHES = ("cheburashka", "cow", "fandisk", "homer", "rocker-arm", "spot")
# For smoke runs.
GENERATED = ("ball", "ring")
# Never looked at while constants were chosen: a tube in a knot, a ball with bumps, a star's prism.
HELD_BACK = ("knot", "bumps", "prism")
# Beyond the shape on each side, as a share of its longest side.
BORDER = 0.1
# The files' coordinates on the picture's axes.
_Y_UP = [2, 0, 1]


def load_shape(name):
    """Load a solid, scaled and moved so that its longest side runs from -1/2 to 1/2."""
    trimesh = import_surface_package("trimesh")
    if name == "ball":
        mesh = trimesh.creation.icosphere(4, 0.5)
    elif name == "ring":
        mesh = trimesh.creation.torus(0.35, 0.15)
    elif name in _MAKERS:
        mesh = _MAKERS[name](trimesh)
    else:
        mesh = trimesh.load_mesh(_file_of(name))
        # Vertices with several texture coordinates or normals are stored once for each.
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
    if not mesh.is_watertight:
        raise ValueError(f"{name} is not watertight; take one of {', '.join(MESHES)}.")
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    mesh.apply_scale(1.0 / mesh.extents.max())
    return mesh


def _knot(trimesh):
    """Make a tube around a trefoil."""
    n_along, n_around = 360, 36
    turn = np.linspace(0.0, 2.0 * np.pi, n_along, endpoint=False)[:, np.newaxis]
    wave = 2.0 + np.cos(3.0 * turn)
    curve = np.hstack([wave * np.cos(2.0 * turn), wave * np.sin(2.0 * turn), np.sin(3.0 * turn)])
    along = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    # The trefoil is curved everywhere, so that its second differences are at no place along it.
    bend = np.roll(curve, -1, axis=0) + np.roll(curve, 1, axis=0) - 2.0 * curve
    third = np.cross(along, bend)
    second = np.cross(third, along)
    third, second = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (third, second))
    angle = np.linspace(0.0, 2.0 * np.pi, n_around, endpoint=False)[:, np.newaxis]
    rings = np.cos(angle) * second[:, np.newaxis] + np.sin(angle) * third[:, np.newaxis]
    vertices = (curve[:, np.newaxis] + 0.35 * rings).reshape(-1, 3)
    i, j = np.indices((n_along, n_around)).reshape(2, -1)
    a, b = i * n_around + j, i * n_around + (j + 1) % n_around
    c, d = (i + 1) % n_along * n_around + j, (i + 1) % n_along * n_around + (j + 1) % n_around
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    return _outward(trimesh, vertices, faces)


def _bumps(trimesh):
    """Make a ball with bumps."""
    mesh = trimesh.creation.icosphere(6)
    x, y, z = mesh.vertices.T
    heights = 1.0 + 0.12 * np.sin(9.0 * x) * np.cos(7.0 * y) + 0.08 * np.sin(11.0 * z)
    return _outward(trimesh, mesh.vertices * heights[:, np.newaxis], mesh.faces)


def _prism(trimesh):
    """Make a prism over a star of seven points."""
    n = 14
    turn = 2.0 * np.pi * np.arange(n) / n
    radii = np.where(np.arange(n) % 2, 0.55, 1.0)
    rim = np.stack([radii * np.cos(turn), radii * np.sin(turn)], 1)
    low, high = (np.column_stack([rim, np.full(n, z)]) for z in (-0.3, 0.3))
    vertices = np.vstack([low, high, [[0.0, 0.0, -0.3], [0.0, 0.0, 0.3]]])
    a = np.arange(n)
    b = (a + 1) % n
    fans = [
        np.stack([np.full(n, 2 * n), b, a], 1),
        np.stack([np.full(n, 2 * n + 1), a + n, b + n], 1),
    ]
    walls = [np.stack([a, b, a + n], 1), np.stack([b, b + n, a + n], 1)]
    return _outward(trimesh, vertices, np.concatenate(fans + walls))


def _outward(trimesh, vertices, faces):
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if mesh.volume < 0.0:
        mesh.invert()
    return mesh


_MAKERS = {"knot": _knot, "bumps": _bumps, "prism": _prism}


def _file_of(name):
    home = data_home()
    path = home and home / "meshes" / f"{name}.obj"
    if path is None or not path.is_file():
        raise ValueError(
            f"there is no {path or '$OCSDF_DATA_HOME/meshes/' + name + '.obj'}: take {name}.obj "
            "from alecjacobson/common-3d-test-models and put it there."
        )
    return path


def surrounding_box(mesh):
    """Return the corners of the box around a mesh, a border wider on each side."""
    return mesh.bounds[0] - BORDER, mesh.bounds[1] + BORDER


def draw_inside(mesh, n_points, random_state):
    """Draw points uniformly inside a solid."""
    parts, n_found = [], 0
    while n_found < n_points:
        points = mesh.bounds[0] + mesh.extents * random_state.random((4 * n_points, 3))
        parts.append(points[mesh.contains(points)])
        n_found += len(parts[-1])
    return np.concatenate(parts)[:n_points]


def draw_mesh(ax, mesh, title):
    """Draw a mesh into 3-D axes."""
    add_mesh(ax, mesh, _Y_UP)
    _look(ax, title)


def draw_points(ax, points, title):
    """Draw a cloud into 3-D axes as :func:`draw_mesh` draws a mesh."""
    ax.scatter(*points[:, _Y_UP].T, s=0.6, color="0.25", linewidths=0)
    _look(ax, title)


def _look(ax, title):
    look_at(ax, np.full(3, -0.5), np.full(3, 0.5), title)
    ax.view_init(elev=15, azim=30)
