"""The experiment on one-class images, end to end on small digits."""

import numpy as np
import pytest

from experiments.common.results import finish_cells, read_rows
from experiments.image_peers import nearest_scores, subspace_scores
from experiments.image_tables import describe, draw
from experiments.images import cells_of, do_cell


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "images.csv"
    finish_cells(cells_of("smoke"), do_cell, path)
    return read_rows(path)


def test_every_cell_is_done(rows):
    assert [row["error"] for row in rows if "error" in row] == []


def test_guarantees_hold_under_attack(rows):
    attack = next(row for row in rows if row["part"] == "attack")
    radii = [name.split("_")[1] for name in attack if name.startswith("attacked_")]
    assert radii == ["8", "16", "36", "72", "144", "255"]
    assert all(attack[f"attacked_{r}"] >= attack[f"guaranteed_{r}"] - 1e-9 for r in radii)


def test_synthesized_images_reach_the_level(rows):
    made = next(row for row in rows if row["part"] == "synthesis")
    assert made["full_score"] == pytest.approx(made["level"], abs=1e-2)
    assert made["printed_score"] < made["level"]


def test_tables_say_what_the_rows_hold(rows, tmp_path):
    fitted = next(row for row in rows if row["part"] == "ocsdf")
    assert f"{fitted['OCSDF_0']:.2f}" in describe(rows)
    draw(rows, tmp_path)
    names = {"images_digits_scores.png", "images_digits_synthesis.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_exact_distances_against_brute_force():
    random_state = np.random.default_rng(0)
    train, test = random_state.random((40, 9)), random_state.random((15, 9))
    distances = np.linalg.norm(test[:, None] - train[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_scores(train, test, 0), -distances, atol=1e-7)
    # As many dimensions as features: nothing is left over.
    np.testing.assert_allclose(subspace_scores(train, test, 0), 0.0, atol=1e-6)
