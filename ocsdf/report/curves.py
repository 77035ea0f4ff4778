"""Curves of a ranking under attack: ROC and precision-recall, as few points as a picture needs."""

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from ocsdf.displays.base import group_by_label
from ocsdf.displays.scores import score_histogram

_MOST_POINTS = 200


def curve_facts(evaluation, lipschitz):
    r"""Compute ROC and precision-recall curves that no attack of each radius can push below.

    Every normal score is lowered, every anomaly's raised by :math:`L \epsilon` and rounding: the
    worst of all attacks, at every threshold at once.

    Returned are ``radius`` (0 in front), ``fpr``, ``tpr``, ``recall``, ``precision``: lists of
    numbers.
    """
    y, curves = evaluation.y, []
    for radius, slack in zip(
        (0.0, *evaluation.radii), (0.0, *evaluation.radius_slack), strict=True
    ):
        shift = lipschitz * radius + slack
        anomaly_scores = -evaluation.scores + np.where(y == 1, -shift, shift)
        fpr, tpr, _ = roc_curve(y, anomaly_scores)
        precision, recall, _ = precision_recall_curve(y, anomaly_scores)
        names = ("fpr", "tpr", "recall", "precision")
        parts = (*_thin(fpr, tpr), *_thin(recall[::-1], precision[::-1]))
        curves.append(
            {"radius": float(radius)}
            | {name: part.tolist() for name, part in zip(names, parts, strict=True)}
        )
    return curves


def histogram_facts(evaluation, offset):
    """Count the scores of normal rows and of anomalies, or of all rows, in bins.

    Returned are ``edges`` and ``counts`` by group; see
    :func:`ocsdf.displays.scores.score_histogram`.
    """
    groups = group_by_label(evaluation.scores, evaluation.y, pos_label=1)
    edges, counts = score_histogram(groups, offset)
    counts = {name: group.tolist() for name, group in counts.items()}
    return {"edges": edges.tolist(), "counts": counts}


def _thin(x, y):
    """Keep the ends and evenly spread points between."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(_MOST_POINTS, len(x)), dtype=int))
    return x[chosen], y[chosen]
