"""Smooth points, normals and signed distance of a cloud, held against closed forms."""

import numpy as np
import pytest
import trimesh

from ocsdf.surfaces.local_fit import LocalSurface, smooth
from ocsdf.surfaces.orientation import orient
from ocsdf.surfaces.quadrics import fit_around, move_onto, validate
from ocsdf.surfaces.winding import WindingGrid, solve


def sphere(n_points, noise, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_points, 3))
    points *= 0.5 / np.linalg.norm(points, axis=1, keepdims=True)
    return points + noise * rng.normal(size=points.shape)


def torus(n_points):
    rng = np.random.default_rng(0)
    around, along = rng.uniform(0.0, 2.0 * np.pi, (2, n_points))
    ring = np.stack([np.cos(along), np.sin(along), np.zeros(n_points)], axis=1)
    outward = np.cos(around)[:, None] * ring + np.sin(around)[:, None] * [0.0, 0.0, 1.0]
    return ring + 0.3 * outward, outward


def quadric(n_points=400):
    x, y = np.random.default_rng(0).uniform(-0.2, 0.2, (2, n_points))
    x[0] = y[0] = 0.0
    return np.stack([x, y, 0.5 * x**2 - 0.3 * x * y + 0.2 * y**2], axis=1)


def test_quadrics_are_met_exactly_and_described():
    points = quadric()
    near = np.argsort(np.linalg.norm(points, axis=1))[np.newaxis, :80]
    origins, normals = points.copy(), np.broadcast_to([0.0, 0.0, 1.0], points.shape).copy()
    # Raised by 0.01, an origin must come down by that.
    origins[0, 2] = 0.01
    moved, curvatures = np.empty((2, 1, 3))
    frames, sizes = np.empty((1, 3, 3)), np.full(len(points), 80)
    move_onto(points, origins, normals, near, 0, sizes, moved, frames, curvatures)
    assert np.abs(moved[0]).max() < 2e-4
    assert np.allclose(frames[0].T @ frames[0], np.eye(3), atol=1e-12)
    assert frames[0, :, 0] == pytest.approx([0.0, 0.0, 1.0], abs=1e-2)
    # Mean and Gaussian curvature do not depend on which tangents there are.
    uu, uv, vv = curvatures[0]
    assert uu + vv == pytest.approx(1.0 + 0.4, rel=0.03)
    assert uu * vv - uv**2 == pytest.approx(1.0 * 0.4 - 0.3**2, rel=0.06)
    # A point of the quadric is foretold by the others; one that is raised is missed by as much.
    errors = np.empty((1, 1))
    for raised in (0.0, 0.02):
        points[0, 2] = raised
        validate(points, origins, normals, near, 0, np.array([60]), errors)
        assert errors[0, 0] == pytest.approx(raised, abs=2e-4)


def test_points_themselves_are_left_out_of_their_fit():
    points = quadric()
    points[0, 2] = 0.015
    near = np.argsort(np.linalg.norm(points - points[0], axis=1))[np.newaxis, :61]
    heights, normals = np.empty((1, 1)), np.empty((1, 1, 3))
    fit_around(points, near, np.array([60]), heights, normals)
    assert abs(heights[0, 0]) == pytest.approx(0.015, abs=5e-4)
    assert abs(normals[0, 0, 2]) == pytest.approx(1.0, abs=1e-2)


def test_noise_is_smoothed_and_normals_point_outward():
    surface = LocalSurface(sphere(1_000, 0.01))
    radii = np.linalg.norm(surface.points, axis=1)
    # The noise's own mean size is 0.008.
    assert np.abs(radii - 0.5).mean() < 0.0035
    cosines = np.sum(surface.normals * surface.points, axis=1) / radii
    assert cosines.min() > 0.5 and cosines.mean() > 0.98


def test_the_more_noise_the_more_neighbours():
    clear, noisy = (np.median(smooth(sphere(500, noise))[0]) for noise in (0.0, 0.03))
    assert clear <= 20 < 48 <= noisy


def test_signed_distance_of_a_ball():
    surface = LocalSurface(sphere(1_000, 0.0))
    queries = np.random.default_rng(1).uniform(-0.6, 0.6, (2_000, 3))
    exact = 0.5 - np.linalg.norm(queries, axis=1)
    assert np.abs(surface.signed_distance(queries) - exact).max() < 0.03


def test_the_winding_number_of_a_ball_and_its_transpose():
    # Evenly, as sunflowers have their seeds.
    heights, turns = np.linspace(-1.0, 1.0, 4_001)[1::2], np.arange(2_000) * np.pi * (3 - 5**0.5)
    rings = np.sqrt(1.0 - heights**2)
    points = 0.5 * np.stack([rings * np.cos(turns), rings * np.sin(turns), heights], axis=1)
    grid = WindingGrid(points, 64)
    vectors = 2.0 * points * (4.0 * np.pi * 0.25 / len(points) / grid.side**2)
    values = grid.on_grid(vectors)
    places = np.stack(np.unravel_index(np.arange(values.size), grid.shape), axis=1)
    radii = np.linalg.norm(grid.lower + grid.side * places, axis=1).reshape(grid.shape)
    # The box is periodic, and its faces are 0 on average only.
    assert np.ptp(values[radii < 0.4]) < 0.1
    assert np.abs(values[radii > 0.6]).max() < 0.15
    assert values[radii < 0.4].mean() == pytest.approx(1.0, abs=0.1)
    rng = np.random.default_rng(0)
    weights, vectors = rng.normal(size=2_000), rng.normal(size=(2_000, 3))
    there, back = grid.at_points(vectors) @ weights, np.sum(vectors * grid.transposed(weights))
    assert there == pytest.approx(back, rel=1e-4)


def test_vectors_that_make_the_winding_number_one_half_look_outward():
    points = sphere(1_500, 0.0)
    grid = WindingGrid(points, 64)
    areas = np.full(1_500, np.pi / 1_500) / grid.side**2
    vectors = solve(grid, areas, np.full(1_500, 0.5), 10, 0.2)
    assert (np.sum(vectors * points, axis=1) > 0.0).all()


def test_a_torus_inside_out_is_turned():
    points, outward = torus(3_000)
    mixed = np.random.default_rng(1).choice([-1.0, 1.0], 3_000)[:, None] * outward
    signs = orient(points, mixed, np.full(3_000, 1.18e-3 * 4.0), WindingGrid(points))
    assert (np.sum(signs[:, None] * mixed * outward, axis=1) > 0.0).all()


def test_given_normals_decide_the_side_alone():
    points = sphere(600, 0.0)
    inward = LocalSurface(points, -7.0 * points)
    assert (np.sum(inward.normals * points, axis=1) < 0.0).all()
    assert np.linalg.norm(inward.normals, axis=1) == pytest.approx(1.0)
    outward = LocalSurface(points)
    assert inward.curvatures == pytest.approx(-outward.curvatures)
    assert np.median(outward.curvatures, axis=0) == pytest.approx([-2.0, 0.0, -2.0], abs=0.05)


def test_the_sides_of_a_thin_sheet_do_not_pull_each_other_into_one_direction():
    box = trimesh.creation.box((1.0, 1.0, 0.03))
    points, faces = trimesh.sample.sample_surface(box, 3_000, seed=0)
    outward = box.face_normals[faces]
    surface = LocalSurface(np.asarray(points))
    # The sheet is as thin as the points are apart; a pull across it turns every third one.
    wrong = np.sum(surface.normals * outward, axis=1)[np.abs(outward[:, 2]) > 0.5] < 0.0
    assert wrong.mean() < 0.23
