"""Checks of the estimator's input: one line that names what came and how to mend it."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import _check_sample_weight, validate_data

_MOST_NAMES = 5
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


def check_rows(estimator, X, reset):
    """Check a table and return it as a float64 array.

    Parameters
    ----------
    estimator : BaseEstimator
        Keeps the number and names of the features.
    X : array-like of shape (n_samples, n_features)
        Dense finite numbers.
    reset : bool
        Whether to set the estimator's features (in fit) or to compare with them.

    Returns
    -------
    ndarray of shape (n_samples, n_features), float64

    Raises
    ------
    ValueError, TypeError
        In one line: sparse, complex, not numeric, of the wrong shape, too few rows, NaN, infinite.
    """
    try:
        _check_numeric(X)
        rows = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=np.float64,
            order="C",
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
    except (ValueError, TypeError, OverflowError) as error:
        message = " ".join(str(error).split())
        if any(start in message for start in _NOT_A_NUMBER):
            message += f"; {_MUST_BE_NUMERIC}"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(message) from None
    names = getattr(estimator, "feature_names_in_", None)
    _check_finite(rows, names)
    return rows


def check_varied(rows):
    """Refuse rows that are all the same: there is nothing to learn a boundary from.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        If every column is constant.
    """
    if np.all(rows == rows[0]):
        raise ValueError(
            f"All {rows.shape[1]} columns are constant over the {len(rows)} training rows; "
            "OCSDF needs at least one column that varies."
        )


def check_weights(sample_weight, rows):
    """Check sampling weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        Non-negative.
    rows : ndarray of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If negative, not finite, of the wrong length, or positive on fewer than two rows.
    """
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if np.count_nonzero(weights) < 2:
        raise ValueError(
            f"sample_weight must be positive on at least 2 rows; it is on "
            f"{np.count_nonzero(weights)} of {len(weights)}."
        )
    return weights / weights.max()


def _check_numeric(X):
    """Refuse what would be taken for numbers in silence: text, dates, the real part of complex."""
    kinds = {getattr(dtype, "kind", "O") for dtype in getattr(X, "dtypes", ())}
    if issparse(X) or (kinds and kinds <= set("biuf")):
        return
    values = np.asarray(X)
    kind = values.dtype.kind
    if kind == "c":
        raise ValueError(
            "Complex data not supported: pass real numbers, such as the real and the imaginary "
            "parts as columns of their own."
        )
    is_text = kind == "O" and any(isinstance(value, str | bytes) for value in values.flat)
    if kind in "USmM" or is_text:
        what = "dates or durations" if kind in "mM" else "text"
        raise ValueError(f"Input X holds {what}; {_MUST_BE_NUMERIC}")


def _check_finite(rows, names):
    finite = np.isfinite(rows)
    if finite.all():
        return
    columns = np.flatnonzero(~finite.all(axis=0))
    listed = ", ".join(
        repr(str(names[c])) if names is not None else str(c) for c in columns[:_MOST_NAMES]
    )
    more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    kinds = [
        kind
        for kind, found in (("NaN", np.isnan(rows).any()), ("infinity", np.isinf(rows).any()))
        if found
    ]
    raise ValueError(
        f"Input X contains {' and '.join(kinds)} in columns {listed}{more}; OCSDF needs finite "
        "numbers: fill or drop them first, e.g. with sklearn.impute.SimpleImputer (which takes "
        "NaN, not inf)."
    )
