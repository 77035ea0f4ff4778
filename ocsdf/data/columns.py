"""Columns of numbers and dates as float64 coordinates, with a code where values were missing.

Each kind of column says how far apart its coordinates put two values, which is what a certificate
needs. Two different codes are sqrt(2) apart: as far as two independent draws of a standardized
number are in the root mean square.
"""

import math

import narwhals.stable.v2 as nw
import numpy as np

from ocsdf.data.column_kinds import column_kind, factorize, value_key
from ocsdf.utils.exactness import refuse_inexact

CATEGORY_DISTANCE = math.sqrt(2.0)

_MOST_EXACT = 2**53


class NumberColumn:
    """Numbers as they are; where some may be missing, their median and a code beside.

    The code is one coordinate: 0 where the value is there, sqrt(2) where it is missing. A `median`
    of None refuses missing values; ``rounding`` is how far a coordinate may be from its value.
    """

    kind = "number"
    rounding = 0.0

    def __init__(self, name, median=None):
        if not (isinstance(name, str) and (median is None or math.isfinite(median))):
            raise ValueError("its name or its median cannot be")
        self.name = name
        self.median = median

    @classmethod
    def fit(cls, name, series, missing):
        """Learn from a training column the median of its values, where some may be missing."""
        column = cls(name)
        column._learn(series)
        values = column.read(series)
        lacking = np.isnan(values)
        if lacking.any():
            refuse_missing(name, missing)
        if missing != "error":
            column.median = 0.0 if lacking.all() else float(np.median(values[~lacking]))
        return column

    @property
    def may_lack(self):
        """Whether missing values have a code; they are refused otherwise."""
        return self.median is not None

    @property
    def coordinates(self):
        """The coordinates' names."""
        return [self.name, *(code_names(self.name, ["missing"]) if self.may_lack else [])]

    @property
    def is_code(self):
        """Whether each coordinate is one of a code, which is never standardized."""
        return [False, *([True] if self.may_lack else [])]

    def encode(self, series):
        """Turn a series into coordinates, float64 of shape (n_rows, n_coordinates).

        A ValueError tells of values of another kind, or that float64 cannot hold, or that are
        missing and refused.
        """
        values = self.read(series)
        lacking = np.isnan(values)
        if not self.may_lack:
            if lacking.any():
                raise now_missing(self.name)
            return values[:, np.newaxis]
        code = CATEGORY_DISTANCE * lacking
        return np.stack([np.where(lacking, self.median, values), code], axis=1)

    def read(self, series):
        """Return a column as float64, missing values as NaN; nothing is rounded in silence."""
        if column_kind(series) != "number":
            raise of_another_kind(self.name, "numbers", series)
        given = np.asarray(series.drop_nulls().to_numpy())
        refuse_inexact("Input X", given, lambda _: repr(self.name))
        lacking = series.is_null().to_numpy()
        values = np.full(len(series), np.nan)
        values[~lacking] = given.astype(np.float64)
        if np.isinf(values).any():
            raise ValueError(f"Column {self.name!r} contains infinity: drop or replace it first.")
        return values

    def decode(self, coordinates):
        """Return the values that coordinates, (n_rows, n_coordinates), stand for.

        They are objects: None where missing; NaN where the coordinate is NaN.
        """
        values = self._values(coordinates[:, 0])
        if self.may_lack:
            values[coordinates[:, 1] > 0.0] = None
        return values

    def describe(self):
        """Return what :func:`ocsdf.data.encoders.column_from` makes the same column of."""
        return {"kind": self.kind, "name": self.name, "median": self.median}

    def _learn(self, series):
        """Note what else there is to know of a training column."""

    def _values(self, numbers):
        return numbers.astype(object)


class DateColumn(NumberColumn):
    """Dates and times as microseconds since 1970 (UTC), durations as microseconds.

    Whole microseconds within 285 years are exact in float64. Nanoseconds are rounded to the nearest
    microsecond, which ``rounding`` says.
    """

    kind = "date"
    rounding = 0.5

    def __init__(self, name, median=None, duration=False, zoned=False):
        super().__init__(name, median)
        if not (isinstance(duration, bool) and isinstance(zoned, bool)):
            raise ValueError("what its dates are cannot be")
        self.duration, self.zoned = duration, zoned

    def read(self, series):
        """Return microseconds, missing values as NaN."""
        lacking = series.is_null().to_numpy()
        if lacking.all():
            return np.full(len(series), np.nan)
        if column_kind(series) != "date":
            raise of_another_kind(self.name, self._what(), series)
        other = DateColumn(self.name)
        other._learn(series)
        if (other.duration, other.zoned) != (self.duration, self.zoned):
            raise ValueError(
                f"Column {self.name!r} held {self._what()} in fit, and holds {other._what()} now."
            )
        dtype = series.dtype
        if dtype == nw.Date:
            series = series.cast(nw.Datetime("us"))
        in_nanoseconds = getattr(dtype, "time_unit", "us") == "ns"
        given = series.drop_nulls()
        if self.duration:
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

    def describe(self):
        """Return what :func:`ocsdf.data.encoders.column_from` makes the same column of."""
        return super().describe() | {"duration": self.duration, "zoned": self.zoned}

    def _learn(self, series):
        self.duration = series.dtype == nw.Duration
        self.zoned = getattr(series.dtype, "time_zone", None) is not None

    def _values(self, numbers):
        import pandas as pd

        values = np.full(len(numbers), np.nan, dtype=object)
        # Farther than a calendar reaches a date stays a number.
        within = np.abs(numbers) < _MOST_EXACT
        whole = np.rint(numbers[within]).astype(np.int64)
        if self.duration:
            dates = pd.to_timedelta(whole, unit="us")
        else:
            dates = pd.to_datetime(whole, unit="us", utc=self.zoned)
        values[within] = dates.astype(object)
        values[np.isfinite(numbers) & ~within] = numbers[np.isfinite(numbers) & ~within]
        return values

    def _what(self):
        return "durations" if self.duration else "dates" + " with a time zone" * self.zoned


def code_names(name, labels):
    """Name the coordinates of a column's code."""
    return [f"{name}={label}" for label in labels]


def refuse_missing(name, missing):
    """Refuse missing values in training rows where they are errors."""
    if missing == "error":
        raise ValueError(
            f"Column {name!r} has missing values: fill them, or pass missing='indicate', which "
            "gives them a code of their own."
        )


def now_missing(name):
    """Make the error of missing values that training did not have."""
    return ValueError(
        f"Column {name!r} has missing values, and had none in fit: fill them, or fit with "
        "missing='indicate'."
    )


def of_another_kind(name, expected, series):
    """Make the error of a column that held values of another kind in training."""
    found = {"number": "numbers", "date": "dates", "category": "text"}[column_kind(series)]
    values = factorize(series)[1]
    example = next(
        (v for v in values if value_key(v)[0] not in ("numbers", "booleans")),
        next(iter(values), None),
    )
    return ValueError(
        f"Column {name!r} held {expected} in fit, and holds {found} now, such as {example!r}."
    )
