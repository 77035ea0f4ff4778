"""Which kind of column a series is, and its values as keys that JSON can hold."""

from decimal import Decimal
from fractions import Fraction

import narwhals.stable.v2 as nw
import numpy as np


def column_kind(series):
    """Tell which kind of column a series is, by its type and, for objects, its values."""
    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return "number"
    if dtype.is_temporal():
        return "date"
    if dtype in (nw.String, nw.Categorical, nw.Enum) and not _holds_objects(series):
        return "category"
    kinds = {value_key(value)[0] for value in factorize(series)[1]}
    return "number" if kinds <= {"numbers", "booleans"} else "category"


def _holds_objects(series):
    """Tell a pandas column of Python objects, whatever they are."""
    return str(getattr(series.to_native(), "dtype", "")) == "object"


def factorize(series):
    """Return for each row the place of its value among the distinct ones, -1 where missing."""
    import pandas as pd

    native = series.to_native()
    values = native.astype(object) if isinstance(native, pd.Series) else series.to_numpy()
    codes, distinct = pd.factorize(np.asarray(values, dtype=object))
    return codes, list(distinct)


def value_key(value):
    """Return a value's type in words, and itself as JSON can hold it: 1 and "1" differ."""
    if isinstance(value, str):
        return "text", str(value)
    if isinstance(value, bool | np.bool_):
        return "booleans", bool(value)
    if isinstance(value, int | np.integer):
        return "numbers", int(value)
    if isinstance(value, float | np.floating | Decimal | Fraction):
        return "numbers", float(value)
    return "other values", repr(value)
