"""One detector for each segment of the rows, and one of all rows for what is rare or new."""

from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone

from ocsdf.data.summaries import RowSummary
from ocsdf.sklearn_compat.chunks import chunks_here, come_in_chunks
from ocsdf.sklearn_compat.saved import SavedDetector

# Rows that are kept of each segment where rows come in chunks.
_SEGMENT_ROWS = 2**13
_LABELS = (str, int, float, bool)


class SegmentedDetector(SavedDetector, BaseEstimator):
    """Fit one detector for each value of a column, and judge each row by that of its segment.

    Segments of few rows, and those that fitting did not see, are judged by a detector of all
    rows. A certificate holds for changes of a row within its segment.

    Parameters
    ----------
    estimator : OCSDF or ConformalDetector
        Cloned for each segment.
    by : str
        The column that names a row's segment; it is no feature.
    least_rows : int, default=100
        A segment of fewer rows has no detector of its own.
    n_jobs : int or None, default=None
        How many are fitted at a time, by joblib: under ``joblib.parallel_config("dask")`` on a
        cluster.

    Attributes
    ----------
    segments_ : dict of label to detector
    common_ : detector
        The model of all rows.
    n_rows_ : dict of label to int
        Rows of each segment that was seen, few or many.
    feature_names_in_ : ndarray of shape (n_features + 1,)
        The columns, `by` among them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from ocsdf import OCSDF
    >>> from ocsdf.sklearn_compat import SegmentedDetector, score_frame
    >>> rows = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 2)), columns=["a", "b"])
    >>> rows["site"] = np.repeat(["north", "south"], 200)
    >>> rows.loc[rows["site"] == "south", "a"] += 100.0
    >>> small = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0)
    >>> detector = SegmentedDetector(small, by="site").fit(rows)
    >>> moved = pd.DataFrame({"a": [0.0, 0.0], "b": [0.0, 0.0], "site": ["north", "south"]})
    >>> score_frame(detector, moved)["verdict"].tolist()
    ['normal', 'anomaly']
    """

    _file_format = "segment_files"

    def __init__(self, estimator, by, least_rows=100, n_jobs=None):
        self.estimator = estimator
        self.by = by
        self.least_rows = least_rows
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Fit a detector for each segment, and one of all rows.

        Parameters
        ----------
        X : pandas.DataFrame of shape (n_samples, n_features + 1), or chunks of it
            See :meth:`OCSDF.fit`, but for data frames of Spark and summaries. Of chunks up to
            8,192 rows of each segment, drawn at random, are fitted on.
        y : Ignored

        Returns
        -------
        SegmentedDetector
            Itself.

        Raises
        ------
        ValueError, TypeError
            If X is no data frame with the column, or a segment's detector cannot be fitted: the
            message names the segment.
        """
        self._check_parameters()
        parts, common, columns = (
            self._summaries(X) if come_in_chunks(X) else self._parts(self._checked(X))
        )
        n_rows = {label: _n_rows(part) for label, part in parts.items()}
        labels = [label for label, count in n_rows.items() if count >= self.least_rows]
        tasks = [(repr(label), parts[label]) for label in labels] + [("all rows", common)]
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_one)(self.estimator, rows, name) for name, rows in tasks
        )
        self.common_ = fitted.pop()
        self.segments_ = dict(zip(labels, fitted, strict=True))
        self.n_rows_, self.feature_names_in_ = n_rows, np.array(columns, dtype=object)
        self.n_features_in_ = len(columns)
        return self

    def report(self, X):
        """Rank the segments of some rows, the most abnormal first.

        Parameters
        ----------
        X : pandas.DataFrame of shape (n_samples, n_features + 1)

        Returns
        -------
        pandas.DataFrame
            A line a segment: ``segment``, ``model`` ("own" or "all rows"), ``n_rows``,
            ``n_fitted``, ``anomalies``, ``share`` of anomalies, ``median_percentile`` among
            training scores, ``ks_distance``, ``share_beyond`` and ``drifted``, see
            :func:`ocsdf.decisions.score_drift`.
        """
        import pandas as pd

        from ocsdf.sklearn_compat.drift import drift_of_rows, has_reference
        from ocsdf.sklearn_compat.frames import score_frame

        scores, X = score_frame(self, X), self._checked(X)
        lines = []
        for label, places in self._places(X).items():
            detector, own = self._detector(label), scores.iloc[places]
            anomalies = int((own["verdict"] == "anomaly").sum())
            line = {
                "segment": label,
                "model": "own" if label in self.segments_ else "all rows",
                "n_rows": len(own),
                "n_fitted": self.n_rows_.get(label, 0),
                "anomalies": anomalies,
                "share": anomalies / len(own),
            }
            if "percentile" in own:
                line["median_percentile"] = float(own["percentile"].median())
            if has_reference(detector):
                features = X.iloc[places].drop(columns=self.by)
                drift = drift_of_rows(detector, features, own["score"].to_numpy()).scores
                line |= {
                    "ks_distance": drift.ks_distance,
                    "share_beyond": drift.share_beyond,
                    "drifted": drift.drifted,
                }
            lines.append(line)
        order = ["share", "n_rows"]
        return pd.DataFrame(lines).sort_values(order, ascending=False, ignore_index=True)

    def _score_frame(self, X, reasons, groups):
        """Score each row by the detector of its segment; see :func:`score_frame`."""
        import pandas as pd

        from ocsdf.sklearn_compat.frames import score_frame

        if groups is not None:
            raise ValueError("groups are for a ConformalDetector that was fitted with them.")
        X, parts = self._checked(X), []
        for label, places in self._places(X).items():
            rows = X.iloc[places].drop(columns=self.by)
            own = score_frame(self._detector(label), rows, reasons=reasons)
            own["model"] = "own" if label in self.segments_ else "all rows"
            parts.append((places, own))
        if not parts:
            empty = score_frame(self.common_, X.drop(columns=self.by), reasons=reasons)
            return empty.assign(model=pd.Series([], dtype="str"))
        order = np.argsort(np.concatenate([places for places, _ in parts]))
        return pd.concat([own for _, own in parts]).iloc[order]

    def _detector(self, label):
        return self.segments_.get(label, self.common_)

    def _places(self, X):
        """The places of the rows of each segment."""
        return dict(X.groupby(self.by).indices)

    def _checked(self, X):
        """Return the columns that are known, or all in fit, of a data frame of pandas."""
        import pandas as pd

        if not isinstance(X, pd.DataFrame) or self.by not in X.columns:
            found = type(X).__name__
            found += f" without it: {list(X.columns)}" if isinstance(X, pd.DataFrame) else ""
            raise TypeError(f"Expected a data frame with the column {self.by!r}; got a {found}.")
        if hasattr(self, "segments_"):
            missing = [name for name in self.feature_names_in_ if name not in X.columns]
            if missing:
                raise ValueError(f"columns are missing: {', '.join(map(repr, missing))}.")
            X = X[list(self.feature_names_in_)]
        if X[self.by].isna().any():
            raise ValueError(f"column {self.by!r} has missing values: name them, e.g. 'unknown'.")
        return X

    def _parts(self, X):
        """Rows by segment, all rows, and the columns."""
        rows = X.drop(columns=self.by)
        parts = {plain_label(label): rows.iloc[places] for label, places in self._places(X).items()}
        return parts, rows, list(X.columns)

    def _summaries(self, X):
        """Summaries by segment and of all rows, from one pass over chunks; and the columns."""
        parts, common, columns = {}, RowSummary((0, 0)), None
        for chunk in chunks_here(X):
            chunk = self._checked(chunk.to_pandas() if hasattr(chunk, "to_pandas") else chunk)
            columns = columns or list(chunk.columns)
            rows = chunk.drop(columns=self.by)
            common.update(rows)
            for label, places in self._places(chunk).items():
                label = plain_label(label)
                if label not in parts:
                    parts[label] = RowSummary((0, 1 + len(parts)), _SEGMENT_ROWS)
                parts[label].update(rows.iloc[places])
        if columns is None:
            raise ValueError("X has no rows: its chunks are empty.")
        return parts, common, columns

    def _check_parameters(self):
        if not hasattr(self.estimator, "save"):
            raise TypeError(
                f"estimator must be an OCSDF or a ConformalDetector; got "
                f"{type(self.estimator).__name__}."
            )
        least = self.least_rows
        if not isinstance(least, Integral) or isinstance(least, bool) or least < 2:
            raise ValueError(f"least_rows must be an integer >= 2; got {least!r}.")
        for name in ("segments_", "common_"):
            vars(self).pop(name, None)


def _fit_one(estimator, rows, name):
    try:
        return clone(estimator).fit(rows)
    except (ValueError, TypeError) as error:
        raise type(error)(f"segment {name}: {error}") from error


def _n_rows(part):
    return part.n_seen if isinstance(part, RowSummary) else len(part)


def plain_label(label):
    """Return a label as JSON holds it: text, number or boolean; a TypeError refuses any other."""
    label = label.item() if isinstance(label, np.generic) else label
    if not isinstance(label, _LABELS):
        raise TypeError(f"segments must be named by text or numbers; got {label!r}.")
    return label
