"""One detector on one table: fitted without labels in a child process, its scores judged here."""

import contextlib
import random
import sys
import time
import warnings
from functools import cache

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ocsdf.benchmark.child_process import ChildError
from ocsdf.benchmark.detectors import find_detector, fit, is_pyod, score_of
from ocsdf.utils.rounding import percent_below

CERTIFIED_RADII = (0.1, 0.2, 0.5)
CERTIFIED = "certified_auroc_{}"
# Protocols that scale all features to [0, 1] for every detector, as ADBench does.
_MINMAX = ("adbench", "clean")
# Seconds that a detector may take to be imported and compiled.
_LOADING = 300

_fitted = {}  # in a child: the detector whose scores are being judged, and the rows as it got them


def score_metrics(y, scores):
    r"""Measure, in percent, how well scores tell anomalies from normal rows (1 and 0 in y).

    Scores are high for anomalies. ``aupr`` is the average precision
    :math:`\sum_k (R_k - R_{k-1}) P_k` over the thresholds, with precision P and recall R, and
    ``fpr95`` the false positive rate at the highest threshold whose recall is at least 95 %. A
    ValueError counts the scores that are NaN or infinite.
    """
    scores = np.asarray(scores, dtype=np.float64)
    n_bad = int(np.count_nonzero(~np.isfinite(scores)))
    if n_bad:
        raise ValueError(f"{n_bad} of {len(scores)} scores are NaN or infinite")
    false_positive, true_positive, _ = roc_curve(y, scores, drop_intermediate=False)
    return {
        "auroc": 100 * float(roc_auc_score(y, scores)),
        "aupr": 100 * float(average_precision_score(y, scores)),
        "fpr95": 100 * float(false_positive[np.argmax(true_positive >= 0.95)]),
    }


def evaluate_detector(
    children,
    name,
    X_train,
    X_test,
    y_test,
    *,
    protocol,
    radii,
    seed=0,
    time_limit=300,
    challenge=None,
):
    """Fit one detector in a child process, without labels, and judge its scores of other rows.

    Returned are the columns of :func:`run_benchmark` from ``auroc`` to ``peak_mb``,
    ``certified_auroc_<radius>`` (scaled l2), and ``warnings``, ``error`` and ``timed_out`` where
    there is something to tell. `challenge`, if any, is called in the child with a function from
    rows to scores, high for normal rows, in twice the time; what it returns is under ``challenge``,
    and why it failed under ``challenge_error``.
    """
    values = {}
    with children.one() as child:
        try:
            child.call(_prepare, name, time_limit=_LOADING)
            timed, peak = child.call(
                _fit_and_score, name, seed, protocol, X_train, X_test, time_limit=time_limit
            )
            scores = timed.pop("scores")
            values |= timed | {"peak_mb": peak / 2**20}
            values |= score_metrics(y_test, scores)
            values |= _challenged(child, challenge, 2 * time_limit)
            values |= child.call(_certify, y_test, radii, time_limit=time_limit)[0]
        except TimeoutError as error:
            values |= {"error": str(error), "timed_out": True, "time_limit": time_limit}
        except (ChildError, ValueError) as error:
            values |= {"error": str(error)}
    return values


def _challenged(child, challenge, time_limit):
    """What a fitted detector makes of a challenge; that it fails costs nothing else."""
    if challenge is None:
        return {}
    try:
        return {"challenge": child.call(_challenge, challenge, time_limit=time_limit)[0]}
    except (TimeoutError, ChildError) as error:
        return {"challenge_error": str(error)}


# What follows runs in a child.


@cache
def _prepare(name):
    """Import and compile what a detector needs, so that no cell's time counts it."""
    X = np.random.default_rng(0).normal(size=(64, 3))
    # What fails or warns here does so in the cell again, where it is told.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(find_detector(name).build(0, X.shape[1], X), X)


def _fit_and_score(name, seed, protocol, X_train, X_test):
    """Fit on rows and score others; no label is in sight."""
    # Some detectors draw from the global generators; nobody else uses them in this process.
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    flags = find_detector(name)
    n_features = X_train.shape[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        # These tell authors of libraries about code, nothing about scores.
        for about_code in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", about_code)
        scaler = None
        if protocol in _MINMAX:
            scaler = MinMaxScaler()
        elif is_pyod(flags.build(seed, n_features, X_train)):
            scaler = StandardScaler()
        if scaler is not None:
            X_train, X_test = scaler.fit_transform(X_train), scaler.transform(X_test)
        joint = flags.joint and protocol not in ("ad", "adbench")
        X_fit = np.concatenate([X_train, X_test]) if joint else X_train
        detector = flags.build(seed, n_features, X_fit)
        start = time.perf_counter()
        fit(detector, X_fit)
        fitted = time.perf_counter()
        if joint or (protocol == "ad" and is_pyod(detector)):
            scores = np.asarray(detector.decision_scores_, dtype=np.float64)[-len(X_test) :]
        else:
            scores = score_of(detector, X_test)
        scored = time.perf_counter()
    _fitted.update(detector=detector, rows=X_test, scaler=scaler)
    # A place in the code warns many times of the same, with other figures.
    told = {(one.filename, one.lineno): _in_one_line(one) for one in caught}
    values = {"fit_seconds": fitted - start, "score_seconds": scored - fitted, "scores": scores}
    return values | ({"warnings": "; ".join(told.values())} if told else {})


def _in_one_line(warning):
    return f"{warning.category.__name__}: {' '.join(str(warning.message).split())}"


def _challenge(challenge):
    """Let a challenge ask the detector that has just scored for scores of rows of its own."""
    detector, scaler = _fitted["detector"], _fitted["scaler"]

    def score(rows):
        return -score_of(detector, rows if scaler is None else scaler.transform(rows))

    return challenge(score)


def _certify(y, radii):
    """Certified AUROC of the detector that has just scored, on the same rows, if it has a bound."""
    detector, X = _fitted.pop("detector"), _fitted.pop("rows")
    if not hasattr(detector, "certified_auroc"):
        return {}
    bounds = detector.certified_auroc(X, y, radii)
    return {
        CERTIFIED.format(radius): percent_below(bound)
        for radius, bound in zip(radii, bounds, strict=True)
    }
