"""The guarded step against Eq. 7, on closed forms and where Eq. 7 overshoots."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import forward, input_gradient, newton

from ocsdf.models import build_mlp, condense
from ocsdf.newton import newton_step

ROWS = np.random.default_rng(0).normal(scale=3.0, size=(50, 4))


def isometric_net(activation):
    """Gradient of norm 1 everywhere: square orthogonal layers and a unit last row."""
    model = build_mlp(4, (4, 4), activation, seed=3)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(rng.normal(size=layer.units))
    return condense(model)


def flat_then_steep(points):
    """Concave and 1-Lipschitz: slope 0.1 right of 0 and slope 1 left of it."""
    return tf.minimum(0.1 * points[:, :1], points[:, :1])


@pytest.mark.parametrize("activation", ["fullsort", "groupsort2"])
@pytest.mark.parametrize("level", [-0.7, 2.0])
def test_equals_equation_7_where_the_gradient_has_norm_one(activation, level):
    net, share = isometric_net(activation), np.linspace(0, 1, 50)
    found = newton_step(net, tf.constant(ROWS, tf.float32), level, tf.constant(share, tf.float32))
    values, gradients = forward(net, ROWS), input_gradient(net, ROWS)
    expected = newton(ROWS, values, gradients, level, share)
    np.testing.assert_allclose(found.points, expected, atol=2e-5)
    np.testing.assert_allclose(found.gradient_norm, 1.0, atol=1e-5)
    # The step's length is the share of the gap.
    length = np.linalg.norm(found.points - ROWS, axis=1)
    np.testing.assert_allclose(length, share * np.abs(level - values), atol=2e-5)


def test_equals_equation_7_where_the_guard_does_not_bind():
    weights = np.array([0.3, -0.4, 0.0, 1.2])  # of norm 1.3

    def affine(points):
        return tf.linalg.matvec(points, tf.constant(weights, tf.float32))[:, tf.newaxis] - 0.2

    # s gap / 1.3 <= gap / 1.3: with L = 1.3 the guard holds for every share.
    share = np.linspace(0, 1, 50)
    found = newton_step(
        affine, tf.constant(ROWS, tf.float32), -1.0, tf.constant(share, tf.float32), lipschitz=1.3
    )
    gradients = np.broadcast_to(weights, ROWS.shape)
    expected = newton(ROWS, ROWS @ weights - 0.2, gradients, -1.0, share)
    np.testing.assert_allclose(found.points, expected, atol=2e-5)
    np.testing.assert_allclose(found.gradient_norm, 1.3, rtol=1e-6)


def test_guard_shortens_the_step_where_the_gradient_is_small():
    points = tf.constant([[2.0], [4.0]])
    found = newton_step(flat_then_steep, points, -1.0, tf.ones(2))
    # Gaps 1.2 and 1.4, gradient 0.1: Eq. 7 goes 12 and 14 far, the guard gap / L.
    np.testing.assert_allclose(found.points, [[0.8], [2.6]], rtol=1e-6)
    np.testing.assert_allclose(found.gradient_norm, [0.1, 0.1], rtol=1e-6)


def test_plain_newton_crosses_the_level_and_the_guarded_step_does_not():
    start = np.linspace(0.01, 10.0, 40)[:, np.newaxis]
    values, gradients = 0.1 * start[:, 0], np.full((40, 1), 0.1)
    plain = newton(start, values, gradients, -1.0, 1.0)
    assert (np.minimum(0.1 * plain, plain) < -1.0).all()
    points = tf.constant(start, tf.float32)
    for _ in range(30):
        points = newton_step(flat_then_steep, points, -1.0, tf.ones(40)).points
        assert (flat_then_steep(points).numpy() >= -1.0 - 1e-6).all()
    np.testing.assert_allclose(flat_then_steep(points), -1.0, atol=1e-6)


def test_a_point_without_gradient_stays():
    def flat(points):
        return tf.nn.relu(points[:, :1]) + 0.0 * points[:, 1:]

    points = tf.constant([[-2.0, 3.0], [0.5, 3.0]])
    found = newton_step(flat, points, 2.0, tf.ones(2))
    np.testing.assert_array_equal(found.points, [[-2.0, 3.0], [2.0, 3.0]])
    np.testing.assert_array_equal(found.gradient_norm, [0.0, 1.0])


def test_a_point_on_the_level_stays():
    points = tf.constant([[-1.0]])
    found = newton_step(lambda z: z, points, -1.0, tf.ones(1))
    np.testing.assert_array_equal(found.points, points)
