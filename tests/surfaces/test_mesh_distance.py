"""Exact signed distances, their bound and rounding; distances between shapes."""

from fractions import Fraction

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.surfaces.clamped import ClampedDistance
from ocsdf.surfaces.mesh_distance import MeshDistance
from ocsdf.surfaces.shape_distances import (
    chamfer,
    compare_meshes,
    point_to_surface,
    sample_surface,
    signed_distance,
    volume_iou,
)
from ocsdf.surfaces.sphere_tracing import look, shade, trace

BALL = trimesh.creation.icosphere(3, 0.7)
BOX = trimesh.creation.box((1.0, 0.6, 0.8))
PLATE = trimesh.creation.box((1.0, 1.0, 1e-6))


def exact_box(points):
    outside = np.abs(points) - np.array([0.5, 0.3, 0.4])
    return -np.linalg.norm(np.maximum(outside, 0.0), axis=1) - np.minimum(outside.max(axis=1), 0.0)


def test_the_distance_to_a_box_is_the_closed_form():
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (4_000, 3))
    field = MeshDistance(BOX)
    assert (np.abs(field(points) - exact_box(points)) <= field.slack(points) + 1e-15).all()
    assert field.slack(points).max() < 1e-13


def test_rays_through_edges_and_corners_are_decided():
    # Lattice points, many of which lie straight behind edges and corners.
    points = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.0, 9)] * 3), axis=-1).reshape(-1, 3)
    field = MeshDistance(BOX)
    assert np.abs(field(points) - exact_box(points)).max() < 1e-14
    finer = MeshDistance(BOX.subdivide().subdivide())
    assert np.abs(finer(points) - exact_box(points)).max() < 1e-14


def test_a_shell_in_a_shell_and_bodies_that_cross():
    inner = trimesh.creation.icosphere(3, 0.3)
    inner.invert()
    hollow = MeshDistance(trimesh.util.concatenate([BALL, inner]))
    assert (hollow([[0, 0, 0], [0.5, 0, 0], [0.9, 0, 0]]) > 0).tolist() == [False, True, False]
    moved = BALL.copy().apply_translation([0.5, 0.0, 0.0])
    both = MeshDistance(trimesh.util.concatenate([BALL, moved]))
    check_lipschitz(both, np.random.default_rng(0), 4_000)


def fractions(values):
    return [Fraction(float(value)) for value in values]


def exact_square(query, triangle):
    """The squared distance in rational arithmetic."""

    def minus(p, q):
        return [a - b for a, b in zip(p, q, strict=True)]

    def dot(p, q):
        return sum(a * b for a, b in zip(p, q, strict=True))

    q, (a, b, c) = fractions(query), map(fractions, triangle)
    candidates = []
    for start, stop in ((a, b), (b, c), (c, a)):
        side, offset = minus(stop, start), minus(q, start)
        length = dot(side, side)
        share = min(max(dot(side, offset) / length, 0), 1) if length else Fraction(0)
        rest = [o - share * s for o, s in zip(offset, side, strict=True)]
        candidates.append(dot(rest, rest))
    u, v, x = minus(b, a), minus(c, a), minus(q, a)
    area = dot(u, u) * dot(v, v) - dot(u, v) ** 2
    if area:
        p = (dot(v, v) * dot(u, x) - dot(u, v) * dot(v, x)) / area
        r = (dot(u, u) * dot(v, x) - dot(u, v) * dot(u, x)) / area
        if p >= 0 and r >= 0 and p + r <= 1:
            rest = [o - p * s - r * t for o, s, t in zip(x, u, v, strict=True)]
            candidates.append(dot(rest, rest))
    return min(candidates)


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.sampled_from([1.0, 1e-3, 1e-7, 1e-11]))
def test_rounding_stays_within_the_slack_however_thin_the_faces(seed, flatness):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-1.0, 1.0, (4, 3)) * [1.0, flatness, 1.0]
    if rng.random() < 0.5:
        corners[1] = corners[0] + flatness * rng.normal(size=3)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    field = MeshDistance(trimesh.Trimesh(corners, faces, process=False))
    queries = rng.uniform(-1.5, 1.5, (4, 3))
    for query, value, slack in zip(queries, field(queries), field.slack(queries), strict=True):
        square = min(exact_square(query, corners[face]) for face in faces)
        low, high = max(0.0, abs(value) - slack), abs(value) + slack
        assert Fraction(low) ** 2 <= square <= Fraction(high) ** 2


