"""Curves from points, and the variants of the loss that they are learned by, in small."""

import sys

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import curves
from experiments import reconstruction_loss as losses
from experiments.level_set_fits import fit_cloud
from ocsdf.levelsets import project
from ocsdf.levelsets.architectures import fc_1


def test_curve_is_closed_smooth_and_laid_at_equal_distances():
    curve = curves.draw_curve(0)
    steps = np.diff(curve, axis=0, append=curve[:1])
    lengths = np.linalg.norm(steps, axis=1)
    np.testing.assert_allclose(lengths, lengths.mean(), rtol=1e-3)
    directions = steps / lengths[:, np.newaxis]
    assert np.sum(directions * np.roll(directions, 1, axis=0), axis=1).min() > 0.999
    # It passes through its knots.
    knots = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 3))
    gaps = np.linalg.norm(curve[:, np.newaxis] - knots, axis=-1).min(axis=0)
    assert gaps.max() < lengths.mean()


def test_farthest_points_of_a_line():
    """From 0: the other end, the middle, then quarters."""
    line = np.linspace(0.0, 1.0, 101)[:, np.newaxis]
    chosen = curves.farthest_points(line, 5)
    assert chosen[:3].tolist() == [0, 100, 50] and sorted(chosen[3:]) == [25, 75]


def test_each_farthest_point_is_as_far_as_any_from_those_before():
    points = np.random.default_rng(1).normal(size=(80, 3))
    chosen = curves.farthest_points(points, 20)
    assert len(set(chosen)) == 20
    for k in range(1, 20):
        distance = np.linalg.norm(points[:, np.newaxis] - points[chosen[:k]], axis=-1).min(axis=1)
        assert distance[chosen[k]] == distance.max()


def test_cloud_has_the_noise_that_is_said_and_leaves_the_arc_out():
    curve = curves.draw_curve(3)
    whole, missing = curves.draw_cloud(curves.Kind(0.0, 0.0), curve, 0)
    assert whole.shape == (300, 3) and not missing.any()
    noisy, _ = curves.draw_cloud(curves.Kind(0.02, 0.0), curve, 0)
    assert np.std(noisy - whole) == pytest.approx(0.02, rel=0.1)
    cloud, missing = curves.draw_cloud(curves.Kind(0.0, 0.2), curve, 0)
    assert missing.mean() == pytest.approx(0.2)
    # One arc: the mask changes twice around the curve.
    assert np.count_nonzero(missing != np.roll(missing, 1)) == 2
    left_out = {tuple(point) for point in curve[missing]}
    assert not left_out & {tuple(point) for point in cloud}


def circle(points):
    """F with the circle of radius 0.3 in the plane z = 0.1 as its zero level set."""
    radius = tf.norm(points[:, :2], axis=1)
    return tf.stack([radius - 0.3, points[:, 2] - 0.1], axis=1)


def test_found_points_are_on_the_curve_and_cover_it():
    angle = np.linspace(0.0, 2.0 * np.pi, 100, endpoint=False)
    true = np.stack([0.3 * np.cos(angle), 0.3 * np.sin(angle), np.full(100, 0.1)], axis=1)
    found = curves.find_curve(circle, true, 2_000, seed=0)
    np.testing.assert_allclose(circle(tf.constant(found)), 0.0, atol=1e-5)
    gaps = np.linalg.norm(true[:, np.newaxis] - found, axis=-1).min(axis=1)
    assert gaps.max() < 0.02
    assert len(np.unique(np.floor(found / 0.005), axis=0)) == len(found)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_fit_brings_the_level_set_to_the_cloud(n_outputs):
    """A plane z = 0.2 by one output, the line y = 0.1, z = 0.2 by two."""
    cloud = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3))
    cloud[:, 2] = 0.2
    if n_outputs == 2:
        cloud[:, 1] = 0.1
    network = fc_1(3, n_outputs, 16, seed=0)
    fixed, share = 3 - n_outputs, 1.0 if n_outputs == 2 else 0.5
    fit_cloud(network, cloud, 200, 50, 0.1, share, (1.0, 1.0, 1.0), 2, seed=0)
    starts = cloud + np.random.default_rng(1).normal(0.0, 0.05, cloud.shape)
    starts = tf.constant(starts, tf.float32)
    # Kinks of so small a network turn some points back and forth for a while.
    found = tf.function(project, autograph=False)(network, starts, max_iter=100)
    points = found.points.numpy()[found.converged.numpy()]
    assert len(points) > 150
    wanted = [0.1, 0.2][-n_outputs:]
    assert np.median(np.abs(points[:, fixed:] - wanted)) < 0.03


def test_the_same_seed_gives_the_same_fit():
    cloud = np.random.default_rng(0).normal(size=(30, 3))
    weights = []
    for _ in range(2):
        network = fc_1(3, 2, 8, seed=0)
        fit_cloud(network, cloud, 3, 10, 0.1, 1.0, (1.0, 1.0, 1.0), 1, seed=4)
        weights.append(keras.ops.convert_to_numpy(network.trainable_variables[0]))
    np.testing.assert_array_equal(*weights)


def test_smoke_writes_the_tables_and_the_picture_and_does_no_cell_twice(
    monkeypatch, tmp_path, capsys
):
    arguments = ["--preset", "smoke", "--output", str(tmp_path), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", ["curves", *arguments])
    curves.main()
    text = (tmp_path / "curves_smoke.md").read_text()
    assert capsys.readouterr().out == text + "\n"
    rows = pd.read_csv(tmp_path / "curves_smoke.csv")
    assert list(rows["kind"]) == [curves.SMALL, curves.LARGE, curves.MISSING]
    # The noise's size in the plane across the curve: the median of a Rayleigh distribution.
    assert rows["cloud"][0] == pytest.approx(0.01 * np.sqrt(2.0 * np.log(2.0)), rel=0.15)
    assert (tmp_path / "curves_smoke.png").stat().st_size > 10_000
    monkeypatch.setattr(curves, "fit_cloud", lambda *_: pytest.fail("done twice"))
    curves.main()
    assert (tmp_path / "curves_smoke.md").read_text() == text


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
