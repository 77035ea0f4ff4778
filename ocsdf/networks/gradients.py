"""The gradient of a score at rows, and vectors scaled to length 1."""

import numpy as np

from ocsdf.utils.forks import check_not_stuck
from ocsdf.utils.threads import slices

# Rows of one gradient. Always as many: rounding may depend on the shape and on a row's place.
BLOCK = 128


def input_gradient(network):
    """Make the function that gives a network's gradient at rows.

    Parameters
    ----------
    network : CertifiedNetwork or object
        As for :func:`pgd`.

    Returns
    -------
    callable
        Takes and gives an ndarray of shape (n_samples, n_features), float64. Numbers that are not
        finite are 0.

    Raises
    ------
    TypeError
        If the network has neither ``model`` nor ``value_and_gradient``.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.networks import input_gradient
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.6], [0.8]]), np.zeros(1))], (2,)))
    >>> input_gradient(network)(np.array([[1.0, 2.0]]))
    array([[0.6, 0.8]])
    """
    if hasattr(network, "value_and_gradient"):
        return lambda rows: _finite(network.value_and_gradient(rows)[1])
    if not hasattr(network, "model"):
        raise TypeError(
            "network must have a Keras model as its attribute model, or value_and_gradient(points) "
            f"to take gradients of; {type(network).__name__} has neither."
        )
    check_not_stuck("A gradient of a Keras model")
    import tensorflow as tf

    # As one graph: step by step, a mean of networks and distances takes many times as long.
    @tf.function
    def differentiate(rows):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(rows)
            values = network.model(rows)
        return tape.gradient(values, rows)

    def gradient(rows):
        padded = np.zeros((-(-len(rows) // BLOCK) * BLOCK, rows.shape[1]), dtype=np.float32)
        padded[: len(rows)] = rows
        for block in slices(len(padded), BLOCK):
            padded[block] = differentiate(tf.constant(padded[block])).numpy()
        return _finite(padded[: len(rows)])

    return gradient


def unit(vectors):
    """Divide by the norm along the last axis; zero stays zero."""
    # First by the largest entry, so that squares neither overflow nor vanish.
    vectors = vectors / or_one(np.abs(vectors).max(axis=-1, keepdims=True))
    return vectors / or_one(np.linalg.norm(vectors, axis=-1, keepdims=True))


def or_one(numbers):
    """Put 1 in the place of what is not above 0, so that it can be divided by."""
    return np.where(numbers > 0.0, numbers, 1.0)


def _finite(gradient):
    return np.nan_to_num(np.asarray(gradient, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
