"""A fitted detector as an MLflow model: its own file and a loader, no pickle."""

import tempfile
from pathlib import Path

from sklearn.utils.validation import check_is_fitted

from ocsdf._version import __version__

_FILE = "detector.ocsdf"


def save_mlflow_model(detector, path, **options):
    """Write a detector as an MLflow model of the flavour ``python_function``.

    ``mlflow.pyfunc.load_model(path).predict(frame)`` then gives score, verdict and certified
    radius (and the p-value of a :class:`ConformalDetector`) of each row; Spark, batch jobs and
    ``mlflow models serve`` take it as any other. The folder holds the file of
    ``detector.save``, which is read back without pickle.

    Parameters
    ----------
    detector : OCSDF or ConformalDetector
        Fitted, with a file format of its own.
    path : str or os.PathLike
        The folder to be; ``mlflow.log_artifacts`` or a model registry takes it from there.
    **options
        Passed to ``mlflow.pyfunc.save_model``: ``signature``, ``input_example`` and others.

    Raises
    ------
    ImportError
        Without mlflow or mlflow-skinny.
    TypeError
        If the detector has no file format of its own.
    """
    try:
        import mlflow.pyfunc
    except ModuleNotFoundError as error:
        if error.name != "mlflow":
            raise
        raise ImportError("MLflow models need mlflow: pip install mlflow-skinny") from None
    check_is_fitted(detector)
    requirements = {"pip_requirements": [f"ocsdf=={__version__}"]}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _FILE
        detector.save(file)
        mlflow.pyfunc.save_model(
            path=str(path), loader_module=__name__, data_path=str(file), **requirements | options
        )


class _ScoredRows:
    """What MLflow calls: rows to a data frame of scores."""

    def __init__(self, detector):
        self._detector = detector

    def predict(self, model_input, params=None):
        """Judge rows; see :func:`save_mlflow_model`."""
        from ocsdf.sklearn_compat.frames import score_frame

        return score_frame(self._detector, model_input)


def _load_pyfunc(path):
    """MLflow's hook: read what :func:`save_mlflow_model` wrote."""
    from ocsdf.sklearn_compat.loading import load_detector

    return _ScoredRows(load_detector(path))
