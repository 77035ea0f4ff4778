"""Columns of a data frame as float64 coordinates: numbers, dates, categories, missing values.

Each kind of column says how far apart its coordinates put two values, which is what a certificate
needs. Categories are coordinates 0 and 1, one of them 1 (one-hot), so that any two different ones
are sqrt(2) apart: as far as two independent draws of a standardized number are in the root mean
square.
"""

import math

import narwhals.stable.v2 as nw
import numpy as np

from ocsdf.data.column_kinds import column_kind, factorize, value_key
from ocsdf.utils.exactness import refuse_inexact

CATEGORY_DISTANCE = math.sqrt(2.0)
# A category of fewer training rows, or beyond the most frequent ones, shares the code of others.
LEAST_ROWS = 3
MOST_CATEGORIES = 100

_MOST_EXACT = 2**53


class NumberColumn:
    """Numbers as they are; where some were missing in training, their median and a code beside.

    Parameters
    ----------
    name : str
    median : float or None, default=None
        What stands for missing values; None where there were none, which are refused then.

    Attributes
    ----------
    rounding : float
        How far the coordinate may be from the value.
    """

    kind = "number"
    rounding = 0.0

    def __init__(self, name, median=None):
        self.name = name
        self.median = median

    @classmethod
    def fit(cls, name, series, missing):
        """Learn from a training column whether values are missing, and their median."""
        column = cls(name)
        values = column.read(series)
        lacking = np.isnan(values)
        if lacking.any():
            _refuse_missing(name, missing)
            column.median = 0.0 if lacking.all() else float(np.median(values[~lacking]))
        return column

    @property
    def coordinates(self):
        """The coordinates' names."""
        return [self.name, *(_codes(self.name, ["given", "missing"]) if self._coded else [])]

    @property
    def is_code(self):
        """Whether each coordinate is one of a code, which is never standardized."""
        return [False, *([True, True] if self._coded else [])]

    def encode(self, series):
        """Turn a column into coordinates.

        Parameters
        ----------
        series : narwhals.Series

        Returns
        -------
        ndarray of shape (n_rows, n_coordinates), float64

        Raises
        ------
        ValueError
            If it holds values of another kind, or that float64 cannot hold, or missing values
            where training had none.
        """
        values = self.read(series)
        lacking = np.isnan(values)
        if not self._coded:
            if lacking.any():
                raise _now_missing(self.name)
            return values[:, np.newaxis]
        return np.stack([np.where(lacking, self.median, values), ~lacking, lacking], axis=1)

    def read(self, series):
        """Return a column as float64, missing values as NaN; nothing is rounded in silence."""
        if column_kind(series) != "number":
            raise _of_another_kind(self.name, "numbers", series)
        given = np.asarray(series.drop_nulls().to_numpy())
        refuse_inexact("Input X", given, lambda _: repr(self.name))
        lacking = series.is_null().to_numpy()
        values = np.full(len(series), np.nan)
        values[~lacking] = given.astype(np.float64)
        return values

    def describe(self):
        """Return what :func:`column_from` makes the same column of, as JSON holds it."""
        return {"kind": self.kind, "name": self.name, "median": self.median}

    @property
    def _coded(self):
        return self.median is not None


class DateColumn(NumberColumn):
    """Dates and times as microseconds since 1970 (UTC), durations as microseconds.

    Whole microseconds within 285 years are exact in float64. Nanoseconds are rounded to the
    nearest microsecond, which `rounding` says.
    """

    kind = "date"
    rounding = 0.5

    def read(self, series):
        """Return microseconds, missing values as NaN."""
        if column_kind(series) != "date":
            raise _of_another_kind(self.name, "dates", series)
        dtype = series.dtype
        if dtype == nw.Date:
            series = series.cast(nw.Datetime("us"))
        in_nanoseconds = getattr(dtype, "time_unit", "us") == "ns"
        lacking = series.is_null().to_numpy()
        given = series.drop_nulls()
        if dtype == nw.Duration:
            counts = (
                given.dt.total_nanoseconds() if in_nanoseconds else given.dt.total_microseconds()
            )
        else:
            counts = given.dt.timestamp("ns" if in_nanoseconds else "us")
        whole = np.asarray(counts.to_numpy(), dtype=np.int64)
        if in_nanoseconds:
            whole = whole // 1000 + (whole % 1000 >= 500)
        if np.abs(whole).max(initial=0) >= _MOST_EXACT:
            raise ValueError(f"Column {self.name!r} has dates over 285 years from 1970.")
        values = np.full(len(series), np.nan)
        values[~lacking] = whole
        return values


