"""Scores, verdicts and certificates of rows as the columns of one data frame."""

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from ocsdf.explanation.reasons import check_top, share_texts


def score_frame(detector, X, *, reasons=0, keep=(), groups=None):
    """Score rows: all that a fitted detector says of each, from one evaluation.

    It is the one function that an engine such as Dask, Ray or Spark maps over its parts, empty
    ones among them.

    Parameters
    ----------
    detector : OCSDF or another certified detector, a ConformalDetector, or a SegmentedDetector
        Fitted.
    X : array-like or data frame of shape (n_samples, n_features)
    reasons : int, default=0
        How many features to name as the reasons of each anomaly, each with its percentage of the
        change that would flip the verdict; each anomaly takes 100 to 200 scores.
    keep : sequence of str, default=()
        Columns of a data frame of pandas that are no features, such as keys: they come first in
        the result.
    groups : str, array-like of shape (n_samples,) or None, default=None
        Segments of a ConformalDetector that was fitted with groups: a label a row, or the column
        of `keep` that holds them.

    Returns
    -------
    scores : pandas.DataFrame of n_samples rows
        In the order of X, with its index where it is a frame of pandas: ``score`` as of
        ``score_samples``; ``verdict``, "normal" or "anomaly", as of ``predict``;
        ``certified_radius``, in certificate units, below which no l2 change flips the verdict,
        where the detector proves one; of a :class:`ConformalDetector` ``p_value``;
        ``percentile``, how many percent of the stored training scores are no higher (0 for the
        most abnormal), where the detector has such; ``reasons``, a text that is empty for normal
        rows, where they are asked for.

    Raises
    ------
    ValueError, TypeError
        If rows or columns are not as the detector knows them.

    Examples
    --------
    >>> from ocsdf import OCSDF, load_table
    >>> from ocsdf.sklearn_compat import score_frame
    >>> table = load_table("wine")
    >>> detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0).fit(table.X)
    >>> list(score_frame(detector, table.X))
    ['score', 'verdict', 'certified_radius', 'percentile']
    """
    import pandas as pd

    check_is_fitted(detector)
    if reasons:
        check_top(reasons)
    kept, features, groups = _parted(X, list(keep), groups)
    if hasattr(detector, "_score_frame"):
        scores = detector._score_frame(features, reasons, groups)
    else:
        index = features.index if isinstance(features, pd.DataFrame) else None
        scores = pd.DataFrame(_columns(detector, features, reasons, groups), index=index)
    return scores if kept is None else pd.concat([kept, scores], axis=1)


def _parted(X, keep, groups):
    """Part a frame into columns to keep, those of the features, and groups."""
    import pandas as pd

    if isinstance(groups, str) and groups not in keep:
        raise ValueError(f"groups names the column {groups!r}, which must be one of keep={keep}.")
    if not keep:
        return None, X, groups
    if not isinstance(X, pd.DataFrame):
        raise TypeError(f"keep needs a data frame of pandas; got {type(X).__name__}.")
    missing = [name for name in keep if name not in X.columns]
    if missing:
        raise ValueError(f"keep names columns that are not there: {', '.join(map(repr, missing))}.")
    kept = X[keep]
    groups = X[groups].to_numpy() if isinstance(groups, str) else groups
    return kept, X.drop(columns=keep), groups


def _columns(detector, X, reasons, groups):
    """Make the columns of a detector of one kind of rows."""
    if np.shape(X)[:1] == (0,):
        return _empty_columns(detector, reasons)
    columns = detector._judged(X, groups)
    normal = columns.pop("normal")
    columns = {
        "score": columns.pop("score"),
        "verdict": np.where(normal, "normal", "anomaly"),
        **columns,
    }
    training = _training_scores(detector)
    if training is not None:
        below = np.searchsorted(training, columns["score"], side="right")
        columns["percentile"] = 100.0 * below / len(training)
    if reasons:
        columns["reasons"] = _reasons(detector, X, ~normal, reasons, groups)
    return columns


def _empty_columns(detector, reasons):
    """The columns of no rows, with the types that rows would give them."""
    import pandas as pd

    calibrated = hasattr(detector, "calibration_")
    proven = hasattr(detector.estimator_ if calibrated else detector, "lipschitz_bound_")
    names = ["score", "verdict"]
    names += ["certified_radius"] * proven + ["p_value"] * calibrated
    names += ["percentile"] * (_training_scores(detector) is not None)
    columns = {name: np.empty(0) for name in names} | {"verdict": np.empty(0, "<U7")}
    return columns | ({"reasons": pd.Series([], dtype="str")} if reasons else {})


def _training_scores(detector):
    return getattr(getattr(detector, "estimator_", detector), "training_scores_", None)


def _reasons(detector, X, flagged, top, groups):
    """Name the leading features of each row that is flagged, with their shares."""
    explained = getattr(detector, "estimator_", detector)
    if not hasattr(explained, "_explain"):
        raise TypeError(f"{type(explained).__name__} explains nothing: ask for no reasons.")
    texts = np.full(len(flagged), "", dtype=object)
    if explained is detector:
        offsets = np.full(len(flagged), detector.offset_)
    else:
        offsets = detector._row_thresholds(groups, len(flagged))
    # Each group of a calibrated detector has a boundary of its own.
    for offset in np.unique(offsets[flagged]):
        rows = np.flatnonzero(flagged & (offsets == offset))
        explanation = explained._explain(_safe_indexing(X, rows), float(offset))
        texts[rows] = share_texts(explanation, top)
    return texts
