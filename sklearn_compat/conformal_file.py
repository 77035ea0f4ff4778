"""One zip file for a calibrated detector: the detector's own file, JSON and arrays. No pickle."""

import io
import json
import os
import tempfile
import warnings
import zipfile
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.base import clone

from ocsdf._version import __version__
from ocsdf.decisions.calibration import Calibration
from ocsdf.utils.files import check_output, write_whole

_FORMAT = "ocsdf-conformal"
_META, _SCORES, _DETECTOR = "meta.json", "scores.npz", "detector.ocsdf"
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
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        "groups": labels,
    }
    arrays = io.BytesIO()
    np.savez(arrays, *conformal.calibration_.scores.values())
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w") as archive:
        detector.save(Path(folder) / _DETECTOR)
        archive.writestr(_META, json.dumps(meta))
        archive.writestr(_SCORES, arrays.getvalue())
        archive.writestr(_DETECTOR, (Path(folder) / _DETECTOR).read_bytes())
    write_whole(path, content.getvalue())


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
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            meta = json.loads(archive.read(_META))
            if meta["format"] != _FORMAT:
                raise ValueError("another format")
            with np.load(io.BytesIO(archive.read(_SCORES)), allow_pickle=False) as stored:
                scores = [np.asarray(stored[name], np.float64) for name in stored]
            detector = _read_detector(meta["detector"], archive.read(_DETECTOR))
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


def _readers():
    """The classes that have a file format of their own, by name."""
    from ocsdf.sklearn_compat.estimator import OCSDF
    from ocsdf.sklearn_compat.image_estimator import ImageOCSDF

    return {"OCSDF": OCSDF, "ImageOCSDF": ImageOCSDF}


def _read_detector(name, content):
    reader = _readers()[name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _DETECTOR
        file.write_bytes(content)
        return reader.load(file)


def _plain(value):
    """Turn a NumPy number into JSON's; parameters may hold them."""
    return value.item() if isinstance(value, np.generic) else value
