"""Keras in float32 while a network is made or trained, whatever it is set to elsewhere."""

import threading
from contextlib import contextmanager

import keras

_lock = threading.Lock()
_users = []
_kept = []


@contextmanager
def keras_in_float32():
    """Set Keras to float32, and back as the last user leaves.

    Layers keep the precision in which they are made; optimizers and constants take Keras's own,
    which a user's ``set_floatx``, ``set_dtype_policy`` or ``keras.json`` may have changed.
    """
    with _lock:
        if not _users:
            _kept[:] = [keras.config.floatx(), keras.config.dtype_policy()]
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
        _users.append(None)
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            if not _users:
                keras.config.set_floatx(_kept[0])
                keras.config.set_dtype_policy(_kept[1])