def check_lipschitz(field, rng, n_pairs, longest=0.5):
    first = rng.uniform(-1.0, 1.0, (n_pairs, 3))
    lengths = longest * 10.0 ** rng.uniform(-6.0, 0.0, (n_pairs, 1))
    second = first + lengths * rng.normal(size=(n_pairs, 3))
    rise = np.abs(field(first) - field(second))
    slack = field.slack(first) + field.slack(second)
    assert (rise <= np.linalg.norm(first - second, axis=1) + slack).all()


@pytest.mark.parametrize("mesh", [BALL, BOX, PLATE])
def test_no_pair_of_points_is_steeper_than_one(mesh):
    check_lipschitz(MeshDistance(mesh), np.random.default_rng(0), 20_000)


def test_the_sign_of_a_function_times_the_distance_is_steeper_where_the_clamped_one_is_not():
    points = BALL.vertices[BALL.vertices[:, 0] < 0.2]

    def inner(rows):
        return 0.6 - np.linalg.norm(rows, axis=1)

    clamped = ClampedDistance(points, inner)
    check_lipschitz(clamped, np.random.default_rng(0), 20_000)
    assert np.abs(clamped(points)).max() == 0.0
    # Where points are missing the product jumps by twice the distance across the zero of g.
    pair = np.array([[0.6 - 1e-9, 0.0, 0.0], [0.6 + 1e-9, 0.0, 0.0]])
    jumps = np.sign(inner(pair)) * clamped._tree.query(pair)[0]
    assert abs(np.diff(jumps)[0]) > 0.1 and abs(np.diff(clamped(pair))[0]) < 1e-8
    steep = ClampedDistance(points, lambda rows: 3.0 * inner(rows), lipschitz=3.0)
    assert steep(pair) == pytest.approx(clamped(pair))
    with pytest.raises(ValueError, match="lipschitz must be a positive number; got 0"):
        ClampedDistance(points, inner, lipschitz=0)


def test_no_ray_passes_through_however_thin_the_plate():
    field = MeshDistance(PLATE)
    origins, directions = look(np.array([[-0.6, -0.6, -0.6], [0.6, 0.6, 0.6]]), 40)
    traced = trace(field, origins, directions, 10.0, tolerance=1e-7, max_steps=2_000)
    exact = field.first_hits(origins, directions)
    assert np.isfinite(exact).sum() > 100
    assert traced.hits[np.isfinite(exact)].all()
    assert (traced.lengths <= exact + 1e-9).all()
    # A field that is too large steps over it.
    steps_over = trace(lambda rows: 1.5 * field(rows), origins, directions, 10.0, 1e-7)
    assert (steps_over.lengths[np.isfinite(exact)] > exact[np.isfinite(exact)] + 1e-6).any()


def test_a_picture_of_a_ball_is_lit_from_above():
    field = MeshDistance(BALL)
    origins, directions = look(BALL.bounds, 32)
    traced = trace(field, origins, directions, 10.0)
    picture = shade(field, origins, directions, traced, 32)
    assert picture.shape == (32, 32) and picture[0, 0] == 1.0
    seen = picture < 1.0
    assert picture[:16][seen[:16]].mean() > picture[16:][seen[16:]].mean() + 0.1
    assert traced.steps.max() < 100


def test_open_meshes_and_bad_points_are_named():
    torn = trimesh.Trimesh(BOX.vertices, BOX.faces[:-1], process=False)
    with pytest.raises(ValueError, match=r"needs a closed mesh; 3 of its 18 edges do not have two"):
        MeshDistance(torn)
    with pytest.raises(ValueError, match="needs a mesh with faces"):
        MeshDistance(trimesh.Trimesh())
    with pytest.raises(ValueError, match=r"finite, an array of shape \(n, 3\); got shape \(1, 2\)"):
        MeshDistance(BOX)([[0.0, 1.0]])
    assert MeshDistance(BOX)(np.empty((0, 3))).shape == (0,)


def test_concentric_spheres():
    small, large = (trimesh.creation.icosphere(5, radius) for radius in (1.0, 1.25))
    found = compare_meshes(small, large, np.random.default_rng(0), 4_000)
    assert found.to_truth == pytest.approx(0.25, abs=2e-3)
    assert found.from_truth == pytest.approx(0.25, abs=2e-3)
    assert found.hausdorff == pytest.approx(0.25, abs=4e-3)
    # Nearest samples are no nearer than the surfaces, and in l1 no nearer than in l2.
    assert 0.25 < found.chamfer_l2 < 0.26 and 1.2 < found.chamfer_l1 / found.chamfer_l2 < 1.74
    assert found.normal_consistency > 0.99


def test_a_part_missing_shows_in_one_direction():
    whole = trimesh.creation.box([1.0, 1.0, 1.0])
    part = whole.copy()
    part.update_faces(whole.face_normals[:, 2] < 0.5)
    found = compare_meshes(part, whole, np.random.default_rng(0), 20_000)
    assert found.to_truth < 1e-9 and found.hausdorff == pytest.approx(0.5, abs=0.02)
    # On the lid, the distance to its edge has the mean 1/6; it is a sixth of the box.
    assert found.from_truth == pytest.approx(1.0 / 36.0, rel=0.05)


def test_chamfer_of_shifted_points():
    points = 3.0 * np.indices((4, 4, 4)).reshape(3, -1).T
    shift = np.array([0.1, -0.2, 0.2])
    assert chamfer(points, points + shift) == pytest.approx(0.3)
    assert chamfer(points, points + shift, norm=1) == pytest.approx(0.5)
    assert chamfer(points, points[:1]) > 0.0 == chamfer(points, points)


def test_signed_distance_of_a_box_is_positive_inside():
    box = trimesh.creation.box([2.0, 2.0, 2.0])
    points = np.array([[0.0, 0.1, 0.0], [0.7, 0.0, 0.0], [3.0, 0.2, 0.0], [4.0, 5.0, 0.5]])
    assert signed_distance(box, points) == pytest.approx([0.9, 0.3, -2.0, -5.0])
    distances, faces = point_to_surface(box, points[1:2])
    assert distances == pytest.approx([0.3]) and box.face_normals[faces].tolist() == [[1, 0, 0]]


def test_samples_are_uniform_and_repeatable():
    box = trimesh.creation.box([1.0, 2.0, 4.0])
    points, normals = sample_surface(box, 20_000, np.random.default_rng(1))
    again, _ = sample_surface(box, 20_000, np.random.default_rng(1))
    assert (points == again).all()
    # Faces of 8, 4 and 2 units of area twice each.
    shares = np.abs(normals).mean(axis=0)
    assert shares == pytest.approx([8 / 14, 4 / 14, 2 / 14], abs=0.02)
    with pytest.raises(ValueError, match="no faces to sample"):
        sample_surface(trimesh.Trimesh(), 10, np.random.default_rng(0))


def test_volume_iou():
    assert volume_iou([1, 1, 0, 0], [1, 0, 1, 0]) == pytest.approx(1 / 3)
    assert volume_iou([0, 0], [0, 0]) == 1.0
    with pytest.raises(ValueError, match=r"same points; got shapes \(2,\) and \(3,\)"):
        volume_iou([0, 1], [0, 1, 1])
