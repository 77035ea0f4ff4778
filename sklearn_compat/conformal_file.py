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

FORMAT = "ocsdf-conformal"
_SCORES, _DETECTOR = "scores.{}", "detector.ocsdf"
_LABELS = (str, int, float, bool)


def save(conformal, path):
    """Write a fitted ConformalDetector; see :meth:`ConformalDetector.save`."""
    detector = conformal.estimator_
    if type(detector).__name__ not in _classes():
        raise TypeError(
            f"{type(detector).__name__} has no file format of its own: pickle the detector."
        )
    check_output(path)
    parameters = conformal.get_params(deep=False)
    del parameters["estimator"]
    if not isinstance(parameters["random_state"], Integral | None):
        warnings.warn("random_state is no integer and is not saved.", stacklevel=3)
        parameters["random_state"] = None
    groups = conformal.calibration_.scores
    if list(groups) != [None] and not all(isinstance(label, _LABELS) for label in groups):
        raise TypeError("groups can be saved where they are text or numbers; convert them first.")
    meta = {
        "format": FORMAT,
        "version": __version__,
        "detector": type(detector).__name__,
        "parameters": parameters,
        "groups": list(groups),
        # A group without calibration rows has no array.
        "counts": [len(rows) for rows in groups.values()],
    }
    arrays = {
        _SCORES.format(place): rows for place, rows in enumerate(groups.values()) if len(rows)
    }
    own = {_DETECTOR: persistence.to_bytes(detector)}
    write_whole(path, to_archive(meta, arrays | own))


def load(cls, path):
    """Read a detector of a class, ConformalDetector; see :meth:`ConformalDetector.load`."""
    name = os.fspath(path)
    content = Path(path).read_bytes()
    try:
        meta, members = from_archive(content)
        if meta["format"] != FORMAT:
            raise ValueError("another format")
        kind = _classes()[meta["detector"]]
        detector = persistence.from_bytes(kind, members.pop(_DETECTOR), name)
        groups, counts = meta["groups"], meta["counts"]
        scores = [
            np.asarray(members[_SCORES.format(place)], np.float64) if count else np.empty(0)
            for place, count in enumerate(counts)
        ]
        fits = (part.shape == (n,) for part, n in zip(scores, counts, strict=True))
        if (
            len(groups) != len(scores)
            or not all(fits)
            or not np.isfinite(np.concatenate(scores)).all()
        ):
            raise ValueError("its parts do not fit together")
        conformal = cls(clone(detector), **meta["parameters"])
        conformal._check_parameters()
        labels = np.repeat(np.array(groups, dtype=object), counts)
    except Exception as error:  # parsers answer damaged files with anything
        raise ValueError(
            f"{name} is not a detector saved by ConformalDetector.save, or it is damaged "
            f"({type(error).__name__}); save it again."
        ) from error
    conformal._adopt(detector, Calibration(np.concatenate(scores), labels, groups))
    return conformal


def _classes():
    """The classes that have a file format of their own, by name."""
    from ocsdf.sklearn_compat.estimator import OCSDF
    from ocsdf.sklearn_compat.image_estimator import ImageOCSDF

    return {"OCSDF": OCSDF, "ImageOCSDF": ImageOCSDF}
