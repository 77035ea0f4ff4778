"""Projection onto level sets: exact on affine maps, and what each method promises elsewhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.levelsets import SampleNetwork, project
from ocsdf.training.jacobians import value_and_jacobian
from tests.reference import matrix_with

METHODS = ["newton", "gradient"]
RNG = np.random.default_rng(0)


def affine(matrix, shift):
    """x -> A x + b, in float64."""
    matrix, shift = tf.constant(matrix, tf.float64), tf.constant(shift, tf.float64)
    return lambda points: tf.linalg.matmul(points, matrix, transpose_b=True) + shift


def circles(points):
    """Two outputs: distances to the origin and to (1, 0, ..), each squared."""
    from_one = points - tf.one_hot(0, points.shape[1], dtype=points.dtype)
    squares = [tf.reduce_sum(points**2, axis=1), tf.reduce_sum(from_one**2, axis=1)]
    return tf.stack(squares, axis=1)


def norm(points):
    return tf.norm(points, axis=1)


def relu_network(n_outputs=1, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(32, "relu"), keras.layers.Dense(32, "relu")]
    return keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(n_outputs)])


# Affine maps


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), n_more=st.integers(1, 5), at_zero=st.booleans())
def test_one_step_is_the_orthogonal_projection_on_an_affine_level(n_outputs, seed, n_more, at_zero):
    """CNLS Lemma 1, for any level, against least squares of the displacement."""
    rng = np.random.default_rng(seed)
    shape = (n_outputs, n_outputs + n_more)
    matrix = matrix_with(rng.uniform(0.5, 2.0, n_outputs), shape, rng)
    shift, level = rng.normal(size=(2, n_outputs))
    level = np.zeros(n_outputs) if at_zero else level
    points = rng.normal(size=(20, shape[1]))
    found = project(affine(matrix, shift), points, level)
    gaps = level - points @ matrix.T - shift
    least = np.linalg.lstsq(matrix, gaps.T, rcond=None)[0].T  # of all solutions the shortest
    np.testing.assert_allclose(found.points, points + least, atol=1e-12)
    np.testing.assert_allclose(found.values, np.tile(level, (20, 1)), atol=1e-12)
    assert found.converged.numpy().all()
    np.testing.assert_array_equal(found.n_iter, 1)


def test_gradient_descent_reaches_affine_levels():
    matrix = matrix_with([0.5, 1.0], (2, 4), RNG)
    points = RNG.normal(size=(30, 4))
    found = project(affine(matrix, [0.3, -1.0]), points, [1.0, 0.0], "gradient", max_iter=300)
    assert found.converged.numpy().all()
    # Every step lies in the rows' span, so the end is the orthogonal projection, too.
    exact = project(affine(matrix, [0.3, -1.0]), points, [1.0, 0.0])
    np.testing.assert_allclose(found.points, exact.points, atol=1e-5)


def test_a_step_has_the_length_of_the_linearized_margin():
    """In l2, abs(f) / norm(grad f): the margin of Elsayed et al. (CNLS Sec. 2.1)."""
    network, points = relu_network(), RNG.normal(size=(40, 5)).astype(np.float32)
    values, jacobian = value_and_jacobian(network, tf.constant(points))
    found = project(network, points, max_iter=1)
    margin = np.abs(values[:, 0]) / np.linalg.norm(jacobian[:, 0], axis=1)
    assert np.ptp(margin) > 0.1
    np.testing.assert_allclose(np.linalg.norm(found.points - points, axis=1), margin, rtol=1e-4)


def test_deficient_jacobian_gives_the_least_squares_step():
    """Two outputs that are one and the same, and one that is constant."""
    row = np.array([0.6, -0.8, 0.0])
    points = RNG.normal(size=(10, 3))
    expected = points - np.outer(points @ row - 2.0, row)
    for second in (row, np.zeros(3)):
        found = project(affine([row, second], [0.0, 0.0]), points, [2.0, 2.0 * second.any()])
        np.testing.assert_allclose(found.points, expected, atol=1e-12)
        assert found.converged.numpy().all()


# Curved level sets


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.5, 2.0])
def test_sphere(method, level):
    points = RNG.normal(size=(50, 3))
    found = project(norm, points, level, method)
    nearest = level * points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(found.points, nearest, atol=1e-12)
    assert found.values.shape == (50, 1)


@pytest.mark.parametrize("method", METHODS)
def test_intersection_of_two_spheres(method):
    level = [1.0, 1.5]
    found = project(circles, RNG.normal(size=(60, 3)), level, method, max_iter=200, tol=1e-9)
    points = found.points.numpy()[found.converged]
    assert len(points) >= 55
    np.testing.assert_allclose(points[:, 0], 0.25, atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_network_of_two_outputs(method):
    network, points = relu_network(n_outputs=2), RNG.normal(size=(60, 5)).astype(np.float32)
    level = np.median(network(points), axis=0)
    solve = tf.function(project, autograph=False)
    found = solve(network, points, level, method, max_iter=100, tol=1e-5)
    converged = found.converged.numpy()
    assert converged.mean() > 0.8
    np.testing.assert_allclose(network(found.points), found.values, atol=1e-5)
    gaps = np.linalg.norm(found.values - level, axis=1)
    np.testing.assert_array_equal(gaps <= 1e-5, converged)


def test_each_point_may_have_its_own_level():
    points, levels = RNG.normal(size=(20, 3)), RNG.uniform(0.5, 2.0, size=(20, 1))
    found = project(norm, points, levels)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), levels[:, 0], atol=1e-12)
    assert found.converged.numpy().all()


# False position


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), level=st.floats(-0.5, 0.5))
def test_false_position_stays_on_the_segment_and_ends_on_the_level(seed, level):
    rng = np.random.default_rng(seed)
    weights = tf.constant(rng.normal(size=(3, 4)))

    def network(points):
        return tf.reduce_sum(tf.sin(points @ weights), axis=1, keepdims=True)

    starts, ends = rng.normal(size=(2, 40, 3))
    before, after = (network(places)[:, 0].numpy() - level for places in (starts, ends))
    found = project(network, starts, level, "false_position", ends=ends)
    crosses = before * after < 0.0
    np.testing.assert_array_equal(found.converged.numpy()[crosses], True)
    along = np.sum((found.points - starts) * (ends - starts), axis=1)
    shares = along / np.sum((ends - starts) ** 2, axis=1)
    on_segment = starts + shares[:, np.newaxis] * (ends - starts)
    np.testing.assert_allclose(found.points, on_segment, atol=1e-12)
    assert np.all((shares >= 0.0) & (shares <= 1.0))
    # Without a change of sign, the better end, with its own level.
    better = np.where((np.abs(after) < np.abs(before))[:, np.newaxis], ends, starts)
    np.testing.assert_allclose(found.points[~crosses], better[~crosses])
    np.testing.assert_array_equal(found.n_iter[~crosses], 0)
    np.testing.assert_allclose(network(found.points), found.values, atol=1e-12)


def test_false_position_does_not_stall_where_the_network_is_convex():
    """Plain false position would keep the far end, and advance by 1e-3 in 40 steps."""

    def power(points):
        return points**10

    found = project(power, [[0.0]], 1e-3, "false_position", ends=[[1.5]], tol=1e-9)
    np.testing.assert_allclose(found.points, [[1e-3 ** (1 / 10)]], rtol=1e-5)
    assert found.converged.numpy().all() and found.n_iter[0] < 40


def test_false_position_is_exact_at_once_on_an_affine_map():
    starts, ends = np.zeros((1, 1)), np.full((1, 1), 4.0)
    found = project(affine([[2.0]], [-1.0]), starts, 0.0, "false_position", ends=ends)
    np.testing.assert_allclose(found.points, [[0.5]])
    np.testing.assert_array_equal(found.n_iter, 1)


# Each point by itself


@pytest.mark.parametrize("method", [*METHODS, "false_position"])
def test_points_stop_by_themselves(method):
    """Steps and ends do not depend on the others; what is on the level is left alone."""
    seen = []

    def network(points):
        seen.append(len(points))
        return tf.reduce_sum(points**4, axis=1)

    points = np.array([[1.0, 0.0], [3.0, 1.0], [1.1, 0.1], [9.0, 4.0]])
    ends = np.zeros_like(points) if method == "false_position" else None
    settings = {"method": method, "tol": 1e-9, "max_iter": 60}
    together = project(network, points, 1.0, **settings, ends=ends)
    assert together.converged.numpy().all()
    assert together.n_iter[0] == 0 and len(set(together.n_iter.numpy())) > 2
    np.testing.assert_array_equal(together.points[0], points[0])
    # The batches shrink; the last evaluation is of all.
    assert seen == [*sorted(seen[:-1], reverse=True), 4] and min(seen) == 1
    for i in range(4):
        alone = project(
            network, points[[i]], 1.0, **settings, ends=None if ends is None else ends[[i]]
        )
        np.testing.assert_allclose(alone.points[0], together.points[i], rtol=1e-14)
        assert alone.n_iter[0] == together.n_iter[i]


@pytest.mark.parametrize("method", METHODS)
def test_points_that_fail_keep_their_own_level(method):
    """x^2 + 1 has no zero; where it is flat, a point does not move."""

    def network(points):
        return tf.nn.relu(points) ** 2 + 1.0

    found = project(network, [[2.0], [-1.0]], 0.0, method, max_iter=7)
    np.testing.assert_array_equal(found.converged, False)
    np.testing.assert_array_equal(found.n_iter, 7)
    np.testing.assert_allclose(found.values, network(found.points))
    np.testing.assert_array_equal(found.points[1], [-1.0])
    assert found.values[1, 0] == 1.0


def test_gradient_descent_never_climbs_and_newton_may():
    network, points = relu_network(seed=3), 3.0 * RNG.normal(size=(200, 5)).astype(np.float32)
    level = float(np.quantile(network(points), 0.02))
    height = np.abs(network(points)[:, 0] - level)
    climbed = False
    for steps in range(1, 4):
        descent = project(network, points, level, "gradient", max_iter=steps)
        lower = np.abs(descent.values[:, 0] - level)
        assert np.all(lower <= height + 1e-6)
        height = lower
        newton = project(network, points, level, max_iter=steps)
        further = project(network, points, level, max_iter=steps + 1)
        gaps = [np.abs(found.values[:, 0] - level) for found in (newton, further)]
        climbed |= bool(np.any(gaps[1] > gaps[0] + 1e-2))
    assert climbed


def test_a_step_that_overflows_is_not_taken():
    def network(points):
        return 1.0 + 1e-38 * points

    found = project(network, np.array([[1.0]], np.float32))
    np.testing.assert_array_equal(found.points, [[1.0]])
    assert not found.converged[0]


# What it takes and gives


def test_points_of_any_shape_and_further_arguments():
    """An image classifier's boundary, of each image's own class."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.Flatten()]
    network = keras.Sequential([keras.Input((6, 6, 1)), *layers, keras.layers.Dense(3)])
    images, labels = RNG.normal(size=(12, 6, 6, 1)).astype(np.float32), np.arange(12) % 3

    def lead(images, labels):
        logits = network(images)
        others = tf.where(tf.one_hot(labels, 3) > 0.0, -np.inf, logits)
        return tf.gather(logits, labels, axis=1, batch_dims=1) - tf.reduce_max(others, axis=1)

    found = project(lead, images, args=(labels,), tol=1e-5)
    assert found.points.shape == images.shape
    assert found.converged.numpy().mean() > 0.8
    np.testing.assert_allclose(lead(found.points, labels), found.values[:, 0], atol=1e-5)


