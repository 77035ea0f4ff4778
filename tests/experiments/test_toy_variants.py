"""Variants on the plane: the smoke preset, and the fix-point property itself."""

import sys

import numpy as np
import pandas as pd
import pytest

from experiments import toy_variants as variants


def test_complementary_distributions_are_fix_points():
    found = variants.fix_points(variants.PRESETS["smoke"], seed=3)
    # No negative crosses the level -m, which lies 2 m away; and they do move.
    assert found["nearest"] >= 1.0 - 1e-9 and found["moved"] > 0.1


def test_the_exact_minimizer_is_what_theorem_1_says():
    points = np.random.default_rng(0).normal(size=(50, 2))
    values, gradient = variants.ExactDisc().value_and_gradient(points)
    shape = variants.SHAPES["disc"]
    np.testing.assert_allclose(values, shape.signed_distance(points) + 0.05, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=1), 1.0)


@pytest.mark.slow
def test_smoke_preset_does_every_variant(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--preset", "smoke", "--output", str(tmp_path)])
    variants.main()
    rows = pd.read_csv(tmp_path / "toy_variants_smoke.csv")
    expected = ["exact", *variants.UPDATES, *variants.VARIANTS]
    assert rows["variant"].tolist() == expected and "error" not in rows
    text = (tmp_path / "toy_variants_smoke.md").read_text()
    assert "Algorithm 2" in text and "He's weights" in text
