"""The label-free default of tables, step by step, and what it shares with the paper's method."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ocsdf.operations.chain import Chain
from ocsdf.operations.ensembles import WeightedMean
from ocsdf.operations.nearest import NearestRow
from ocsdf.recipes.exact_distances import (
    N_QUERIES,
    Part,
    isolation_setbacks,
    nearest_trusted_row,
    nearest_values,
    neighbor_setbacks,
)

# Of the nearest row halfway, where steps count and in standardized rows, of the nearest values, and
# of the median.
SHARES = {
    "accuracy": (0.4, 0.1, 0.3, 0.2),
    "certificate": (0.2, 0.8),
    "contamination": (0.24, 0.06, 0.18, 0.12, 0.4),
}
# What the network has of the first share.
NETWORK_SHARES = {"accuracy": 0.5, "certificate": 0.1, "contamination": 0.1}
# As many as score at half the rate of an isolation forest in 20 features.
MOST_REFERENCES = 5000
_QUERIES = 1000
_SHARE_OUTSIDE = 0.01
_SHARE_OF_CORE = 0.7


def anchored_network(
    points,
    views,
    train,
    random_state,
    sample_weight=None,
    emphasis="accuracy",
    contamination=None,
    is_core=None,
    is_code=None,
):
    r"""Make the default's f from rows in the units of the certificate.

    .. math:: f = 0.4 \, (0.5 \, h_1 + 0.5 \, g) + 0.1 \, h_2 + 0.3 \, h_3 + 0.2 \, h_4 - c

    1. Rows come stretched, see :func:`ocsdf.recipes.feature_maps.fit_feature_maps`; h_1 and g take
       them halfway back to standardized ones, h_3 all the way.
    2. h_1, h_2 and h_3 are minus the distance to the nearest of up to 5,000 training rows. For h_1
       and h_2 each row is set back by how isolated it is, so that anomalies among the training
       rows vouch for little; for h_1 by how far its own neighbours are, too.
    3. h_4 is minus the distance of each feature to the nearest of its values, put together in l2.
    4. g is the network that `train` makes of all rows.
    5. c is what 1 % of the training rows fall short of in the sum, one row at least, each left out
       of what it is compared with. They are no references.

    All are 1-Lipschitz in l2, so f is. No label is used. With emphasis on the certificate f is
    :math:`0.2 \, (0.9 \, h_1 + 0.1 \, g) + 0.8 \, h_2 - c`: its parts tend to grow in the same
    direction, so that it certifies more, and ranks a little worse. With emphasis on contamination
    only rows of the core are compared with, c is still of all rows, and f is

    .. math:: f = 0.24 \, (0.9 \, h_1 + 0.1 \, g) + 0.06 \, h_2 + 0.18 \, h_3 + 0.12 \, h_4
       - 0.4 \, \|x - m\| - c

    with m the median of the core, so that anomalies among the rows, were they a fifth, hardly
    vouch for others.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features), float64
    views : ocsdf.recipes.feature_maps.Views or None
        None takes rows as they are.
    train : callable or None
        Takes rows (n, n_features), float64, and references, some of them; gives a Chain of such
        rows. None leaves the network out, and h_1 has its share.
    random_state : numpy.random.Generator
    sample_weight : ndarray of shape (n_samples,) or None
        References are drawn in proportion to it.
    emphasis : {"accuracy", "certificate", "contamination"}, default="accuracy"
    contamination : float or None, default=None
        Share of the rows that is no reference, of those that lie farthest outside; None takes
        those of 5.
    is_core : ndarray of shape (n_samples,), bool, or None, default=None
        Which rows are compared with, see :func:`core_rows`; None takes all.
    is_code : ndarray of shape (n_features,), bool, or None, default=None
        Which features are codes of categories; see
        :func:`ocsdf.recipes.exact_distances.nearest_values`.

    Returns
    -------
    Part
        f as a Chain, and its values at up to 1,000 of the rows, at all references where there is a
        contamination, each left out of what it is compared with.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.recipes import anchored_network
    >>> rng = np.random.default_rng(0)
    >>> points = rng.normal(size=(200, 2))
    >>> chain, _ = anchored_network(points, views=None, train=None, random_state=rng)
    >>> inside, outside = chain.evaluate(np.array([[0.0, 0.0], [9.0, 9.0]])).ravel()
    >>> bool(outside < 0.0 < inside), bool(chain.bound() <= 1.0)
    (True, True)
    """
    n_references = min(MOST_REFERENCES, len(points))
    drawn = draw_rows(len(points), n_references, random_state, sample_weight)
    rows = points[drawn]
    halfway, standardized = views or (None, None)
    near, plain = (
        rows if view is None else view.evaluate(rows) for view in (halfway, standardized)
    )
    isolation = isolation_setbacks(near, random_state)
    setbacks = isolation + neighbor_setbacks(near)
    if train is not None:
        network = train(points if halfway is None else halfway.evaluate(points), near)

    n_queries = N_QUERIES if contamination is None else n_references
    is_core = np.ones(len(points), bool) if is_core is None else is_core.copy()
    if is_core[drawn].sum() < 2:
        # Weights may draw hardly any of the core where rows are few.
        is_core[drawn] = True
    center = np.median(plain[is_core[drawn]], axis=0)

    def combine(kept, points, level=0.0):
        first = nearest_trusted_row(near[kept], setbacks[kept], n_queries)
        if train is not None:
            learned = Part(network, network.evaluate(near[kept][:n_queries])[:, 0])
            share = NETWORK_SHARES[emphasis]
            first = _mean([first, learned], (1.0 - share, share), points)
        parts = [
            _after(halfway, first, points),
            nearest_trusted_row(rows[kept], isolation[kept], n_queries),
        ]
        if emphasis != "certificate":
            near_plain = nearest_trusted_row(plain[kept], np.zeros(kept.sum()), n_queries)
            parts += [
                _after(standardized, near_plain, points),
                nearest_values(points, rows[kept], n_queries, is_code),
            ]
        if emphasis == "contamination":
            parts.append(_after(standardized, _centered(center, plain[kept][:n_queries]), points))
        return _mean(parts, SHARES[emphasis], points, -level)

    kept = is_core[drawn]
    part = combine(kept, points[is_core])
    scores = _scores_of_all(part, kept[:n_queries], rows[:n_queries])
    level = boundary_level(scores)
    # What lies outside is no reference: it would vouch for itself.
    edge = level if contamination is None else np.percentile(scores, 100.0 * contamination)
    outside = drawn[: len(scores)][scores < edge]
    kept &= ~np.isin(drawn, outside)
    is_core[outside] = False
    mean = combine(kept, points[is_core], level).operation
    return Part(_chain(mean, points), scores - level)


def _centered(center, points):
    """Minus the distance to the centre, and its values at some points."""
    operation = NearestRow(center[np.newaxis], np.zeros(1))
    return Part(operation, operation.evaluate(points)[:, 0])


def _scores_of_all(part, kept, rows):
    """Put scores of rows that are kept, each left out, and of the others together."""
    scores = np.empty(len(rows))
    scores[kept] = part.scores[: kept.sum()]
    if not kept.all():
        scores[~kept] = _chain(part.operation, rows).evaluate(rows[~kept])[:, 0]
    return scores


def _mean(parts, shares, points, bias=0.0):
    members = [_chain(part.operation, points) for part in parts]
    scores = sum(share * part.scores for part, share in zip(parts, shares, strict=True))
    return Part(WeightedMean(members, list(shares), [bias]), scores)


def _after(view, part, points):
    return part if view is None else Part(_chain((view, part.operation), points), part.scores)


def _chain(operations, points):
    if isinstance(operations, Chain):
        return operations
    operations = operations if isinstance(operations, tuple) else (operations,)
    return Chain(operations, points.shape[1:])


def core_rows(points, sample_weight=None):
    """Mark the 70 % of the rows that lie nearest the median of all, two rows at least.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
        In standardized units.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        How many rows each stands for, in any unit.

    Returns
    -------
    ndarray of shape (n_samples,), bool

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.recipes import core_rows
    >>> core_rows(np.array([[-1.0], [0.0], [2.0], [9.0]]))
    array([ True,  True,  True, False])
    """
    method = {}
    if sample_weight is not None:
        method = {"weights": sample_weight, "method": "inverted_cdf"}
    spread = np.linalg.norm(points - np.quantile(points, 0.5, axis=0, **method), axis=1)
    within = np.quantile(spread, _SHARE_OF_CORE, **method)
    return spread <= max(within, np.sort(spread)[:2].max())


def nearest_neighbor_margin(points, share, random_state):
    """Estimate the margin from how far apart the data lie.

    A share of the median distance from a row to its nearest other row, over distinct rows. At one
    half the shells that negatives are kept out of (OCSDF Def. 1: 2 m around each row) just reach
    typical neighbours; at one, the default's, they reach twice as far. No label is used.

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

    Examples
    --------
    Half the distance between neighbours that lie 1 apart:

    >>> import numpy as np
    >>> from ocsdf.recipes import nearest_neighbor_margin
    >>> rows = np.arange(10.0)[:, np.newaxis]
    >>> nearest_neighbor_margin(rows, share=0.5, random_state=np.random.default_rng(0))
    0.5
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


def draw_rows(n_rows, n_drawn, random_state, sample_weight=None):
    """Draw row numbers: each once before any twice, or in proportion to weights."""
    if sample_weight is not None:
        return random_state.choice(n_rows, n_drawn, p=sample_weight / sample_weight.sum())
    passes = [random_state.permutation(n_rows) for _ in range(-(-n_drawn // n_rows))]
    return np.concatenate(passes)[:n_drawn]


def boundary_level(scores):
    """Choose the level of f that is taken for the edge of the data.

    It is the first percentile of the training scores, as the paper does for shapes (OCSDF Sec. 6):
    one row in a hundred may be an outlier, or lie on the edge.
    """
    return float(np.quantile(scores, _SHARE_OUTSIDE))
