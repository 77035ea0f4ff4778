"""Distances between shapes, held against closed forms."""

import numpy as np
import pytest
import trimesh

from ocsdf.surfaces.shape_distances import (
    chamfer,
    compare_meshes,
    point_to_surface,
    sample_surface,
    signed_distance,
    volume_iou,
)


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
