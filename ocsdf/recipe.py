"""The label-free default: what is chosen from the data alone."""

import keras
import numpy as np
from sklearn.neighbors import NearestNeighbors

_QUERIES = 1000
_MARGIN_SHARE = 0.5
_SHARE_OUTSIDE = 0.01


def nearest_neighbor_margin(points, random_state):
    """Estimate the margin from how far apart the data lie.

    Half the median distance from a row to its nearest other row, over distinct rows: the largest
    margin at which the shells that negatives are kept out of (OCSDF Def. 1: 2 m around each row)
    still join typical neighbours. No label is used.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    random_state : numpy.random.Generator
        Picks the 1,000 rows whose neighbours are looked up where there are more.

    Returns
    -------
    float
        Positive, in the units of the rows.

    Raises
    ------
    ValueError
        If there are fewer than two distinct rows.
    """
    distinct = np.unique(points, axis=0)
    if len(distinct) < 2:
        raise ValueError(
            "margin='auto' needs at least two distinct rows to measure a distance between; "
            "give a margin > 0 or more varied data."
        )
    queries = distinct
    if len(distinct) > _QUERIES:
        queries = distinct[random_state.choice(len(distinct), _QUERIES, replace=False)]
    distances, _ = NearestNeighbors(n_neighbors=2).fit(distinct).kneighbors(queries)
    return _MARGIN_SHARE * float(np.median(distances[:, 1]))


def linear_decay(learning_rate, n_epochs):
    """Let the learning rate fall linearly over the epochs, to a share 1 / n_epochs in the last.

    Parameters
    ----------
    learning_rate : float
        In the first epoch.
    n_epochs : int

    Returns
    -------
    keras.callbacks.LearningRateScheduler
    """
    return keras.callbacks.LearningRateScheduler(
        lambda epoch: learning_rate * (1.0 - epoch / n_epochs)
    )


def boundary_level(scores):
    """Choose the level of f that is taken for the edge of the data.

    The first percentile of the training scores, as the paper does for shapes (OCSDF Sec. 6): one
    row in a hundred may be an outlier, or lie on the edge.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Of the training rows.

    Returns
    -------
    float
    """
    return float(np.quantile(scores, _SHARE_OUTSIDE))
