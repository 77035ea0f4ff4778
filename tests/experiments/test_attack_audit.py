"""The audit of the certificate, in small, and that it catches a bound that is too low."""

import numpy as np
import pandas as pd

from experiments.attack_audit import MODELS, audit, describe
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
