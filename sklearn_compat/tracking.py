"""Experiment trackers that watch scikit-learn see a user's detectors, not the parts of ours."""

import sys
from contextlib import nullcontext


def parts_untracked():
    """Keep MLflow's autologging from taking an estimator inside a fit for the model.

    ``mlflow.sklearn.autolog`` patches the ``fit`` of scikit-learn's estimators, which a recipe
    uses as parts. Without it, nothing happens.
    """
    autologging = sys.modules.get("mlflow.utils.autologging_utils")
    return nullcontext() if autologging is None else autologging.disable_autologging()
