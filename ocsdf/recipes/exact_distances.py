"""The exact parts of the default: distances to training rows, each 1-Lipschitz in l2."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.nearest import NearestRow, NearestValues

# Neighbours whose distances say how far a row lies from others, and the share of that distance
# that sets the row back.
_N_NEIGHBORS, _SETBACK = 16, 0.5
# Rows of a subsample, and how many subsamples there are.
_GROUP_SIZE, _N_GROUPS = 32, 32
# Rows that levels are read from.
N_QUERIES = 1000
_MOST_VALUES = 4096


class Part(NamedTuple):
    """A 1-Lipschitz function of rows, and its values at some training rows.

    Attributes
    ----------
    operation : Operation
        Maps (n, n_features) to (n, 1): minus a distance.
    scores : ndarray of shape (n_queries,)
        At the first of the rows, up to 1,000, each left out of what it is compared with.
    """

    operation: object
    scores: np.ndarray


def nearest_trusted_row(points):
    r"""Minus the distance to the nearest row, set back by how far that lies from others.

    .. math:: f(x) = -\min_i \left( \|x - r_i\| + \tfrac12 \rho_i \right)

    with :math:`\rho_i` the root mean square of the distances from :math:`r_i` to its 16 nearest
    other rows. A row that lies alone vouches for little, and is itself no nearer than what it was
    set back by, or what its neighbours say.

    Parameters
    ----------
    points : ndarray of shape (n_references, n_features)

    Returns
    -------
    Part
    """
    n_neighbors = min(_N_NEIGHBORS, len(points) - 1)
    found, _ = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(points).kneighbors(points)
    return _nearest(points, _SETBACK * np.sqrt(np.square(found[:, 1:]).mean(axis=1)))


def nearest_of_few_rows(points, random_state):
    r"""Minus the mean distance to the nearest of 32 random rows, over 32 draws.

    A draw rarely holds two rows of one small cluster of anomalies, so that they cannot vouch for
    each other (Pang et al., LeSiNN, 2015).

    Parameters
    ----------
    points : ndarray of shape (n_references, n_features)
    random_state : numpy.random.Generator

    Returns
    -------
    Part
    """
    n_rows = _GROUP_SIZE * _N_GROUPS
    passes = [random_state.permutation(len(points)) for _ in range(-(-n_rows // len(points)))]
    drawn = np.concatenate(passes)[:n_rows]
    queries = points[:N_QUERIES]
    distances = cdist(queries, points[drawn])
    # Each row is left out of the draws that hold it.
    own = drawn < len(queries)
    distances[drawn[own], np.flatnonzero(own)] = np.inf
    nearest = distances.reshape(len(queries), _N_GROUPS, _GROUP_SIZE).min(axis=2)
    return Part(SubsampleDistance(points[drawn], (_GROUP_SIZE,), "l2"), -nearest.mean(axis=1))


def nearest_row(points):
    """Minus the distance to the nearest row.

    Parameters
    ----------
    points : ndarray of shape (n_references, n_features)

    Returns
    -------
    Part
    """
    return _nearest(points, np.zeros(len(points)))


def nearest_values(points, rows):
    """Minus the l2 norm of each feature's distance to the nearest training value.

    It tells values that were never seen, however common their neighbours are. Of a feature with
    more than 4,096 values as many are kept, evenly spaced in rank.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
        All training rows.
    rows : ndarray of shape (n_references, n_features)
        Those of them whose scores are wanted.

    Returns
    -------
    Part
    """
    queries = rows[:N_QUERIES]
    seen, gaps = [], np.zeros(len(queries))
    for column, wanted in zip(points.T, queries.T, strict=True):
        values, copies = np.unique(column, return_counts=True)
        if len(values) > 1:
            steps = np.diff(values, prepend=-np.inf, append=np.inf)
            alone = np.where(copies > 1, 0.0, np.minimum(steps[:-1], steps[1:]))
            gaps += np.square(alone[np.searchsorted(values, wanted)])
        if len(values) > _MOST_VALUES:
            values = values[np.linspace(0, len(values) - 1, _MOST_VALUES).astype(np.int64)]
        seen.append(values)
    counts = np.array([len(values) for values in seen])
    return Part(NearestValues(np.concatenate(seen), counts), -np.sqrt(gaps))


def _nearest(points, setbacks):
    # Of equal rows the one that is set back least is always as near.
    order = np.argsort(setbacks, kind="stable")
    _, first = np.unique(points[order], axis=0, return_index=True)
    kept = np.sort(order[first])
    operation = NearestRow(points[kept], setbacks[kept])
    queries = np.arange(min(N_QUERIES, len(points)))
    distances = cdist(points[queries], points) + setbacks
    distances[queries, queries] = np.inf
    return Part(operation, -distances.min(axis=1))
