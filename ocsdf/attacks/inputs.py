"""A check of what attacks alone are given."""

import numpy as np


def check_direction(direction, n_rows):
    """Return the direction of each row.

    Parameters
    ----------
    direction : int or array-like of shape (n_rows,)
        1 (up) or -1 (down).
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows,), float64

    Raises
    ------
    ValueError
        If it is anything else.
    """
    signs = np.asarray(direction)
    if signs.shape not in ((), (n_rows,)) or not np.isin(signs, (-1, 1)).all():
        raise ValueError(
            f"direction must be 1 (up) or -1 (down), or {n_rows} of these, one a row; got "
            f"{direction!r}."
        )
    return np.broadcast_to(signs.astype(np.float64), n_rows)
