"""The sample network against points that are projected again, and the docs' examples of it."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf import OCSDF
from ocsdf.levelsets import SampleNetwork, project
from ocsdf.training.jacobians import value_and_jacobian

_PAGE = Path(__file__).parents[2] / "docs" / "level-sets.md"
RNG = np.random.default_rng(0)
TINY = {"hidden_layer_sizes": (8, 8), "epochs": 1, "uniform_epochs": 0, "max_steps": 3}


def smooth_network(n_outputs, n_features=4, seed=0):
    """Smooth, so that finite differences have a limit, and in float64."""
    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(12, "tanh", dtype="float64") for _ in range(2)]
    last = keras.layers.Dense(n_outputs, dtype="float64")
    return keras.Sequential([keras.Input((n_features,), dtype="float64"), *hidden, last])


def weights_of(network):
    return np.concatenate([np.ravel(weight) for weight in network.get_weights()])


def set_weights(network, flat):
    sizes = np.cumsum([weight.size for weight in network.get_weights()])[:-1]
    parts = zip(np.split(flat, sizes), network.get_weights(), strict=True)
    network.set_weights([part.reshape(weight.shape) for part, weight in parts])


def derivative(sample, network):
    """D_theta p, of shape (n, d, m), one coordinate at a time."""
    rows = []
    for place in np.ndindex(*sample.points.shape):
        with tf.GradientTape() as tape:
            coordinate = sample()[place]
        parts = tape.gradient(coordinate, network.trainable_variables)
        rows.append(np.concatenate([np.ravel(part) for part in parts]))
    return np.reshape(rows, (*sample.points.shape, -1))


@pytest.fixture(scope="module", params=[1, 2])
def case(request):
    network = smooth_network(request.param)
    level = np.full(request.param, 0.1)
    points = project(network, 0.5 * RNG.normal(size=(5, 4)), level, tol=1e-12).points
    sample = SampleNetwork(network, points)
    return network, points.numpy(), level, sample, derivative(sample, network)


def test_value_at_the_weights_it_was_made_at(case):
    network, points, level, sample, _ = case
    np.testing.assert_array_equal(sample(), points)
    np.testing.assert_allclose(sample.values, np.tile(level, (5, 1)), atol=1e-12)


def test_derivative_is_that_of_the_point_projected_again(case):
    """CNLS Eq. 6 to 8: to first order p(theta) is where p has to move to stay on its level."""
    network, points, level, sample, found = case
    start, rng = weights_of(network), np.random.default_rng(1)
    for _ in range(4):
        direction = rng.normal(size=start.shape) / np.sqrt(start.size)
        ends = []
        for step in (1e-5, -1e-5):
            set_weights(network, start + step * direction)
            again = project(network, points, level, tol=1e-14)
            np.testing.assert_allclose(again.values, np.tile(level, (5, 1)), atol=1e-13)
            ends.append(again.points.numpy())
        set_weights(network, start)
        difference = (ends[0] - ends[1]) / 2e-5
        assert np.linalg.norm(difference, axis=1).min() > 1e-2
        np.testing.assert_allclose(found @ direction, difference, atol=1e-7)


def test_derivative_solves_the_linear_system_of_equation_7(case):
    """D_x F D_theta p + D_theta F = 0, with D_theta F from autodiff of F alone."""
    network, points, _, _, found = case
    _, jacobian = value_and_jacobian(network, tf.constant(points))
    for i in range(len(points)):
        for j in range(jacobian.shape[1]):
            with tf.GradientTape() as tape:
                value = network(points[[i]])[0, j]
            parts = tape.gradient(value, network.trainable_variables)
            of_weights = np.concatenate([np.ravel(part) for part in parts])
            np.testing.assert_allclose(jacobian[i, j].numpy() @ found[i], -of_weights, atol=1e-12)


def test_points_move_at_right_angles_to_the_level_set(case):
    """CNLS Lemma 2: the derivative's columns lie in the span of the gradients."""
    network, points, _, _, found = case
    _, jacobian = value_and_jacobian(network, tf.constant(points))
    for matrix, columns in zip(jacobian.numpy(), found, strict=True):
        tangents = np.linalg.svd(matrix)[2][len(matrix) :]  # the kernel of D_x F
        assert len(tangents) == 4 - len(matrix) and np.abs(columns).max() > 0.1
        np.testing.assert_allclose(tangents @ columns, 0.0, atol=1e-12)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), n_outputs=st.integers(1, 3))
