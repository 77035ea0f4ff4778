"""One zip file for a calibrated detector: the detector's own file, JSON and arrays. No pickle."""

import os
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.base import clone

from ocsdf._version import __version__
from ocsdf.decisions.calibration import Calibration
from ocsdf.sklearn_compat import persistence
from ocsdf.utils.archives import from_archive, to_archive
from ocsdf.utils.files import check_output, write_whole

_FORMAT = "ocsdf-conformal"
_SCORES, _DETECTOR = "scores.", "detector.ocsdf"
_LABELS = (str, int, float, bool)


def save(conformal, path):
    """Write a calibrated detector; see :meth:`ConformalDetector.save`.

    Parameters
    ----------
    conformal : ConformalDetector
        Fitted.
    path : str or os.PathLike
    """
    detector = conformal.estimator_
    if type(detector).__name__ not in _readers():
        raise TypeError(
            f"{type(detector).__name__} has no file format of its own: pickle the detector."
        )
    check_output(path)
    parameters = conformal.get_params(deep=False)
    del parameters["estimator"]
    if not isinstance(parameters["random_state"], Integral | None):
        warnings.warn("random_state is no integer and is not saved.", stacklevel=3)
        parameters["random_state"] = None
    labels = list(conformal.calibration_.scores)
    if labels != [None] and not all(isinstance(label, _LABELS) for label in labels):
        raise TypeError("groups can be saved where they are text or numbers; convert them first.")
    meta = {
        "format": _FORMAT,
        "version": __version__,
        "detector": type(detector).__name__,
        "parameters": parameters,
        "groups": labels,
    }
    scores = {
        f"{_SCORES}{i}": part for i, part in enumerate(conformal.calibration_.scores.values())
    }
    write_whole(path, to_archive(meta, {_DETECTOR: persistence.to_bytes(detector)} | scores))


def load(cls, path):
    """Read a calibrated detector; see :meth:`ConformalDetector.load`.

    Parameters
    ----------
    cls : type
        ConformalDetector.
    path : str or os.PathLike

    Returns
    -------
    ConformalDetector
    """
    content = Path(path).read_bytes()
    try:
        meta, arrays = from_archive(content)
        if meta["format"] != _FORMAT:
            raise ValueError("another format")
        reader = _readers()[meta["detector"]]
        detector = persistence.from_bytes(reader, arrays.pop(_DETECTOR), _DETECTOR)
        scores = [np.float64(arrays[f"{_SCORES}{i}"]) for i in range(len(arrays))]
        groups = meta["groups"]
        if len(groups) != len(scores) or not all(
            part.ndim == 1 and np.isfinite(part).all() for part in scores
        ):
            raise ValueError("its parts do not fit together")
        conformal = cls(clone(detector), **meta["parameters"])
        conformal._check_parameters()
    except Exception as error:  # parsers answer damaged files with anything
        raise ValueError(
            f"{os.fspath(path)} is not a detector saved by ConformalDetector.save, or it is "
            f"damaged ({type(error).__name__}); save it again."
        ) from error
    labels = np.repeat(np.array(groups, dtype=object), [len(part) for part in scores])
    conformal._adopt(detector, Calibration(np.concatenate(scores), labels, groups))
    return conformal


def load_detector(path):
    """Read a detector of tables from its file, whether it is calibrated or not.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    OCSDF or ConformalDetector

    Raises
    ------
    ValueError
        If it is neither's file.
    """
    from ocsdf.sklearn_compat.conformal import ConformalDetector
    from ocsdf.sklearn_compat.estimator import OCSDF

    calibrated = False
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            calibrated = _SCORES in archive.namelist()
    return (ConformalDetector if calibrated else OCSDF).load(path)


def _readers():
    """The classes that have a file format of their own, by name."""
    from ocsdf.sklearn_compat.estimator import OCSDF
    from ocsdf.sklearn_compat.image_estimator import ImageOCSDF

    return {"OCSDF": OCSDF, "ImageOCSDF": ImageOCSDF}
