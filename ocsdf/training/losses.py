"""The hinge Kantorovich-Rubinstein loss, of arrays as of tensors."""

import numpy as np

from ocsdf.training.domain import namespace_of


def hkr(y_true, y_pred, margin, hinge_weight):
    r"""Hinge Kantorovich-Rubinstein loss of each sample (OCSDF Eq. 2, Theorem 1).

    .. math:: L(y f) = \lambda \max(0, m - y f) - y f

    where y is +1 for data and -1 for negatives, f the score, m the margin and :math:`\lambda` the
    weight of the hinge. The slope in y f is :math:`-(1 + \lambda)` below the margin and -1 above.

    Parameters
    ----------
    y_true : array or tensor of shape (n,) or (n, 1)
        Labels in {-1, 1}.
    y_pred : array or tensor of the same shape
        Scores f.
    margin : float
        m, in the units of the scores.
    hinge_weight : float
        lambda.

    Returns
    -------
    array or tensor of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.training import hkr
    >>> labels, scores = np.array([1.0, -1.0]), np.array([2.0, -0.5])
    >>> hkr(labels, scores, margin=1.0, hinge_weight=10.0)
    array([-2. ,  4.5])
    """
    xp = namespace_of(y_pred)
    agreement = xp.reshape(y_true * y_pred, (-1,))
    gap = margin - agreement
    return hinge_weight * xp.where(gap > 0.0, gap, 0.0) - agreement


def measure(scores, labels, margin, hinge_weight):
    """Sum over batches what training reports of each.

    Scores, (n_batches, 2 * batch_size), are f at the data of each batch, then at its negatives. The
    three sums are of the loss (Eq. 2), the share of the data with f >= 0, and that of samples with
    y f < margin.
    """
    n_batches, size = scores.shape
    losses = hkr(np.broadcast_to(labels, scores.shape), scores, margin, hinge_weight)
    inside, hinged = scores[:, : size // 2] >= 0.0, labels * scores < margin
    return n_batches * np.array([2.0 * losses.mean(), inside.mean(), hinged.mean()])
