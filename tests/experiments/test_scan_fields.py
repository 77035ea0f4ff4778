"""Certified fields of scans, in small, on a ball."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import trimesh

from experiments import scan_fields
from experiments.lipschitz_fields import clear_queries, fit_field, reach, separate

BALL = trimesh.creation.icosphere(3, 1.0)


@pytest.fixture
def small(monkeypatch):
    sizes = {"_N_ERRORS": 300, "_N_QUERIES": 1_500, "_N_STEPS": 60, "_PIXELS": 12}
    sizes |= {"_MARCHED": 40, "_MARCHES": 60}
    for name, size in sizes.items():
        monkeypatch.setattr(scan_fields, name, size)
    monkeypatch.setattr(scan_fields, "_N_PAIRS", dict.fromkeys(scan_fields._N_PAIRS, 600))
    points = BALL.vertices[::2]
    monkeypatch.setattr(scan_fields, "_meshes", lambda scan, work: (BALL, BALL, points))


def test_fields_of_a_ball_are_near_not_steep_and_not_passed_through(small, tmp_path):
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


def test_a_field_that_is_too_steep_is_passed_through_and_counted(small, tmp_path):
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
