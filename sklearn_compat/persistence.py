"""One zip file for a fitted detector: JSON and plain arrays. No pickle, and nothing of Keras.

Version 2 holds the operations of the network. Files of version 1 are read by
:mod:`ocsdf.sklearn_compat.persistence_v1`.
"""

import os
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np

from ocsdf._version import __version__
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.data.encoders import ColumnEncoder
from ocsdf.operations.base import from_description
from ocsdf.operations.piecewise import Piecewise
from ocsdf.sklearn_compat.encoding import is_encoder_of
from ocsdf.sklearn_compat.parameter_checks import plain_parameters
from ocsdf.training.domain import DOMAINS
from ocsdf.utils.archives import Foreign, from_archive, read_members, to_archive
from ocsdf.utils.files import check_output, write_whole

_FORMAT, _VERSION = "ocsdf-detector", 2
_NETWORK, _STRETCH = "network.", "stretch."


def save(estimator, path):
    """Write a fitted OCSDF or ImageOCSDF; see :meth:`OCSDF.save`."""
    check_output(path)
    write_whole(path, to_bytes(estimator))


def to_bytes(estimator):
    """Return the content of a fitted detector's file."""
    parameters = plain_parameters(estimator).get_params(deep=False)
    if parameters.pop("callbacks") is not None:
        warnings.warn("callbacks are not saved; pass them again after loading.", stacklevel=4)
    if not isinstance(parameters["random_state"], Integral | None):
        warnings.warn("random_state is no integer and is not saved.", stacklevel=4)
        parameters["random_state"] = None
    names = getattr(estimator, "feature_names_in_", None)
    network, arrays = estimator._network.network.describe(_NETWORK)
    meta = {
        "format": _FORMAT,
        "version": _VERSION,
        "class": type(estimator).__name__,
        "versions": _versions(),
        "parameters": parameters,
        "domain": next(name for name, kind in DOMAINS.items() if kind is type(estimator.domain_)),
        "offset": estimator.offset_,
        "margin": estimator.margin_,
        "n_iter": estimator.n_iter_,
        "history": estimator.history_,
        "feature_names": None if names is None else [str(name) for name in names],
        "encoder": None if estimator.encoder_ is None else estimator.encoder_.describe(),
        # Of images only.
        "image_shape": getattr(estimator, "image_shape_", None),
        "network": network,
    }
    own = {"mean": estimator.mean_, "scale": estimator.scale_, **estimator.domain_.arrays()}
    if estimator.training_scores_ is not None:
        own["training_scores"] = estimator.training_scores_
    if estimator.stretch_ is not None:
        meta["stretch"], stretch = estimator.stretch_.describe(_STRETCH)
        own |= stretch
    return to_archive(meta, own | arrays)


def load(cls, path):
    """Read a detector of a class, OCSDF or ImageOCSDF; see :meth:`OCSDF.load`."""
    return from_bytes(cls, Path(path).read_bytes(), os.fspath(path))


def from_bytes(cls, content, name):
    """Read the content of a detector's file; the name is for messages."""
    try:
        meta, arrays = _read(content)
        _check_kind(cls, meta)
        estimator = _restore(cls, meta, arrays)
        changes = _changes(meta["versions"])
    except Foreign as error:
        raise ValueError(f"{name} {error}") from error
    except Exception as error:  # parsers answer damaged files with anything
        raise ValueError(
            f"{name} is not a detector saved by {cls.__name__}.save, or it is damaged "
            f"({type(error).__name__}); save it again."
        ) from error
    if changes:
        warnings.warn(
            f"The detector was saved with {', '.join(changes)}: scores may differ in their "
            "last bits.",
            stacklevel=4,
        )
    return estimator


def _read(content):
    """Read a file of either version as one of version 2."""
    members = read_members(content)
    if "model.keras" in members:
        from ocsdf.sklearn_compat import persistence_v1

        return persistence_v1.read(members)
    return from_archive(content)


