"""Surfaces from points, by a network and without one: balls, scans with noise and holes."""

import numpy as np
import pytest
import tensorflow as tf
import trimesh

from ocsdf.levelsets.architectures import fc_2
from ocsdf.surfaces.neural import draw_queries, frame_cloud
from ocsdf.surfaces.reconstruction import Effort, fit_level_sets, reconstruct, regress
from ocsdf.surfaces.scans import reconstruct_scan

SMALL = Effort(32, 6_000, 150, 15, 256, 5e-3, 5e-4)


def ball(n_points):
    points = np.random.default_rng(0).normal(size=(n_points, 3))
    points *= 2.0 / np.linalg.norm(points, axis=1, keepdims=True)
    return points + [5.0, 0.0, -1.0]


@pytest.fixture(scope="module")
def fitted():
    seen = []

    def track(steps):
        for step in steps:
            seen.append(step)
            yield step

    network = reconstruct(ball(800), np.random.default_rng(0), SMALL, track)
    assert seen == list(range(165))
    return network


def test_the_mesh_is_a_ball_in_its_own_units(fitted):
    mesh = fitted.mesh(40, np.random.default_rng(0))
    assert mesh.is_watertight and mesh.euler_number == 2
    assert mesh.volume == pytest.approx(4.0 / 3.0 * np.pi * 8.0, rel=0.08)
    assert mesh.center_mass == pytest.approx([5.0, 0.0, -1.0], abs=0.1)


def test_distance_is_positive_inside_and_steep_as_one(fitted):
    queries = np.array([5.0, 0.0, -1.0]) + 2.0 * np.eye(3) @ np.diag([0.8, 1.0, 1.15])
    assert fitted.distance(queries) == pytest.approx([0.4, 0.0, -0.3], abs=0.12)
    assert fitted.slopes(queries) == pytest.approx(1.0, abs=0.3)


def test_queries_know_their_signed_distance():
    frame = frame_cloud(ball(2_000))
    assert frame.scale == pytest.approx(4.0, rel=0.01)
    queries, distances = draw_queries(frame, 1_000, np.random.default_rng(0))
    exact = np.clip(0.5 - np.linalg.norm(queries, axis=1), -0.2, 0.2)
    assert np.abs(distances - exact).mean() < 3e-3 and np.abs(distances).max() <= 0.2
    lower, upper = frame.scaled_box()
    assert lower == pytest.approx(-upper, abs=0.02) and upper == pytest.approx(0.6, abs=0.02)


def test_parts_that_no_point_is_near_are_left_out():
    frame = frame_cloud(ball(800))
    own = trimesh.creation.icosphere(3, 2.0).apply_translation([5.0, 0.0, -1.0])
    bubble, sheet = trimesh.creation.icosphere(2, 0.5), trimesh.creation.box((0.3, 0.3, 0.01))
    bubble.apply_translation([5.0, 0.0, -1.0])
    sheet.apply_translation([7.3, 2.2, 1.2])
    whole = trimesh.util.concatenate([bubble, own, sheet])
    kept = frame.drop_far_parts(whole)
    assert kept.is_watertight and len(kept.faces) == len(own.faces)
    np.testing.assert_allclose(kept.bounds, own.bounds)
    assert kept.volume == pytest.approx(own.volume)
    assert frame.drop_far_parts(own) is own
    assert frame.drop_far_parts(sheet) is sheet


def test_corners_where_the_network_changes_sign_are_not_in_the_mesh():
    frame = frame_cloud(ball(800))

    def network(rows):
        far = rows[:, :1] + rows[:, 1:2] + rows[:, 2:] > 1.5
        distance = 0.5 - tf.norm(rows, axis=1, keepdims=True)
        return tf.where(far, tf.abs(distance), distance)

    mesh = frame.wrap(network).mesh(40, np.random.default_rng(0))
    assert mesh.is_watertight and mesh.body_count == 1
    assert mesh.volume == pytest.approx(4.0 / 3.0 * np.pi * 8.0, rel=0.08)


def test_level_sets_move_to_the_points(fitted):
    # From the same network, whose ball is a tenth too small for these points.
    points = frame_cloud(ball(800)).surface.points
    network = fc_2(3, 1, width=32, seed=0)
    effort = SMALL._replace(steps=80, last_rate=3e-3)
    queries = np.random.default_rng(0).uniform(-0.7, 0.7, (256, 3)).astype(np.float32)
    targets = 0.4 - np.linalg.norm(queries, axis=1)
    regress(network, queries, targets, range(150), effort, np.random.default_rng(0))
    before = np.abs(network(points.astype(np.float32)).numpy()).mean()
    fit_level_sets(network, points, range(80), effort, np.random.default_rng(0))
    after = np.abs(network(points.astype(np.float32)).numpy()).mean()
    assert before > 0.07 and after < 0.5 * before


def noisy_ball(n_points, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_points, 3))
    points *= 2.0 / np.linalg.norm(points, axis=1, keepdims=True)
    return points + noise * rng.normal(size=points.shape) + [5.0, 0.0, -1.0]


def distances(mesh):
    return np.linalg.norm(mesh.vertices - [5.0, 0.0, -1.0], axis=1) - 2.0


@pytest.mark.parametrize(("noise", "mean"), [(0.0, 0.004), (0.03, 0.012)])
def test_a_ball_in_its_own_units(noise, mean):
    made = reconstruct_scan(noisy_ball(2_000, noise))
    mesh = made.mesh
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2
    assert mesh.volume == pytest.approx(4.0 / 3.0 * np.pi * 8.0, rel=0.02)
    assert np.abs(distances(mesh)).mean() < mean
    assert made.hole_area == 0.0


def test_a_hole_is_closed_and_said():
    points = noisy_ball(3_000)
    points = points[points[:, 2] < 0.0]
    made = reconstruct_scan(points)
    assert made.mesh.is_watertight and made.mesh.body_count == 1
    # The cap that is missing is a quarter of the sphere; a flat lid on it is smaller.
    assert 0.05 < made.hole_area < 0.3
    open_half = trimesh.points.PointCloud(points).convex_hull.volume
    assert made.mesh.volume == pytest.approx(open_half, rel=0.15)


def test_two_parts_and_a_shell_in_a_shell():
    apart = np.vstack([noisy_ball(1_500), noisy_ball(1_500, seed=1) + [6.0, 1.0, 0.0]])
    mesh = reconstruct_scan(apart).mesh
    assert mesh.is_watertight and mesh.body_count == 2
    assert mesh.volume == pytest.approx(2.0 * 4.0 / 3.0 * np.pi * 8.0, rel=0.03)
    center = np.array([5.0, 0.0, -1.0])
    nested = np.vstack([noisy_ball(2_000), center + 0.4 * (noisy_ball(800, seed=1) - center)])
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
    points = noisy_ball(1_000)
    coarse, fine = (reconstruct_scan(points, resolution=n) for n in (40, 96))
    assert len(fine.mesh.faces) > 3 * len(coarse.mesh.faces)
    assert fine.side <= np.ptp(points, axis=0).max() / 96 < coarse.side
    turn = trimesh.transformations.euler_matrix(0.3, 1.1, 2.0)[:3, :3]
    turned = reconstruct_scan(1e-3 * points @ turn.T)
    assert turned.mesh.is_watertight
    assert turned.mesh.volume == pytest.approx(1e-9 * coarse.mesh.volume, rel=0.02)


def test_the_same_call_gives_the_same_mesh():
    first, second = (reconstruct_scan(noisy_ball(500, 0.02)).mesh for _ in range(2))
    assert (first.vertices == second.vertices).all() and (first.faces == second.faces).all()
