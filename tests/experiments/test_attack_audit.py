"""Certificates under attack: the audit, what other detectors guarantee beside, the norm l-inf."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from experiments import comparators, linf
from experiments.attack_audit import MODELS, audit, describe
from experiments.comparators import SMOOTHED, compare, draw
from experiments.median_smoothing import MedianSmoothed
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.linf import build_linf_mlp, condense_linf
from ocsdf.operations.chain import Chain

TINY = {"n_rows": 3, "n_others": 0, "n_starts": 4}


def test_ten_models_of_both_methods_and_modes_from_32_to_512_units():
    data, methods, modes, widths, activations = zip(*MODELS, strict=True)
    assert len(set(MODELS)) == 10
    assert set(methods) == {"anchored", "paper"}
    assert set(modes) == {"projection", "reparametrization"}
    assert {32, 512} <= set(widths) and "moons" in data and len(set(activations)) == 2


def test_no_point_is_beyond_the_bound():
    row = audit("moons", "paper", "projection", 32, "fullsort", **TINY)
    assert row["lipschitz_bound"] <= 1.0 and row["pgd_points"] == 3 * 3 * 153
    assert row["pgd_rows_beyond"] == row["pairs_beyond"] == 0
    assert 0.0 < row["steepest"] <= row["lipschitz_bound"]
    text = describe(pd.DataFrame([{"data": "moons", "width": 32, **_names(), **row}]))
    assert "1,377 points tried on 1 models" in text and "4 searches" in text


def test_a_bound_that_is_too_low_is_caught(monkeypatch):
    monkeypatch.setattr(Chain, "bound", lambda self, shape=None: 0.05)
    row = audit("moons", "paper", "projection", 32, "fullsort", **TINY)
    assert row["lipschitz_bound"] == 0.05
    assert row["pgd_rows_beyond"] > 0 and row["pgd_worst"] > 1.0
    assert row["pairs_beyond"] > 0
    assert np.isfinite(row["steepest"])


def _names():
    return {"method": "paper", "orthogonality": "projection", "activation": "fullsort"}


WEIGHTS = np.array([3.0, -4.0])
RADII = (0.1, 0.5)


def affine(points):
    return points @ WEIGHTS


def smoothed(score=affine, lowest=-1e9, highest=1e9, n_draws=4000, sigma=0.5):
    return MedianSmoothed(score, lowest, highest, 2, sigma, n_draws, np.random.default_rng(0))


def points(n_rows=20):
    return np.random.default_rng(1).normal(size=(n_rows, 2))


def test_of_an_affine_score_the_median_is_the_score():
    # The standard error of the median of N(0, (5 sigma)^2).
    error = np.sqrt(np.pi / 2) * 5 * 0.5 / np.sqrt(4000)
    assert np.abs(smoothed().score(points()) - affine(points())).max() < 4 * error


def test_bounds_of_an_affine_score_are_its_quantiles():
    # Here q_{Phi(-eps / sigma)} = f(x) - ||w|| eps: the bound is tight but for the draws.
    lower, upper = smoothed().bounds(points(), RADII, 1e-3)
    for eps, low, high in zip(RADII, lower, upper, strict=True):
        truth = affine(points())
        assert (low <= truth - 5.0 * eps).all() and (high >= truth + 5.0 * eps).all()
        assert (truth - 5.0 * eps - low).max() < 0.5 and (high - truth - 5.0 * eps).max() < 0.6


def test_bounds_are_the_order_statistics_that_hold_with_that_probability():
    n_draws, failure, eps = 200, 0.01, 0.25
    network = smoothed(n_draws=n_draws)
    rows = points(1)
    (lower,), (upper,) = network.bounds(rows, (eps,), failure)
    draws = np.sort(affine(rows + network._noise))
    rank = np.flatnonzero(draws == lower[0])[0] + 1
    share = norm.cdf(-eps / 0.5)
    assert binom.cdf(rank - 1, n_draws, share) <= failure < binom.cdf(rank, n_draws, share)
    assert upper[0] == draws[n_draws - rank]


def test_where_the_draws_do_not_suffice_the_bound_is_the_range_of_the_score():
    lower, upper = smoothed(lambda rows: np.tanh(rows[:, 0]), -1.0, 2.0, n_draws=50).bounds(
        points(3), (5.0,), 1e-3
    )
    assert (lower == -1.0).all() and (upper == 2.0).all()


def test_bounds_widen_with_the_radius():
    lower, upper = smoothed().bounds(points(), (0.05, 0.1, 0.5, 1.0), 1e-3)
    assert (np.diff(lower, axis=0) <= 0.0).all() and (np.diff(upper, axis=0) >= 0.0).all()


@pytest.mark.parametrize("radius", [0.2, 1.0])
def test_the_attack_follows_the_gradient_to_the_edge_of_the_ball(radius):
    signs = np.where(np.arange(20) % 2, 1.0, -1.0)
    moved = smoothed().attack(points(), signs, radius, 15, 2000, np.random.default_rng(2))
    change = moved - points()
    assert np.linalg.norm(change, axis=1) == pytest.approx(radius)
    assert (signs * (change @ WEIGHTS) > 0.99 * 5.0 * radius).all()


def test_smoke_preset_and_no_attack_below_the_guarantee(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["linf", "--preset", "smoke", "--output", str(tmp_path)])
    linf.main()
    rows = pd.read_csv(tmp_path / "linf_smoke.csv")
    assert rows["network"].tolist() == ["l-inf", "l2"] and "error" not in rows
    for radius in linf.RADII:
        assert (rows[f"attacked_{radius:g}"] >= rows[f"guaranteed_{radius:g}"] - 1e-9).all()
    assert rows["linf_bound"][0] <= 1.0 < rows["linf_bound"][1] and rows["l2_bound"][1] <= 1.0
    # What an l-inf network guarantees does not fall below what attacks leave of it by much.
    assert (rows["slope"] <= rows["linf_bound"] + 1e-9).all()
    assert "two moons" in (tmp_path / "linf_smoke.md").read_text()


def test_an_attack_moves_a_linear_score_as_far_as_it_can():
    network = CertifiedNetwork.from_keras(condense_linf(build_linf_mlp(3, (), seed=0)))
    rows = np.random.default_rng(0).normal(size=(6, 3))
    signs = np.repeat([1.0, -1.0], 3)
    found = linf.attack(network, rows, signs, 0.25, np.random.default_rng(1))
    _, gradient = network.value_and_gradient(rows)
    exact = network.score(rows) + signs * 0.25 * np.abs(gradient).sum(axis=1)
    np.testing.assert_allclose(found, exact, rtol=1e-12)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(comparators, "N_DRAWS", 200)


@pytest.mark.parametrize("detector", ["nearest neighbour", "random subsamples", SMOOTHED])
def test_guaranteed_is_at_most_attacked_is_at_most_auroc(small, detector):
    row = compare("wine", detector, 0, 5)
    attacked = [row["auroc"], *(row[f"attacked_{radius:g}"] for radius in comparators.RADII)]
    guaranteed = [row["auroc"], *(row[f"guaranteed_{radius:g}"] for radius in comparators.RADII)]
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
    values |= {f"attacked_{r:g}": 80.0 for r in comparators.RADII}
    certified = values | {f"guaranteed_{r:g}": 70.25 for r in comparators.RADII}
    certified |= {f"guaranteed_all_rows_{r:g}": 71.0 for r in comparators.RADII}
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
    text = comparators.describe(rows)
    assert "80.0 / 70.2" in text and "80.0 / none" in text
    assert "At radius 0.2 OCSDF's is above the nearest neighbour's on 1 of 1 tables." in text
    draw(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
