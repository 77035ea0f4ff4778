"""Imports that need a word, or silence: parts that are not installed, TensorFlow, Keras."""

import os
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder

_STDERR = 2


class NotInstalled:
    """Says what to do where a part is not installed; asked after all other finders of modules."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Refuse the part that a source tree lacks."""
        if name == "ocsdf.sklearn_compat":
            raise ModuleNotFoundError(
                "ocsdf was imported from its source tree, where ocsdf.sklearn_compat is not "
                "installed: run 'pip install -e .' there, or start Python in another folder.",
                name=name,
            )


class KerasForUs:
    """Loads TensorFlow and Keras where this package needs them; asked before other finders.

    TensorFlow's C++ code logs as it loads, whatever it is told; here that goes nowhere, and nothing
    is set that lasts. Keras must compute by TensorFlow. Whoever imports them first himself gets
    what he would get without this package.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Find TensorFlow or Keras for a module of this package."""
        if name not in _LOADERS or not _is_for_us():
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader = spec.loader

            def execute(module):
                del loader.exec_module
                _LOADERS[name](loader, module)

            loader.exec_module = execute
        return spec


def check_keras():
    """Raise an ImportError if Keras does not compute by TensorFlow."""
    import keras

    _check_backend(keras.config.backend())


def _load_tensorflow(loader, module):
    with _stderr_hidden():
        loader.exec_module(module)
        module.config.list_physical_devices()  # what it finds of GPUs it tells, too


def _load_keras(loader, module):
    try:
        loader.exec_module(module)
    except (ImportError, ValueError) as error:
        # What Keras is set to is known before it looks for the backend.
        config = sys.modules.get("keras.src.backend.config")
        if config is not None:
            _check_backend(config.backend(), error)
        raise
    _check_backend(module.config.backend())


def _check_backend(backend, cause=None):
    if backend != "tensorflow":
        raise ImportError(
            f"ocsdf trains by TensorFlow, and Keras is set to the backend {backend!r}: set the "
            "environment variable KERAS_BACKEND=tensorflow before Keras is imported"
        ) from cause


_LOADERS = {"tensorflow": _load_tensorflow, "keras": _load_keras}


def _is_for_us():
    """Tell whether a module of this package is among those whose imports are under way."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("ocsdf.") and name != __name__:
            return True
        frame = frame.f_back
    return False


@contextmanager
def _stderr_hidden():
    """Send what is written to the standard error nowhere, by C++ code as well."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a process without one hides nothing
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
