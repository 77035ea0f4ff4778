"""Jacobians of networks by TensorFlow, and Newton's step for networks of several outputs."""

import numpy as np
import tensorflow as tf


def value_and_jacobian(network, points):
    """Evaluate a network and differentiate it with respect to its input."""
    values, gradients = differentiate(network, points)
    return values, tf.stack(gradients, axis=1)


def pseudo_inverse(jacobian):
    r"""Invert Jacobians in the sense of Moore and Penrose.

    For l = 1, :math:`J^\dagger = \nabla f / \|\nabla f\|^2` (CNLS Eq. 5), and 0 where the gradient
    is. For l > 1, singular values below rounding, :math:`\max(l, d) \, u` times the largest,
    count as 0.
    """
    if jacobian.shape[1] == 1:
        gradient = jacobian[:, 0]
        square = tf.reduce_sum(gradient**2, axis=1, keepdims=True)
        return (gradient / tf.where(square > 0.0, square, 1.0))[:, :, tf.newaxis]
    rounding = max(jacobian.shape[1:]) * np.finfo(jacobian.dtype.as_numpy_dtype).eps
    return tf.linalg.pinv(jacobian, rcond=rounding)


def step_of_several(points, values, gradients, level, share, lipschitz):
    """Make the step of :func:`ocsdf.training.newton.newton_step` for several outputs.

    Returns the points, and the Frobenius norms of the Jacobians where they came from.
    """
    jacobian, gap = tf.stack(gradients, axis=1), level - values
    move = tf.linalg.matvec(pseudo_inverse(jacobian), gap)
    length = tf.linalg.norm(move, axis=1)
    pace = share * tf.ones_like(length)
    if lipschitz:
        reach = tf.linalg.norm(gap, axis=1) / lipschitz
        pace = tf.minimum(pace, reach / tf.where(length > 0.0, length, 1.0))
    return points + pace[:, tf.newaxis] * move, tf.linalg.norm(jacobian, axis=(1, 2))


def differentiate(network, points):
    """Return values of shape (n, l) and the list of the l outputs' gradients."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(points)
        values = network(points)
        outputs = [values] if values.shape[1] == 1 else tf.unstack(values, axis=1)
    zero = tf.UnconnectedGradients.ZERO
    return values, [tape.gradient(out, points, unconnected_gradients=zero) for out in outputs]
