"""The comparison of attacked and guaranteed AUROC, in small."""

import numpy as np
import pandas as pd
import pytest

from experiments import comparators
from experiments.comparators import RADII, SMOOTHED, compare, describe, draw


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(comparators, "N_DRAWS", 200)


@pytest.mark.parametrize("detector", ["nearest neighbour", "random subsamples", SMOOTHED])
def test_guaranteed_is_at_most_attacked_is_at_most_auroc(small, detector):
    row = compare("wine", detector, 0, 5)
    attacked = [row["auroc"], *(row[f"attacked_{radius:g}"] for radius in RADII)]
    guaranteed = [row["auroc"], *(row[f"guaranteed_{radius:g}"] for radius in RADII)]
    assert np.less_equal(guaranteed, attacked).all() and row["auroc"] <= 100.0
    assert (np.diff(attacked) <= 0.0).all() and (np.diff(guaranteed) <= 0.0).all()
    assert attacked[-1] < row["auroc"]


def test_attack_on_the_nearest_neighbour_reaches_the_closed_form(small):
    # One row far from all others: pushed towards its neighbour, it gains eps to the last digit.
    detector = comparators.NearestNeighborDistance().fit(
        np.random.default_rng(0).normal(size=(9, 2))
    )
    score = comparators._NearestScore(detector)
    row = np.array([[30.0, 40.0]])
    found = comparators.attacked_auroc(
        score, np.vstack([row, row + 1.0]), [0, 1], (0.0, 0.6, 0.8), random_state=0
    )
    assert found.tolist() == [1.0, 1.0, 0.0]
    value, slope = score.value_and_gradient(row)
    assert value == pytest.approx(score.score(row)) and np.linalg.norm(slope) == pytest.approx(1.0)
    assert score.score(row + 0.5 * slope) == pytest.approx(value + 0.5)


def test_the_same_rows_are_drawn_for_every_detector_and_of_both_kinds():
    y = np.repeat([0, 1], [40, 4])
    drawn = [comparators._draw(y, 10, np.random.default_rng([3, 2])) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all() and len(set(drawn[0])) == len(drawn[0]) == 14
    assert y[drawn[0]].sum() == 4


def test_tables_and_figure(tmp_path):
    values = {"auroc": 90.0, "n_attacked": 250, "auroc_all_rows": 91.0}
    values |= {f"attacked_{r:g}": 80.0 for r in RADII}
    certified = values | {f"guaranteed_{r:g}": 70.25 for r in RADII}
    certified |= {f"guaranteed_all_rows_{r:g}": 71.0 for r in RADII}
    other = certified | {"guaranteed_all_rows_0.2": 60.0}
    without = {name: value for name, value in values.items() if "all_rows" not in name}
    rows = pd.DataFrame(
        [
            {"table": "wine", "detector": name, "seed": 0, **found}
            for name, found in (
                ("OCSDF", certified),
                ("nearest neighbour", other),
                ("DeepSVDD", without),
            )
        ]
    )
    text = describe(rows)
    assert "80.0 / 70.2" in text and "80.0 / none" in text
    assert "At radius 0.2 OCSDF's is above the nearest neighbour's on 1 of 1 tables." in text
    draw(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
