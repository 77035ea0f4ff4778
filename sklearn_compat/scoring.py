"""A scorer for outlier detectors: scikit-learn's own take normal rows for the positive class."""

from collections.abc import Callable

from sklearn.base import is_classifier
from sklearn.metrics import average_precision_score, roc_auc_score

from ocsdf.utils.checks import check_labels
from ocsdf.utils.types import Label

_METRICS = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}


def make_outlier_scorer(metric: str, pos_label: Label) -> Callable[..., float]:
    r"""Make a scorer of outlier detectors, with the anomalies as the positive class.

    ``scoring="roc_auc"`` takes :math:`s(x)` of scikit-learn's detectors, which is high for
    normal rows, as evidence for y = 1. Where that is the label of the anomalies, it gives
    1 - AUROC without a word. This scorer ranks by :math:`-s(x)` instead, and PyOD's detectors,
    whose scores are high for anomalies, by :math:`s(x)`.

    Parameters
    ----------
    metric : {"roc_auc", "average_precision"} or callable
        A callable is called as ``metric(is_anomaly, anomaly_scores)``, with a boolean array and
        scores that are the higher, the more anomalous; greater values must be better.
    pos_label : int, float, bool, str or None
        The anomalies' label in y; None is 1 where labels are 0 and 1 or boolean, and an error for
        others.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)`` gives a float, as ``scoring=`` of ``cross_validate``,
        ``GridSearchCV`` and their like expects. It takes scikit-learn's outlier detectors and
        those of its form, such as :class:`ocsdf.OCSDF`, and PyOD's; also as the last step of a
        pipeline or inside a search. It raises a ValueError if y lacks one of the two classes and
        a TypeError if the estimator is no outlier detector.

    Raises
    ------
    ValueError
        If the metric is unknown.

    Notes
    -----
    For an outlier detector ``cv=5`` means folds that are not stratified, and some may lack
    anomalies; pass ``cv=StratifiedKFold(5)``.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.model_selection import StratifiedKFold, cross_val_score
    >>> from ocsdf import load_table, make_outlier_scorer
    >>> table = load_table("breast_cancer")
    >>> scorer = make_outlier_scorer("roc_auc", pos_label=1)
    >>> folds = StratifiedKFold(3)
    >>> forest = IsolationForest(random_state=0)
    >>> scores = cross_val_score(forest, table.X, table.y, scoring=scorer, cv=folds)
    >>> bool(scores.min() > 0.5)
    True
    """
    if not (callable(metric) or (isinstance(metric, str) and metric in _METRICS)):
        raise ValueError(
            f"metric must be {', '.join(map(repr, _METRICS))} or a callable "
            f"metric(is_anomaly, anomaly_scores); got {metric!r}."
        )
    return _OutlierScorer(metric, pos_label)


class _OutlierScorer:
    def __init__(self, metric, pos_label):
        self.metric = metric
        self.pos_label = pos_label

    def __call__(self, estimator, X, y=None):
        is_anomaly = _anomalies(y, self.pos_label)
        metric = self.metric if callable(self.metric) else _METRICS[self.metric]
        return float(metric(is_anomaly, _anomaly_scores(estimator, X)))

    def __repr__(self):
        metric = getattr(self.metric, "__name__", repr(self.metric))
        return f"make_outlier_scorer({metric}, pos_label={self.pos_label!r})"


def _anomalies(y, pos_label):
    """Mark the anomalies among labels of two classes."""
    try:
        return check_labels(y, pos_label)
    except ValueError as error:
        raise ValueError(
            f"{error} Check pos_label, and pass cv=StratifiedKFold(), which puts both classes "
            "into each fold."
        ) from None


def _anomaly_scores(estimator, X):
    """Score rows, the higher the more anomalous, whatever the detector's own sign."""
    final = _final_estimator(estimator)
    if is_classifier(final):
        raise TypeError(f"estimator must be an outlier detector; got {type(final).__name__}.")
    # The attribute that PyOD's contract names, and scikit-learn's does not know.
    if hasattr(final, "decision_scores_"):
        return estimator.decision_function(X)
    for name in ("score_samples", "decision_function"):
        if hasattr(estimator, name):
            return -getattr(estimator, name)(X)
    raise TypeError(
        f"estimator must have score_samples or decision_function; {type(final).__name__} has "
        "neither (LocalOutlierFactor has them with novelty=True)."
    )


def _final_estimator(estimator):
    """Look through searches and pipelines at the detector whose sign counts."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator
