"""Checks that the functions of decisions share: shifts of scores, levels and counts."""

from numbers import Integral, Real

import numpy as np


def check_shift(shift, size):
    """Return what scores may be moved by, a number or one a score, as a float64 vector."""
    shift = np.asarray(shift, dtype=np.float64)
    if shift.shape not in ((), (size,)) or not np.all(np.isfinite(shift) & (shift >= 0.0)):
        raise ValueError(
            f"shift must be a finite number >= 0, or one for each of {size} scores; got {shift}."
        )
    return np.broadcast_to(shift, (size,))


def check_share(value, name):
    """Refuse what is no share strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 < value < 1.0:
        raise ValueError(f"{name} must be a number between 0 and 1, both excluded; got {value!r}.")
    return float(value)


def check_replaced(value):
    """Refuse what is no count of rows."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"replaced must be an integer >= 0; got {value!r}.")
    return int(value)


def raised(scores, shift):
    """Add what is not negative to scores, rounded up; what is exactly 0 changes nothing."""
    return np.where(shift > 0.0, np.nextafter(scores + shift, np.inf), scores)


def lowered(scores, shift):
    """Take what is not negative from scores, rounded down; what is exactly 0 changes nothing."""
    return -raised(-scores, shift)
