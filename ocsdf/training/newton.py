"""One guarded Newton step towards a level set: the only Newton code."""

from typing import NamedTuple

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

    points: object
    gradient_norm: object
    values: object


def newton_step(network, points, level, share, lipschitz=1.0):
    r"""Move points along the gradient, towards a level of f and never across it.

    .. math:: z \leftarrow z + \min\Big(s\frac{|c - f(z)|}{\|\nabla f(z)\|},
       \frac{|c - f(z)|}{L}\Big)\, \mathrm{sign}(c - f(z))\, \frac{\nabla f(z)}{\|\nabla f(z)\|}

    where c is the level, s the share of the gap to cover and L a Lipschitz constant of f. The
    first length is OCSDF Eq. 7; the second keeps the step inside the ball around z that f cannot
    reach c in, so that nothing crosses the level however f bends. Where the gradient is zero the
    point stays.

    For l > 1 outputs :math:`F: R^d \to R^l`, with :math:`J = D_x F(z)` and its pseudo-inverse,

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
        L; None for no guard, 0 for a constant f, which no step changes.

    Returns
    -------
    NewtonStep

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.training import newton_step
    >>> def norm(points):
    ...     return tf.norm(points, axis=1, keepdims=True)
    >>> newton_step(norm, tf.constant([[3.0, 4.0]]), level=1.0, share=1.0)[0].numpy().round(4)
    array([[0.6, 0.8]], dtype=float32)
    """
    xp = namespace_of(points)
    if hasattr(network, "value_and_gradient"):
        values, gradient = network.value_and_gradient(points)
    else:
        # NumPy's points need no TensorFlow.
        from ocsdf.training.jacobians import differentiate, step_of_several

        values, gradients = differentiate(network, points)
        if len(gradients) > 1:
            moved, norm = step_of_several(points, values, gradients, level, share, lipschitz)
            return NewtonStep(moved, norm, values)
        values, gradient = values[:, 0], gradients[0]
    norm = xp.linalg.norm(gradient, axis=1)
    # Where the gradient is zero, so is the step, whatever it is divided by.
    divisor = xp.where(norm > 0.0, norm, 1.0)
    pace = share / divisor
    if lipschitz:
        pace = xp.minimum(pace, 1.0 / lipschitz)
    length = pace * (level - values) / divisor
    return NewtonStep(points + length[:, None] * gradient, norm, values)
