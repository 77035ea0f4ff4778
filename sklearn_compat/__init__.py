"""scikit-learn's contract on top of ocsdf; installs as ``ocsdf.sklearn_compat``."""

from ocsdf.sklearn_compat.estimator import OCSDF

__all__ = ["OCSDF"]
