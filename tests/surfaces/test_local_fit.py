"""Smooth points, normals and signed distance of a cloud, held against closed forms."""

import numpy as np
import pytest

from ocsdf.surfaces.local_fit import LocalSurface, choose_neighbours, fit_quadrics, orient


def sphere(n_points, noise, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_points, 3))
    points *= 0.5 / np.linalg.norm(points, axis=1, keepdims=True)
    return points + noise * rng.normal(size=points.shape)


def test_quadrics_are_met_exactly():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.2, 0.2, (2, 400))
    points = np.stack([x, y, 0.5 * x**2 - 0.3 * x * y + 0.2 * y**2], axis=1)
    # Raised by 0.01, a point must come down by that, seen along the normal of its plane.
    heights, directions, normals = fit_quadrics(points, np.array([[0.0, 0.0, 0.01]]), 60)
    landed = np.array([0.0, 0.0, 0.01]) + heights[0] * directions[0]
    assert np.abs(landed).max() < 2e-4
    assert abs(normals[0, 2]) == pytest.approx(1.0, abs=1e-3)


def test_noise_is_smoothed_and_normals_point_outward():
    surface = LocalSurface(sphere(1_000, 0.01))
    radii = np.linalg.norm(surface.points, axis=1)
    # The noise's own mean size is 0.008.
    assert np.abs(radii - 0.5).mean() < 0.0045
    cosines = np.sum(surface.normals * surface.points, axis=1) / radii
    assert cosines.min() > 0.5 and cosines.mean() > 0.98


def test_the_more_noise_the_more_neighbours():
    clear, noisy = (choose_neighbours(sphere(500, noise)) for noise in (0.0, 0.03))
    assert clear <= 16 < 48 <= noisy


def test_signed_distance_and_winding_number_of_a_ball():
    surface = LocalSurface(sphere(1_000, 0.0))
    queries = np.random.default_rng(1).uniform(-1.0, 1.0, (2_000, 3))
    exact = 0.5 - np.linalg.norm(queries, axis=1)
    assert np.abs(surface.signed_distance(queries) - exact).max() < 0.03
    clear = np.abs(exact) > 0.1
    winding = surface.winding_number(queries[clear])
    assert np.abs(winding - (exact[clear] > 0.0)).max() < 0.1


def test_a_torus_inside_out_is_turned():
    rng = np.random.default_rng(0)
    around, along = rng.uniform(0.0, 2.0 * np.pi, (2, 3_000))
    ring = np.stack([np.cos(along), np.sin(along), np.zeros(3_000)], axis=1)
    outward = np.cos(around)[:, None] * ring + np.sin(around)[:, None] * [0.0, 0.0, 1.0]
    signs = rng.choice([-1.0, 1.0], (3_000, 1))
    turned = orient(ring + 0.3 * outward, signs * outward)
    assert (np.sum(turned * outward, axis=1) > 0.0).all()
