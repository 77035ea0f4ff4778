"""The guarded step against Eq. 7, on closed forms and where Eq. 7 overshoots; several outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.operations import Chain, Dense
from ocsdf.training.jacobians import pseudo_inverse, value_and_jacobian
from ocsdf.training.newton import newton_step
from tests.reference import forward, input_gradient, matrix_with, newton, singular_values

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
    np.testing.assert_allclose(found.values, values, atol=2e-5)
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


# Several outputs


def test_value_and_jacobian_of_several_outputs():
    """Of products and of a constant, whose gradient is zero."""

    def network(points):
        first, second = points[:, 0], points[:, 1]
        return tf.stack([first * second, first**2, tf.ones_like(first)], axis=1)

    points = tf.constant([[2.0, 3.0], [-1.0, 0.5]])
    values, jacobian = value_and_jacobian(network, points)
    np.testing.assert_allclose(values, [[6.0, 4.0, 1.0], [-0.5, 1.0, 1.0]])
    np.testing.assert_allclose(
        jacobian, [[[3, 2], [4, 0], [0, 0]], [[0.5, -1], [-2, 0], [0, 0]]], rtol=1e-6
    )


@pytest.mark.parametrize("rank", [1, 2])
def test_pseudo_inverse_satisfies_the_conditions_of_penrose(rank):
    rng = np.random.default_rng(0)
    jacobian = np.stack([matrix_with([2.0, 0.3][:rank] + [0] * (2 - rank), (2, 5), rng)] * 3)
    found = pseudo_inverse(tf.constant(jacobian)).numpy()
    for matrix, inverse in zip(jacobian, found, strict=True):
        np.testing.assert_allclose(matrix @ inverse @ matrix, matrix, atol=1e-12)
        np.testing.assert_allclose(inverse @ matrix @ inverse, inverse, atol=1e-12)
        np.testing.assert_allclose(inverse @ matrix, (inverse @ matrix).T, atol=1e-12)
        np.testing.assert_allclose(matrix @ inverse, (matrix @ inverse).T, atol=1e-12)


def test_pseudo_inverse_of_a_gradient():
    """CNLS Eq. 5, and 0 where there is none."""
    gradients = np.array([[[3e-15, -4e-15]], [[0.0, 0.0]]], np.float32)
    found = pseudo_inverse(tf.constant(gradients))
    np.testing.assert_allclose(found[:, :, 0], [[1.2e14, -1.6e14], [0.0, 0.0]], rtol=1e-5)


def test_guarded_step_of_several_outputs_stays_in_reach():
    """No farther than ``norm(c - F) / L``: in that ball F cannot take the level."""
    keras.utils.set_random_seed(1)
    hidden = keras.layers.Dense(32, "relu")
    network = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2)])
    matrices = [layer.kernel.numpy() for layer in network.layers]
    lipschitz = float(np.prod([singular_values(matrix)[0] for matrix in matrices]))
    points, level = tf.constant(ROWS, tf.float32), tf.constant([0.5, -0.5])
    guarded = newton_step(network, points, level, 1.0, lipschitz)
    plain = newton_step(network, points, level, 1.0, None)
    reach = np.linalg.norm(level - guarded.values, axis=1) / lipschitz
    steps, full = (guarded.points - points).numpy(), (plain.points - points).numpy()
    lengths = np.linalg.norm(steps, axis=1)
    np.testing.assert_allclose(lengths, np.minimum(reach, np.linalg.norm(full, axis=1)), rtol=1e-4)
    assert (lengths < 0.9 * np.linalg.norm(full, axis=1)).any()
    # Along the same direction.
    cosines = np.sum(steps * full, axis=1) / lengths / np.linalg.norm(full, axis=1)
    np.testing.assert_allclose(cosines, 1.0, atol=1e-5)


def test_a_constant_network_is_moved_nowhere():
    """A bound of 0 leaves no gradient, and a guard of 1 / 0 nothing to divide by."""
    constant = CertifiedNetwork(Chain([Dense(np.zeros((4, 1)), np.ones(1))], (4,)))
    found = newton_step(constant, ROWS, 0.0, 1.0, lipschitz=constant.lipschitz_bound)
    np.testing.assert_array_equal(found.points, ROWS)
    found = newton_step(lambda points: 0.0 * points[:, :2], tf.constant(ROWS), 1.0, 1.0, 0.0)
    np.testing.assert_array_equal(found.points, ROWS)
