"""Thresholds: by a calibration, and among training rows that hold anomalies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm

from ocsdf import OCSDF
from ocsdf.decisions import (
    conformal_p_values,
    marginal_threshold,
    no_false_alarm,
    no_masking,
    pac_threshold,
    rows_needed,
)
from ocsdf.decisions.contamination import estimated_threshold
from ocsdf.recipes.tables import MOST_REFERENCES

scores = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=60)


@given(calibration=scores, rows=scores, alpha=st.floats(0.01, 0.9), replaced=st.integers(0, 3))
def test_alarms_are_the_rows_of_small_p(calibration, rows, alpha, replaced):
    small = conformal_p_values(calibration, rows, replaced=replaced) <= alpha
    if len(calibration) < rows_needed(alpha, replaced=replaced):
        assert not small.any()
        with pytest.raises(ValueError, match="calibration rows"):
            marginal_threshold(calibration, alpha, replaced)
    else:
        threshold = marginal_threshold(calibration, alpha, replaced)
        assert np.array_equal(np.array(rows) < threshold, small)


@pytest.mark.parametrize(("alpha", "rows"), [(0.05, 19), (0.01, 99), (0.1, 9)])
def test_rows_needed(alpha, rows):
    assert rows_needed(alpha) == rows
    marginal_threshold(np.arange(rows), alpha)
    message = f"alpha={alpha:g} needs at least {rows} calibration rows; got {rows - 1}"
    with pytest.raises(ValueError, match=message):
        marginal_threshold(np.arange(rows - 1), alpha)


def test_rows_needed_of_pac_has_a_closed_form():
    # The lowest score of n: P(rate <= alpha) = 1 - (1 - alpha)^n.
    for alpha in (0.01, 0.05, 0.2):
        for delta in (0.01, 0.1):
            expected = int(np.ceil(np.log(delta) / np.log1p(-alpha)))
            assert rows_needed(alpha, delta) == expected


@pytest.mark.parametrize("n", [60, 500, 2000])
@pytest.mark.parametrize(("alpha", "delta"), [(0.05, 0.1), (0.1, 0.01)])
def test_pac_is_the_best_rank_that_the_beta_distribution_allows(n, alpha, delta):
    place = int(pac_threshold(np.arange(1.0, n + 1), alpha, delta))
    assert beta.cdf(alpha, place, n + 1 - place) >= 1 - delta
    assert beta.cdf(alpha, place + 1, n - place) < 1 - delta
    assert place <= marginal_threshold(np.arange(1.0, n + 1), alpha)


def test_pac_keeps_its_promise_over_calibration_sets():
    # Uniform scores: the rate of false alarms of a threshold is the threshold.
    rng, alpha, delta, draws = np.random.default_rng(0), 0.1, 0.2, 2000
    rates = np.array([pac_threshold(rng.random(80), alpha, delta) for _ in range(draws)])
    marginal = np.array([marginal_threshold(rng.random(80), alpha) for _ in range(draws)])
    error = 4 * np.sqrt(delta * (1 - delta) / draws)
    assert np.mean(rates > alpha) <= delta + error
    # The marginal threshold keeps the mean only: a set in two is above.
    assert np.mean(marginal > alpha) > delta + error
    assert abs(marginal.mean() - 8 / 81) < 4 * marginal.std() / np.sqrt(draws)


@pytest.mark.parametrize("delta", [None, 0.1])
def test_replaced_rows_cannot_raise_the_threshold(delta):
    rng = np.random.default_rng(0)
    clean = rng.random(300)

    def threshold(rows, replaced):
        if delta is None:
            return marginal_threshold(rows, 0.1, replaced)
        return pac_threshold(rows, 0.1, delta, replaced)

    bound = threshold(clean, 0)
    attacked = np.sort(clean)
    attacked[:5] = 2.0  # the attacker hides the five strangest rows
    assert threshold(attacked, 0) > bound
    assert threshold(attacked, 5) <= bound


def test_guarantees_on_the_line_where_the_answer_is_known():
    """f(x) = -|x|, an alarm where f < -2, moved by up to 1/2."""
    rows, eps, threshold = np.arange(0, 4, 0.125), 0.5, -2.0
    steps = np.linspace(-eps, eps, 201)
    alarms = -np.abs(rows[:, None] + steps) < threshold
    assert np.array_equal(no_masking(-rows, threshold, eps), alarms.all(axis=1) & (rows != 2.5))
    assert np.array_equal(no_false_alarm(-rows, threshold, eps), ~alarms.any(axis=1) & (rows < 1.5))
    # Where the alarm is certified for 1/4 itself, masking takes the sum of both.
    certified = -np.abs(rows[:, None] + steps) + 0.25 < threshold
    kept = no_masking(-rows, threshold, eps + 0.25)
    assert np.all(certified.all(axis=1)[kept]) and kept.sum() == 9


@pytest.mark.parametrize("alpha", [0.0, 1.0, "a", True, None])
def test_bad_level(alpha):
    with pytest.raises((ValueError, TypeError)):
        rows_needed(alpha)


def test_normal_scores_lose_what_the_formula_says():
    scores = norm.ppf((np.arange(100_001) + 0.5) / 100_001)
    threshold = estimated_threshold(scores)
    assert threshold == pytest.approx(-2.5, abs=1e-3)
    assert np.mean(scores < threshold) == pytest.approx(norm.cdf(-2.5), abs=1e-4)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_anomalies_are_found_up_to_a_third(share):
    rng = np.random.default_rng(0)
    n_anomalies = int(2000 * share)
    scores = np.append(rng.normal(size=2000 - n_anomalies), rng.normal(-12.0, size=n_anomalies))
    flagged = scores < estimated_threshold(scores)
    assert flagged[-n_anomalies:].mean() > 0.99 and flagged[:-n_anomalies].mean() < 0.02


@given(
    scores=st.lists(st.integers(-1000, 1000), min_size=1, max_size=50),
    scale=st.sampled_from([0.125, 1.0, 8.0]),
)
def test_at_most_half_and_no_unit_of_its_own(scores, scale):
    scores = np.array(scores, dtype=float)
    threshold = estimated_threshold(scores)
    assert np.mean(scores < threshold) <= 0.5
    moved = estimated_threshold(scale * scores + 3.0)
    assert moved == pytest.approx(scale * threshold + 3.0, rel=1e-6, abs=1e-6 * (1 + scale))


def test_equal_scores_and_none():
    assert estimated_threshold(np.append(np.ones(99), 0.0)) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="scores must be a non-empty 1-d array"):
        estimated_threshold([])


def test_detector_flags_what_lies_apart():
    settings = {"hidden_layer_sizes": (16, 16), "epochs": 3, "random_state": 0}
    shares = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = np.vstack([rng.normal(size=(300, 3)), rng.normal(8.0, size=(30, 3))])
        estimated = OCSDF(contamination="estimate", **settings).fit(X)
        assert estimated.offset_ == pytest.approx(
            estimated_threshold(estimated.score_samples(X)), abs=1e-9
        )
        flagged = estimated.predict(X) == -1
        shares.append((flagged[:300].mean(), flagged[300:].mean()))
        auto = OCSDF(**settings).fit(X)
        assert (auto.predict(X) == -1).sum() < flagged.sum()
    # In single draws, rows that the network learned from are not told apart.
    among_normal, among_others = np.mean(shares, axis=0)
    assert among_others > 0.9 > 0.1 > among_normal
    with pytest.raises(ValueError, match="'auto', 'estimate' or a number in"):
        OCSDF(contamination="guess").fit(X)


def test_rows_that_are_no_references_do_not_lie_apart():
    # Of more rows than there are references, the others have nobody at distance 0: the threshold
    # is that of rows which are left out of what they are compared with, all alike.
    X = np.random.default_rng(0).normal(size=(MOST_REFERENCES + 1500, 2))
    detector = OCSDF(contamination="estimate", max_steps=5, random_state=0).fit(X)
    assert detector.offset_ == pytest.approx(estimated_threshold(detector.training_scores_))
    assert detector.offset_ < estimated_threshold(detector.score_samples(X))
