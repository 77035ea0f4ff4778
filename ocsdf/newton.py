"""One guarded Newton step towards a level set: the only Newton code."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ocsdf.domain import namespace_of


class NewtonStep(NamedTuple):
    """Where a step led, and what it saw where it began.

    Attributes
    ----------
    points : array or tensor of shape (n, n_features)
    gradient_norm : array or tensor of shape (n,)
        Norm of the gradient at the points the step started from.
    """

    points: np.ndarray | tf.Tensor
    gradient_norm: np.ndarray | tf.Tensor


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
        Maps (n, n_features) to (n, 1); or an object whose ``value_and_gradient(points)`` gives
        f, of shape (n,), and its gradient.
    points : array or tensor of shape (n, n_features)
    level : float or scalar tensor
    share : array or tensor of shape (n,)
        In [0, 1].
    lipschitz : float, default=1.0

    Returns
    -------
    NewtonStep
    """
    xp = namespace_of(points)
    if hasattr(network, "value_and_gradient"):
        values, gradient = network.value_and_gradient(points)
    else:
        values, gradient = _differentiate(network, points)
    norm = xp.linalg.norm(gradient, axis=1)
    # Where the gradient is zero, so is the step, whatever it is divided by.
    divisor = xp.where(norm > 0.0, norm, 1.0)
    length = xp.minimum(share / divisor, 1.0 / lipschitz) * (level - values) / divisor
    return NewtonStep(points + length[:, None] * gradient, norm)


def _differentiate(network, points):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(points)
        values = network(points)
    return values[:, 0], tape.gradient(values, points)
