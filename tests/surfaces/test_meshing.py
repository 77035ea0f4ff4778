"""Meshes of signed distances, held against closed forms, and their files."""

import io
import sys

import numpy as np
import pytest
import trimesh

from ocsdf.surfaces.mesh_files import SUFFIXES, encode_mesh
from ocsdf.surfaces.meshing import extract_surface, import_surface_package, lay_grid, sample_grid

LOWER, UPPER = [-1.0, -1.1, -0.9], [1.0, 1.05, 0.95]


def sphere(points):
    return 0.7 - np.linalg.norm(points, axis=1)


def torus(points):
    ring = np.hypot(points[:, 0], points[:, 1]) - 0.6
    return 0.25 - np.hypot(ring, points[:, 2])


def box(points):
    outside = np.abs(points) - np.array([0.5, 0.3, 0.4])
    return -np.linalg.norm(np.maximum(outside, 0.0), axis=1) - np.minimum(outside.max(axis=1), 0.0)


VOLUMES = {
    sphere: 4.0 / 3.0 * np.pi * 0.7**3,
    torus: 2.0 * np.pi**2 * 0.6 * 0.25**2,
    box: 8.0 * 0.5 * 0.3 * 0.4,
}
AREAS = {
    sphere: 4.0 * np.pi * 0.7**2,
    torus: 4.0 * np.pi**2 * 0.6 * 0.25,
    box: 8.0 * (0.5 * 0.3 + 0.3 * 0.4 + 0.5 * 0.4),
}


@pytest.mark.parametrize("shape", VOLUMES)
def test_meshes_have_the_volume_area_and_genus_of_closed_forms(shape):
    mesh = extract_surface(shape, LOWER, UPPER, resolution=80)
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(VOLUMES[shape], rel=5e-3)
    assert mesh.area == pytest.approx(AREAS[shape], rel=3e-2)
    assert mesh.euler_number == (0 if shape is torus else 2)
    assert np.abs(shape(mesh.vertices)).max() < (0.02 if shape is box else 5e-4)


@pytest.mark.parametrize("shape", VOLUMES)
@pytest.mark.parametrize("level", [0.0, -0.1, 0.05])
@pytest.mark.parametrize("resolution", [2, 3, 37, 70])
def test_pruned_equals_unpruned(shape, level, resolution):
    grid = lay_grid(LOWER, UPPER, resolution)
    pruned = sample_grid(shape, grid, level)
    whole = sample_grid(shape, grid, level, lipschitz=np.inf)
    assert whole.n_evaluations == np.prod(grid.shape)
    exact = pruned.values == whole.values
    assert (np.sign(pruned.values) == np.sign(whole.values)).all()
    # Both ends of every edge that crosses the level are evaluated, on the last axis as on others.
    for axis in range(3):
        first = np.moveaxis(whole.values, axis, 0)[:-1] > 0.0
        second = np.moveaxis(whole.values, axis, 0)[1:] > 0.0
        known = np.moveaxis(exact, axis, 0)
        assert (known[:-1] & known[1:])[first != second].all()
    if resolution == 70:
        assert pruned.n_evaluations < 0.6 * whole.n_evaluations


def test_the_finer_the_grid_the_smaller_the_share_evaluated():
    shares = []
    for resolution in (50, 100, 200):
        grid = lay_grid(LOWER, UPPER, resolution)
        shares.append(sample_grid(sphere, grid).n_evaluations / np.prod(grid.shape))
    assert shares[2] < shares[1] / 1.7 < shares[0] / 2.5 and shares[2] < 0.12


def test_a_steeper_function_needs_its_own_bound():
    steep = extract_surface(lambda p: 3.0 * torus(p), LOWER, UPPER, 40, lipschitz=3.0)
    assert np.allclose(steep.vertices, extract_surface(torus, LOWER, UPPER, 40).vertices, atol=2e-3)


def test_surfaces_that_leave_the_box_are_closed_there():
    mesh = extract_surface(sphere, [-1.0, -1.0, 0.0], [1.0, 1.0, 1.0], 60)
    assert mesh.is_watertight and mesh.volume == pytest.approx(VOLUMES[sphere] / 2.0, rel=0.04)


def test_values_on_the_level_itself_leave_a_watertight_mesh():
    # Planes of the grid lie on the faces of a cube.
    cube = extract_surface(lambda p: 0.5 - np.abs(p).max(axis=1), [-1.0] * 3, [1.0] * 3, 9)
    assert cube.is_watertight and cube.volume == pytest.approx(1.0, rel=2e-3)
    assert len(np.unique(cube.vertices, axis=0)) == len(cube.vertices)


def test_grid_covers_the_box_with_cubes():
    grid = lay_grid([0.0, 0.0, 0.0], [1.0, 0.25, 0.6], 11)
    assert grid.shape == (11, 4, 7) and grid.side == pytest.approx(0.1)
    last = np.array(grid.shape) - 1
    assert (grid.at(last) >= [1.0, 0.25, 0.6]).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"lower < upper; got \[0.0, 0.0, 0.0\]"):
        lay_grid([0, 0, 0], [1, 0, 1], 10)
    with pytest.raises(ValueError, match="2 or more vertices a side; got 1"):
        lay_grid(LOWER, UPPER, 1)
    grid = lay_grid(LOWER, UPPER, 9)
    with pytest.raises(ValueError, match="lipschitz must be a number above 0; got 0.0"):
        sample_grid(sphere, grid, lipschitz=0.0)
    with pytest.raises(ValueError, match="one finite number for each of 1 points; got 1, 1 of"):
        sample_grid(lambda p: np.full(len(p), np.nan), grid)
    with pytest.raises(ValueError, match="for each of 1 points; got 3, 0 of"):
        sample_grid(lambda p: p, grid)
    with pytest.raises(ValueError, match="no surface at level 2: on the grid the function is at"):
        extract_surface(sphere, LOWER, UPPER, 9, level=2.0)


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(ImportError, match=r"need trimesh: pip install 'ocsdf\[surfaces\]'"):
        import_surface_package("trimesh")


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
