"""Meshes as files that keep every vertex apart, wherever the mesh lies and however small it is."""

import math

import numpy as np

SUFFIXES = (".ply", ".obj", ".off")
# Significant digits of the mesh's extent, and the fewest behind the point.
_DIGITS, _FEWEST = 10, 8
_PLY_HEADER = """ply
format binary_little_endian 1.0
element vertex {n_vertices}
property double x
property double y
property double z
{colours}element face {n_faces}
property list uchar int vertex_indices
end_header
"""
_PLY_COLOURS = "property uchar red\nproperty uchar green\nproperty uchar blue\n"


def encode_mesh(mesh, suffix, colours=None):
    """Encode a mesh: PLY in double precision, the others with digits enough for its extent.

    trimesh's own PLY is in single precision, in which a scan in metres from a far origin loses
    vertices, and is no longer watertight. Colours of vertices, (n_vertices, 3) in uint8, are kept
    in PLY and OBJ.
    """
    if suffix == ".ply":
        faces = np.empty(len(mesh.faces), [("count", "u1"), ("vertices", "<i4", 3)])
        faces["count"], faces["vertices"] = 3, mesh.faces
        vertices = np.empty(len(mesh.vertices), [("place", "<f8", 3), ("colour", "u1", 3)])
        vertices["place"] = mesh.vertices
        if colours is None:
            vertices = vertices["place"]
        else:
            vertices["colour"] = colours
        header = _PLY_HEADER.format(
            n_vertices=len(mesh.vertices),
            n_faces=len(faces),
            colours="" if colours is None else _PLY_COLOURS,
        )
        return header.encode() + vertices.tobytes() + faces.tobytes()
    if colours is not None and suffix == ".obj":
        mesh = mesh.copy()
        mesh.visual.vertex_colors = colours
    digits = max(_FEWEST, _DIGITS - math.floor(math.log10(mesh.extents.max())))
    return mesh.export(file_type=suffix[1:], digits=digits)
