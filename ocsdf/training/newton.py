"""One guarded Newton step towards a level set, of one output or several: the only Newton code."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ocsdf.training.domain import namespace_of


class NewtonStep(NamedTuple):
    """Where a step led, and what it saw where it began.

    Attributes
    ----------
    points : array or tensor of shape (n, n_features)
    gradient_norm : array or tensor of shape (n,)
        Norm of the gradient at the points the step started from; of l > 1 outputs, the Frobenius
        norm of their Jacobian.
    values : array or tensor of shape (n,), or (n, l) if l > 1
        The network at the points the step started from.
    """

    points: np.ndarray | tf.Tensor
    gradient_norm: np.ndarray | tf.Tensor
    values: np.ndarray | tf.Tensor


def newton_step(network, points, level, share, lipschitz=1.0):
    r"""Move points along the gradient, towards a level of f and never across it.

    .. math:: z \leftarrow z + \min\Big(s\frac{|c - f(z)|}{\|\nabla f(z)\|},
       \frac{|c - f(z)|}{L}\Big)\, \mathrm{sign}(c - f(z))\, \frac{\nabla f(z)}{\|\nabla f(z)\|}

    where c is the level, s the share of the gap to cover and L a Lipschitz constant of f. The
    first length is OCSDF Eq. 7; the second keeps the step inside the ball around z that f cannot
    reach c in, so that nothing crosses the level however f bends. Where the gradient is zero the
    point stays.

    Of l > 1 outputs :math:`F: R^d \to R^l`, with :math:`J = D_x F(z)` and its pseudo-inverse,

    .. math:: z \leftarrow z + \min\Big(s, \frac{\|c - F(z)\|}{L \, \|J^\dagger (c - F(z))\|}\Big)
       J^\dagger (c - F(z)),

    the same if l = 1. Without the guard and with s = 1 this is the generalized Newton step of CNLS
    Eq. 4 and 5 ("Controlling Neural Level Sets").

    Parameters
    ----------
    network : callable
        Maps (n, n_features) to (n, l); or an object whose ``value_and_gradient(points)`` gives
        f, of shape (n,), and its gradient.
    points : array or tensor of shape (n, n_features)
    level : float or tensor
        A scalar, or of shape (n,); if l > 1 a scalar, or of shape (l,) or (n, l).
    share : float, or array or tensor of shape (n,)
        In [0, 1].
    lipschitz : float or None, default=1.0
        L; None for no guard.

    Returns
    -------
    NewtonStep
    """
    xp = namespace_of(points)
    if hasattr(network, "value_and_gradient"):
        values, gradient = network.value_and_gradient(points)
    else:
        values, gradients = _differentiate(network, points)
        if len(gradients) > 1:
            jacobian = tf.stack(gradients, axis=1)
            return _step_of_several(points, values, jacobian, level, share, lipschitz)
        values, gradient = values[:, 0], gradients[0]
    norm = xp.linalg.norm(gradient, axis=1)
    # Where the gradient is zero, so is the step, whatever it is divided by.
    divisor = xp.where(norm > 0.0, norm, 1.0)
    pace = share / divisor
    if lipschitz is not None:
        pace = xp.minimum(pace, 1.0 / lipschitz)
    length = pace * (level - values) / divisor
    return NewtonStep(points + length[:, None] * gradient, norm, values)


def value_and_jacobian(network, points):
    """Evaluate a network and differentiate it with respect to its input.

    Parameters
    ----------
    network : callable
        Maps (n, n_features) to (n, l), each row by itself.
    points : tensor of shape (n, n_features)

    Returns
    -------
    values : tensor of shape (n, l)
    jacobian : tensor of shape (n, l, n_features)
        D_x F at each point, by l backward passes.
    """
    values, gradients = _differentiate(network, points)
    return values, tf.stack(gradients, axis=1)


def pseudo_inverse(jacobian):
    r"""Invert Jacobians in the sense of Moore and Penrose.

    For l = 1, :math:`J^\dagger = \nabla f / \|\nabla f\|^2` (CNLS Eq. 5), and 0 where the gradient
    is. For l > 1, singular values below rounding, :math:`\max(l, d) \, u` times the largest,
    count as 0.

    Parameters
    ----------
    jacobian : tensor of shape (n, l, n_features)

    Returns
    -------
    tensor of shape (n, n_features, l)
    """
    if jacobian.shape[1] == 1:
        gradient = jacobian[:, 0]
        square = tf.reduce_sum(gradient**2, axis=1, keepdims=True)
        return (gradient / tf.where(square > 0.0, square, 1.0))[:, :, tf.newaxis]
    rounding = max(jacobian.shape[1:]) * np.finfo(jacobian.dtype.as_numpy_dtype).eps
    return tf.linalg.pinv(jacobian, rcond=rounding)


def _step_of_several(points, values, jacobian, level, share, lipschitz):
    gap = level - values
    move = tf.linalg.matvec(pseudo_inverse(jacobian), gap)
    length = tf.linalg.norm(move, axis=1)
    pace = share * tf.ones_like(length)
    if lipschitz is not None:
        reach = tf.linalg.norm(gap, axis=1) / lipschitz
        pace = tf.minimum(pace, reach / tf.where(length > 0.0, length, 1.0))
    moved = points + pace[:, tf.newaxis] * move
    return NewtonStep(moved, tf.linalg.norm(jacobian, axis=(1, 2)), values)


def _differentiate(network, points):
    """Return values of shape (n, l) and the list of the l outputs' gradients."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(points)
        values = network(points)
        outputs = [values] if values.shape[1] == 1 else tf.unstack(values, axis=1)
    zero = tf.UnconnectedGradients.ZERO
    return values, [tape.gradient(out, points, unconnected_gradients=zero) for out in outputs]
