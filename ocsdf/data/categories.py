"""A column of categories as a code: one coordinate each, any two of them sqrt(2) apart."""

import numpy as np

from ocsdf.data.column_kinds import VALUE_KINDS, factorize, value_key
from ocsdf.data.columns import code_names, now_missing, refuse_missing

# A category of fewer training rows, or beyond the most frequent ones, shares the code of others.
LEAST_ROWS = 3
MOST_CATEGORIES = 100
OTHER = "other"


class CategoryColumn:
    """Categories as one coordinate each, one more for all others, and one for missing values.

    `keys` pairs each category with the kind of its value
    (:func:`ocsdf.data.column_kinds.value_key`); values of a kind that is not in `kinds`, and
    missing ones unless `missing`, are refused. Codes are exact.
    """

    kind = "category"
    rounding = 0.0

    def __init__(self, name, keys, kinds, missing=False):
        keys = [tuple(key) for key in keys]
        if not (
            isinstance(name, str)
            and isinstance(missing, bool)
            and set(kinds) <= set(VALUE_KINDS)
            and {kind for kind, _ in keys} <= set(kinds)
            and len(set(keys)) == len(keys)
            and all(isinstance(value, str | bool | int | float) for _, value in keys)
        ):
            raise ValueError("its name or its categories cannot be")
        self.name = name
        self.kinds = list(kinds)
        self.missing = missing
        self._place = {key: place for place, key in enumerate(keys)}

    @classmethod
    def fit(cls, name, series, missing):
        """Learn from a training column which categories are frequent."""
        codes, values = factorize(series)
        if (codes < 0).any():
            refuse_missing(name, missing)
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        keys = [_key(value) for value in values]
        frequent = sorted(
            (place for place in range(len(values)) if counts[place] >= LEAST_ROWS),
            key=lambda place: (-counts[place], keys[place][0], str(keys[place][1])),
        )
        kinds = sorted({kind for kind, _ in keys})
        kept = [keys[place] for place in frequent[:MOST_CATEGORIES]]
        return cls(name, kept, kinds, missing != "error")

    @property
    def may_lack(self):
        """Whether missing values have a code."""
        return self.missing

    @property
    def categories(self):
        """The categories with a coordinate of their own."""
        return [value for _, value in self._place]

    @property
    def labels(self):
        """What the coordinates stand for."""
        return [*map(str, self.categories), OTHER, *(["missing"] if self.missing else [])]

    @property
    def coordinates(self):
        """The coordinates' names."""
        return code_names(self.name, self.labels)

    @property
    def is_code(self):
        """Whether each coordinate is one of a code; all are."""
        return [True] * len(self.labels)

    def encode(self, series):
        """Turn a column into coordinates; see :meth:`ocsdf.data.columns.NumberColumn.encode`."""
        codes, values = factorize(series)
        if not self.missing and (codes < 0).any():
            raise now_missing(self.name)
        keys = [_key(value) for value in values]
        if self.kinds:
            for (kind, _), value in zip(keys, values, strict=True):
                if kind not in self.kinds:
                    raise ValueError(
                        f"Column {self.name!r} held {' and '.join(self.kinds)} in fit, and holds "
                        f"{kind} now, such as {value!r}."
                    )
        other = len(self._place)
        # The last place is that of missing values, which pandas codes as -1.
        places = np.array([*(self._place.get(key, other) for key in keys), other + 1])
        return np.eye(other + 2)[places[codes]][:, : len(self.labels)]

    def decode(self, coordinates):
        """Return the categories that coordinates stand for; None where missing."""
        labels = np.array([*self.categories, OTHER, None], dtype=object)
        values = labels[coordinates.argmax(axis=1)]
        values[np.isnan(coordinates).any(axis=1)] = np.nan
        return values

    def describe(self):
        """Return what :func:`ocsdf.data.encoders.column_from` makes the same column of."""
        return {
            "kind": self.kind,
            "name": self.name,
            "keys": [list(key) for key in self._place],
            "kinds": self.kinds,
            "missing": self.missing,
        }


def _key(value):
    kind, plain = value_key(value)
    return (kind if kind in VALUE_KINDS else "other values"), plain
