"""Clouds of points in space: read from files, and checked."""

import re
from pathlib import Path

import numpy as np

from ocsdf.surfaces.meshing import import_surface_package

SUFFIXES = (".ply", ".obj", ".xyz", ".npy")
_FEWEST = 100
# Of the largest extent: what is thinner is flat.
_FLAT = 1e-3


def read_cloud(path):
    """Read the points of a file, and check that they can carry a surface.

    Parameters
    ----------
    path : str or os.PathLike
        ``.ply`` or ``.obj``, of which the vertices are taken; ``.xyz``, text with a point a line,
        of which the first three numbers are taken; or ``.npy``, an array of shape (n, 3).

    Returns
    -------
    ndarray of shape (n_points, 3), float64
        Distinct points, in the order of the file.

    Raises
    ------
    ValueError
        If the suffix is another, the file cannot be read, or see :func:`check_cloud`.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"cannot read {path}: a cloud is one of {', '.join(SUFFIXES)}; got "
            f"{path.suffix or 'no suffix'}."
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        points = _READERS[path.suffix.lower()](path)
    except ImportError:
        raise
    except Exception as error:  # whatever a reader makes of a broken file
        raise ValueError(
            f"cannot read {path} as {path.suffix}: {type(error).__name__}: {error}"
        ) from error
    return check_cloud(points, path.name)


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
    """
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
    return points[np.sort(first)]


def _read_ply(path):
    trimesh = import_surface_package("trimesh")
    with open(path, "rb") as file:
        header = file.read(2**16).split(b"end_header")[0]
    promised = re.search(rb"^element vertex (\d+)", header, re.MULTILINE)
    if promised and not int(promised[1]):
        return np.empty((0, 3))
    points = np.asarray(trimesh.load(path, process=False).vertices)
    if promised and len(points) < int(promised[1]):
        raise ValueError(f"its header promises {int(promised[1]):,} points, it has {len(points):,}")
    return points


def _read_obj(path):
    # Of a cloud, which has no faces, the vertices' lines are all there is.
    lines = path.read_text(encoding="utf-8").splitlines()
    vertices = [words[1:4] for words in map(str.split, lines) if words[:1] == ["v"]]
    return np.array(vertices, dtype=np.float64)


def _read_text(path):
    lines = [line.split("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [line.replace(",", " ").split()[:3] for line in lines if line.strip()]
    return np.array(rows, dtype=np.float64)


_READERS = {
    ".ply": _read_ply,
    ".obj": _read_obj,
    ".xyz": _read_text,
    ".npy": lambda path: np.load(path, allow_pickle=False),
}
