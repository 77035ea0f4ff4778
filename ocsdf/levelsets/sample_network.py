"""The sample network: points of a level set as functions of a network's weights."""

import tensorflow as tf

from ocsdf.levelsets.rows import as_tensor, flatten, in_precision, on_rows
from ocsdf.training.jacobians import pseudo_inverse, value_and_jacobian


class SampleNetwork:
    r"""Points that stay on their level sets while the weights change, to first order.

    With :math:`\theta_0` the weights when this object is made and :math:`c = F(p; \theta_0)`,
    calling it gives, at the present weights (CNLS Eq. 9),

    .. math:: p(\theta) = p - D_x F(p; \theta_0)^\dagger \, [F(p; \theta) - c].

    Its value at :math:`\theta_0` is p, and its derivative there

    .. math:: D_\theta p(\theta_0) = - D_x F(p; \theta_0)^\dagger \, D_\theta F(p; \theta_0)

    solves :math:`D_\theta F(p(\theta); \theta) = 0` (CNLS Eq. 6 to 8). Of all solutions it is the
    shortest: p moves at right angles to the level set (CNLS Lemma 2).

    Make it at each training step, outside of the gradient tape; call it within. A loss of its
    points then moves the level set itself.

    Parameters
    ----------
    network : callable
        F, as for :func:`ocsdf.levelsets.project`.
    points : array-like or tensor of shape (n, ...)
        p, for instance from :func:`ocsdf.levelsets.project`. A point need not be on any given
        level set; c is the level where it is.
    mean, scale : float or array-like of a point's shape or of the points', default=0.0 and 1.0
        The network takes ``(points - mean) / scale``. Right angles, and what is shortest, are
        meant in those units.
    args : sequence of tensors
        Further arguments of the network, such as labels, each with a row for every point.

    Attributes
    ----------
    points : tensor of shape (n, ...)
        p.
    values : tensor of shape (n, l)
        c.
    pseudo_inverse : tensor of shape (n, d, l)
        :math:`D_x F(p; \theta_0)^\dagger`, where d counts the coordinates of a point; a point whose
        Jacobian is zero stays. With c and p, this is all that is kept: O(d l) numbers a point,
        however many weights.

    Raises
    ------
    ValueError
        If the points or what the network gives have too few or too many axes.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import SampleNetwork, fc_1, project
    >>> network = fc_1(input_dim=2, width=16, seed=0)
    >>> starts = tf.random.stateless_uniform((20, 2), seed=(0, 1), minval=-1.0)
    >>> sample = SampleNetwork(network, project(network, starts).points)
    >>> with tf.GradientTape() as tape:
    ...     loss = tf.reduce_mean(tf.norm(sample(), axis=1))
    >>> gradients = tape.gradient(loss, network.trainable_variables)
    >>> len(gradients) == len(network.trainable_variables)
    True
    """

    def __init__(self, network, points, *, mean=0.0, scale=1.0, args=()):
        self.points = as_tensor(points)
        self._scale = in_precision(scale, self.points.dtype)
        mean = in_precision(mean, self.points.dtype)
        self._rows = flatten((self.points - mean) / self._scale)
        self._network = on_rows(network, self.points.shape[1:], args)
        values, jacobian = value_and_jacobian(self._network, self._rows)
        self.values = tf.stop_gradient(values)
        self.pseudo_inverse = tf.stop_gradient(pseudo_inverse(jacobian))

    def __call__(self):
        """Return p at the network's present weights: a tensor of the points' shape."""
        change = self._network(self._rows) - self.values
        move = tf.linalg.matvec(self.pseudo_inverse, change)
        return self.points - self._scale * tf.reshape(move, tf.shape(self.points))
