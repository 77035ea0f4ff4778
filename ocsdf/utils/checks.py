"""Checks of what callers give: rows, vectors, numbers, radii and labels, once for everyone."""

from numbers import Integral

import numpy as np

_MOST_CLASSES = 5


def check_rows(name, rows, width=None):
    """Return finite rows as float64."""
    refuse_masked(name, rows)
    rows = np.asarray(rows, dtype=np.float64)
    fits = rows.ndim == 2 and rows.size and width in (None, rows.shape[1])
    if not fits or not np.isfinite(rows).all():
        raise ValueError(
            f"{name} must be finite rows of shape (n_samples, {width or 'n_features'}), at least "
            f"one; got shape {rows.shape}"
            f"{' with NaN or infinity' if not np.isfinite(rows).all() else ''}."
        )
    return rows


def check_vector(name, values, least=1):
    """Return finite real numbers as float64, as many as `least` at least."""
    refuse_masked(name, values)
    array = np.asarray(values)
    if array.ndim != 1 or array.size < least:
        what = "non-empty 1-d" if least else "1-d"
        raise ValueError(f"{name} must be a {what} array, got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    n_bad = np.count_nonzero(~np.isfinite(array))
    if n_bad:
        raise ValueError(f"{name} must be finite, got {n_bad} NaN or infinite of {array.size}")
    return array


def check_radii(radii, name="radii"):
    """Return radii of attacks as float64."""
    radii = check_vector(name, [radii] if np.ndim(radii) == 0 else radii)
    if (radii < 0.0).any():
        raise ValueError(f"{name} must be 0 or more, got {radii.min()}")
    return radii


def check_number(name, value, least=-np.inf, above=-np.inf):
    """Return a finite number as float."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "biuf" or not np.isfinite(number):
        raise ValueError(f"{name} must be a finite number; got {value!r}.")
    if not (number >= least and number > above):
        bound = f">= {least:g}" if least > above else f"> {above:g}"
        raise ValueError(f"{name} must be a finite number {bound}; got {value!r}.")
    return float(number)


def check_count(name, value, least=1):
    """Refuse what is no integer, or too small a one."""
    if not is_count(value, least):
        raise ValueError(f"{name} must be an integer >= {least}; got {value!r}.")


def is_count(value, least=1):
    """Tell whether a value is an integer, of Python or NumPy, and at least some number."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def check_labels(y, pos_label=None, n_rows=None, both=True):
    """Tell which rows are anomalies."""
    labels = _label_vector(y, n_rows)
    classes, places = _classes(labels)
    if pos_label is None:
        if not all(isinstance(value, bool | int | float) and value in (0, 1) for value in classes):
            hint = " (-1, if they are as predict gives them)" if set(classes) <= {-1, 1} else ""
            raise ValueError(
                f"y holds {_listed(classes)}: say with pos_label which label the anomalies "
                f"have{hint}."
            )
        pos_label = 1
    if len(classes) > 2:
        raise ValueError(f"y must hold two classes; got {len(classes)}, {_listed(classes)}.")
    anomaly = np.array([bool(value == pos_label) for value in classes], dtype=bool)[places]
    if both and (anomaly.all() or not anomaly.any()):
        raise ValueError(
            f"y needs both anomalies (label {pos_label!r}) and normal rows; got only "
            f"{'anomalies' if anomaly.any() else 'normal rows'}."
        )
    return anomaly


def refuse_masked(name, values):
    """Refuse masked arrays, whose masks NumPy drops without a word."""
    parts = values if isinstance(values, list | tuple) else [values]
    n_masked = sum(
        int(np.count_nonzero(np.ma.getmaskarray(part)))
        for part in parts
        if isinstance(part, np.ma.MaskedArray)
    )
    if n_masked:
        raise ValueError(
            f"{name} has {n_masked} masked values, and what lies under a mask means nothing: fill "
            "them, e.g. with .filled(), or drop their rows."
        )


def is_missing(value):
    """Tell whether a value stands for none: None, NaN, NaT or pandas' NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # the truth of a comparison with pandas' NA
        return True


def _label_vector(y, n_rows):
    refuse_masked("y", y)
    labels = np.asarray(y)
    if labels.ndim != 1 or n_rows not in (None, len(labels)):
        wanted = "be a list of labels" if n_rows is None else f"have {n_rows} labels"
        came = "None" if y is None else f"shape {labels.shape}"
        raise ValueError(f"y must {wanted}, one a row; got {came}.")
    if labels.dtype.kind == "O":
        n_missing = sum(is_missing(value) for value in labels)
    else:
        n_missing = int(np.count_nonzero(labels != labels))
    if n_missing:
        raise ValueError(
            f"y has {n_missing} missing labels (NaN or None) of {len(labels)}: fill them, or drop "
            "their rows."
        )
    return labels


def _classes(labels):
    """The distinct labels as Python values, and which of them each label is."""
    if labels.dtype.kind != "O":
        classes, places = np.unique(labels, return_inverse=True)
        return classes.tolist(), places
    numbered = {}
    places = [numbered.setdefault(value, len(numbered)) for value in labels]
    classes = [value.item() if isinstance(value, np.generic) else value for value in numbered]
    return classes, np.array(places, dtype=np.intp)


def _listed(values):
    more = f" and {len(values) - _MOST_CLASSES} more" if len(values) > _MOST_CLASSES else ""
    return ", ".join(map(repr, values[:_MOST_CLASSES])) + more
