"""False-discovery rates, with attackers who see all rows; e-values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsdf.decisions import (
    benjamini_hochberg,
    benjamini_yekutieli,
    conformal_e_values,
    conformal_p_values,
    e_benjamini_hochberg,
)

tied = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=30)
spread = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@given(values=tied | spread)
def test_e_values_sum_to_at_most_the_number_of_rows(values):
    # Each of n + 1 exchangeable rows is as likely the one to judge, so E[E] is this mean.
    values = np.array(values)
    e = [conformal_e_values(np.delete(values, i), values[i : i + 1])[0] for i in range(len(values))]
    assert np.mean(e) <= 1.0


@given(values=tied | spread, rows=spread)
def test_e_values_grow_with_the_anomaly_score(values, rows):
    e = conformal_e_values(values, np.sort(rows))
    assert np.all(np.diff(e) <= 0.0) and np.all((e >= 0.0) & (e <= len(values) + 1))


@given(values=spread, row=st.floats(-6, 6), eps=st.floats(0, 3))
def test_e_values_never_above_the_clean_one_under_an_exhaustive_attacker(values, row, eps):
    calibration, moved = -np.abs(np.array(values)), np.linspace(row - eps, row + eps, 401)
    rounding = 4 * np.spacing(abs(row) + eps)
    attacked = conformal_e_values(calibration, -np.abs(moved), shift=eps + rounding)
    assert attacked.max() <= conformal_e_values(calibration, [-abs(row)])[0]


def test_e_values_tell_a_clear_anomaly():
    calibration = np.random.default_rng(0).normal(size=500)
    e = conformal_e_values(calibration, [-30.0, 0.0])
    assert e[0] > 500 * (1 - 2.0**-9) and e[1] == 0.0


def test_e_values_of_equal_rows_and_of_too_few():
    assert conformal_e_values(np.zeros(20), [0.0]).tolist() == pytest.approx([21 / 21], rel=1e-2)
    assert conformal_e_values([0.0, 1.0], [-9.0]).tolist() == [0.0]


@given(
    p=st.lists(st.integers(1, 40).map(lambda k: k / 40), min_size=1, max_size=20),
    fdr=st.sampled_from([0.05, 0.1, 0.3]),
)
def test_step_up_procedures_by_their_definition(p, fdr):
    p, m = np.array(p), len(p)
    for call, level in (
        (benjamini_hochberg, fdr),
        (benjamini_yekutieli, fdr / np.sum(1 / np.arange(1, m + 1))),
    ):
        # Away from equality, where rounding decides.
        if np.min(np.abs(np.sort(p) - level * np.arange(1, m + 1) / m)) > 1e-12:
            k = max([k for k in range(m + 1) if k == 0 or np.sort(p)[k - 1] <= level * k / m])
            assert np.array_equal(call(p, fdr), p <= (np.sort(p)[k - 1] if k else -1.0))


@given(
    e=st.lists(st.integers(0, 60).map(float), min_size=1, max_size=20),
    fdr=st.sampled_from([0.05, 0.1, 0.3]),
)
def test_e_bh_by_its_definition(e, fdr):
    e, m = np.array(e), len(e)
    k = max([k for k in range(m + 1) if k == 0 or np.sort(e)[::-1][k - 1] * k >= m / fdr])
    least = np.sort(e)[::-1][k - 1] if k else np.inf
    assert np.array_equal(e_benjamini_hochberg(e, fdr), e >= least)


N, NORMAL, ANOMALIES, FDR = 2000, 25, 25, 0.1


def attacked_fdr(draws, discover, evidence, seed=0):
    """FDR under an attacker who sees all rows and hides as many anomalies as serves best.

    One dimension, f(x) = -|x|: normal rows are standard normal and not touched, which any radius
    certifies; anomalies lie at 30, and the attacker moves some of them to 0. Trying every number
    of them is exhaustive, as they are alike.
    """
    rng = np.random.default_rng(seed)
    shares = np.zeros(draws)
    for draw in range(draws):
        calibration = -np.abs(rng.normal(size=N))
        scores = np.append(-np.abs(rng.normal(size=NORMAL)), [0.0, -30.0])
        *normal, masked, clear = evidence(calibration, scores)
        for hidden in range(ANOMALIES + 1):
            anomalies = np.where(np.arange(ANOMALIES) < hidden, masked, clear)
            called = discover(np.append(normal, anomalies), FDR)
            share = called[:NORMAL].sum() / max(1, called.sum())
            shares[draw] = max(shares[draw], share)
    return shares.mean(), shares.std() / np.sqrt(draws)


def test_bh_is_not_proved_under_attack_and_fails():
    rate, error = attacked_fdr(300, benjamini_hochberg, conformal_p_values)
    assert rate - 4 * error > FDR


@pytest.mark.parametrize(
    ("discover", "evidence"),
    [(benjamini_yekutieli, conformal_p_values), (e_benjamini_hochberg, conformal_e_values)],
)
def test_what_is_proved_under_any_dependence_holds_under_attack(discover, evidence):
    rate, error = attacked_fdr(300, discover, evidence)
    assert rate <= FDR + 4 * error
    calibration = -np.abs(np.random.default_rng(1).normal(size=N))
    assert discover(evidence(calibration, np.full(10, -30.0)), FDR).all(), "or it would say nothing"


@pytest.mark.parametrize("call", [benjamini_hochberg, benjamini_yekutieli, e_benjamini_hochberg])
def test_no_rows_and_bad_levels(call):
    assert call([], 0.1).shape == (0,)
    with pytest.raises(ValueError, match="fdr must be a number between 0 and 1"):
        call([0.5], 1.5)


def test_bad_evidence():
    with pytest.raises(ValueError, match="must lie in"):
        benjamini_hochberg([1.5], 0.1)
    with pytest.raises(ValueError, match="must be 0 or more"):
        e_benjamini_hochberg([-1.0], 0.1)
