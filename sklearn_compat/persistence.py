"""One zip file for a fitted detector: a Keras model, JSON and arrays. No pickle."""

import io
import json
import os
import tempfile
import warnings
import zipfile
from numbers import Integral
from pathlib import Path

import keras
import numpy as np

# They register the layers that a saved network names.
import ocsdf.networks.cones
import ocsdf.networks.convolutions
import ocsdf.networks.distances
import ocsdf.networks.ensembles
import ocsdf.networks.layers
import ocsdf.networks.nearest
import ocsdf.networks.piecewise  # noqa: F401
from ocsdf._version import __version__
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.training.domain import DOMAINS
from ocsdf.utils.files import check_output, write_whole

_FORMAT = "ocsdf-detector"
_MODEL, _META, _ARRAYS = "model.keras", "meta.json", "arrays.npz"


def save(estimator, path):
    """Write a fitted detector; see :meth:`OCSDF.save`.

    Parameters
    ----------
    estimator : OCSDF
    path : str or os.PathLike
    """
    check_output(path)
    parameters = estimator.get_params(deep=False)
    if parameters.pop("callbacks") is not None:
        warnings.warn("callbacks are not saved; pass them again after loading.", stacklevel=3)
    if not isinstance(parameters["random_state"], Integral | None):
        warnings.warn("random_state is no integer and is not saved.", stacklevel=3)
        parameters["random_state"] = None
    names = getattr(estimator, "feature_names_in_", None)
    meta = {
        "format": _FORMAT,
        "versions": _versions(),
        "parameters": parameters,
        "domain": next(name for name, kind in DOMAINS.items() if kind is type(estimator.domain_)),
        "offset": estimator.offset_,
        "margin": estimator.margin_,
        "n_iter": estimator.n_iter_,
        "history": estimator.history_,
        "feature_names": None if names is None else [str(name) for name in names],
        # Of images only.
        "image_shape": getattr(estimator, "image_shape_", None),
    }
    arrays = {"mean": estimator.mean_, "scale": estimator.scale_, **estimator.domain_.arrays()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w") as archive:
        archive.writestr(_META, json.dumps(meta, default=_plain_number))
        archive.writestr(_ARRAYS, buffer.getvalue())
        archive.writestr(_MODEL, model_to_bytes(estimator.model_))
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
    content = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            meta = json.loads(archive.read(_META))
            if meta["format"] != _FORMAT:
                raise ValueError("another format")
            with np.load(io.BytesIO(archive.read(_ARRAYS)), allow_pickle=False) as stored:
                arrays = dict(stored)
            network = network_from_bytes(archive.read(_MODEL))
        estimator, changes = _restore(cls, meta, arrays, network), _changes(meta["versions"])
    except Exception as error:  # parsers answer damaged files with anything
        raise ValueError(
            f"{os.fspath(path)} is not a detector saved by OCSDF.save, or it is damaged "
            f"({type(error).__name__}); save it again."
        ) from error
    if changes:
        warnings.warn(
            f"The detector was saved with {', '.join(changes)}: scores may differ in their "
            "last bits.",
            stacklevel=3,
        )
    return estimator


def model_to_bytes(model):
    """Write a Keras model as the bytes of a ``.keras`` file.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    bytes
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _MODEL
        model.save(file)
        return file.read_bytes()


def network_from_bytes(content):
    """Read what :func:`model_to_bytes` wrote, in Keras' safe mode, and bound it anew.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    CertifiedNetwork
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _MODEL
        file.write_bytes(content)
        model = keras.models.load_model(file, compile=False, safe_mode=True)
        return CertifiedNetwork.from_keras(model)


def _restore(cls, meta, arrays, network):
    parameters = meta["parameters"]
    for name in ("hidden_layer_sizes", "image_shape"):
        if parameters.get(name) is not None:
            parameters[name] = tuple(parameters[name])
    estimator = cls(**parameters)
    estimator.mean_, estimator.scale_ = arrays.pop("mean"), arrays.pop("scale")
    estimator.domain_ = DOMAINS[meta["domain"]](**arrays)
    estimator.offset_, estimator.margin_ = float(meta["offset"]), float(meta["margin"])
    estimator.n_iter_, estimator.history_ = meta["n_iter"], meta["history"]
    estimator.n_features_in_ = len(estimator.mean_)
    if meta.get("image_shape") is not None:
        estimator.image_shape_ = tuple(meta["image_shape"])
    if meta["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(meta["feature_names"], dtype=object)
    _check_consistent(estimator, network)
    estimator._set_network(network)
    return estimator


def _check_consistent(estimator, network):
    n_features = estimator.n_features_in_
    names = getattr(estimator, "feature_names_in_", np.empty(n_features))
    # The network's own are finite where all its weights are.
    own = (network.rounding_constant, network.rounding_slope)
    numbers = (estimator.mean_, estimator.scale_, estimator.offset_, estimator.margin_, *own)
    if not (
        network.n_features == n_features
        and estimator.mean_.shape == estimator.scale_.shape == names.shape
        and all(np.all(np.isfinite(value)) for value in numbers)
        and np.all(estimator.scale_ > 0.0)
        and estimator.domain_.contains(np.zeros((1, n_features))).shape == (1,)
        and 0.0 < network.lipschitz_bound < np.inf
    ):
        raise ValueError("its parts do not fit together")


def _versions():
    return {"ocsdf": __version__, "keras": keras.__version__, "numpy": np.__version__}


def _changes(saved):
    now = _versions()
    return [
        f"{name} {saved.get(name)} (now {now[name]})"
        for name in now
        if saved.get(name) != now[name]
    ]


def _plain_number(value):
    """Turn a NumPy number into JSON's; parameters may hold them."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in {_META}")
