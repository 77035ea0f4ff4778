"""Tables whose file holds the split, as OddBench's do."""

import os
from pathlib import Path

import numpy as np

from ocsdf.data.tables import Table

_ARRAYS = ("train", "test", "test_labels")


def load_fixed_split(path):
    """Load a table of which the file says what is fitted on and what is judged.

    Parameters
    ----------
    path : str or os.PathLike
        An .npz file with the arrays ``train`` (n_train, d), normal rows only, ``test`` (n_test, d)
        and ``test_labels`` (n_test,), 1 for an anomaly; as OddBench (KDD 2026) has them.

    Returns
    -------
    Table
        The training rows, then those to judge, with labels; ``n_train`` tells how many are which.

    Raises
    ------
    ValueError
        If an array is missing, they do not fit together, or a label is neither 0 nor 1.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.data import load_fixed_split
    >>> np.savez("split.npz", train=np.zeros((3, 2)), test=np.ones((2, 2)), test_labels=[0, 1])
    >>> table = load_fixed_split("split.npz")
    >>> table.n_train, table.y.tolist()
    (3, [0, 0, 0, 0, 1])
    """
    path = Path(path)
    with np.load(path, allow_pickle=False) as archive:
        missing = [name for name in _ARRAYS if name not in archive.files]
        if missing:
            raise ValueError(f"{os.fspath(path)} holds no array {missing[0]!r}.")
        train, test, labels = (archive[name] for name in _ARRAYS)
    shapes = train.shape, test.shape, labels.shape
    if train.ndim != 2 or test.shape[1:] != train.shape[1:] or labels.shape != (len(test),):
        raise ValueError(f"the arrays of {os.fspath(path)} do not fit together: shapes {shapes}.")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"test_labels of {os.fspath(path)} must be 0 and 1.")
    X = np.concatenate([train, test]).astype(np.float64)
    y = np.concatenate([np.zeros(len(train)), labels]).astype(np.int64)
    names = [f"x{number}" for number in range(X.shape[1])]
    return Table(X, y, names, path.stem, len(train))
