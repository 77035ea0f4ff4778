"""Decision boundaries under control: distances to polylines, what is counted, the run in small."""

import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import level_set_control as control
from experiments.level_set_geometry import (
    along,
    both_ways,
    distance_to_segments,
    level_set,
    on_grid,
)
from ocsdf.levelsets.architectures import fc_1

ORDERS = {"l2": 2, "linf": np.inf}
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("norm", ORDERS)
def test_distance_to_segments_against_points_laid_finely_on_them(norm):
    points, segments = RNG.normal(size=(30, 2)), RNG.normal(size=(7, 2, 2))
    share = np.linspace(0.0, 1.0, 2_001)[:, np.newaxis, np.newaxis]
    laid = segments[:, 0] + share * (segments[:, 1] - segments[:, 0])
    offsets = points[:, np.newaxis] - laid.reshape(-1, 1, 2).swapaxes(0, 1)
    expected = np.linalg.norm(offsets, ORDERS[norm], axis=-1).min(axis=1)
    found = distance_to_segments(points, segments, norm)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.all(found <= expected + 1e-12)


def test_distance_to_a_line_in_closed_form():
    """From the origin to x + 2 y = 3: 3 / sqrt(5) in l2 and 3 / (1 + 2) in l-inf (dual norms)."""
    line = np.array([[[-9.0, 6.0], [9.0, -3.0]]])
    origin = np.zeros((1, 2))
    assert distance_to_segments(origin, line) == pytest.approx(3.0 / np.sqrt(5.0))
    assert distance_to_segments(origin, line, "linf") == pytest.approx(1.0)
    point = np.ones((1, 2, 2))  # a segment of length 0
    assert distance_to_segments(origin, point) == pytest.approx(np.sqrt(2.0))
    assert distance_to_segments(origin, np.empty((0, 2, 2))) == np.inf


def test_traced_circle():
    grid = on_grid(lambda points: np.linalg.norm(points, axis=1), -1.0, 1.0, 401)
    circle = level_set(grid, -1.0, 1.0, level=0.6)
    lengths = np.linalg.norm(circle[:, 1] - circle[:, 0], axis=1)
    assert lengths.sum() == pytest.approx(1.2 * np.pi, rel=1e-4)
    points = RNG.uniform(-1.0, 1.0, (50, 2))
    radius = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(distance_to_segments(points, circle), abs(radius - 0.6), atol=2e-5)
    # In l-inf the circle is nearest where |x| = |y|.
    assert distance_to_segments(np.zeros((1, 2)), circle, "linf") == pytest.approx(
        0.6 / np.sqrt(2.0), abs=2e-5
    )
    assert level_set(grid, -1.0, 1.0, level=-1.0).shape == (0, 2, 2)
    # Points at equal shares of the length are at equal angles.
    laid = along(circle, np.linspace(0.0, 1.0, 13))
    np.testing.assert_allclose(np.linalg.norm(laid, axis=1), 0.6, atol=2e-5)
    chords = np.linalg.norm(np.diff(laid, axis=0), axis=1)
    np.testing.assert_allclose(chords, 1.2 * np.sin(np.pi / 12.0), rtol=1e-3)


def test_distances_both_ways():
    to_true, from_true = both_ways(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0], [3.0, 1.0]]))
    assert to_true.tolist() == [1.0] and from_true.tolist() == [1.0, 3.0]
    to_true, from_true = both_ways(np.empty((0, 2)), np.zeros((2, 2)))
    assert len(to_true) == 0 and from_true.tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("seed", range(5))
def test_points_leave_room_for_the_boundary(seed):
    points, labels = control.draw_points(seed)
    assert labels.sum() == 8 and points.min() >= 0.0 and points.max() <= 0.5
    gaps = np.abs(points[:, np.newaxis] - points).max(axis=-1)[~np.eye(16, dtype=bool)]
    assert gaps.min() > 2.0 * control.TRAIN_RADIUS > 2.0 * control.EPSILON


