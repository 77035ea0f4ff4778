"""One guarded Newton step towards a level set: the only Newton code."""

from typing import NamedTuple

import tensorflow as tf


class NewtonStep(NamedTuple):
    """Where a step led, and what it saw where it began.

    Attributes
    ----------
    points : tensor of shape (n, n_features)
    gradient_norm : tensor of shape (n,)
        Norm of the gradient at the points the step started from.
    """

    points: tf.Tensor
    gradient_norm: tf.Tensor


def newton_step(network, points, level, share, lipschitz=1.0):
    r"""Move points along the gradient, towards a level of f and never across it.

    .. math:: z \leftarrow z + \min\Big(s\frac{|c - f(z)|}{\|\nabla f(z)\|},
       \frac{|c - f(z)|}{L}\Big)\, \mathrm{sign}(c - f(z))\, \frac{\nabla f(z)}{\|\nabla f(z)\|}

    where c is the level, s the share of the gap to cover and L a Lipschitz constant of f. The
    first length is OCSDF Eq. 7; the second keeps the step inside the ball around z that f cannot
    reach c in, so that nothing crosses the level however f bends. Where the gradient is zero the
    point stays.

    Parameters
    ----------
    network : callable
        Maps (n, n_features) to (n, 1).
    points : tensor of shape (n, n_features)
    level : float or scalar tensor
    share : tensor of shape (n,)
        In [0, 1].
    lipschitz : float, default=1.0

    Returns
    -------
    NewtonStep
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(points)
        values = network(points)
    gradient = tape.gradient(values, points)
    gap = level - values[:, 0]
    norm = tf.norm(gradient, axis=1)
    length = tf.minimum(tf.math.divide_no_nan(share, norm), 1.0 / lipschitz) * gap
    direction = tf.math.divide_no_nan(gradient, norm[:, tf.newaxis])
    return NewtonStep(points + length[:, tf.newaxis] * direction, norm)
