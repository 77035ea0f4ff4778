"""scikit-learn's contract on top of ocsdf, and plugs; installs as ``ocsdf.sklearn_compat``."""

from ocsdf.utils.lazy import lazy_names

# By name, so that PyOD loads only with what stands on it.
__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ADBenchOCSDF": "ocsdf.sklearn_compat.adbench",
        "ConformalDetector": "ocsdf.sklearn_compat.conformal",
        "OCSDF": "ocsdf.sklearn_compat.estimator",
        "OCSDFDetector": "ocsdf.sklearn_compat.pyod_detector",
        "SegmentedDetector": "ocsdf.sklearn_compat.segments",
        "knowledge_dir": "ocsdf.sklearn_compat.ad_engine",
        "make_outlier_scorer": "ocsdf.sklearn_compat.scoring",
        "score_frame": "ocsdf.sklearn_compat.frames",
    },
)
