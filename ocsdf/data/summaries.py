"""What is kept of rows that pass by: moments of the numbers, and a sample drawn at random."""

import numpy as np

# Rows of a sample, unless these would be more numbers than that.
SAMPLE_ROWS, _SAMPLE_NUMBERS = 2**15, 2**24


class Moments:
    """Means and standard deviations of columns, from parts in any order.

    Each column has the number of values that are there, their mean, and their sum of squared
    deviations. Parts are joined as by Chan, Golub and LeVeque (The American Statistician, 1983).
    """

    def __init__(self, n_columns):
        self.count = np.zeros(n_columns)
        self.mean = np.zeros(n_columns)
        self.squares = np.zeros(n_columns)

    @classmethod
    def of(cls, values):
        """Compute the moments of rows, float64 of shape (n_rows, n_columns); NaN is missing."""
        moments, given = cls(values.shape[1]), ~np.isnan(values)
        moments.count = given.sum(axis=0).astype(np.float64)
        total = np.where(given, values, 0.0).sum(axis=0)
        moments.mean = total / np.maximum(moments.count, 1.0)
        moments.squares = np.square(np.where(given, values - moments.mean, 0.0)).sum(axis=0)
        return moments

    def merge(self, other):
        """Take in the moments of other rows."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1.0)
        gap = other.mean - self.mean
        self.squares = self.squares + other.squares + np.square(gap) * self.count * share
        self.mean = self.mean + gap * share
        self.count = count

    @property
    def deviation(self):
        """Standard deviations, with n for the divisor."""
        return np.sqrt(self.squares / np.maximum(self.count, 1.0))


class RowSummary:
    """A random sample of rows and the moments of their numbers, from one pass over any number.

    Each row gets a random key; the rows of the smallest keys are the sample, uniform and without
    replacement, whatever the sizes of the parts. Summaries of parts merge to that of all rows, in
    any order.

    Parameters
    ----------
    random_state : int or tuple of int, default=0
        Seed of the keys. Parts that are summarized apart need different ones, such as (seed, part).
    n_rows : int or None, default=None
        Size of the sample; None is 32,768, or fewer where these are above 2^24 numbers.

    Attributes
    ----------
    n_seen : int

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.data import RowSummary
    >>> rows = np.arange(1000.0).reshape(500, 2)
    >>> parts = [RowSummary((0, place), 20).update(rows[place::2]) for place in range(2)]
    >>> total = RowSummary(0, 20).merge(parts[0]).merge(parts[1])
    >>> total.n_seen, total.rows.shape, total.standardization()[0][0]
    (500, (20, 2), 499.0)
    """

    def __init__(self, random_state=0, n_rows=None):
        self._random = np.random.default_rng(random_state)
        self._most = n_rows
        self._keys, self._kept, self._waiting = np.empty(0), None, []
        self._moments, self._numbers = None, None
        self.n_seen = 0

    def update(self, rows):
        """Take in rows.

        Parameters
        ----------
        rows : data frame or array-like of shape (n, n_columns)
            They have the columns of those before.

        Returns
        -------
        RowSummary
            Itself.

        Raises
        ------
        ValueError
            If the columns are not those before.
        """
        frame = _as_frame(rows)
        self._check_columns(frame)
        if not len(frame):
            return self
        self._most = self._most or _sample_size(frame.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            self._moments.merge(Moments.of(_numbers(frame, self._numbers)))
        self.n_seen += len(frame)
        self._keep(self._random.random(len(frame)), frame)
        return self

    def merge(self, other):
        """Take in the summary of other rows; see :meth:`update` for what is returned and raised.

        Parameters
        ----------
        other : RowSummary
            It is left as it is. Its keys come from another seed than those of this one.
        """
        if other._kept is None:
            return self
        self._check_columns(other._kept)
        self._most = self._most or other._most
        self._moments.merge(other._moments)
        self.n_seen += other.n_seen
        rows = other._sample()
        self._keep(other._keys, rows)
        return self

    @property
    def rows(self):
        """The sample: a pandas data frame, in the order of the keys, so at random."""
        if self._kept is None:
            raise ValueError("there are no rows: the chunks are empty")
        return self._sample().reset_index(drop=True)

    def standardization(self):
        """Return means and standard deviations over all rows, by column.

        Returns
        -------
        dict of str to tuple of float
            Mean and deviation of each column of numbers of which no value was missing or infinite.
        """
        moments = self._moments
        return {
            name: (float(moments.mean[place]), float(moments.deviation[place]))
            for place, name in enumerate(self._numbers)
            if moments.count[place] == self.n_seen
            and np.isfinite([moments.mean[place], moments.squares[place]]).all()
        }

    def unfit(self):
        """Name the columns of numbers with missing and with infinite values.

        Returns
        -------
        missing, infinite : list of str
        """
        moments = self._moments
        finite = np.isfinite(moments.mean)
        missing = [n for n, c in zip(self._numbers, moments.count, strict=True) if c < self.n_seen]
        return missing, [n for n, is_ in zip(self._numbers, finite, strict=True) if not is_]

    def _check_columns(self, frame):
        names = list(frame.columns)
        if self._kept is None:
            self._kept, self._names = frame.iloc[:0], names
            self._numbers = [name for name in names if frame[name].dtype.kind in "biuf"]
            self._moments = Moments(len(self._numbers))
        elif names != self._names:
            raise ValueError(f"chunks must have the same columns, {self._names}; got {names}.")

    def _keep(self, keys, frame):
        """Note rows whose keys may be among the smallest."""
        small = keys < (self._keys[-1] if len(self._keys) == self._most else np.inf)
        self._waiting.append((keys[small], frame[small]))
        if sum(len(keys) for keys, _ in self._waiting) >= self._most:
            self._sample()

    def _sample(self):
        """Join what waits with the sample, and keep the rows of the smallest keys."""
        import pandas as pd

        if self._waiting:
            keys = np.concatenate([self._keys, *(keys for keys, _ in self._waiting)])
            parts = [self._kept, *(part for _, part in self._waiting)]
            rows = pd.concat([part for part in parts if len(part)] or [self._kept])
            first = np.argsort(keys, kind="stable")[: self._most]
            self._keys, self._kept, self._waiting = keys[first], rows.iloc[first], []
        return self._kept


def summarize_rows(chunks, random_state=0, n_rows=None):
    """Summarize rows that come in chunks; see :class:`RowSummary`."""
    summary = RowSummary(random_state, n_rows)
    for chunk in chunks:
        summary.update(chunk)
    return summary


def _sample_size(n_columns):
    return min(SAMPLE_ROWS, max(1, _SAMPLE_NUMBERS // n_columns))


def _as_frame(rows):
    """Make a pandas data frame of a chunk: of pandas, polars, Arrow or NumPy."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    if hasattr(rows, "to_pandas"):
        return rows.to_pandas()
    rows = np.asarray(rows)
    if rows.ndim != 2:
        raise ValueError(f"a chunk must be a table (n_samples, n_features); got {rows.shape}.")
    return pd.DataFrame(rows)


def _numbers(frame, names):
    return frame[names].to_numpy(dtype=np.float64, na_value=np.nan)
