"""Median smoothing against closed forms of an affine score, and its order statistics."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from experiments.median_smoothing import MedianSmoothed

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
