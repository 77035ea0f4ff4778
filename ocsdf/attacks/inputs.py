"""Checks of what attacks are given."""

from numbers import Integral

import numpy as np


def check_rows(name, rows):
    """Return rows as float64.

    Parameters
    ----------
    name : str
        For the message.
    rows : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples, n_features), float64

    Raises
    ------
    ValueError
        If they are no rows, none or not finite.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0 or not np.isfinite(rows).all():
        raise ValueError(
            f"{name} must be finite rows of shape (n_samples, n_features), at least one; got shape "
            f"{rows.shape}{' with NaN or infinity' if not np.isfinite(rows).all() else ''}."
        )
    return rows


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


def check_labels(y, pos_label, n_rows):
    """Tell which rows are anomalies.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    pos_label : object
        The anomalies' label.
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows,), bool

    Raises
    ------
    ValueError
        If there are not two classes, or not one label a row.
    """
    y = np.asarray(y)
    anomaly = y == pos_label
    if np.shape(anomaly) != (n_rows,):
        raise ValueError(f"y must have {n_rows} labels, one a row; got shape {y.shape}.")
    if anomaly.all() or not anomaly.any() or len(np.unique(y)) > 2:
        raise ValueError(
            f"y must hold two classes, the anomalies' being {pos_label!r}; got "
            f"{np.unique(y).tolist()}."
        )
    return anomaly


def check_number(name, value, least=-np.inf):
    """Return a finite number as float.

    Parameters
    ----------
    name : str
        For the message.
    value : object
    least : float, default=-inf

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is none, or below `least`.
    """
    number = np.asarray(value)
    is_finite = number.ndim == 0 and number.dtype.kind in "biuf" and np.isfinite(number)
    if not (is_finite and number >= least):
        bound = "" if least == -np.inf else f" >= {least:g}"
        raise ValueError(f"{name} must be a finite number{bound}; got {value!r}.")
    return float(number)


def check_count(name, value):
    """Refuse what is no integer >= 1.

    Parameters
    ----------
    name : str
        For the message.
    value : object

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1; got {value!r}.")
