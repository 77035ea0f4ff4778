"""One-class signed distance functions: anomaly detection with a certificate.

>>> from ocsdf import OCSDF
>>> detector = OCSDF(random_state=0).fit(X_normal)    # doctest: +SKIP
>>> detector.score_samples(X)                         # signed distance, negative outside
>>> detector.certified_radius(X)                      # no smaller l2 change flips a verdict

Detectors       OCSDF, ImageOCSDF, ConformalDetector
Certificates    certified_radius, certified_auroc, certified_tpr, certified_recall
Tables, scorer  load_table, make_outlier_scorer
Displays        CertifiedAUROCDisplay, CertifiedROCDisplay, ScoreHistogramDisplay,
                SignedDistanceDisplay, TrainingHistoryDisplay, ExplanationDisplay
More            ocsdf.sklearn_compat (PyOD, ADBench, data frames), ocsdf.attacks,
                ocsdf.levelsets, ocsdf.surfaces, ocsdf.decisions; on the command line: ocsdf

Method: Béthune et al., "Robust One-Class Classification with Signed Distance Function using
1-Lipschitz Neural Networks", ICML 2023. Importing this package does not load TensorFlow.
"""

import sys
from importlib import import_module

from ocsdf._version import __version__
from ocsdf.utils.imports import KerasForUs, NotInstalled

_HOME = {
    "ConformalDetector": "ocsdf.sklearn_compat.conformal",
    "OCSDF": "ocsdf.sklearn_compat.estimator",
    "ImageOCSDF": "ocsdf.sklearn_compat.image_estimator",
    "certified_auroc": "ocsdf.certificate.metrics",
    "certified_radius": "ocsdf.certificate.metrics",
    "certified_recall": "ocsdf.certificate.metrics",
    "certified_tpr": "ocsdf.certificate.metrics",
    "load_table": "ocsdf.data.tables",
    "make_outlier_scorer": "ocsdf.sklearn_compat.scoring",
    "CertifiedAUROCDisplay": "ocsdf.displays",
    "CertifiedROCDisplay": "ocsdf.displays",
    "ExplanationDisplay": "ocsdf.displays",
    "ScoreHistogramDisplay": "ocsdf.displays",
    "SignedDistanceDisplay": "ocsdf.displays",
    "TrainingHistoryDisplay": "ocsdf.displays",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'ocsdf' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__():
    return __all__


sys.meta_path.insert(0, KerasForUs)
sys.meta_path.append(NotInstalled)