def test_it_equals_equation_9_far_from_the_first_weights(seed, n_outputs):
    """For an affine map A x + b whose b alone moves, p(theta) is the projection, however far."""
    rng = np.random.default_rng(seed)
    matrix, points = rng.normal(size=(n_outputs, 5)), rng.normal(size=(6, 5))
    shift = tf.Variable(rng.normal(size=n_outputs))
    sample = SampleNetwork(lambda x: x @ tf.constant(matrix.T) + shift, points)
    level = points @ matrix.T + shift.numpy()
    shift.assign_add(10.0 * rng.normal(size=n_outputs))
    gaps = level - points @ matrix.T - shift.numpy()
    np.testing.assert_allclose(sample(), points + gaps @ np.linalg.pinv(matrix).T, atol=1e-10)


def test_each_point_keeps_its_own_level():
    network, points = smooth_network(1), RNG.normal(size=(8, 4))
    sample = SampleNetwork(network, points)
    np.testing.assert_array_equal(sample(), points)
    np.testing.assert_array_equal(sample.values, network(points))


def test_a_point_without_gradient_stays():
    scale = tf.Variable(1.0)
    sample = SampleNetwork(lambda x: scale * tf.nn.relu(x) + 0.5, np.float32([[-1.0], [2.0]]))
    scale.assign(2.0)
    np.testing.assert_allclose(sample(), [[-1.0], [0.0]])


def test_memory_does_not_grow_with_the_weights():
    """What it keeps of a point, beside the network: O(d l) numbers (CNLS Sec. 2.2)."""
    sample = SampleNetwork(smooth_network(2), RNG.normal(size=(10, 4)))
    kept = [value for value in vars(sample).values() if tf.is_tensor(value)]
    assert sum(tf.size(value) for value in kept) <= 10 * (2 * 4 + 2 + 4 * 2) + 1


def test_training_moves_the_level_set_to_where_it_should_be():
    """Grow the level set of norm(x) - r from radius 1 to 2 by pulling its samples alone."""
    radius = tf.Variable(1.0)

    def network(points):
        return tf.norm(points, axis=1, keepdims=True) - radius

    optimizer = keras.optimizers.SGD(0.2)
    starts = RNG.normal(size=(16, 3)).astype(np.float32)
    for _ in range(30):
        sample = SampleNetwork(network, project(network, starts).points)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.norm(sample(), axis=1) - 2.0) ** 2)
        optimizer.apply([tape.gradient(loss, radius)], [radius])
    np.testing.assert_allclose(radius, 2.0, atol=1e-4)


def test_points_of_any_shape_and_further_arguments():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(2, 3, activation="tanh"), keras.layers.Flatten()]
    network = keras.Sequential([keras.Input((5, 5, 1)), *layers, keras.layers.Dense(3)])
    images, labels = RNG.normal(size=(6, 5, 5, 1)).astype(np.float32), np.arange(6) % 3

    def own(images, labels):
        return tf.gather(network(images), labels, axis=1, batch_dims=1)

    sample = SampleNetwork(own, images, args=(labels,))
    before = own(images, labels)
    np.testing.assert_array_equal(sample(), images)
    network.layers[-1].bias.assign([1e-3, 2e-3, -3e-3])
    # The bias raises F, and the points move down the slope by as much.
    np.testing.assert_allclose(own(sample(), labels), before, atol=1e-4)
    assert np.abs(own(images, labels) - before).min() > 9e-4
    assert sample.pseudo_inverse.shape == (6, 25, 1)


def test_right_angles_are_meant_in_scaled_units():
    network, scale = smooth_network(1), np.array([1.0, 10.0, 0.1, 2.0])
    mean, points = np.array([5.0, 0.0, 1.0, -1.0]), RNG.normal(size=(3, 4))
    scaled, raw = (
        SampleNetwork(network, points),
        SampleNetwork(network, points * scale + mean, mean=mean, scale=scale),
    )
    np.testing.assert_allclose(raw.values, scaled.values)
    set_weights(network, 1.1 * weights_of(network))
    np.testing.assert_allclose((raw() - mean) / scale, scaled(), atol=1e-12)
    assert np.abs(scaled() - points).max() > 1e-2


# On a fitted detector


