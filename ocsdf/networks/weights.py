"""Values of Keras variables as arrays."""

import numpy as np


def to_numpy(variable):
    """Copy a variable's or a tensor's value into an array.

    Keras's own ``numpy()`` makes NumPy 2 warn of TensorFlow's tensors at each call.
    """
    return np.array(np.asarray(getattr(variable, "value", variable)))


def weights_of(model):
    """Copy a model's weights into a list of arrays, as ``get_weights`` does."""
    return [to_numpy(variable) for variable in model.weights]
