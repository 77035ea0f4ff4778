"""Which columns of a table are features: chosen, left out, and those that look like neither."""

import re
import warnings
from typing import NamedTuple

import numpy as np

# What pandas calls a column without a name; a file saved again counts on.
_UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?(\.\d+)*")
# Fewer rows may well hold another integer each.
_FEWEST_IDENTIFIED = 20


class Reading(NamedTuple):
    """How a table is read: what its file does not tell, and which of its columns are features.

    Attributes
    ----------
    sep, decimal, encoding : str or None
        Delimited text: the sign between columns ("tab" is one), the decimal sign, and the
        encoding. None is what the file's beginning looks like, and UTF-8.
    header : bool
        Delimited text: whether the first line holds the columns' names.
    drop : sequence of str
        Columns that are no features. An item may be several, parted by commas.
    features : sequence of str or None
        The columns that are features, in this order; None is all but the label and those dropped.
    mixed : bool
        Whether columns of text, categories and dates may be features: X is a data frame then
        where there are such columns.
    text : sequence of str
        Columns of delimited text that are categories, whatever they look like.
    model_features : sequence of str or None
        What a model was fitted on, where `features` is None: other columns are left out, and these
        put into the model's order, with a word.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from ocsdf.data import Reading, read_table
    >>> pd.DataFrame({"id": [7, 8], "amount": [1.5, 2.5]}).to_csv("rows.csv", sep="|", index=False)
    >>> X, _, names = read_table(Path("rows.csv"), reading=Reading(sep="|", drop=("id",)))
    >>> X.tolist(), names
    ([[1.5], [2.5]], ['amount'])
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool = True
    drop: tuple = ()
    features: tuple | None = None
    mixed: bool = False
    text: tuple = ()
    model_features: tuple | None = None


AS_IT_IS = Reading()


def choose_features(names, reading, label=None):
    """Choose the features among the columns of a table."""
    dropped = {label, *_resolve(reading.drop, names, "to be dropped")}
    if reading.features is None:
        others = [name for name in names if name not in dropped]
        return others if reading.model_features is None else _as_fitted(reading, others)
    features = _resolve(reading.features, names, "a feature")
    both = [name for name in features if name in dropped]
    if both:
        raise ValueError(
            f"{both[0]!r} is asked for as a feature, and as the label or to be dropped"
        )
    if len(set(features)) < len(features):
        raise ValueError(f"a feature is asked for twice: {listed(features)}")
    return features


def without_saved_index(frame, reading, label=None):
    """Leave out what is no column of the data: a saved index, and empty columns without a name."""
    from pandas.api.types import is_float_dtype

    kept = {label, *_asked_for(reading)}
    index = []
    for name in frame.columns[:-1]:
        if not _UNNAMED.fullmatch(name) or name in kept or is_float_dtype(frame[name]):
            break
        index.append(name)
    if index:
        warnings.warn(
            f"{listed(index)} has no name in the file and looks like a saved index: it is left out",
            stacklevel=2,
        )
    empty = [
        name
        for name in frame.columns[len(index) :]
        if _UNNAMED.fullmatch(name) and name not in kept and frame[name].isna().all()
    ]
    if empty and len(frame):
        warnings.warn(
            f"columns without a name or a value are left out: {listed(empty)}", stacklevel=2
        )
        index += empty
    return frame.drop(columns=index)


def named_index_as_columns(frame, reading, label=None):
    """Make columns of an index with names where they are asked for; say so where they are not."""
    names = [str(name) for name in frame.index.names if name is not None]
    if not names:
        return frame.reset_index(drop=True)
    wanted = {label, *_asked_for(reading), *reading.drop, *_parts(*reading.drop)}
    asked = [name for name in names if name in wanted]
    unasked = [name for name in names if name not in wanted]
    if unasked:
        warnings.warn(
            f"the table's index {listed(unasked)} is no feature: name it in --features (in Python "
            "features=) if it is one",
            stacklevel=2,
        )
    columns = {name: frame.index.get_level_values(name).to_numpy() for name in asked}
    return frame.reset_index(drop=True).assign(**columns)


def warn_of_identifiers(X, names):
    """Warn of features that tell one row from another, as numbers of rows and customers do."""
    if len(X) < _FEWEST_IDENTIFIED:
        return
    suspects = [name for column, name in zip(X.T, names, strict=True) if identifies(column)]
    if suspects:
        warnings.warn(
            f"{listed(suspects)}: integers, another in each row: where they only number the rows, "
            "leave them out with --drop (in Python drop=)",
            stacklevel=2,
        )


def listed(items, limit=10):
    """Write out the first items of a list for a message."""
    items = [repr(item) for item in items]
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def identifies(column):
    """Tell whether a column holds another integer in each row, as it does where it only rises."""
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(column).all() and (column == np.floor(column)).all()
    return bool(whole) and len(np.unique(column)) == len(column)


def _as_fitted(reading, names):
    """Choose the features of a model, and say what is left out or moved."""
    features = list(reading.model_features)
    missing = [name for name in features if name not in names]
    if missing:
        raise ValueError(
            f"the model's features {listed(missing)} are missing; there are {listed(names)}"
        )
    others = [name for name in names if name not in features]
    if others:
        warnings.warn(f"left out, as the model does not know them: {listed(others)}", stacklevel=2)
    if [name for name in names if name in features] != features:
        warnings.warn("columns are put into the order that the model was fitted on", stacklevel=2)
    return features


def _asked_for(reading):
    """Name the columns that are asked for as features."""
    items = reading.features or ()
    return {*items, *_parts(*items), *(reading.model_features or ())}


def _resolve(wanted, names, what):
    """Return the columns that items name: one, or several parted by commas."""
    known, found = set(names), []
    for item in wanted:
        for name in [item] if item in known else _parts(item):
            if name not in known:
                raise ValueError(
                    f"there is no column {name!r}, which is {what}; there are {listed(names)}"
                )
            found.append(name)
    return found


def _parts(*items):
    return [part.strip() for item in items for part in str(item).split(",")]
