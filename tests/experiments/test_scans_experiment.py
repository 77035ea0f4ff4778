"""Surfaces from scans and noisy points, in small."""

import numpy as np
import pandas as pd
import pytest
import trimesh

from experiments import scans
from experiments.shapes import HELD_BACK, load_shape
from ocsdf.surfaces.mesh_distance import MeshDistance


@pytest.fixture
def small(monkeypatch):
    sizes = {"_N_POINTS": 800, "_N_SAMPLES": 500, "_N_PAIRS": 500, "_N_ERRORS": 100}
    for name, size in sizes.items():
        monkeypatch.setattr(scans, name, size)


def test_ours_on_a_ball_is_near_and_its_field_is_not_steep(small):
    row = scans.run_cell("mesh", "ball", scans.OURS, 0.0)
    assert row["watertight"] and row["steep_pairs"] == 0
    assert 0.0 < row["mean"] < 3.0 and row["largest"] < 20.0
    assert row["slope_error"] < 0.02 and row["normal_consistency"] > 0.98


def test_a_scan_is_halved_and_measured_in_thousandths_of_its_diagonal(small, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1_200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    (tmp_path / "scans").mkdir()
    names = "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz"))
    rows = "\n".join(" ".join(map(str, row)) for row in np.hstack([7.0 * points, points]))
    header = f"ply\nformat ascii 1.0\nelement vertex 1200\n{names}end_header\n"
    (tmp_path / "scans" / "dc.ply").write_text(header + rows + "\n")
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
    turned, _, measure = scans._scan("dc", turned=True)
    center = np.array([3.1e4, -1.7e4, 650.0])
    assert np.linalg.norm(turned - center, axis=1) == pytest.approx(7.0 * 37.0, rel=1e-6)
    ball = trimesh.creation.icosphere(5, 7.0 * 37.0).apply_translation(center)
    assert measure(ball, rng)["mean"] < 1.0
    given, normals, measure = scans._scan("dc")
    assert given.shape == normals.shape == (600, 3)
    row = measure(trimesh.creation.icosphere(5, 7.14), rng)
    # 0.14 too large, on a diagonal of about 24.2.
    assert row["mean"] == pytest.approx(1_000.0 * 0.14 / (14.0 * 3**0.5), rel=0.03)
    assert row["normal_consistency"] > 0.99 and row["p99"] >= row["mean"]


def test_distances_to_faces_are_those_of_the_signed_distance():
    ball, rng = trimesh.creation.icosphere(2), np.random.default_rng(0)
    points = rng.normal(size=(200, 3))
    assert scans.to_faces(ball, points) == pytest.approx(np.abs(MeshDistance(ball)(points)))


@pytest.mark.parametrize("name", HELD_BACK)
def test_held_back_shapes_are_solids_of_one_piece(name):
    mesh = load_shape(name)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    assert 0.0 < mesh.volume < 0.5 and mesh.extents.max() == pytest.approx(1.0)


def test_tables_count_what_is_won():
    def row(kind, shape, method, noise, mean):
        row = {"kind": kind, "shape": shape, "method": method, "noise": noise, "mean": mean}
        row |= dict.fromkeys(("p99", "largest", "back", "seconds"), 2.0 * mean)
        row |= {"normal_consistency": 0.9, "watertight": True}
        return row | {"pairs": 500, "steep_pairs": 0, "slope_error": 1e-9}

    rows = [row("scan", "dc", scans.OURS, 0.0, 0.5), row("scan", "dc", scans.POISSON, 0.0, 0.7)]
    rows += [row("mesh", "cow", m, 0.0, v) for m, v in ((scans.OURS, 2.0), (scans.POISSON, 1.0))]
    rows += [row("mesh", "spot", m, 0.0, v) for m, v in ((scans.OURS, 1.0), (scans.POISSON, 1.0))]
    rows += [row("turned", "dc", m, 0.0, v) for m, v in ((scans.OURS, 2.0), (scans.POISSON, 1.0))]
    rows += [row("mesh", "knot", m, 0.0, v) for m, v in ((scans.OURS, 2.0), (scans.POISSON, 1.0))]
    text = scans.describe(pd.DataFrame(rows))
    assert "in the mean on 1 of 1 scans" in text and "Of 2,500 pairs of points 0 are" in text
    assert "## Held-back scans" in text and "in the mean on 0 of 1 scans" in text
    assert "## Held-back meshes" in text and "At or below screened Poisson on 0 of 1 cells" in text
    assert "At or below screened Poisson on 1 of 2 cells, on 1 of 1 of shapes" in text
