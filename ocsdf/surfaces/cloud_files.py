"""Clouds from files: PLY, OBJ, text and NumPy arrays."""

import re
from pathlib import Path

import numpy as np

from ocsdf.surfaces.clouds import Cloud, points_of
from ocsdf.surfaces.meshing import import_surface_package

SUFFIXES = (".ply", ".obj", ".xyz", ".npy")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


def read_cloud(path):
    """Read the points of a file, and check that they can carry a surface.

    Parameters
    ----------
    path : str or os.PathLike
        ``.ply`` or ``.obj``, of which vertices, normals and colours are taken; ``.xyz``, text
        with a point a line, of which the first three numbers are the point and the next three, if
        there are, its normal; or ``.npy``, an array of shape (n, 3) or (n, 6). Text may begin with
        a line of names or with the number of points, and may have decimal commas.

    Returns
    -------
    Cloud
        Distinct points, in the order of the file.

    Raises
    ------
    ValueError
        If the suffix is another, the file cannot be read, or see
        :func:`ocsdf.surfaces.clouds.check_cloud`.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    Columns beyond the third are normals:

    >>> import numpy as np
    >>> from ocsdf.surfaces import read_cloud
    >>> np.savetxt("cloud.xyz", np.random.default_rng(0).normal(size=(200, 6)))
    >>> cloud = read_cloud("cloud.xyz")
    >>> cloud.points.shape, cloud.normals.shape
    ((200, 3), (200, 3))
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
        cloud = Cloud(*_READERS[path.suffix.lower()](path))
    except ImportError:
        raise
    except Exception as error:  # whatever a reader makes of a broken file
        raise ValueError(
            f"cannot read {path} as {path.suffix}: {type(error).__name__}: {error}"
        ) from error
    points, rows = points_of(cloud.points, path.name)
    return cloud.at(rows)._replace(points=points)


def _read_ply(path):
    trimesh = import_surface_package("trimesh")
    with open(path, "rb") as file:
        header = file.read(2**16).split(b"end_header")[0]
    promised = re.search(rb"^element vertex (\d+)", header, re.MULTILINE)
    if promised and not int(promised[1]):
        return np.empty((0, 3)), None
    loaded = trimesh.load(path, process=False)
    points = np.asarray(loaded.vertices)
    if promised and len(points) < int(promised[1]):
        raise ValueError(f"its header promises {int(promised[1]):,} points, it has {len(points):,}")
    vertex = loaded.metadata.get("_ply_raw", {}).get("vertex", {})
    colours = _columns(vertex, ("red", "green", "blue"), len(points))
    if colours is not None and colours.max(initial=0.0) <= 1.0:
        colours = 255.0 * colours
    return points, _columns(vertex, ("nx", "ny", "nz"), len(points)), _as_bytes(colours)


def _columns(vertex, names, n_points):
    """Return properties of a PLY file's vertices side by side, or None where one is missing."""
    data = vertex.get("data")
    if not set(names) <= set(vertex.get("properties", ())) or len(data[names[0]]) != n_points:
        return None
    return np.stack([np.asarray(data[name], dtype=float).ravel() for name in names], 1)


def _as_bytes(colours):
    return (
        None
        if colours is None
        else np.clip(np.round(np.nan_to_num(colours)), 0, 255).astype(np.uint8)
    )


def _read_obj(path):
    # Of a cloud, which has no faces, the vertices' lines are all there is.
    lines = [line.split("#")[0].split() for line in _text(path).splitlines()]
    vertices = [words[1:7] for words in lines if words[:1] == ["v"]]
    points = np.array([words[:3] for words in vertices], dtype=np.float64)
    normals = [words[1:4] for words in lines if words[:1] == ["vn"]]
    normals = np.array(normals, dtype=float) if len(normals) == len(points) else None
    if not vertices or any(len(words) < 6 for words in vertices):
        return points, normals
    return points, normals, _as_bytes(255.0 * np.array([w[3:] for w in vertices], dtype=float))


def _read_text(path):
    lines = enumerate(_text(path).splitlines(), start=1)
    lines = [(number, line.split("#")[0].strip()) for number, line in lines]
    rows = [(number, _fields(line)) for number, line in lines if line]
    promised = None
    if rows and len(rows[0][1]) == 1 and rows[0][1][0].isdecimal():
        promised = int(rows.pop(0)[1][0])
    elif len(rows) > 1 and not any(map(_NUMBER.fullmatch, _as_points(rows[0][1], True))):
        rows.pop(0)
    if promised is not None and promised != len(rows):
        raise ValueError(f"its first line promises {promised:,} points, it has {len(rows):,}")
    commas = _has_decimal_commas([fields for _, fields in rows])
    numbers = []
    for number, fields in rows:
        fields = _as_points(fields, commas)
        if len(fields) < 3 or not all(map(_NUMBER.fullmatch, fields[:3])):
            raise ValueError(f"line {number} is no point of three numbers: {' '.join(fields)!r}")
        numbers.append(fields[:6])
    if not numbers:
        return np.empty((0, 3)), None
    whole = all(len(n) == 6 and all(map(_NUMBER.fullmatch, n)) for n in numbers)
    values = np.array([n if whole else n[:3] for n in numbers], dtype=np.float64)
    return values[:, :3], values[:, 3:] if whole else None


def _fields(line):
    """Cut a line at semicolons or white space, or else at commas."""
    fields = line.replace(";", " ").split()
    if len(fields) < 3 or all(field.endswith(",") for field in fields[:2]):
        fields = line.replace(",", " ").replace(";", " ").split()
    return fields


def _has_decimal_commas(rows):
    """Tell whether commas stand for decimal points; refuse those that group thousands."""
    fields = [field for row in rows for field in row if "," in field]
    grouped = next((field for field in fields if _THOUSANDS.fullmatch(field)), None)
    if grouped and all(map(_THOUSANDS.fullmatch, fields)):
        raise ValueError(
            f"the comma of {grouped!r} may group thousands or be a decimal one; write points"
        )
    return bool(fields) and all(map(_COMMA.fullmatch, fields))


def _as_points(fields, commas):
    return [field.replace(",", ".") for field in fields] if commas else fields


def _read_array(path):
    values = np.load(path, allow_pickle=False)
    if values.ndim == 2 and values.shape[1] == 6:
        return values[:, :3], values[:, 3:]
    return values, None


def _text(path):
    """Decode UTF-8, with a byte order mark or without, or else Latin-1."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


_READERS = {".ply": _read_ply, ".obj": _read_obj, ".xyz": _read_text, ".npy": _read_array}
