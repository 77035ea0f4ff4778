"""Surfaces, certified fields of scans and solids from points inside: the experiments, in small."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import trimesh

from experiments import implicit_shapes, scan_fields, scans, surfaces
from experiments.implicit_shapes import BALLS, KDE, OURS
from experiments.lipschitz_fields import clear_queries, fit_field, reach, separate
from experiments.shapes import GENERATED, HELD_BACK, draw_inside, load_shape
from experiments.surface_tables import describe, draw
from experiments.surfaces import (
    ALONE,
    CNLS,
    LIPSCHITZ,
    METHODS,
    NOISE,
    POISSON,
    draw_cloud,
    mesh_file,
    run_cell,
)
from experiments.toy2d_data import clear_seeds
from ocsdf.surfaces.mesh_distance import MeshDistance
from ocsdf.surfaces.reconstruction import Effort
from ocsdf.training.domain import Box

TINY = surfaces.PRESETS["smoke"]._replace(
    effort=Effort(16, 2_000, 60, 4, 256, 5e-3),
    regression_steps=60,
    lipschitz_width=8,
    lipschitz_steps=60,
    alone_steps=4,
    n_samples=500,
    resolution=24,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    key = {"shape": "ball", "n_points": 600, "preset": "smoke", "seed": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(surfaces.PRESETS, "smoke", TINY)
        rows = [{**key, "method": m, **run_cell(method=m, **key, work=work)} for m in METHODS]
    return pd.DataFrame(rows), work


@pytest.mark.slow
def test_every_method_gives_a_surface(found):
    rows, _ = found
    rows = rows.set_index("method")
    # The ball's radius is 1/2; a few steps of so small a 1-Lipschitz network are rough.
    distances = rows[["to_truth", "from_truth"]].max(axis=1)
    assert (distances.drop([LIPSCHITZ, ALONE]) < 0.1).all()
    assert (distances[[LIPSCHITZ, ALONE]] < 0.4).all()
    assert rows.loc[[CNLS, POISSON], "watertight"].all()
    assert (rows["chamfer_l2"] < rows["chamfer_l1"]).all()
    assert (rows["floor_l2"] < rows["floor_l1"]).all()
    networks = rows["error_near"].notna()
    assert networks.sum() == 4 and rows.loc[CNLS, "error_near"] < 0.1
    assert rows.loc[LIPSCHITZ, ["slope_near", "slope_far"]].max() <= 1.0 + 1e-4


@pytest.mark.slow
def test_tables_and_picture(found, tmp_path):
    rows, work = found
    text = describe(pd.concat([rows, rows.assign(n_points=TINY.many)]), METHODS, TINY)
    row = rows.set_index("method").loc[CNLS]
    assert f"{500.0 * (row['to_truth'] + row['from_truth']):.2f}" in text
    assert " of 1 shapes. Of the 2 meshes of our two rows" in text and "| nan" not in text
    files = partial(mesh_file, work, "smoke", 0)
    draw({"ball": np.zeros((600, 3))}, files, (CNLS, POISSON), tmp_path / "surfaces.png")
    assert (tmp_path / "surfaces.png").stat().st_size > 10_000


def test_clouds_have_the_noise_that_is_said():
    cloud = draw_cloud(load_shape("ball"), 5_000, np.random.default_rng(0))
    assert np.std(np.linalg.norm(cloud, axis=1)) == pytest.approx(NOISE, rel=0.05)


@pytest.fixture
def small_clouds(monkeypatch):
    sizes = {"_N_POINTS": 800, "_N_SAMPLES": 500, "_N_PAIRS": 500, "_N_ERRORS": 100}
    for name, size in sizes.items():
        monkeypatch.setattr(scans, name, size)


def test_ours_on_a_ball_is_near_and_its_field_is_not_steep(small_clouds):
    row = scans.run_cell("mesh", "ball", scans.OURS, 0.0)
    assert row["watertight"] and row["steep_pairs"] == 0
    assert 0.0 < row["mean"] < 3.0 and row["largest"] < 20.0
    assert row["slope_error"] < 0.02 and row["normal_consistency"] > 0.98


def test_a_scan_is_halved_and_measured_by_its_diagonal(small_clouds, tmp_path, monkeypatch):
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


BALL = trimesh.creation.icosphere(3, 1.0)


@pytest.fixture
def small_fields(monkeypatch):
    sizes = {"_N_ERRORS": 300, "_N_QUERIES": 1_500, "_N_STEPS": 60, "_PIXELS": 12}
    sizes |= {"_MARCHED": 40, "_MARCHES": 60}
    for name, size in sizes.items():
        monkeypatch.setattr(scan_fields, name, size)
    monkeypatch.setattr(scan_fields, "_N_PAIRS", dict.fromkeys(scan_fields._N_PAIRS, 600))
    points = BALL.vertices[::2]
    monkeypatch.setattr(scan_fields, "_meshes", lambda scan, work: (BALL, BALL, points))


def test_fields_of_a_ball_are_near_not_steep_and_not_passed_through(small_fields, tmp_path):
    rows = []
    for field in (scan_fields.MESH, scan_fields.CLAMPED):
        row = scan_fields.run_cell(scan_fields.DRAWN, field, tmp_path)
        rows.append({"scan": scan_fields.DRAWN, "field": field, **row})
        assert row["bound"] <= 1.0 and row["steep_pairs"] == 0 and row["passed"] == 0
        assert row["steepest"] <= 1.0 + 1e-9 and row["hits"] > 30
    assert rows[0]["error_domain"] == rows[0]["error_near"] == 0.0
    assert rows[0]["steepest"] > 1.0 - 1e-6
    assert 0.0 < rows[1]["error_near"] < 0.1 and rows[1]["error_domain"] <= rows[1]["alone_domain"]
    text = scan_fields.describe(pd.DataFrame(rows))
    assert "0 of 600 (clamped), 0 of 600 (mesh)" in text and "nan" not in text
    np.savez(tmp_path / f"{scan_fields.DRAWN}_{scan_fields.REGRESSION}.npz",
             picture=np.ones((3, 3)), steps=np.ones((3, 3)))  # fmt: skip
    scan_fields.draw(tmp_path, tmp_path / "fields.png")
    assert (tmp_path / "fields.png").stat().st_size > 5_000


def test_a_field_that_is_too_steep_is_passed_through_and_counted(small_fields, tmp_path):
    def steep(rows):
        # A shell: thin enough for steps three times too long to jump it.
        return 3.0 * (0.05 - np.abs(0.9 - np.linalg.norm(rows, axis=1)))

    rng = np.random.default_rng(0)
    row = scan_fields._traced(steep, BALL.bounds, tmp_path / "steep.npz", rng)
    assert row["passed"] > 0


def test_queries_keep_clear_and_losses_are_the_closed_forms():
    rng = np.random.default_rng(0)

    def sides(rows):
        return 1.0 - np.linalg.norm(rows, axis=1)

    box = np.full(3, -1.5), np.full(3, 1.5)
    queries, distances = clear_queries(BALL.vertices, box, 0.1, 600, sides, rng, (0.05, 0.2))
    assert len(queries) < 600 and np.abs(distances).min() >= 0.1
    assert np.array_equal(distances, sides(queries))
    exact, values = tf.constant([0.5, -0.5, 0.5, -0.02]), tf.constant([0.7, -0.2, -0.1, 0.0])
    found = reach(0.1, 2.0)(exact, values).numpy()
    assert found == pytest.approx([0.0, 0.3, 0.6 + 2.0 * 0.2, 0.02 + 2.0 * 0.02], abs=1e-6)
    found = separate(0.1, 10.0)(exact, values).numpy()
    assert found == pytest.approx([-0.7, -0.2, 0.1 + 10.0 * 0.2, 10.0 * 0.1], abs=1e-6)
    network = fit_field(queries, distances, separate(0.1, 100.0), 150, seed=0, width=16)
    assert network.lipschitz_bound <= 1.0
    assert np.mean(np.sign(network.score(queries)) == np.sign(distances)) > 0.9


@pytest.fixture(scope="module")
def solids(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    tiny = implicit_shapes.PRESETS["smoke"]._replace(shapes=("ball",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(implicit_shapes.PRESETS, "smoke", tiny)
        keys = [
            {"shape": "ball", "method": m, "preset": "smoke", "seed": 0}
            for m in implicit_shapes.METHODS
        ]
        rows = pd.DataFrame([{**key, **implicit_shapes.run_cell(**key, work=work)} for key in keys])
        text = implicit_shapes.describe(rows, "smoke")
        implicit_shapes.draw(rows, "smoke", 0, work, work / "solids.png")
    return rows.set_index("method"), text, work / "solids.png"


def test_a_ball_is_found_from_points_inside_it(solids):
    found, text, picture = solids
    assert found.loc[OURS, "iou"] > found.loc[BALLS, "iou"] and found.loc[OURS, "iou"] > 0.7
    assert (found["oracle_iou"] >= found["iou"]).all()
    assert found.loc[OURS, "watertight"] and 0.0 < found.loc[OURS, "share_evaluated"] < 1.1
    assert 0.01 < found.loc[KDE, "bandwidth"] <= 0.1
    assert "oracle level" in text and f"| mean    | {found.loc[OURS, 'iou']:.3f}" in text
    assert picture.stat().st_size > 10_000


def test_points_are_uniform_inside_the_solid():
    truth = load_shape("ball")
    points = draw_inside(truth, 4_000, np.random.default_rng(0))
    radii = np.linalg.norm(points, axis=1)
    # A share r^3 of a unit ball lies within r.
    assert len(points) == 4_000 and radii.max() <= 0.5 + 1e-9
    assert np.mean(radii < 0.25) == pytest.approx(1.0 / 8.0, abs=0.02)


def test_negatives_keep_clear_of_the_data():
    points = np.zeros((1, 3), dtype=np.float32)
    box = Box([-1.0] * 3, [1.0] * 3)
    seeds = clear_seeds(box, points, 0.8)(500, np.random.default_rng(0))
    assert seeds.shape == (500, 3) and np.linalg.norm(seeds, axis=1).min() >= 0.8


def test_shapes_are_watertight_and_of_unit_size(monkeypatch, tmp_path):
    for name in GENERATED:
        mesh = load_shape(name)
        assert mesh.is_watertight and mesh.extents.max() == pytest.approx(1.0)
        assert mesh.bounds.mean(axis=0) == pytest.approx([0.0] * 3)
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"meshes/cow.obj: take cow.obj from alecjacobson"):
        load_shape("cow")
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "cow.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(ValueError, match="cow is not watertight"):
        load_shape("cow")
