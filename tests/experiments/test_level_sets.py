"""Control of level sets (CNLS Figure 1) and points on them (Figures A1 and A2), in small."""

import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import level_set_control as control
from experiments import level_set_data as data
from experiments import level_set_sampling as sampling
from experiments.level_set_geometry import (
    along,
    both_ways,
    distance_to_segments,
    level_set,
    on_grid,
)
from experiments.level_set_tables import _describe_data
from ocsdf.levelsets.architectures import fc_1, fc_2

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