def _check_kind(cls, meta):
    """Refuse what is whole, but no detector of the class that this version reads."""
    if meta["format"] != _FORMAT:
        raise Foreign(f"is a file of the format {meta['format']!r}, not of {_FORMAT!r}.")
    if not isinstance(meta["version"], int) or meta["version"] > _VERSION:
        raise Foreign(
            f"is of version {meta['version']!r} and was saved by a newer ocsdf, "
            f"{meta['versions']['ocsdf']}; this one, {__version__}, reads versions up to "
            f"{_VERSION}: update it."
        )
    if meta["class"] != cls.__name__:
        raise Foreign(f"holds an {meta['class']}: read it by {meta['class']}.load.")


def _restore(cls, meta, arrays):
    parameters = meta["parameters"]
    for name in ("hidden_layer_sizes", "image_shape"):
        if parameters.get(name) is not None and parameters[name] != "auto":
            parameters[name] = tuple(parameters[name])
    estimator = cls(**parameters)
    prefixes = _NETWORK, _STRETCH
    own = {name: array for name, array in arrays.items() if not name.startswith(prefixes)}
    if meta.get("stretch") is not None:
        estimator.stretch_ = from_description(meta["stretch"], arrays)
    estimator.mean_, estimator.scale_ = (
        np.asarray(own.pop(name), np.float64) for name in ("mean", "scale")
    )
    # Files of earlier versions have none.
    estimator.training_scores_ = own.pop("training_scores", None)
    if estimator.training_scores_ is not None:
        estimator.training_scores_ = np.asarray(estimator.training_scores_, np.float64)
    estimator.domain_ = DOMAINS[meta["domain"]](**own)
    estimator.offset_, estimator.margin_ = float(meta["offset"]), float(meta["margin"])
    estimator.n_iter_, estimator.history_ = meta["n_iter"], meta["history"]
    estimator.n_features_in_ = len(estimator.mean_)
    if meta.get("encoder") is not None:
        estimator.encoder_ = ColumnEncoder.from_description(meta["encoder"])
        estimator.n_features_in_ = len(estimator.encoder_.columns_)
    if meta.get("image_shape") is not None:
        estimator.image_shape_ = tuple(meta["image_shape"])
    if meta["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(meta["feature_names"], dtype=object)
    network = from_description(meta["network"], arrays)
    network = CertifiedNetwork(network, *estimator._point_rounding())
    _check_consistent(estimator, network)
    estimator._set_network(network)
    return estimator


def _check_consistent(estimator, network):
    n_features, encoder = len(estimator.mean_), estimator.encoder_
    n_columns = estimator.n_features_in_
    names = getattr(estimator, "feature_names_in_", np.empty(n_columns))
    units = estimator.mean_, estimator.scale_, estimator.stretch_
    numbers = (estimator.mean_, estimator.scale_, estimator.offset_, estimator.margin_)
    if not (
        network.n_features == n_features
        and estimator.mean_.shape == estimator.scale_.shape == (n_features,)
        and names.shape == (n_columns,)
        and all(np.all(np.isfinite(value)) for value in numbers)
        and np.all(estimator.scale_ > 0.0)
        and estimator.domain_.contains(np.zeros((1, n_features))).shape == (1,)
        and 0.0 < network.lipschitz_bound < np.inf
        and (estimator.training_scores_ is None or _are_sorted(estimator.training_scores_))
        and (estimator.stretch_ is None or _is_stretch(estimator.stretch_, n_features))
        and (encoder is None or is_encoder_of(encoder, *units))
    ):
        raise ValueError("its parts do not fit together")


def _are_sorted(scores):
    """Tell whether scores are a vector of finite numbers, increasing."""
    return (
        scores.ndim == 1
        and scores.size
        and bool(np.all(np.diff(scores, prepend=scores[:1]) >= 0.0))
    )


def _is_stretch(stretch, n_features):
    """Tell whether a map fits and squeezes nothing, which the certificate's units rest on."""
    return (
        isinstance(stretch, Piecewise)
        and len(stretch.counts) == n_features
        and bool(stretch.slopes.min() >= 1.0)
    )


def _versions():
    return {"ocsdf": __version__, "numpy": np.__version__}


def _changes(saved):
    return [
        f"{name} {saved.get(name)} (now {version})"
        for name, version in _versions().items()
        if saved.get(name) != version
    ]