@pytest.mark.parametrize("method", [*METHODS, "false_position"])
def test_the_same_within_a_graph(method):
    network, points = relu_network(), RNG.normal(size=(30, 5)).astype(np.float32)
    ends = -points if method == "false_position" else None
    # Once with AutoGraph, which takes its time to rewrite what it meets.
    in_graph = tf.function(
        lambda rows: project(network, rows, 0.1, method, tol=1e-4, ends=ends),
        autograph=method == "false_position",
    )
    expected = project(network, points, 0.1, method, tol=1e-4, ends=ends)
    found = in_graph(points)
    same = expected.converged.numpy() & found.converged.numpy()
    assert same.sum() >= (5 if method == "false_position" else 25)
    np.testing.assert_allclose(found.points[same], expected.points[same], atol=1e-3)
    np.testing.assert_allclose(found.values[same], 0.1, atol=1.01e-4)


def test_gradients_do_not_flow_through_it():
    network, points = relu_network(), RNG.normal(size=(4, 5)).astype(np.float32)
    with tf.GradientTape() as tape:
        found = project(network, points)
        total = tf.reduce_sum(found.points) + tf.reduce_sum(found.values)
    assert tape.gradient(total, network.trainable_variables) == [None] * 6


def test_precision_is_that_of_the_points():
    network = relu_network()
    for dtype in (np.float32, np.float64):
        found = project(network, np.ones((2, 5), dtype), max_iter=1)
        assert found.points.dtype == found.values.dtype == dtype
    assert project(network, np.ones((2, 5), int), max_iter=0).points.dtype == "float32"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", [norm, circles])
