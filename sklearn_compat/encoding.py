"""Tables of numbers, dates, categories and missing values as checked rows of coordinates."""

import narwhals.stable.v2 as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ocsdf.data.encoders import ColumnEncoder, needs_encoding
from ocsdf.sklearn_compat.chunks import exact_standardization
from ocsdf.sklearn_compat.input_checks import (
    LazyRows,
    check_rows,
    check_rows_in_chunks,
    check_varied,
    check_weights,
    row_slices,
    take_rows,
)
from ocsdf.sklearn_compat.standardization import standardization
from ocsdf.utils.checks import refuse_masked

# Of a standard deviation over all rows: a range over the core that is none.
_FLATTEST = 2.0**-20


def check_training(estimator, X, sample_weight):
    """Check what an estimator is fitted on.

    Returned are float64 rows without those of weight 0, (n_kept, n_coordinates), their weights or
    None, and the encoder, None where rows are numbers as they are. The features of X are noted on
    the estimator.
    """
    categorical, missing = estimator.categorical_features, estimator.missing
    if issparse(X):
        if missing != "error" or not (categorical is None or isinstance(categorical, str)):
            raise ValueError(
                "categorical_features and missing='indicate' are for dense tables: pass "
                "X.toarray(), or a data frame."
            )
        encoded = False
    else:
        encoded = needs_encoding(X, categorical, missing)
    if not encoded:
        rows = check_rows(estimator, X, reset=True)
        weights = check_weights(sample_weight, rows)
        if weights is not None:
            rows, weights = rows[weights > 0], weights[weights > 0]
        check_varied(rows, rows.shape[1])
        return rows, weights, None
    _check_table(estimator, X, reset=True)
    weights = check_weights(sample_weight, X)
    if weights is not None:
        X, weights = _rows_where(X, weights > 0), weights[weights > 0]
    encoder = ColumnEncoder(categorical, missing).fit(X)
    rows = encoder.transform(X)
    check_varied(rows, estimator.n_features_in_)
    return rows, weights, encoder


def check_encoded(estimator, X):
    """Check rows to be judged, and encode them where the detector was fitted on encoded ones."""
    encoder = estimator.encoder_
    if encoder is None:
        return check_rows_in_chunks(estimator, X)
    _check_table(estimator, X, reset=False)
    chunks = row_slices(X)
    if len(chunks) < 2:
        return encoder.transform(X)
    for chunk in chunks:
        encoder.transform(take_rows(X, chunk))
    return LazyRows(X, encoder.transform, len(encoder.is_code_))


def coordinate_units(rows, encoder, summary=None):
    """Return each coordinate's mean and scale; those of codes are 0 and 1.

    `summary` knows the moments of all rows where those given are a sample.
    """
    mean, scale = standardization(rows)
    if summary is not None:
        names = list(summary.rows.columns) if encoder is None else encoder.coordinate_names_
        mean, scale = exact_standardization(summary, names, mean, scale)
    if encoder is not None:
        mean[encoder.is_code_], scale[encoder.is_code_] = 0.0, 1.0
    return mean, scale


def core_units(rows, encoder, mean, scale):
    """Return each coordinate's mean and scale where rows outside the core have no say in them.

    What hardly varies over the core, such as a mark that few rows have, keeps those of all rows:
    a unit of its own would hang on the unit that its numbers come in.

    Parameters
    ----------
    rows : ndarray of shape (n_core, n_coordinates)
        The rows of the core.
    encoder : ColumnEncoder or None
    mean, scale : ndarray of shape (n_coordinates,)
        The units of all rows.

    Returns
    -------
    mean, scale : ndarray of shape (n_coordinates,)
    """
    is_flat = rows.max(axis=0) - rows.min(axis=0) <= _FLATTEST * scale
    core_mean, core_scale = coordinate_units(rows, encoder)
    return np.where(is_flat, mean, core_mean), np.where(is_flat, scale, core_scale)


def encoder_rounding(encoder, scale, stretched):
    r"""Bound how far rows are from what they stand for, once standardized and stretched.

    With e the rounding of each coordinate and s the steepest slope of its map, it is
    :math:`\|s e / \text{scale}\|` in units of the certificate.
    """
    if encoder is None or not encoder.rounding_.any():
        return 0.0
    slopes = 1.0 if stretched is None else stretched.steepest
    return float(np.linalg.norm(slopes * encoder.rounding_ / scale)) * (1.0 + 2.0**-40)


def is_encoder_of(encoder, mean, scale, stretched):
    """Tell whether an encoder fits the units of a detector, which leave its codes alone."""
    codes = encoder.is_code_
    if mean.shape != codes.shape or scale.shape != codes.shape:
        return False
    if np.any(mean[codes] != 0.0) or np.any(scale[codes] != 1.0):
        return False
    if stretched is None:
        return True
    if len(stretched.counts) != len(codes):
        return False
    at_zero = stretched.evaluate(np.zeros((1, len(codes))))[0]
    # No slope of a stretch is below 1.
    return not at_zero[codes].any() and bool(np.all(stretched.steepest[codes] == 1.0))


def refuse_encoded(estimator, what):
    """Refuse what moves rows freely where some coordinates are codes or dates."""
    encoder = estimator.encoder_
    if encoder is not None:
        names = [c.name for c in encoder.columns_ if c.kind != "number" or c.may_lack]
        listed = ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")
        raise ValueError(
            f"{what} moves every column as a number, and this detector was fitted on categories, "
            f"dates or missing values ({listed}): fit it on the other columns for that."
        )


def _check_table(estimator, X, reset):
    """Check the shape and the names of a table."""
    refuse_masked("Input X", X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    n_rows, least = np.shape(X)[0] if hasattr(X, "shape") else len(X), 2 if reset else 1
    if n_rows < least:
        raise ValueError(
            f"Found array with {n_rows} sample(s) while a minimum of {least} is required by "
            f"{type(estimator).__name__}."
        )


def _rows_where(X, kept):
    if nw.dependencies.is_into_dataframe(X):
        return nw.from_native(X, eager_only=True).filter(kept.tolist()).to_native()
    return np.asarray(X)[kept]