class CategoryColumn:
    """Categories as one coordinate each, one more for all others, and one for missing values.

    Parameters
    ----------
    name : str
    categories : list of str, int, float or bool
        With a coordinate of their own; all others share one.
    missing : bool, default=False
        Whether missing values have a coordinate; they are refused otherwise.

    Attributes
    ----------
    rounding : float
        Zero: codes are exact.
    """

    kind = "category"
    rounding = 0.0

    def __init__(self, name, categories, missing=False):
        self.name = name
        self.categories = list(categories)
        self.missing = missing
        self._place = {value_key(value): place for place, value in enumerate(self.categories)}

    @classmethod
    def fit(cls, name, series, missing):
        """Learn from a training column which categories are frequent."""
        codes, values = factorize(series)
        has_missing = bool((codes < 0).any())
        if has_missing:
            _refuse_missing(name, missing)
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        frequent = sorted(
            (place for place in range(len(values)) if counts[place] >= LEAST_ROWS),
            key=lambda place: (-counts[place], value_key(values[place])[0], str(values[place])),
        )
        categories = [value_key(values[place])[1] for place in frequent[:MOST_CATEGORIES]]
        return cls(name, categories, has_missing)

    @property
    def coordinates(self):
        """The coordinates' names."""
        labels = [*map(str, self.categories), "other", *(["missing"] if self.missing else [])]
        return _codes(self.name, labels)

    @property
    def is_code(self):
        """Whether each coordinate is one of a code; all are."""
        return [True] * len(self.coordinates)

    def encode(self, series):
        """Turn a column into coordinates; see :meth:`NumberColumn.encode`."""
        codes, values = factorize(series)
        if not self.missing and (codes < 0).any():
            raise _now_missing(self.name)
        keys = [value_key(value) for value in values]
        known, found = {key[0] for key in self._place}, {key[0] for key in keys}
        if known and found and not known & found:
            raise _of_another_kind(self.name, " and ".join(sorted(known)), series)
        other = len(self.categories)
        # The last place is that of missing values, which pandas codes as -1.
        places = np.array([*(self._place.get(key, other) for key in keys), other + 1])
        return np.eye(other + 2)[places[codes]][:, : len(self.coordinates)]

    def describe(self):
        """Return what :func:`column_from` makes the same column of, as JSON holds it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "categories": self.categories,
            "missing": self.missing,
        }


_KINDS = {column.kind: column for column in (NumberColumn, DateColumn, CategoryColumn)}


def column_from(description):
    """Make the column that ``describe`` described."""
    try:
        rest = dict(description)
        column = _KINDS[rest.pop("kind")](**rest)
        median = getattr(column, "median", None)
        if not isinstance(column.name, str) or not (median is None or math.isfinite(median)):
            raise ValueError("its name or its median cannot be")
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"this describes no column ({error})") from error
    return column


def _codes(name, labels):
    return [f"{name}={label}" for label in labels]


def _refuse_missing(name, missing):
    if missing == "error":
        raise ValueError(
            f"Column {name!r} has missing values: fill them, or pass missing='indicate', which "
            "gives them a code of their own."
        )


def _now_missing(name):
    return ValueError(
        f"Column {name!r} has missing values, and had none in fit: fill them, or fit with "
        "missing='indicate' on rows that lack some, too."
    )


def _of_another_kind(name, expected, series):
    found = {"number": "numbers", "date": "dates", "category": "text"}[column_kind(series)]
    values = factorize(series)[1]
    example = next(
        (v for v in values if value_key(v)[0] not in ("numbers", "booleans")), values[:1]
    )
    return ValueError(
        f"Column {name!r} held {expected} in fit, and holds {found} now, such as {example!r}."
    )
