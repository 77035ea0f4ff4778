"""Meshes of raw points, held against closed forms."""

import numpy as np
import pytest
import trimesh

from ocsdf.surfaces.scans import reconstruct_scan


def ball(n_points, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_points, 3))
    points *= 2.0 / np.linalg.norm(points, axis=1, keepdims=True)
    return points + noise * rng.normal(size=points.shape) + [5.0, 0.0, -1.0]


def distances(mesh):
    return np.linalg.norm(mesh.vertices - [5.0, 0.0, -1.0], axis=1) - 2.0


@pytest.mark.parametrize(("noise", "mean"), [(0.0, 0.004), (0.03, 0.012)])
def test_a_ball_in_its_own_units(noise, mean):
    made = reconstruct_scan(ball(2_000, noise))
    mesh = made.mesh
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2
    assert mesh.volume == pytest.approx(4.0 / 3.0 * np.pi * 8.0, rel=0.02)
    assert np.abs(distances(mesh)).mean() < mean
    assert made.hole_area == 0.0


def test_a_hole_is_closed_and_said():
    points = ball(3_000)
    points = points[points[:, 2] < 0.0]
    made = reconstruct_scan(points)
    assert made.mesh.is_watertight and made.mesh.body_count == 1
    # The cap that is missing is a quarter of the sphere; a flat lid on it is smaller.
    assert 0.05 < made.hole_area < 0.3
    open_half = trimesh.points.PointCloud(points).convex_hull.volume
    assert made.mesh.volume == pytest.approx(open_half, rel=0.15)


def test_two_parts_and_a_shell_in_a_shell():
    apart = np.vstack([ball(1_500), ball(1_500, seed=1) + [6.0, 1.0, 0.0]])
    mesh = reconstruct_scan(apart).mesh
    assert mesh.is_watertight and mesh.body_count == 2
    assert mesh.volume == pytest.approx(2.0 * 4.0 / 3.0 * np.pi * 8.0, rel=0.03)
    center = np.array([5.0, 0.0, -1.0])
    nested = np.vstack([ball(2_000), center + 0.4 * (ball(800, seed=1) - center)])
    normals = np.vstack([nested[:2_000] - center, center - nested[2_000:]])
    mesh = reconstruct_scan(nested, normals).mesh
    assert mesh.is_watertight and mesh.body_count == 2
    assert mesh.volume == pytest.approx(4.0 / 3.0 * np.pi * (8.0 - 0.8**3), rel=0.03)


def test_a_thin_plate_keeps_two_sides():
    rng = np.random.default_rng(0)
    flat = rng.uniform(-1.0, 1.0, (6_000, 2))
    side = rng.choice([-1.0, 1.0], 6_000)
    points = np.column_stack([flat, 0.03 * side])
    rim = rng.uniform(-1.0, 1.0, (600, 3)) * [1.0, 1.0, 0.03]
    rim[np.arange(600), rng.integers(0, 2, 600)] = rng.choice([-1.0, 1.0], 600)
    normals = np.vstack([side[:, None] * [0.0, 0.0, 1.0], rim * [1.0, 1.0, 0.0]])
    mesh = reconstruct_scan(np.vstack([points, rim]), normals).mesh
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4.0 * 0.06, rel=0.15)


def test_a_finer_grid_has_more_faces_and_turning_changes_nothing():
    points = ball(1_000)
    coarse, fine = (reconstruct_scan(points, resolution=n) for n in (40, 96))
    assert len(fine.mesh.faces) > 3 * len(coarse.mesh.faces)
    assert fine.side <= np.ptp(points, axis=0).max() / 96 < coarse.side
    turn = trimesh.transformations.euler_matrix(0.3, 1.1, 2.0)[:3, :3]
    turned = reconstruct_scan(1e-3 * points @ turn.T)
    assert turned.mesh.is_watertight
    assert turned.mesh.volume == pytest.approx(1e-9 * coarse.mesh.volume, rel=0.02)


def test_the_same_call_gives_the_same_mesh():
    first, second = (reconstruct_scan(ball(500, 0.02)).mesh for _ in range(2))
    assert (first.vertices == second.vertices).all() and (first.faces == second.faces).all()
