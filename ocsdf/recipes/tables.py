"""The label-free default: what is chosen from the data alone."""

import keras
import numpy as np
from sklearn.neighbors import NearestNeighbors

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_distance, least

# Of the learned network and of the distances, in their mean.
SHARES = (0.25, 0.75)
# In standard deviations.
SOFTENING = 2.0
_DEVIATIONS = 1.5
# Of the distance to few rows, which spreads more widely, and of that to many.
_SCALES = (2.0 / 3.0, 1.0)
# Share of the training rows that lie farther off than the typical distance.
_SHARE_BEYOND = 0.3
_MOST_SET_ASIDE = 0.25
_QUERIES = 1000
_SHARE_OUTSIDE = 0.01


def nearest_neighbor_margin(points, share, random_state):
    """Estimate the margin from how far apart the data lie.

    A share of the median distance from a row to its nearest other row, over distinct rows. At one
    half the shells that negatives are kept out of (OCSDF Def. 1: 2 m around each row) just join
    typical neighbours. No label is used.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    share : float
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
    return share * float(np.median(distances[:, 1]))


def trusted_rows(points, softening, random_state, sample_weight=None):
    r"""Set rows aside that lie so far from the others that they may be anomalies.

    Rows are ranked by their mean distance s to the nearest of 8 random rows, which a cluster of
    anomalies does not shorten (Pang et al., LeSiNN, 2015), and kept where

    .. math:: \log s \le m + 1.5 \cdot 1.4826 \, \mathrm{median} |\log s - m|, \qquad
       m = \mathrm{median} \log s

    or where they are among the closest three quarters. Of a normal distribution 6.7 % lie
    beyond. No label is used.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    softening : float or None
        As for :func:`distance_network`.
    random_state : numpy.random.Generator
    sample_weight : ndarray of shape (n_samples,) or None
        As for :func:`distance_network`.

    Returns
    -------
    ndarray of shape (n_samples,), bool
    """
    ranking = distance_network(points, 8, 128, softening, random_state, sample_weight)
    # Copies of one row may be at distance 0.
    isolation = np.log(
        np.maximum(-CertifiedNetwork.from_keras(ranking).score(points), np.finfo(float).tiny)
    )
    median = np.median(isolation)
    spread = 1.4826 * np.median(np.abs(isolation - median))
    # A row's own value, not one between two: never is more than a quarter set aside.
    quarter = np.quantile(isolation, 1.0 - _MOST_SET_ASIDE, method="inverted_cdf")
    return isolation <= max(median + _DEVIATIONS * spread, quarter)


def distance_part(points, softening, random_state, sample_weight=None):
    r"""Make the exact part of the default: how far a row lies from few trusted and from many rows.

    .. math:: -\max\left(\tfrac23 (d_8 - c_8), \; d_{32} - c_{32}\right)

    with d_8 the mean distance to the nearest of 8 rows that :func:`trusted_rows` keeps, over 32
    subsamples: it tells anomalies even where they were among the training rows. d_32 is that to
    the nearest of 32 of all rows, over 24 subsamples: it follows the shape of the data more
    closely. c is what 30 % of the training rows exceed.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    softening : float or None
        As for :func:`distance_network`.
    random_state : numpy.random.Generator
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    keras.Sequential
        Maps (n, n_features) to (n, 1), 1-Lipschitz.
    """
    if softening is not None:
        points = softening * np.arcsinh(points / softening)
    trusted = trusted_rows(points, None, random_state, sample_weight)
    weights = None if sample_weight is None else sample_weight[trusted]
    members = [
        distance_network(points[trusted], 8, 32, None, random_state, weights),
        distance_network(points, 32, 24, None, random_state, sample_weight),
    ]
    levels = [
        np.quantile(CertifiedNetwork.from_keras(member).score(points), _SHARE_BEYOND)
        for member in members
    ]
    return least(members, _SCALES, levels, softening)


def distance_network(points, group_size, n_groups, softening, random_state, sample_weight=None):
    """Make a network of minus the mean distance to the nearest row of random subsamples.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    group_size, n_groups : int
        Rows of a subsample, and how many there are.
    softening : float or None
        Beyond it a feature counts less, so that one extreme does not drown the others;
        :data:`SOFTENING` for standardized rows, None for rows of unknown scale.
    random_state : numpy.random.Generator
        Draws the rows: each once before any twice.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows are drawn with probability proportional to it.

    Returns
    -------
    keras.Sequential
        See :func:`ocsdf.networks.builders.build_distance`.
    """
    rows = draw_rows(len(points), group_size * n_groups, random_state, sample_weight)
    return build_distance(points[rows], (group_size,), softening=softening)


def draw_rows(n_rows, n_drawn, random_state, sample_weight=None):
    """Draw row numbers: each once before any twice, or in proportion to weights.

    Parameters
    ----------
    n_rows, n_drawn : int
    random_state : numpy.random.Generator or RandomState
    sample_weight : ndarray of shape (n_rows,) or None

    Returns
    -------
    ndarray of shape (n_drawn,), int
    """
    if sample_weight is not None:
        return random_state.choice(n_rows, n_drawn, p=sample_weight / sample_weight.sum())
    passes = [random_state.permutation(n_rows) for _ in range(-(-n_drawn // n_rows))]
    return np.concatenate(passes)[:n_drawn]


def linear_decay(learning_rate, n_epochs):
    """Let the learning rate fall linearly over the epochs, to a share 1 / n_epochs in the last.

    Parameters
    ----------
    learning_rate : float
        In the first epoch.
    n_epochs : int

    Returns
    -------
    keras.callbacks.Callback
    """
    # Keras's own scheduler reads the old rate first, of which NumPy 2 warns at each epoch.
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(
            callback.model.optimizer, "learning_rate", learning_rate * (1.0 - epoch / n_epochs)
        )
    )
    return callback


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
