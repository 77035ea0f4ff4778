"""Checks of the estimator's parameters: each names what was expected and what came."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from ocsdf.training.callbacks import is_callback
from ocsdf.utils.checks import check_count, is_count

_CHOICES = {
    "method": ("anchored", "paper"),
    "emphasis": ("accuracy", "certificate", "contamination"),
    "activation": ("auto", "fullsort", "groupsort2"),
    "domain": ("box", "ball"),
    "seeds": ("auto", "uniform", "clear"),
    "orthogonality": ("projection", "reparametrization"),
    "standardize": (True, False),
    "missing": ("error", "indicate"),
    "verbose": (0, 1, 2),
}
_COUNTS = {"newton_steps": 0, "epochs": 1, "uniform_epochs": 0, "batch_size": 1}


def plain_parameters(estimator):
    """Copy an unfitted estimator, with parameters that are Python's own numbers.

    They may be scalars and arrays of NumPy, or fractions.
    """
    parameters = estimator.get_params(deep=False)
    return type(estimator)(**{name: _plain(value) for name, value in parameters.items()})


def check_parameters(estimator):
    """Check every parameter of an OCSDF before any work is done.

    A ValueError names the parameter, what is allowed and what came.
    """
    for name, choices in _CHOICES.items():
        value = getattr(estimator, name)
        if not (isinstance(value, str | Integral | np.bool_) and value in choices):
            raise _invalid(name, "one of " + ", ".join(map(repr, choices)), value)
    for name, least in _COUNTS.items():
        check_count(name, getattr(estimator, name), least)
    for name in ("margin", "hinge_weight", "learning_rate"):
        value = getattr(estimator, name)
        if not (_is(value, "auto") or _is_positive(value)):
            raise _invalid(name, "'auto' or a finite number > 0", value)
    updates = estimator.updates_per_batch
    if not (_is(updates, "converged") or is_count(updates, 1)):
        raise _invalid(
            "updates_per_batch", "an integer >= 1 or 'converged'", estimator.updates_per_batch
        )
    most = estimator.max_steps
    if not (most is None or _is(most, "auto") or is_count(most, 1)):
        raise _invalid("max_steps", "'auto', None or an integer >= 1", most)
    _check_contamination(estimator.contamination)
    _check_categorical(estimator.categorical_features)
    sizes = estimator.hidden_layer_sizes
    if not _is(sizes, "auto"):
        _check_hidden_layers(sizes, pairs=estimator.activation == "groupsort2")
    _check_optimizer(estimator.optimizer)
    _check_callbacks(estimator.callbacks)
    _check_random_state(estimator.random_state)


def check_image_parameters(estimator):
    """Check every parameter of an ImageOCSDF before any work is done, as those of an OCSDF."""
    shape = estimator.image_shape
    if shape is not None and not (
        isinstance(shape, tuple | list) and len(shape) == 3 and all(is_count(s, 1) for s in shape)
    ):
        raise _invalid("image_shape", "None or (height, width, channels)", shape)
    for name in ("margin", "hinge_weight", "learning_rate"):
        if not _is_positive(getattr(estimator, name)):
            raise _invalid(name, "a finite number > 0", getattr(estimator, name))
    for name in ("max_steps", "batch_size"):
        check_count(name, getattr(estimator, name), 1)
    verbose = estimator.verbose
    if not (isinstance(verbose, Integral) and verbose in _CHOICES["verbose"]):
        raise _invalid("verbose", "one of 0, 1, 2", verbose)
    _check_contamination(estimator.contamination)
    _check_hidden_layers(estimator.hidden_layer_sizes, pairs=True)
    _check_callbacks(estimator.callbacks)
    _check_random_state(estimator.random_state)


def _check_contamination(value):
    words = _is(value, "auto") or _is(value, "estimate")
    if not (words or (_is_positive(value) and value <= 0.5)):
        raise _invalid("contamination", "'auto', 'estimate' or a number in (0, 0.5]", value)


def _check_categorical(value):
    is_list = isinstance(value, tuple | list)
    if not (
        value is None
        or _is(value, "from_dtype")
        or (is_list and all(isinstance(one, str | Integral) for one in value))
    ):
        raise _invalid(
            "categorical_features",
            "'from_dtype', None, or a list of columns: their names, places, or a mark for each",
            value,
        )


def _check_random_state(value):
    try:
        check_random_state(value)
    except ValueError:
        raise _invalid("random_state", "None, an integer or a RandomState", value) from None


def _check_hidden_layers(sizes, pairs):
    if not isinstance(sizes, (tuple, list)) or not sizes or not all(is_count(s, 1) for s in sizes):
        raise _invalid("hidden_layer_sizes", "a non-empty tuple of integers >= 1", sizes)
    if pairs and any(size % 2 for size in sizes):
        raise _invalid(
            "hidden_layer_sizes", "even numbers, because activation='groupsort2' sorts pairs", sizes
        )


def _check_optimizer(name):
    if not isinstance(name, str):
        raise _invalid("optimizer", "the name of a Keras optimizer, as 'rmsprop' or 'adam'", name)
    if name.lower() == "rmsprop":
        return
    import keras  # loads TensorFlow, which NumPy does without

    try:
        keras.optimizers.get({"class_name": name, "config": {"learning_rate": 1e-3}})
    except (ValueError, TypeError, KeyError):
        raise _invalid(
            "optimizer", "the name of a Keras optimizer, as 'rmsprop' or 'adam'", name
        ) from None


def _check_callbacks(callbacks):
    if callbacks is None:
        return
    if not isinstance(callbacks, list | tuple) or not all(map(is_callback, callbacks)):
        expected = "None or a list of ocsdf.training.Callback or keras.callbacks.Callback"
        raise _invalid("callbacks", expected, callbacks)


def _plain(value):
    if hasattr(value, "to_numpy"):  # an index or a series, such as of names
        value = value.to_numpy()
    if isinstance(value, np.ndarray):
        return tuple(map(_plain, value.tolist())) if value.ndim else _plain(value.item())
    if isinstance(value, tuple | list) and any(isinstance(one, np.generic) for one in value):
        return tuple(map(_plain, value))
    if isinstance(value, np.generic):
        value = value.item()
    # A long double stays one, as its item.
    return float(value) if isinstance(value, Real) and not isinstance(value, Integral) else value


def _is(value, text):
    return isinstance(value, str) and value == text


def _is_positive(value):
    return isinstance(value, Real) and not isinstance(value, bool) and 0.0 < value < float("inf")


def _invalid(name, expected, value):
    return ValueError(f"{name} must be {expected}; got {value!r}.")
