"""Whether values survive the way into float64: a certificate of other values certifies nothing."""

import datetime
from numbers import Integral

import numpy as np

# float64 holds every integer up to here.
_EXACT = 2**53
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def find_inexact(values):
    """Find a value that float64 cannot hold."""
    values = values[:, np.newaxis] if values.ndim == 1 else values
    kind, size = values.dtype.kind, values.dtype.itemsize
    if values.size == 0 or kind == "b" or (kind == "f" and size <= 8):
        return None
    if kind == "O":
        exact = np.frompyfunc(_is_exact, 1, 1)(values).astype(bool)
    elif kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            exact = (values.astype(np.float64) == values) | np.isnan(values)
    elif kind in "iu" and size == 8 and (values.max() > _EXACT or values.min() < -_EXACT):
        # The odd part of an integer is what takes digits.
        magnitude = np.abs(values).astype(np.uint64)
        lowest_bit = np.maximum(magnitude & (~magnitude + np.uint64(1)), 1)
        exact = magnitude // lowest_bit <= _EXACT
    else:
        return None
    places = np.argwhere(~exact)
    if not len(places):
        return None
    row, column = places[0]
    return int(column), values[row, column]


def refuse_inexact(name, values, column_name):
    """Refuse values that float64 would round."""
    found = find_inexact(values)
    if found is not None:
        column, value = found
        raise ValueError(
            f"{name} holds values that float64 cannot hold exactly in column "
            f"{column_name(column)}, such as {value}: scores and certificates are computed in "
            "float64 and would be those of other values. Shift or rescale the column (time stamps: "
            "subtract the first), or round it yourself, e.g. with .astype(float)."
        )


def kind_of_objects(values):
    """Tell what an array of Python objects holds that is no number, though it may pass for one."""
    kinds = set(map(type, values.flat))
    for name, classes in (
        ("text", (str, bytes)),
        ("dates or durations", _DATES),
        ("complex numbers", (complex, np.complexfloating)),
    ):
        if any(issubclass(kind, classes) for kind in kinds):
            return name
    return None


def _is_exact(value):
    if type(value) is float or type(value) is bool or value is None:
        return True
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return True  # the conversion itself refuses what is no number
    exact = int(value) if isinstance(value, Integral) else value
    return bool(exact == number) or number != number


def exact_floats():
    """Return what makes pandas read numbers as the nearest float64, as it always does since 3.1."""
    import pandas as pd

    always = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
    return {} if always else {"float_precision": "round_trip"}
