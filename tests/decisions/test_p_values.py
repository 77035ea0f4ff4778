"""Conformal p-values hold for every data set and, where known, attack; drift is rarely false."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsdf.decisions import conformal_p_values, score_drift

# Few values, so that ties are the rule.
tied = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=24)
spread = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=24)


def excess(values, p_value):
    """How far P(p <= alpha) exceeds alpha where each row in turn is the one to judge."""
    p = np.array([p_value(np.delete(values, i), values[i : i + 1])[0] for i in range(len(values))])
    return max(np.mean(p <= alpha) - alpha for alpha in np.unique(p))


@given(values=tied | spread)
def test_valid_for_every_exchangeable_set(values):
    # Each of n + 1 exchangeable rows is as likely the one to judge: an exact statement, no chance.
    assert excess(np.array(values), conformal_p_values) <= 1e-12


def test_wrong_sign_is_not_valid():
    def anomalies_high(calibration, scores):
        return conformal_p_values(-calibration, scores)

    def lowered(calibration, scores):
        return conformal_p_values(calibration, scores - 1.5)

    values = np.arange(20.0)
    assert excess(values - 30.0, anomalies_high) > 0.5
    assert excess(values, lowered) > 0.05


def test_ties_without_the_slack_break_validity():
    # The same three values, evaluated again in another batch: the last bits differ.
    values = np.repeat([0.1, 0.2, 0.3], 7)
    again = np.nextafter(values, -np.inf)

    def without(calibration, scores):
        return conformal_p_values(calibration, np.nextafter(scores, -np.inf))

    def within(calibration, scores):
        return conformal_p_values(
            calibration, np.nextafter(scores, -np.inf), shift=np.abs(values - again).max()
        )

    assert excess(values, without) > 0.2
    assert excess(values, within) <= 1e-12


@given(
    calibration=st.lists(st.floats(-5, 5), min_size=1, max_size=30),
    row=st.floats(-6, 6),
    eps=st.floats(0, 3),
)
def test_never_below_the_clean_value_under_an_exhaustive_attacker(calibration, row, eps):
    """f(x) = -|x| on the line, where an attacker can try everywhere."""
    calibration = -np.abs(np.array(calibration))
    clean = conformal_p_values(calibration, [-abs(row)])[0]
    moved = np.linspace(row - eps, row + eps, 401)
    rounding = 4 * np.spacing(abs(row) + eps)
    certified = conformal_p_values(calibration, -np.abs(moved), shift=eps + rounding)
    assert certified.min() >= clean


def test_attack_away_from_the_data_gives_the_clean_value_back():
    # Eighths are exact: an attacker at x' = x + eps, the worst there is, reaches p(x) itself.
    calibration, rows, eps = -np.arange(0, 4, 0.125), np.arange(0, 5, 0.125), 0.5
    attacked = conformal_p_values(calibration, -(rows + eps))
    certified = conformal_p_values(calibration, -(rows + eps), shift=eps)
    assert np.array_equal(certified, conformal_p_values(calibration, -rows))
    assert np.all(attacked <= certified) and np.any(attacked < certified)


@given(
    clean=st.lists(st.integers(0, 9).map(float), min_size=4, max_size=12),
    chosen=st.lists(st.integers(-1, 10).map(float), min_size=1, max_size=3),
    row=st.integers(0, 9).map(float),
    change=st.sampled_from(["replaced", "added", "removed"]),
)
def test_chosen_calibration_rows_are_counted(clean, chosen, row, change):
    k = len(chosen)
    rows = {"replaced": clean[k:] + chosen, "added": clean + chosen, "removed": clean[k:]}[change]
    before = conformal_p_values(clean, [row])[0]
    assert conformal_p_values(rows, [row], replaced=k)[0] >= before


def test_formula():
    p = conformal_p_values([0.0, 1.0, 2.0], [-1.0, 0.0, 1.5, 9.0])
    assert p.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert conformal_p_values([0.0, 1.0], [5.0], replaced=4).tolist() == [1.0]
    assert conformal_p_values([0.0], []).shape == (0,)
    assert conformal_p_values([], [-9.0]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([np.nan], [1.0]), "calibration_scores must be finite, got 1"),
        ((["a"], [1.0]), "calibration_scores must hold real numbers"),
        (([1.0], [[1.0]]), "scores must be a 1-d array"),
        (([1.0], [1.0], -0.5), "shift must be a finite number >= 0"),
        (([1.0], [1.0], [1.0, 2.0]), "one for each of 1 scores"),
        (([1.0], [1.0], 0.0, -1), "replaced must be an integer >= 0; got -1"),
        (([1.0], [1.0], 0.0, True), "replaced must be an integer"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        conformal_p_values(*arguments)


def test_rows_beyond_are_those_of_small_p_values():
    rng = np.random.default_rng(0)
    calibration, scores = rng.normal(size=750), rng.normal(loc=-0.5, size=400)
    found = score_drift(calibration, scores)
    p_values = conformal_p_values(calibration, scores)
    assert found.share_beyond == np.mean(p_values <= 0.01)


@pytest.mark.parametrize("n_new", [200, 20_000])
def test_false_alarms_are_rare_however_many_rows(n_new):
    rng = np.random.default_rng(1)
    alarms = [score_drift(rng.normal(size=300), rng.normal(size=n_new)).drifted for _ in range(200)]
    # Two tests at 0.001 each: 4 of 200 have a probability below 1e-3.
    assert sum(alarms) < 4


def test_the_share_beyond_has_its_stated_distribution():
    rng = np.random.default_rng(2)
    draws = [score_drift(rng.normal(size=400), rng.normal(size=500)) for _ in range(600)]
    p_values = np.array([draw.beyond_p_value for draw in draws])
    for level in (0.05, 0.2, 0.5):
        # Super-uniform: P(p <= level) <= level, up to four standard errors of 600 draws.
        assert np.mean(p_values <= level) <= level + 4.0 * np.sqrt(level * (1 - level) / 600)


@pytest.mark.parametrize("move", [{"loc": -0.7}, {"scale": 2.0}])
def test_changes_are_found(move):
    rng = np.random.default_rng(3)
    assert score_drift(rng.normal(size=500), rng.normal(size=500, **move)).drifted


def test_rows_that_are_less_abnormal_count_on_request_alone():
    rng = np.random.default_rng(4)
    calibration, higher = rng.normal(size=500), rng.normal(loc=0.7, size=500)
    assert score_drift(calibration, higher).drifted
    assert not score_drift(calibration, higher, only_lower=True).drifted
    assert score_drift(calibration, -higher, only_lower=True).drifted


def test_few_calibration_rows_have_nothing_beyond():
    found = score_drift(np.arange(50.0), np.full(30, -1.0))
    assert (found.share_beyond, found.beyond_p_value, found.drifted) == (0.0, 1.0, True)


def test_no_rows_are_one_line():
    with pytest.raises(ValueError, match="got 3 and 0"):
        score_drift([1.0, 2.0, 3.0], [])
