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
element face {n_faces}
property list uchar int vertex_indices
end_header
"""


def encode_mesh(mesh, suffix):
    """Encode a mesh: PLY in double precision, the others with digits enough for its extent.

    trimesh's own PLY is in single precision, in which a scan in metres from a far origin loses
    vertices, and is no longer watertight.
    """
    if suffix == ".ply":
        faces = np.empty(len(mesh.faces), [("count", "u1"), ("vertices", "<i4", 3)])
        faces["count"], faces["vertices"] = 3, mesh.faces
        header = _PLY_HEADER.format(n_vertices=len(mesh.vertices), n_faces=len(faces))
        return header.encode() + mesh.vertices.astype("<f8").tobytes() + faces.tobytes()
    digits = max(_FEWEST, _DIGITS - math.floor(math.log10(mesh.extents.max())))
    return mesh.export(file_type=suffix[1:], digits=digits)
