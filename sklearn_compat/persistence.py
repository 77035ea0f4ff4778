"""One zip file for a fitted detector: a Keras model, JSON and arrays. No pickle."""

import io
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

import ocsdf.layers  # noqa: F401  registers the layers that a saved network names
from ocsdf._version import __version__
from ocsdf.domain import DOMAINS
from ocsdf.files import write_whole

_FORMAT = "ocsdf-detector"
_MODEL, _META, _ARRAYS = "model.keras", "meta.json", "arrays.npz"


def save(estimator, path):
    """Write a fitted detector; see :meth:`OCSDF.save`.

    Parameters
    ----------
    estimator : OCSDF
    path : str or os.PathLike
    """
    parameters = estimator.get_params(deep=False)
    if parameters.pop("callbacks") is not None:
        warnings.warn("callbacks are not saved; pass them again after loading.", stacklevel=3)
    if not isinstance(parameters["random_state"], (int, type(None))):
        parameters["random_state"] = None
    names = getattr(estimator, "feature_names_in_", None)
    meta = {
        "format": _FORMAT,
        "versions": _versions(),
        "parameters": parameters,
        "offset": estimator.offset_,
        "margin": estimator.margin_,
        "n_iter": estimator.n_iter_,
        "history": estimator.history_,
        "feature_names": None if names is None else [str(name) for name in names],
    }
    arrays = {"mean": estimator.mean_, "scale": estimator.scale_, **estimator.domain_.arrays()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with tempfile.TemporaryDirectory() as folder:
        estimator.model_.save(Path(folder) / _MODEL)
        model = (Path(folder) / _MODEL).read_bytes()
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w") as archive:
        archive.writestr(_META, json.dumps(meta, default=_plain_number))
        archive.writestr(_ARRAYS, buffer.getvalue())
        archive.writestr(_MODEL, model)
    write_whole(path, archive_bytes.getvalue())


def load(cls, path):
    """Read a detector; see :meth:`OCSDF.load`.

    Only the three members are read, by name, and never written anywhere by their own names.

    Parameters
    ----------
    cls : type
        OCSDF.
    path : str or os.PathLike

    Returns
    -------
    OCSDF
    """
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read(_META))
            if meta["format"] != _FORMAT:
                raise KeyError("format")
            with np.load(io.BytesIO(archive.read(_ARRAYS)), allow_pickle=False) as stored:
                arrays = dict(stored)
            model = _read_model(archive.read(_MODEL))
        return _restore(cls, meta, arrays, model)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError) as error:
        raise ValueError(
            f"{os.fspath(path)} is not a detector saved by OCSDF.save, or it is damaged "
            f"({type(error).__name__}); save it again."
        ) from error


def _restore(cls, meta, arrays, model):
    _warn_of_versions(meta["versions"])
    parameters = meta["parameters"]
    parameters["hidden_layer_sizes"] = tuple(parameters["hidden_layer_sizes"])
    estimator = cls(**parameters)
    estimator.mean_, estimator.scale_ = arrays.pop("mean"), arrays.pop("scale")
    estimator.domain_ = DOMAINS[parameters["domain"]](**arrays)
    estimator.offset_, estimator.margin_ = meta["offset"], meta["margin"]
    estimator.n_iter_, estimator.history_ = meta["n_iter"], meta["history"]
    estimator.n_features_in_ = len(estimator.mean_)
    if meta["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(meta["feature_names"], dtype=object)
    if model.input_shape != (None, estimator.n_features_in_):
        raise ValueError("the network does not fit the features")
    estimator._set_model(model)
    return estimator


def _read_model(content):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _MODEL
        file.write_bytes(content)
        return keras.models.load_model(file, compile=False, safe_mode=True)


def _versions():
    return {"ocsdf": __version__, "keras": keras.__version__, "numpy": np.__version__}


def _warn_of_versions(saved):
    now = _versions()
    other = [
        f"{name} {saved.get(name)} (now {now[name]})"
        for name in now
        if saved.get(name) != now[name]
    ]
    if other:
        warnings.warn(
            f"The detector was saved with {', '.join(other)}: scores may differ in the last bits.",
            stacklevel=4,
        )


def _plain_number(value):
    """Turn a NumPy number into JSON's; parameters may hold them."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in {_META}")