@pytest.fixture(scope="module")
def fitted():
    """A detector, and rows that it was not fitted to: at those it was, distances have kinks."""
    X = np.random.default_rng(0).normal(size=(106, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
    return OCSDF(**TINY, random_state=0).fit(X[6:]), X[:6]


def test_detector_samples_in_raw_units(fitted):
    detector, points = fitted
    sample = detector.sample_network(points)
    assert sample().dtype == np.float64
    np.testing.assert_array_equal(sample(), points)
    np.testing.assert_allclose(sample.values[:, 0], detector.score_samples(points), atol=1e-5)


def test_detector_samples_follow_their_levels_when_weights_change(fitted):
    detector, points = fitted
    sample, network = detector.sample_network(points), detector.model_
    before = network.get_weights()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(sample())
    gradients = tape.gradient(total, network.trainable_variables)
    assert all(np.isfinite(part).all() for part in gradients) and np.abs(gradients[0]).max() > 0.0

    def scores(rows):
        return network(detector._points_of(rows).astype(np.float32))[:, 0]

    at_start = scores(points)
    network.trainable_variables[-1].assign_add([0.002])
    try:
        moved = sample().numpy()
        drift, kept = np.abs(scores(points) - at_start), np.abs(scores(moved) - at_start)
    finally:
        network.set_weights(before)
    assert np.median(kept) < 0.2 * np.median(drift)
    # In the unit of the certificate they moved along the gradient.
    rows = tf.constant(detector._points_of(points), tf.float32)
    _, jacobian = value_and_jacobian(network, rows)
    steps = detector._points_of(moved) - detector._points_of(points)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    units = jacobian[:, 0] / np.linalg.norm(jacobian[:, 0], axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(np.sum(steps * units, axis=1)), 1.0, atol=1e-4)


def test_detector_checks_its_points(fitted):
    detector, _ = fitted
    with pytest.raises(ValueError, match="X has 2 features, but OCSDF is expecting 3"):
        detector.sample_network([[1.0, 2.0]])


@pytest.fixture(scope="module")
def names():
    """What the worked examples of docs/level-sets.md define, with full fits."""
    keras.utils.set_random_seed(0)
    found = {}
    for code in re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, found)
    return found


def test_a_loss_on_samples_moves_a_fitted_edge(names):
    losses = names["losses"]
    assert np.mean(losses[-10:]) < 0.6 * losses[0]
    # What lay beyond the edge by half of the way is inside now.
    between = 0.5 * (names["edge"] + names["goal"])
    before, after = (
        names["CertifiedNetwork"].from_keras(model).score(between)
        for model in (names["detector"].model_, names["moved"])
    )
    assert np.mean(before > 0.0) < 0.2 < 0.6 < np.mean(after > 0.0)


def test_the_detector_stays_as_it_was(names):
    detector = names["detector"]
    score = names["CertifiedNetwork"].from_keras(detector.model_).score(names["X"])
    np.testing.assert_allclose(detector.score_samples(names["X"]), score, atol=1e-12)


def test_levels_of_a_layer_inside_are_reached(names):
    inner = names["inner"]
    reached = inner.converged.numpy()
    assert inner.values.shape == (100, 2) and reached.mean() > 0.5
    np.testing.assert_allclose(inner.values.numpy()[reached], 0.2, atol=1e-5)


def test_a_curvature_penalty_unbends_a_level_set(names):
    assert names["bends"][-1] < 0.5 * names["bends"][0]


def test_curvature_of_spheres_is_known(names):
    rng = np.random.default_rng(0)
    for dimensions in (2, 3):
        points = rng.normal(size=(20, dimensions)).astype(np.float32)
        found = names["curvature"](lambda x: tf.reduce_sum(x**2, axis=1, keepdims=True), points)
        exact = (dimensions - 1) / np.linalg.norm(points, axis=1)
        np.testing.assert_allclose(found.numpy(), exact, rtol=1e-4)


def test_the_penalty_s_gradient_is_that_of_finite_differences(names):
    """f = r - |x| with one weight r: the curvature of its zero level set is -1 / r."""
    radius = tf.Variable(2.0)
    points = tf.constant([[2.0, 0.0], [0.0, -2.0]])

    def ball(x):
        return radius - tf.norm(x, axis=1, keepdims=True)

    sample = SampleNetwork(ball, points)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(names["curvature"](ball, sample()))
    assert float(loss) == pytest.approx(-0.5, rel=1e-5)
    # d/dr (-1 / r) = 1 / r^2.
    assert float(tape.gradient(loss, radius)) == pytest.approx(0.25, rel=1e-4)
