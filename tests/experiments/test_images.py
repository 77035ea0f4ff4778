"""The experiment on one-class images, end to end on small digits."""

import numpy as np
import pytest

from experiments.image_peers import nearest_scores, subspace_scores
from experiments.image_tables import write_tables
from experiments.images import cells_of, do_cell
from ocsdf.benchmark.cells import run_cells


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return run_cells(cells_of("smoke"), do_cell, tmp_path_factory.mktemp("cells"))


def test_every_cell_is_done(rows):
    assert [row["error"] for row in rows if "error" in row] == []


def test_guarantees_hold_under_attack(rows):
    attack = next(row for row in rows if row["part"] == "attack")
    assert np.all(np.array(attack["attacked"]) >= np.array(attack["guaranteed"]) - 1e-9)


def test_synthesized_images_reach_the_level(rows):
    made = next(row for row in rows if row["part"] == "synthesis")
    assert made["full"]["score"] == pytest.approx(made["level"], abs=1e-2)
    assert made["printed"]["score"] < made["level"]


def test_tables_say_what_the_rows_hold(rows, tmp_path):
    told = write_tables(rows, tmp_path)
    fitted = next(row for row in rows if row["part"] == "ocsdf")
    assert f"{fitted['OCSDF'][0]:.2f}" in told
    names = {"images.csv", "images.md", "images_digits_scores.png", "images_digits_synthesis.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_exact_distances_against_brute_force():
    random_state = np.random.default_rng(0)
    train, test = random_state.random((40, 9)), random_state.random((15, 9))
    distances = np.linalg.norm(test[:, None] - train[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_scores(train, test, 0), -distances, atol=1e-7)
    # As many dimensions as features: nothing is left over.
    np.testing.assert_allclose(subspace_scores(train, test, 0), 0.0, atol=1e-6)
