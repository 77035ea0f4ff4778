"""Meshes as files."""

import io

import numpy as np
import pytest
import trimesh

from ocsdf.surfaces.mesh_files import SUFFIXES, encode_mesh


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("move", [(1.0, (0, 0, 0)), (1.0, (5e5, 4e6, 100)), (1e-6, (0, 0, 0))])
def test_every_vertex_comes_back(suffix, move):
    scale, center = move
    ball = trimesh.creation.icosphere(4)
    ball.vertices = scale * ball.vertices + center
    data = encode_mesh(ball, suffix)
    data = data if isinstance(data, bytes) else data.encode()
    found = trimesh.load_mesh(io.BytesIO(data), file_type=suffix[1:], process=False)
    np.testing.assert_allclose(found.vertices, ball.vertices, rtol=0.0, atol=1e-8 * scale)
    np.testing.assert_array_equal(found.faces, ball.faces)
    assert found.is_watertight
