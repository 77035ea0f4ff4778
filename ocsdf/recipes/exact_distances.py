"""The exact parts of the default: distances to training rows, each 1-Lipschitz in l2."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from ocsdf.operations.nearest import NearestRow, NearestValues

# Neighbours whose distances say how far a row lies from others, and the share of that distance
# that sets the row back.
_N_NEIGHBORS, _SETBACK = 16, 0.5
# Rows of each subsample that says how isolated a row is, how many subsamples of a size there are,
# and the share of the isolation beyond the median that sets the row back.
_GROUP_SIZES, _N_GROUPS, _ISOLATION_SHARE = (32, 2), 32, 0.15
# Rows that levels are read from.
N_QUERIES = 1000
_MOST_VALUES, _SHARE_RARE = 4096, 0.003


class Part(NamedTuple):
    """A 1-Lipschitz function of rows, minus a distance, and its values at some training rows.

    The scores are at the first of the rows, each left out of what it is compared with.
    """

    operation: object
    scores: np.ndarray


def isolation_setbacks(points, random_state):
    r"""How far rows are set back for lying where few others do, on two scales.

    .. math:: s_i = 0.15 \sum_{k \in \{32, 2\}} \max(0, D_k(r_i) - \mathrm{median}_j D_k(r_j))

    with :math:`D_k(r)` the mean distance from r to the nearest of k other rows, over 32 random
    draws (LeSiNN: Pang et al., 2015). Draws of 32 rarely hold two rows of one small cluster of
    anomalies, draws of 2 rarely one of a large cluster, so that such rows do not vouch for each
    other.
    """
    setbacks = np.zeros(len(points))
    for size in _GROUP_SIZES:
        isolation = _isolation(points, size, random_state)
        setbacks += _ISOLATION_SHARE * np.maximum(0.0, isolation - np.median(isolation))
    return setbacks


def neighbor_setbacks(points):
    """Half the root mean square of each row's distances to its 16 nearest other rows."""
    n_neighbors = min(_N_NEIGHBORS, len(points) - 1)
    found, _ = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(points).kneighbors(points)
    return _SETBACK * np.sqrt(np.square(found[:, 1:]).mean(axis=1))


def nearest_trusted_row(points, setbacks, n_queries=N_QUERIES):
    r"""Minus the distance to the nearest row, each set back by an amount of its own.

    .. math:: f(x) = -\min_i (\|x - r_i\| + s_i)

    A row that is set back far vouches for little, and is itself as abnormal as it was set back, or
    as its neighbours say. The first `n_queries` rows are scored.
    """
    # Of equal rows the one that is set back least is always as near.
    order = np.argsort(setbacks, kind="stable")
    _, first = np.unique(points[order], axis=0, return_index=True)
    kept = np.sort(order[first])
    operation = NearestRow(points[kept], setbacks[kept])
    queries = np.arange(min(n_queries, len(points)))
    distances = cdist(points[queries], points) + setbacks
    distances[queries, queries] = np.inf
    return Part(operation, -distances.min(axis=1))


def nearest_values(points, rows, n_queries=N_QUERIES, is_code=None):
    """Minus the l2 norm of each feature's distance to the nearest training value.

    It tells values that were never seen, however common their neighbours are; the first `n_queries`
    of `rows` are scored. Of a feature with more than 4,096 values as many are kept, evenly spaced
    in rank. Of a code (`is_code`), values that fewer than 3 of 1,000 rows have count as never seen:
    a rare category is at distance 1.
    """
    queries = rows[:n_queries]
    seen, gaps = [], np.zeros(len(queries))
    fewest = np.zeros(points.shape[1]) if is_code is None else _SHARE_RARE * len(points) * is_code
    for column, wanted, least in zip(points.T, queries.T, fewest, strict=True):
        values, copies = np.unique(column, return_counts=True)
        if len(values) > 1:
            steps = np.diff(values, prepend=-np.inf, append=np.inf)
            alone = np.where(copies > 1, 0.0, np.minimum(steps[:-1], steps[1:]))
            common = values[copies >= least]
            far = np.abs(values[:, np.newaxis] - common).min(axis=1) if least else 0.0
            gaps += np.square(np.maximum(alone, far)[np.searchsorted(values, wanted)])
            values = common
        if len(values) > _MOST_VALUES:
            values = values[np.linspace(0, len(values) - 1, _MOST_VALUES).astype(np.int64)]
        seen.append(values)
    counts = np.array([len(values) for values in seen])
    return Part(NearestValues(np.concatenate(seen), counts), -np.sqrt(gaps))


def _isolation(points, size, random_state):
    """Mean distance to the nearest of `size` other rows, over random draws."""
    n_drawn = size * _N_GROUPS
    passes = [random_state.permutation(len(points)) for _ in range(-(-n_drawn // len(points)))]
    drawn = np.concatenate(passes)[:n_drawn]
    distances = cdist(points, points[drawn])
    # Each row is left out of the draws that hold it.
    distances[drawn, np.arange(n_drawn)] = np.inf
    nearest = distances.reshape(len(points), _N_GROUPS, size).min(axis=2)
    held = np.isinf(nearest)
    return np.where(held, 0.0, nearest).sum(axis=1) / np.maximum(1, (~held).sum(axis=1))
