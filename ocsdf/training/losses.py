"""The hinge Kantorovich-Rubinstein loss."""

import keras
from keras import ops


def hkr(y_true, y_pred, margin, hinge_weight):
    r"""Hinge Kantorovich-Rubinstein loss of each sample (OCSDF Eq. 2, Theorem 1).

    .. math:: L(y f) = \lambda \max(0, m - y f) - y f

    where y is +1 for data and -1 for negatives, f the score, m the margin and :math:`\lambda` the
    weight of the hinge. The slope in y f is :math:`-(1 + \lambda)` below the margin and -1 above.

    Parameters
    ----------
    y_true : tensor of shape (n,) or (n, 1)
        Labels in {-1, 1}.
    y_pred : tensor of the same shape
        Scores f.
    margin : float
        m, in the units of the scores.
    hinge_weight : float
        lambda.

    Returns
    -------
    tensor of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.training import hkr
    >>> labels, scores = np.array([1.0, -1.0]), np.array([2.0, -0.5])
    >>> hkr(labels, scores, margin=1.0, hinge_weight=10.0).numpy()
    array([-2. ,  4.5])
    """
    agreement = ops.reshape(y_true * y_pred, (-1,))
    return hinge_weight * ops.relu(margin - agreement) - agreement


def measure(scores, labels, margin, hinge_weight):
    """Sum over batches what training reports of each."""
    n_batches, size = ops.shape(scores)
    losses = hkr(labels, scores, margin, hinge_weight)
    inside = ops.cast(scores[:, : size // 2] >= 0.0, scores.dtype)
    hinged = ops.cast(labels * scores < margin, scores.dtype)
    means = ops.stack([2.0 * ops.mean(losses), ops.mean(inside), ops.mean(hinged)])
    return means * ops.cast(n_batches, means.dtype)


@keras.saving.register_keras_serializable("ocsdf")
class HKR(keras.losses.Loss):
    """:func:`hkr` as a Keras loss.

    Parameters
    ----------
    margin : float
    hinge_weight : float
    **kwargs
        ``reduction``, ``name``, ``dtype`` of ``keras.losses.Loss``.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.training import HKR
    >>> loss = HKR(margin=1.0, hinge_weight=10.0)
    >>> float(loss(np.array([[1.0], [-1.0]]), np.array([[2.0], [-0.5]])))
    1.25
    """

    def __init__(self, margin, hinge_weight, name="hkr", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin
        self.hinge_weight = hinge_weight

    def call(self, y_true, y_pred):
        return hkr(y_true, y_pred, self.margin, self.hinge_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "margin": self.margin,
            "hinge_weight": self.hinge_weight,
        }
