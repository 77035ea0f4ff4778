"""The experiment on networks in l-inf, in seconds."""

import sys

import numpy as np
import pandas as pd

from experiments import linf
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.linf import build_linf_mlp, condense_linf


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
