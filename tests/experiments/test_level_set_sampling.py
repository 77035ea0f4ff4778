"""Points on level sets: the capsule, what is drawn, and the run in small."""

import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import level_set_data as data
from experiments import level_set_sampling as sampling
from experiments.level_set_tables import _describe_data
from ocsdf.levelsets.architectures import fc_2


def test_capsule_distance_in_closed_form():
    """Center, the axis' ends, the side, a cap, and far out along the axis and across it."""
    points = [[0, 0, 0], [0.25, 0, 0], [0.1, 0.18, 0], [-0.43, 0, 0], [1, 0, 0], [0.25, 3, 4]]
    expected = [0.18, 0.18, 0.0, 0.0, 0.18 - 0.75, 0.18 - 5.0]
    np.testing.assert_allclose(data.capsule_distance(np.array(points)), expected, atol=1e-15)


def test_capsule_is_drawn_uniformly_by_area():
    points = data.draw_capsule(40_000, np.random.default_rng(0))
    assert points.shape == (40_000, 3)
    np.testing.assert_allclose(data.capsule_distance(points), 0.0, atol=1e-12)
    np.testing.assert_allclose(points.mean(axis=0), 0.0, atol=0.01)
    # By Archimedes, x is uniform on the whole capsule, caps included.
    quantiles = np.quantile(points[:, 0], [0.1, 0.3, 0.7, 0.9])
    np.testing.assert_allclose(quantiles, 0.43 * np.array([-0.8, -0.4, 0.4, 0.8]), atol=0.01)


def test_a_network_starts_as_the_distance_to_a_ball():
    cloud = np.random.default_rng(0).normal(size=(500, 3))
    cloud = [1.0, 0.0, 0.0] + 0.5 * cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    network = fc_2(3, 1, 32, seed=0)
    sampling.start_as_ball(network, cloud, seed=0)
    values = network(np.float32([[1, 0, 0], [1.5, 0, 0], [1, 0.9, 0]])).numpy()[:, 0]
    # The kink at the center is the last that a network learns.
    assert values[0] > 0.2 and abs(values[1]) < 0.15
    assert values[2] == pytest.approx(-0.4, abs=0.1)


@pytest.mark.parametrize(("name", "n_points", "n_positive"), [("EVEN", 16, 8), ("RARE", 100, 10)])
def test_data_are_in_the_square_and_apart(name, n_points, n_positive):
    points, labels = data.draw_data(getattr(data, name), 1)
    assert points.shape == (n_points, 2) and labels.sum() == n_positive
    assert np.abs(points).max() <= 0.25
    gaps = np.abs(points[:, np.newaxis] - points).max(axis=-1)
    assert gaps[~np.eye(n_points, dtype=bool)].min() >= 0.03


def test_starts_are_as_far_from_the_level_set_as_is_said():
    line = np.array([[[-0.35, 0.1], [0.35, 0.1]]])
    starts = sampling._draw_starts(line, np.random.default_rng(0))
    assert list(starts) == list(data.PAPER)
    assert np.abs(starts[data.UNIFORM]).max() <= 0.35
    for kind, sigma in data.SIGMAS.items():
        assert starts[kind].shape == (1_000, 2)
        assert np.std(starts[kind][:, 1]) == pytest.approx(sigma, rel=0.1)


def test_verdicts_follow_the_means():
    values = {"length": 1.0, "preset": "smoke"}
    for kind, (chamfer, hausdorff) in data.PAPER.items():
        values |= {f"chamfer {kind}": chamfer, f"hausdorff {kind}": hausdorff}
        values |= {f"reached {kind}": 1.0}
    rows = pd.DataFrame([values, values])
    text = "\n".join(_describe_data("as in the paper", rows))
    assert "0.55 times the Chamfer distance (wanted: 0.6, reached" in text
    assert "0.12 times the Hausdorff distance (wanted: 0.2, reached" in text
    near = f"hausdorff {data.NEAR}"
    text = "\n".join(_describe_data("worse", rows.assign(**{near: 0.05})))
    assert "0.35 times the Hausdorff distance (wanted: 0.2, missed" in text


def test_no_boundary_is_said_plainly(monkeypatch):
    def constant(points):
        return tf.zeros((len(points), 2)) + [[0.0, 1.0]]

    monkeypatch.setattr(sampling.level_set_control, "train", lambda *_: constant)
    with pytest.raises(ValueError, match="network 3 has no boundary in the square; choose another"):
        sampling.cover(data.EVEN, 3, sampling.PRESETS["smoke"])


def test_smoke_writes_tables_and_pictures_and_does_no_cell_twice(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sampling, "_N_BALL_STEPS", 20)
    arguments = ["--preset", "smoke", "--output", str(tmp_path), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", ["level_set_sampling", *arguments])
    sampling.main()
    text = (tmp_path / "level_set_sampling_smoke.md").read_text()
    assert capsys.readouterr().out == text + "\n"
    rows = pd.read_csv(tmp_path / "level_set_sampling_smoke.csv").set_index("name")
    assert list(rows.index) == [data.CAPSULE, *data.DATA]
    covered = rows.loc[list(data.DATA)]
    for kind in data.PAPER:
        assert (covered[f"chamfer {kind}"] > 0.0).all() and kind in text
        assert (covered[f"chamfer {kind}"] < covered[f"hausdorff {kind}"]).all()
    # Starts on the level set arrive next to where they were.
    assert (covered["reached normal 0.01"] > 0.99).all()
    assert (covered["chamfer normal 0.01"] < 0.01).all()
    for name in ("a1", "a2"):
        assert (tmp_path / f"level_set_sampling_smoke_{name}.png").stat().st_size > 10_000
    monkeypatch.setattr(sampling, "run_cell", lambda **_: pytest.fail("done twice"))
    sampling.main()
    assert (tmp_path / "level_set_sampling_smoke.md").read_text() == text
