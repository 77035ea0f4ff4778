"""The reconstruction loss as printed, beside ours: the smoke preset, and what a variant is."""

import sys

import numpy as np
import pandas as pd
import pytest

from experiments import reconstruction_loss as losses

pytest.importorskip("trimesh")
pytest.importorskip("skimage")


@pytest.mark.slow
def test_smoke_preset_does_every_variant(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--preset", "smoke", "--output", str(tmp_path)])
    losses.main()
    rows = pd.read_csv(tmp_path / "reconstruction_loss_smoke.csv")
    assert rows["variant"].tolist() == [*losses.CURVES, *losses.SURFACES] and "error" not in rows
    text = (tmp_path / "reconstruction_loss_smoke.md").read_text()
    assert losses.PRINTED in text and losses.GROWING in text


def test_what_is_printed_is_what_is_asked_for(monkeypatch):
    asked = {}

    def fit_cloud(network, cloud, n_steps, batch_size, spread, share, weights, power, seed):
        asked[len(asked)] = spread, share, weights, power

    monkeypatch.setattr(losses, "fit_cloud", fit_cloud)
    monkeypatch.setattr(losses, "_start_as_ball", lambda network: asked.setdefault("ball", True))
    points = np.random.default_rng(0).normal(size=(60, 3))
    sizes = losses.PRESETS["smoke"]
    losses._points_alone(points, losses.PRINTED, sizes)
    # App. B.4; Eq. 13 with p = 1, from random weights.
    assert asked == {0: (0.1, 0.5, (1.0, 5.0, 1.0), 1)}
    losses._points_alone(points, losses.NARROW, sizes)
    assert asked["ball"] and asked[2][0] == 0.05


def test_a_surface_that_is_not_there_is_a_row_and_not_an_error(monkeypatch):
    class Nothing:
        def mesh(self, resolution, random_state):
            raise ValueError("no surface at level 0: on the grid the function is at most -1")

    monkeypatch.setattr(losses, "_points_alone", lambda *_: Nothing())
    found = losses._surface("ball", losses.PRINTED, losses.PRESETS["smoke"])
    assert found == {"found": False}
