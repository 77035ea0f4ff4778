"""Which kind of column a series is, and its values as keys that JSON can hold."""

import datetime
from decimal import Decimal
from fractions import Fraction

import narwhals.stable.v2 as nw
import numpy as np

# What a category's value may be; 1 and "1" are two of them.
VALUE_KINDS = ("text", "booleans", "numbers", "other values")
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def column_kind(series):
    """Tell whether a series is of "number", "date" or "category", by its type and its values.

    Objects that are all numbers, booleans or missing are numbers. A ValueError names a column of
    times of day, periods, lists, structs, complex numbers, or dates among Python objects.
    """
    dtype, name = series.dtype, series.name
    # Of pandas also long doubles, sparse columns, and numbers of another byte order.
    if dtype.is_numeric() or dtype == nw.Boolean or _numpy_kind(series) in set("biuf"):
        return "number"
    if dtype == nw.Time:
        raise _refused(name, "times of day", "make numbers of them, such as seconds")
    if dtype.is_temporal():
        return "date"
    if dtype.is_nested():
        raise _refused(name, "lists or structs", "make columns of their parts")
    if dtype in (nw.String, nw.Categorical, nw.Enum) and not _holds_objects(series):
        return "category"
    kinds = {value_key(value)[0] for value in factorize(series)[1]}
    if "dates" in kinds:
        how = "make a column of dates of them, e.g. by pandas.to_datetime"
        raise _refused(name, "dates or durations as Python objects", how)
    if "periods" in kinds:
        raise _refused(name, "periods", "make dates of them, by .dt.to_timestamp()")
    if "complex numbers" in kinds:
        raise ValueError(
            f"Complex data not supported, in column {str(name)!r}: pass real numbers, such as the "
            "real and the imaginary parts as columns of their own."
        )
    return "number" if kinds <= {"numbers", "booleans"} else "category"


def factorize(series):
    """Return for each row the place of its value among the distinct ones, -1 where missing."""
    import pandas as pd

    native = series.to_native()
    values = native if isinstance(native, pd.Series) else np.asarray(series.to_numpy(), object)
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        # Of values that cannot be told apart by their hash.
        raise _refused(series.name, "lists, dicts or the like", "make columns of them") from error
    return codes, list(distinct)


def value_key(value):
    """Return a value's type in words, and itself as JSON can hold it: 1 and "1" differ."""
    if isinstance(value, str):
        return "text", str(value)
    if isinstance(value, bool | np.bool_):
        return "booleans", bool(value)
    # NumPy's durations are integers to Python.
    if isinstance(value, _DATES):
        return "dates", repr(value)
    if isinstance(value, int | np.integer):
        return "numbers", int(value)
    if isinstance(value, float | np.floating | Decimal | Fraction):
        return "numbers", float(value)
    if isinstance(value, complex | np.complexfloating):
        return "complex numbers", repr(value)
    if type(value).__name__ == "Period":
        return "periods", repr(value)
    return "other values", repr(value)


def _holds_objects(series):
    """Tell a pandas column of Python objects, whatever they are."""
    return _numpy_kind(series) == "O" and str(series.to_native().dtype) == "object"


def _numpy_kind(series):
    """Return the letter of a pandas column's kind; None of other libraries."""
    return getattr(getattr(series.to_native(), "dtype", None), "kind", None)


def _refused(name, what, how):
    return ValueError(f"Column {str(name)!r} holds {what}: {how}.")
