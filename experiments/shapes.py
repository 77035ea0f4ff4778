"""The solids of the experiments in space: meshes at hand, and generated ones."""

import numpy as np

from ocsdf.data.downloads import data_home
from ocsdf.surfaces.meshing import import_surface_package
from ocsdf.surfaces.preview import add_mesh, look_at

# Watertight, from alecjacobson/common-3d-test-models; they replace FAUST and ModelNet10.
MESHES = ("cheburashka", "cow", "fandisk", "homer", "rocker-arm", "spot")
# For smoke runs.
GENERATED = ("ball", "ring")
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
    else:
        mesh = trimesh.load_mesh(_file_of(name))
        # Vertices with several texture coordinates or normals are stored once for each.
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
    if not mesh.is_watertight:
        raise ValueError(f"{name} is not watertight; take one of {', '.join(MESHES)}.")
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    mesh.apply_scale(1.0 / mesh.extents.max())
    return mesh


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
