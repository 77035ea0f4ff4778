"""A folder of models: a file a segment, one of all rows, and one list of them. No pickle."""

import json
import zipfile
from pathlib import Path

import numpy as np
from sklearn.base import clone

from ocsdf.sklearn_compat.conformal import ConformalDetector
from ocsdf.sklearn_compat.estimator import OCSDF
from ocsdf.utils.files import write_whole

_INDEX, _COMMON = "segments.json", "all-rows.ocsdf"
_FORMAT = "ocsdf-segments"


def save(detector, folder):
    """Write a folder of models: a file a segment, and last one list of them."""
    folder, files = check_folder(folder), {}
    for place, (label, own) in enumerate(detector.segments_.items()):
        files[label] = f"segment-{place:05}.ocsdf"
        own.save(folder / files[label])
    detector.common_.save(folder / _COMMON)
    index = {
        "format": _FORMAT,
        "by": detector.by,
        "least_rows": detector.least_rows,
        "columns": [str(name) for name in detector.feature_names_in_],
        "segments": [
            {"label": label, "rows": rows, "file": files.get(label)}
            for label, rows in detector.n_rows_.items()
        ],
    }
    # Last, so that a folder with a list has all that it lists.
    write_whole(folder / _INDEX, json.dumps(index, indent=2) + "\n")


def load(cls, folder):
    """Read a folder of models, as a detector of a class, SegmentedDetector."""
    folder = Path(folder)
    try:
        index = json.loads((folder / _INDEX).read_bytes())
        if index["format"] != _FORMAT:
            raise ValueError("another format")
        by, columns, lines = index["by"], index["columns"], index["segments"]
        files = {line["label"]: line["file"] for line in lines if line["file"] is not None}
        if by not in columns or any(Path(name).name != name for name in files.values()):
            raise ValueError("its parts do not fit together")
        n_rows = {line["label"]: int(line["rows"]) for line in lines}
        least_rows = int(index["least_rows"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder} is no folder of models that SegmentedDetector.save wrote, or it is damaged "
            f"({type(error).__name__}); save it again"
        ) from error
    common = load_file(folder / _COMMON)
    detector = cls(clone(common), by, least_rows)
    detector.common_, detector.n_rows_ = common, n_rows
    detector.segments_ = {label: load_file(folder / name) for label, name in files.items()}
    detector.feature_names_in_ = np.array(columns, dtype=object)
    detector.n_features_in_ = len(columns)
    return detector


def load_file(path):
    """Read a detector of tables, calibrated or not."""
    try:
        with zipfile.ZipFile(path) as archive:
            calibrated = "detector.ocsdf" in archive.namelist()
    except Exception:  # a damaged file is answered with anything; what reads it whole says so
        calibrated = False
    return (ConformalDetector if calibrated else OCSDF).load(path)


def check_folder(folder):
    """Make a folder for models; a ValueError refuses one that is there and not empty."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"cannot write models to {folder}: it is not empty; name a new folder")
    folder.mkdir(exist_ok=True)
    return folder
