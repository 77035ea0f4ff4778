"""Which rows a detector is fitted on, and which it is judged on."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from ocsdf.utils.checks import check_labels

PROTOCOLS = ("ad", "oc", "adbench", "clean", "contaminated", "fixed")
CONTAMINATIONS = (0.0, 0.01, 0.05, 0.1, 0.2)

# ADBench's figures: what it draws small tables up to, cuts large ones down to, and tests on.
_FEWEST_ROWS, _MOST_ROWS, _TEST_SHARE = 1_000, 10_000, 0.3
# Of a fixed split, most rows to fit on and to judge.
_MOST_TRAIN, _MOST_TEST = 5_000, 3_000


class Split(NamedTuple):
    """Rows to fit on and rows to judge.

    Attributes
    ----------
    train_rows, test_rows : ndarray of int64
        Row numbers. The protocol "adbench" may name a row several times.
    leaks : bool
        True if copies of one row may lie on both sides though the protocol parts them.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf.data import split
    >>> X, y = load_wine(return_X_y=True)
    >>> rows = split(X, (y == 2).astype(int), "oc", seed=0)
    >>> len(rows.train_rows), len(rows.test_rows), rows.leaks
    (65, 113, False)
    """

    train_rows: np.ndarray
    test_rows: np.ndarray
    leaks: bool


def reduce_rows(y, n_rows=5_000, least_anomalies=20, seed=0):
    r"""Choose the rows of a large table that a benchmark works on.

    From n rows with a anomalies, N = `n_rows` are drawn without replacement, stratified by label:

    .. math:: \max(\mathrm{round}(N a / n), \min(a, A))

    anomalies, with A = `least_anomalies`, and normal rows for the rest.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 for an anomaly, 0 for a normal row.
    n_rows : int, default=5000
        N. A table of at most as many rows stays whole.
    least_anomalies : int, default=20
        A. All anomalies are kept where the table has fewer.
    seed : int, default=0
        Seed of the draw. A benchmark keeps it, whatever the seeds of its splits.

    Returns
    -------
    rows : ndarray of shape (min(n, n_rows),), int64
        Sorted row numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.data import reduce_rows
    >>> y = np.repeat([0, 1], [9_990, 10])
    >>> rows = reduce_rows(y, n_rows=1_000)
    >>> len(rows), int(y[rows].sum())
    (1000, 10)
    """
    y = np.asarray(y)
    if len(y) <= n_rows:
        return np.arange(len(y))
    anomalies, normals = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    n_anomalies = max(round(n_rows * len(anomalies) / len(y)), min(len(anomalies), least_anomalies))
    rng = np.random.default_rng(seed)
    kept = (
        rng.choice(anomalies, n_anomalies, replace=False),
        rng.choice(normals, n_rows - n_anomalies, replace=False),
    )
    return np.sort(np.concatenate(kept))


def split(X, y, protocol, seed, contamination=None):
    """Share a table's rows out between fit and judgement.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
        1 for an anomaly, 0 for a normal row.
    protocol : {"ad", "oc", "adbench", "clean", "contaminated"}
        - "ad": fit on all rows and judge the same, anomalies included (OCSDF, Table 2).
        - "oc": fit on half of the normal rows, judge the other half and all anomalies (OCSDF,
          Table 5).
        - "adbench": the rows that ADBench draws with this seed. A table of fewer than 1,000 rows
          is first drawn up to 1,000 with replacement, so that copies of a row may lie on both
          sides; one of more than 10,000 is cut down to 10,000. Then 70 % to fit on, anomalies
          included, and 30 % to judge, stratified by label.
        - "clean": the same 70/30 split of the distinct rows, the first of equal ones, drawn
          neither up nor down.
        - "contaminated": as "oc", with a share of anomalies among the rows to fit on.
    seed : int
        Seed of the draws.
    contamination : float, optional
        The anomalies' share, 0 <= share < 1, of the rows to fit on; "contaminated" needs it, and
        no other protocol takes it. At most half of the anomalies are used: where they do not
        suffice, normal rows are left out until they do. All rows not fitted on are judged.

    Returns
    -------
    split : Split
        Row numbers to fit on and to judge, and whether rows leak from one to the other.

    Raises
    ------
    ValueError
        If the protocol is unknown, `contamination` is missing, not wanted or no share, or a label
        has too few rows to be split.

    Examples
    --------
    A tenth of the rows to fit on are anomalies:

    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf.data import split
    >>> X, y = load_wine(return_X_y=True)
    >>> rows = split(X, (y == 2).astype(int), "contaminated", seed=0, contamination=0.1)
    >>> round(float(np.mean(y[rows.train_rows] == 2)), 2)
    0.1
    """
    check_protocol(protocol)
    if protocol == "fixed":
        raise ValueError("the protocol 'fixed' takes the split of a file: use fixed_split.")
    if (protocol == "contaminated") != (contamination is not None):
        raise ValueError(
            "contamination goes with the protocol 'contaminated' and with no other; "
            f"got protocol={protocol!r}, contamination={contamination!r}"
        )
    y = np.asarray(y)
    if protocol == "ad":
        return Split(np.arange(len(y)), np.arange(len(y)), leaks=False)
    if protocol == "oc":
        return Split(*split_one_class(y, random_state=seed), leaks=False)
    if protocol == "contaminated":
        return _contaminated(y, contamination, seed)
    if protocol == "adbench":
        return _adbench(y, seed)
    distinct = np.sort(np.unique(X, axis=0, return_index=True)[1])
    return Split(*_part(distinct, y, seed), leaks=False)


def fixed_split(y, n_train):
    """Take the split that a table's file holds, with at most 5,000 and 3,000 rows.

    The first `n_train` rows are to be fitted on. Larger parts are cut by one draw for all methods
    and seeds, the rows to judge as :func:`reduce_rows` does.
    """
    train = np.arange(n_train)
    if n_train > _MOST_TRAIN:
        train = np.sort(np.random.default_rng(0).choice(n_train, _MOST_TRAIN, replace=False))
    test = n_train + reduce_rows(np.asarray(y)[n_train:], _MOST_TEST)
    return Split(train, test, leaks=False)


def check_protocol(name):
    """Raise a ValueError that names the protocols there are, where `name` is none of them."""
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol is named {name!r}: choose among {', '.join(PROTOCOLS)}")


def _contaminated(y, share, seed):
    if not 0 <= share < 1:
        raise ValueError(f"contamination must be a share with 0 <= share < 1, got {share!r}")
    normals, _ = split_one_class(y, random_state=seed)
    anomalies = np.flatnonzero(y == 1)
    n_normals = len(normals)
    n_anomalies = round(n_normals * share / (1 - share))
    if n_anomalies > len(anomalies) // 2:
        n_anomalies = len(anomalies) // 2
        n_normals = round(n_anomalies * (1 - share) / share)
    # Another stream than the halves' own. The first rows of one order: more contamination keeps
    # the anomalies of less.
    rng = np.random.default_rng([seed, 1])
    added, left = rng.permutation(anomalies)[:n_anomalies], rng.permutation(normals)[:n_normals]
    train_rows = np.sort(np.concatenate([left, added]))
    return Split(train_rows, np.setdiff1d(np.arange(len(y)), train_rows), leaks=False)


def _adbench(y, seed):
    # ADBench draws from NumPy's old generator: with another one its tables could not be rebuilt.
    rng = np.random.RandomState(seed)
    rows = np.arange(len(y))
    leaks = len(y) < _FEWEST_ROWS
    if leaks:
        rows = rng.choice(rows, _FEWEST_ROWS, replace=True)
    elif len(y) > _MOST_ROWS:
        rows = rng.choice(rows, _MOST_ROWS, replace=False)
    return Split(*_part(rows, y, rng), leaks)


def _part(rows, y, random_state):
    return train_test_split(
        rows, test_size=_TEST_SHARE, stratify=y[rows], random_state=random_state
    )


def split_one_class(y, random_state):
    """Split rows for one-class learning: train on half of the normal rows, test on the rest.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 for an anomaly, 0 for a normal row; at least two normal rows and one anomaly.
    random_state : int or numpy.random.Generator
        Seed or generator, as for :func:`numpy.random.default_rng`.

    Returns
    -------
    train_rows : ndarray of shape (n_normal // 2,), int64
        Sorted indices of a random half of the normal rows, rounded down.
    test_rows : ndarray of shape (n - n_normal // 2,), int64
        Sorted indices of all other rows: the other normal rows and every anomaly.

    Raises
    ------
    ValueError
        If y is not a 1-d array of 0 and 1, or holds too few rows of a kind.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.data import split_one_class
    >>> y = np.array([0, 0, 0, 0, 1, 1])
    >>> train, test = split_one_class(y, random_state=0)
    >>> y[train].tolist(), y[test].tolist()
    ([0, 0], [0, 0, 1, 1])
    """
    anomaly = check_labels(y, both=False)
    normals = np.flatnonzero(~anomaly)
    if len(normals) < 2 or len(normals) == len(anomaly):
        raise ValueError(
            "the one-class split needs at least 2 normal rows and 1 anomaly, "
            f"got {len(normals)} and {len(anomaly) - len(normals)}"
        )
    rng = np.random.default_rng(random_state)
    train_rows = np.sort(rng.choice(normals, size=len(normals) // 2, replace=False))
    return train_rows, np.setdiff1d(np.arange(len(anomaly)), train_rows)