def test_what_is_kept_is_counted_with_the_sign():
    """A vertical boundary at x = 0.25, points 0.02 and 0.05 away, one on the wrong side."""
    boundary = np.array([[[0.25, -0.1], [0.25, 0.6]]])
    points = np.array([[0.2, 0.3], [0.23, 0.3], [0.3, 0.3], [0.4, 0.3]])
    row = control.measure(points[:, 0] - 0.25, np.array([0, 0, 1, 1]), points, boundary)
    assert row["correct"] == 4 and row["kept_linf"] == row["kept_l2"] == 3
    assert row["linf"] == pytest.approx(0.02) and row["l2"] == pytest.approx(0.02)
    row = control.measure(points[:, 0] - 0.25, np.array([0, 0, 1, 0]), points, boundary)
    assert row["correct"] == 3 and row["kept_l2"] == 2 and row["l2"] == 0.0
    row = control.measure(np.ones(4), np.ones(4), points, np.empty((0, 2, 2)))
    assert row["l2"] == pytest.approx(0.1) and row["kept_l2"] == 4


@pytest.mark.parametrize(("panel", "norm"), [(control.LINF, "linf"), (control.L2, "l2")])
def test_robust_loss_pushes_the_boundary_away_from_a_point(panel, norm):
    """Two points of either label: after training the boundary is eps away from both."""
    points, labels = np.array([[0.2, 0.25], [0.3, 0.25]]), np.array([0, 1])
    sizes = control.Preset(32, 2, 300, 0, 1)
    network = control.train(panel, points, labels, sizes, seed=0)

    def score(places):
        values = network(places.astype(np.float32)).numpy()
        return values[:, 1] - values[:, 0]

    grid = on_grid(score, control.LOW, control.HIGH, 201)
    row = control.measure(score(points), labels, points, level_set(grid, control.LOW, control.HIGH))
    assert row["correct"] == 2 and row[norm] >= control.EPSILON


def test_smoke_writes_the_table_and_the_picture_and_does_no_cell_twice(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(control, "PANELS", (control.CROSS_ENTROPY, control.SVM))
    arguments = ["--preset", "smoke", "--output", str(tmp_path), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", ["level_set_control", *arguments])
    control.main()
    text = (tmp_path / "level_set_control_smoke.md").read_text()
    assert capsys.readouterr().out == text + "\n" and "geometric SVM" in text
    rows = pd.read_csv(tmp_path / "level_set_control_smoke.csv")
    assert list(rows["panel"]) == [control.CROSS_ENTROPY, control.SVM]
    assert (rows["linf"] <= rows["l2"]).all() and (rows["correct"] <= 16).all()
    assert (tmp_path / "level_set_control_smoke.png").stat().st_size > 10_000
    monkeypatch.setattr(control, "train", lambda *_: pytest.fail("done twice"))
    control.main()
    assert (tmp_path / "level_set_control_smoke.md").read_text() == text


def test_points_of_a_network_of_one_class_learn_from_the_cross_entropy():
    """Without a boundary, level sets alone give points of the other class no gradient."""
    network = fc_1(2, 2, 8, seed=0)
    network.layers[-1].kernel.assign(np.zeros((8, 2)))
    network.layers[-1].bias.assign([5.0, 0.0])
    points, labels = tf.constant([[0.1, 0.2], [0.3, 0.4]]), tf.constant([0, 1])
    loss = control._robust(
        "linf", control.PRESETS["cpu"], network, points, labels, points[:, tf.newaxis]
    )
    with tf.GradientTape() as tape:
        value = loss()
    slope = tape.gradient(value, network.layers[-1].bias).numpy()
    share = 1.0 / (1.0 + np.exp(-5.0)) / 2.0
    np.testing.assert_allclose(slope, [share, -share], rtol=1e-4)


def test_as_printed_such_points_lose_what_the_robust_loss_says():
    network = fc_1(2, 2, 8, seed=0)
    points, labels = tf.constant([[0.1, 0.2], [0.3, 0.4]]), tf.constant([0, 1])
    printed = control.PRESETS["printed"]
    assert (printed.width, printed.batch_size, printed.radius) == (512, 1, control.EPSILON)
    # A constant network gives no sample a place to go: p stays at x, and Eq. 12 is eps.
    network.layers[-1].kernel.assign(np.zeros((8, 2)))
    network.layers[-1].bias.assign([5.0, 0.0])
    loss = control._robust("l2", printed, network, points, labels, points[:, tf.newaxis])
    assert float(loss()) == pytest.approx(control.EPSILON, rel=1e-3)
