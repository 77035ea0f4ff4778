"""A data frame of numbers, dates, categories and missing values as rows of float64 coordinates."""

import narwhals.stable.v2 as nw
import numpy as np

from ocsdf.data.categories import CategoryColumn
from ocsdf.data.column_kinds import column_kind
from ocsdf.data.columns import DateColumn, NumberColumn

_COLUMNS = {column.kind: column for column in (NumberColumn, DateColumn, CategoryColumn)}


class ColumnEncoder:
    r"""Encode a table's columns by their types, each change at a known distance.

    Numbers stay as they are and dates become microseconds, to be standardized afterwards;
    categories, and codes of missing numbers (which become the median), are coordinates that nobody
    standardizes, :math:`c = \sqrt 2` apart. Where k codes of a row change and its standardized
    numbers move by r, it moves by :math:`\sqrt{r^2 + k c^2}`. Categories of fewer than 3 training
    rows, those beyond the 100 most frequent, and those that training did not have share one code,
    "other".
    """

    def __init__(self, categorical_features="from_dtype", missing="error"):
        self.categorical_features = categorical_features
        self.missing = missing

    def fit(self, X):
        """Learn the columns' kinds, categories and medians.

        A ValueError names the column of values that float64 cannot hold, of missing values where
        they are refused, or the categorical feature that is not there.
        """
        frame = _frame(X)
        chosen = _chosen(self.categorical_features, frame)
        by_dtype = isinstance(self.categorical_features, str)
        self.columns_ = []
        for index, name in enumerate(frame.columns):
            series = frame[name]
            kind = column_kind(series) if by_dtype or not chosen[index] else "category"
            if kind == "category" and not (by_dtype or chosen[index]):
                raise ValueError(
                    f"Column {str(name)!r} holds text: name it in categorical_features, or encode "
                    "it first."
                )
            self.columns_.append(_COLUMNS[kind].fit(str(name), series, self.missing))
        self._set_coordinates()
        return self

    def transform(self, X):
        """Encode rows of the same columns, float64 of shape (n_samples, n_coordinates).

        A ValueError names a column with text where there were numbers, or with missing values where
        there were none.
        """
        parts = [column.encode(series) for column, series in self._pairs(X)]
        return np.concatenate(parts, axis=1)

    def values(self, X):
        """Return what the columns hold as objects, of shape (n_samples, n_features).

        Numbers and dates are as they are encoded, categories as they are, and missing values None.
        """
        rows = [
            _missing_as_none(series)
            if column.kind == "category"
            else column.decode(column.encode(series))
            for column, series in self._pairs(X)
        ]
        return np.stack(rows, axis=1)

    def decode(self, coordinates):
        """Return rows of which coordinates are given, in the form of :meth:`values`.

        Each code is one of the column's; that of all others is "other".
        """
        parts = zip(self.columns_, self.places_, strict=True)
        return np.stack([column.decode(coordinates[:, at]) for column, at in parts], axis=1)

    def describe(self):
        """Return the fitted encoder as JSON holds it, for :meth:`from_description`."""
        return [column.describe() for column in self.columns_]

    @classmethod
    def from_description(cls, description):
        """Make the encoder that :meth:`describe` described; a ValueError if there is none."""
        encoder = cls()
        encoder.columns_ = [column_from(one) for one in description]
        encoder._set_coordinates()
        return encoder

    @property
    def coded_names(self):
        """Names of the columns that have a code: categories, and where values may be missing."""
        return [column.name for column in self.columns_ if any(column.is_code)]

    def _pairs(self, X):
        """Pair the columns of fit with those of a table."""
        frame = _frame(X)
        if len(frame.columns) != len(self.columns_):
            raise ValueError(f"X has {len(frame.columns)} columns; fit had {len(self.columns_)}.")
        return [
            (column, frame[name]) for column, name in zip(self.columns_, frame.columns, strict=True)
        ]

    def _set_coordinates(self):
        self.is_code_ = np.array([code for c in self.columns_ for code in c.is_code], dtype=bool)
        self.coordinate_names_ = [name for c in self.columns_ for name in c.coordinates]
        widths = [len(column.coordinates) for column in self.columns_]
        ends = np.cumsum(widths).tolist()
        self.places_ = [slice(end - n, end) for end, n in zip(ends, widths, strict=True)]
        self.rounding_ = np.repeat([column.rounding for column in self.columns_], widths)
        self.rounding_[self.is_code_] = 0.0


def needs_encoding(X, categorical_features, missing):
    """Tell whether a table needs an encoder, or is numbers as it is."""
    by_dtype = isinstance(categorical_features, str)
    if missing != "error" or not (categorical_features is None or by_dtype):
        return True
    if not (by_dtype and nw.dependencies.is_into_dataframe(X)):
        return False
    frame = _frame(X)
    return any(column_kind(frame[name]) != "number" for name in frame.columns)


def column_from(description):
    """Make the column that ``describe`` described."""
    try:
        rest = dict(description)
        return _COLUMNS[rest.pop("kind")](**rest)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"this describes no column ({error})") from error


def _frame(X):
    """Return a table as a narwhals data frame; an array's columns are named by their places."""
    import pandas as pd

    if isinstance(X, pd.DataFrame):
        names = [str(name) for name in X.columns]
        if len(set(names)) < len(names):
            names = [f"{name}.{place}" for place, name in enumerate(names)]
        # Names of pandas may be anything, and no copy is made.
        X = X if names == list(X.columns) else X.set_axis(names, axis=1)
    elif not nw.dependencies.is_into_dataframe(X):
        rows = np.asarray(X, dtype=object) if isinstance(X, list | tuple) else np.asarray(X)
        if rows.ndim != 2:
            raise ValueError(f"Expected a table of shape (n_samples, n_features); got {rows.shape}")
        X = pd.DataFrame(rows, columns=[str(place) for place in range(rows.shape[1])])
    return nw.from_native(X, eager_only=True)


def _missing_as_none(series):
    values = np.empty(len(series), dtype=object)
    values[:] = series.to_list()
    values[series.is_null().to_numpy()] = None
    return values


def _chosen(features, frame):
    """Return for each column whether it was named, counted or marked as a category."""
    names = list(frame.columns)
    if features is None or isinstance(features, str):
        return [False] * len(names)
    features = list(features)
    if len(features) == len(names) and all(isinstance(f, bool | np.bool_) for f in features):
        return [bool(one) for one in features]
    places = set()
    for one in features:
        if isinstance(one, str) and one in names:
            places.add(names.index(one))
        elif isinstance(one, int | np.integer) and 0 <= one < len(names):
            places.add(int(one))
        else:
            listed = ", ".join(map(str, names[:5])) + (" ..." if len(names) > 5 else "")
            raise ValueError(
                f"categorical_features names {one!r}, which is none of the {len(names)} columns "
                f"of X: {listed}."
            )
    return [place in places for place in range(len(names))]
