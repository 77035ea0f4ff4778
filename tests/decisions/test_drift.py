"""Drift: rare where rows have one source, found where they have not (issue 22)."""

import numpy as np
import pytest

from ocsdf.decisions import conformal_p_values, score_drift


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
