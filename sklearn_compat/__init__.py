"""scikit-learn's contract on top of ocsdf, and plugs; installs as ``ocsdf.sklearn_compat``."""

from importlib import import_module

# By name, so that PyOD loads only with what stands on it.
_HOME = {
    "ADBenchOCSDF": "ocsdf.sklearn_compat.adbench",
    "OCSDF": "ocsdf.sklearn_compat.estimator",
    "OCSDFDetector": "ocsdf.sklearn_compat.pyod_detector",
    "knowledge_dir": "ocsdf.sklearn_compat.ad_engine",
    "make_outlier_scorer": "ocsdf.sklearn_compat.scoring",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'ocsdf.sklearn_compat' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__():
    return __all__