def test_points_without_numbers_harm_no_others(network, method):
    points = np.array([[np.nan, 1.0], [0.6, 0.9], [np.inf, 0.0]])
    solve = tf.function(project, autograph=False)
    found = solve(network, points, 1.0, method, max_iter=60)
    np.testing.assert_array_equal(found.converged, [False, True, False])
    assert project(network, points[:0], 1.0, method).points.shape == (0, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "secant"}, r"method must be one of \['false_position', 'gradient', 'newton'\]"),
        ({"max_iter": -1}, "max_iter and tol must be 0 or more; got max_iter=-1"),
        ({"tol": -1e-3}, "max_iter and tol must be 0 or more.*tol=-0.001"),
        ({"method": "false_position"}, "got method='false_position' without ends"),
        ({"ends": np.ones((4, 5))}, "got method='newton' with ends"),
        (
            {"method": "false_position", "ends": np.ones((3, 5))},
            r"ends must have the points' shape \(4, 5\); got \(3, 5\)",
        ),
        ({"level": [0.0, 1.0]}, r"network has l = 1; got shape \(2,\)"),
        ({"level": np.zeros((3, 1))}, r"network has l = 1; got shape \(3, 1\)"),
        ({"points": np.ones(5)}, r"points must have shape .*got shape \(5,\)"),
        (
            {"network": lambda points: tf.reshape(points, (-1, 5, 1))},
            r"it gave shape \(4, 5, 1\)",
        ),
        (
            {"network": circles, "method": "false_position", "ends": np.ones((4, 5))},
            "needs a network of one output; it has 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    arguments = {"network": norm, "points": np.ones((4, 5)), **changed}
    with pytest.raises(ValueError, match=message):
        project(**arguments)


@pytest.mark.parametrize("method", [*METHODS, "false_position"])
@pytest.mark.parametrize("in_graph", [True, False])
def test_no_points_are_no_batch_for_the_network(method, in_graph):
    """Convolutions by oneDNN refuse an empty one in TensorFlow's graphs."""
    seen = []

    def network(images, labels):
        tf.debugging.assert_positive(tf.shape(images)[0])
        tf.debugging.assert_equal(tf.shape(images)[0], tf.shape(labels)[0])
        seen.append(images.shape)
        return tf.reduce_sum(images, axis=(1, 2)) * tf.cast(labels, images.dtype)

    def find(images, labels):
        ends = images if method == "false_position" else None
        found = project(network, images, 0.5, method, ends=ends, args=(labels,))
        return found.points, found.values, SampleNetwork(network, found.points, args=(labels,))()

    if in_graph:
        signature = tf.TensorSpec((None, 3, 2)), tf.TensorSpec((None,), tf.int32)
        find = tf.function(find, input_signature=signature)
    points, values, sample = find(tf.zeros((0, 3, 2)), tf.zeros(0, tf.int32))
    assert points.shape == sample.shape == (0, 3, 2) and values.shape == (0, 1)
    assert seen
    points, *_ = find(tf.ones((4, 3, 2)), tf.ones(4, tf.int32))
    assert points.shape == (4, 3, 2)
