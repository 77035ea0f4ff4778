"""Checks of the estimator's input: one line that names what came and how to mend it."""

import warnings
from functools import partial
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

from ocsdf.utils.checks import refuse_masked
from ocsdf.utils.exactness import kind_of_objects, refuse_inexact

_MOST_NAMES = 5
# Numbers of a table that are checked at a time.
_CHUNK_CELLS = 2**18
# Bytes of a dense copy of sparse rows that fit makes without a word.
_MOST_DENSE = 2**30
_MUST_BE_NUMERIC = (
    "every column must be numeric: encode categories and dates first, e.g. with "
    "sklearn.preprocessing.OneHotEncoder."
)
# How NumPy words that an entry is no number.
_NOT_A_NUMBER = (
    "argument must be a string",
    "setting an array element",
    "too large to convert",
    "could not be promoted",
)
_to_float64 = partial(check_array, dtype=np.float64, order="C", ensure_all_finite=False)


class LazyRows:
    """Rows of a table that are computed when they are taken, by a slice, anew each time.

    The table has a shape (n_samples, n_features) and is sliced by rows: an array, also a
    memory-mapped one, a data frame, or other lazy rows. ``transform(slice)`` gives an array, of
    `width` numbers a row where it is not None.
    """

    def __init__(self, table, transform, width=None):
        n_rows, n_columns = table.shape
        self.shape = n_rows, n_columns if width is None else width
        self._table = table
        self._transform = transform

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return self._transform(take_rows(self._table, rows))


def check_rows(estimator, X, reset):
    """Check a table and return it as a float64 array."""
    rows = _convert(
        partial(validate_data, estimator, reset=reset, ensure_min_samples=2 if reset else 1), X
    )
    if issparse(rows):
        n_bytes = 8 * rows.shape[0] * rows.shape[1]
        if reset and n_bytes > _MOST_DENSE:
            warnings.warn(
                f"fit makes a dense copy of the sparse X: {n_bytes / 2**30:.1f} GiB. Fewer "
                "columns, e.g. by sklearn.decomposition.TruncatedSVD, need less.",
                UserWarning,
                stacklevel=3,
            )
        rows = _dense(rows)
    _check_finite([rows], estimator)
    return rows


def check_rows_in_chunks(estimator, X):
    """Check all of a table as :func:`check_rows` does, but without a copy of it."""
    if issparse(X):
        X = _convert(partial(validate_data, estimator, reset=False), X)
    chunks = row_slices(X)
    if len(chunks) < 2:
        return check_rows(estimator, X, reset=False)
    if issparse(X):
        _check_finite((_dense(X[chunk]) for chunk in chunks), estimator)
        return LazyRows(X, _dense)
    # Names and width, for which the first chunk stands, so that a warning comes only once.
    _convert(partial(validate_data, estimator, reset=False), take_rows(X, chunks[0]))
    _check_finite((_convert(_to_float64, take_rows(X, chunk)) for chunk in chunks), estimator)
    return LazyRows(X, _to_float64)


def check_varied(rows, n_columns):
    """Refuse rows that are all the same: there is nothing to learn a boundary from."""
    if np.all(rows == rows[0]):
        raise ValueError(
            f"All {n_columns} columns are constant over the {len(rows)} training rows; "
            "OCSDF needs at least one column that varies."
        )


def check_weights(sample_weight, rows):
    """Check sampling weights."""
    if sample_weight is None:
        return None
    refuse_masked("sample_weight", sample_weight)
    weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if np.count_nonzero(weights) < 2:
        raise ValueError(
            f"sample_weight must be positive on at least 2 rows; it is on "
            f"{np.count_nonzero(weights)} of {len(weights)}."
        )
    return weights / weights.max()


