"""Scores, verdicts and certificates of rows as the columns of one data frame."""

import numpy as np


def score_frame(detector, X):
    """Score rows: all that a fitted detector says of each, from one evaluation.

    Parameters
    ----------
    detector : OCSDF or another certified detector, or a ConformalDetector of one
        Fitted.
    X : array-like or data frame of shape (n_samples, n_features)

    Returns
    -------
    scores : pandas.DataFrame of n_samples rows
        In the order of X, with its index where it is a frame of pandas: ``score`` as of
        ``score_samples``; ``verdict``, "normal" or "anomaly", as of ``predict``;
        ``certified_radius``, in certificate units, below which no l2 change flips the verdict;
        of a :class:`ConformalDetector` also ``p_value``.

    Examples
    --------
    >>> from ocsdf import OCSDF, load_table
    >>> from ocsdf.sklearn_compat import score_frame
    >>> table = load_table("wine")
    >>> detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0).fit(table.X)
    >>> list(score_frame(detector, table.X))
    ['score', 'verdict', 'certified_radius']
    """
    import pandas as pd

    index = X.index if isinstance(X, pd.DataFrame) else None
    if hasattr(detector, "p_values"):
        columns = {
            "score": detector.score_samples(X),
            "verdict": np.where(detector.predict(X) == 1, "normal", "anomaly"),
            "certified_radius": detector.certified_radius(X),
            "p_value": detector.p_values(X),
        }
        return pd.DataFrame(columns, index=index)
    scores, certified = detector._certified_scores(X)
    verdicts = np.where(scores - detector.offset_ >= 0.0, "normal", "anomaly")
    columns = {"score": scores, "verdict": verdicts, "certified_radius": certified}
    return pd.DataFrame(columns, index=index)