def row_slices(X):
    """Return slices of rows, if X has them; otherwise none."""
    shape = getattr(X, "shape", ())
    if (
        len(shape) != 2
        or not all(isinstance(length, Integral) and length > 0 for length in shape)
        or not hasattr(X, "__getitem__")
    ):
        return []
    size = max(1, _CHUNK_CELLS // shape[1])
    return [slice(start, start + size) for start in range(0, shape[0], size)]


def take_rows(table, rows):
    """Return the rows of a slice."""
    if hasattr(table, "iloc"):
        return table.iloc[rows]
    if hasattr(table, "column_names"):  # an Arrow table, whose items are columns
        return table.slice(rows.start, rows.stop - rows.start)
    return table[rows]


def _dense(rows):
    """Turn sparse rows into a float64 array."""
    return rows.toarray(order="C").astype(np.float64, copy=False)


def _convert(check, X):
    """Convert to float64 by a check of scikit-learn, with its errors in one line."""
    try:
        _check_numbers(X)
        return check(X, accept_sparse="csr", dtype=np.float64, order="C", ensure_all_finite=False)
    except (ValueError, TypeError, OverflowError) as error:
        message = " ".join(str(error).split())
        if any(start in message for start in _NOT_A_NUMBER):
            message += f"; {_MUST_BE_NUMERIC}"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(message) from None


def _check_numbers(X):
    """Refuse what would be taken for other numbers in silence.

    That is text, dates, masked values, the real part of complex numbers, and numbers that float64
    would round.
    """
    refuse_masked("Input X", X)
    if hasattr(X, "to_frame"):
        raise ValueError(
            f"Expected a table of shape (n_samples, n_features); got a {type(X).__name__} of "
            f"{len(X)} values: pass X.to_frame() for rows of one feature, or one row as a table "
            "of one row."
        )
    if issparse(X):
        data = X.tocoo().data
        _check_kind(data)
        refuse_inexact("Input X", data, lambda _: "of the sparse matrix")
    elif hasattr(X, "column_names") or hasattr(X, "dtypes"):
        for name, values in _odd_columns(X):
            _check_kind(values, f" in column {str(name)!r}")
            refuse_inexact("Input X", values, lambda _, name=name: repr(str(name)))
    else:
        values = _array(X)
        _check_kind(values)
        if values.ndim == 2:
            refuse_inexact("Input X", values, str)


def _array(X):
    values = np.asarray(X)
    if values.dtype.kind == "f" and isinstance(X, list | tuple) and values.ndim == 2:
        with np.errstate(invalid="ignore"):
            large = np.abs(values).max(initial=0.0) >= 2.0**53
        # Beside a float, NumPy has rounded large integers already.
        return np.array(X, dtype=object) if large else values
    return values


def _odd_columns(table):
    """The columns of a data frame that might not become float64 as they are, by name."""
    names = table.column_names if hasattr(table, "column_names") else table.columns
    kinds = table.dtypes if hasattr(table, "dtypes") else table.schema.types
    for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        letter, size = getattr(kind, "kind", "O"), getattr(kind, "itemsize", None) or 8
        if letter == "b" or (letter == "f" and size <= 8) or (letter in "iu" and size <= 4):
            continue
        if hasattr(table, "iloc"):
            column = table.iloc[:, index]
            # Beside a missing value, integers would come as rounded floats.
            column = column.dropna() if getattr(kind, "na_value", None) is not None else column
        elif hasattr(table, "to_series"):
            column = table.to_series(index).drop_nulls()
        else:
            column = table.column(index).drop_null()
        yield name, np.asarray(column)


def _check_kind(values, where=""):
    kind = values.dtype.kind
    found = {"c": "complex numbers", "U": "text", "S": "text"}.get(kind)
    found = "dates or durations" if kind in "mM" else found
    found = kind_of_objects(values) if kind == "O" else found
    if found == "complex numbers":
        raise ValueError(
            "Complex data not supported: pass real numbers, such as the real and the imaginary "
            "parts as columns of their own."
        )
    if found is not None:
        raise ValueError(f"Input X holds {found}{where}; {_MUST_BE_NUMERIC}")


def _check_finite(chunks, estimator):
    """Refuse NaN and infinities, wherever in the chunks they are, by the names of the columns."""
    has_nan = has_infinity = np.False_
    for rows in chunks:
        if not np.isfinite(rows).all():
            has_nan = has_nan | np.isnan(rows).any(axis=0)
            has_infinity = has_infinity | np.isinf(rows).any(axis=0)
    columns = np.flatnonzero(has_nan | has_infinity)
    if len(columns) == 0:
        return
    names = getattr(estimator, "feature_names_in_", None)
    listed = ", ".join(
        repr(str(names[c])) if names is not None else str(c) for c in columns[:_MOST_NAMES]
    )
    more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    or_indicate = ", or pass missing='indicate'" if hasattr(estimator, "missing") else ""
    kinds = [
        kind for kind, found in (("NaN", has_nan.any()), ("infinity", has_infinity.any())) if found
    ]
    raise ValueError(
        f"Input X contains {' and '.join(kinds)} in columns {listed}{more}; OCSDF needs finite "
        "numbers: fill or drop them first, e.g. with sklearn.impute.SimpleImputer (which takes "
        f"NaN, not inf){or_indicate}."
    )
