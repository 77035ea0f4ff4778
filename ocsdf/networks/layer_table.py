"""The table that translates layers into operations, and how it is used.

A layer is looked up by its very class: a subclass may compute something else than the class whose
proof is known. What is not in the table is refused by name. :mod:`ocsdf.networks.translation` fills
it.
"""

import keras
import numpy as np

from ocsdf.networks.weights import to_numpy
from ocsdf.operations.chain import Chain
from ocsdf.operations.fields import freeze

TABLE = {}


def register(layer_class, translate):
    """Add a layer to the table.

    Parameters
    ----------
    layer_class : type
        The very class; subclasses are not meant.
    translate : callable
        Takes a built layer, gives the list of :class:`ocsdf.operations.Operation` that computes
        the same at inference; none is the identity.

    Examples
    --------
    >>> import keras
    >>> from ocsdf.networks import network_bound, register
    >>> class Shift(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return inputs + 1.0
    >>> register(Shift, lambda layer: [])  # a shift changes no distance
    >>> round(network_bound(keras.Sequential([keras.Input((3,)), Shift()])), 6)
    1.0
    """
    TABLE[layer_class] = translate


def translate(model):
    """Translate a sequential network into operations, with its weights as they are now.

    Parameters
    ----------
    model : keras.Sequential
        Its layers are those that :func:`ocsdf.networks.layer_bound` lists.

    Returns
    -------
    Chain

    Raises
    ------
    TypeError
        If the model is not sequential or has a layer without a known bound.
    ValueError
        If a weight is NaN or infinite.

    Examples
    --------
    >>> import keras
    >>> from ocsdf.networks import translate
    >>> network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, "relu")])
    >>> [type(operation).__name__ for operation in translate(network).operations]
    ['Dense', 'Rectifier']
    """
    operations = [op for layer in _layers_in_order(model) for op in translate_layer(layer)]
    return Chain(operations, model.input_shape[1:])


def translate_layer(layer):
    """Translate one layer into a list of operations; see :func:`translate`."""
    _check_plain(layer)
    if type(layer) not in TABLE:
        raise refusal(layer)
    operations = TABLE[type(layer)](layer)
    for part in operations:
        if part.label is None:
            freeze(part, label=f"layer {layer.name!r} of type {type(layer).__name__}")
    return operations


def _layers_in_order(model):
    """Return the layers of a sequential network, those of one inside it in its place."""
    if type(model) is not keras.Sequential:
        raise TypeError(
            f"Expected a keras.Sequential model, whose bound is its layers' product; got "
            f"{type(model).__name__}."
        )
    _check_plain(model)
    return [
        part
        for layer in model.layers
        for part in (_layers_in_order(layer) if isinstance(layer, keras.Sequential) else [layer])
    ]


def _check_plain(layer):
    """Check that a layer computes in float32, as its class does."""
    if layer.dtype_policy.name != "float32":
        raise TypeError(
            f"Expected float32 layers; {layer.name!r} has the policy {layer.dtype_policy.name}."
        )
    if own := {"call", "__call__"} & vars(layer).keys():
        raise refusal(layer, f" with a {min(own)} of its own")


def refusal(layer, detail=""):
    """Make the error that names a layer without a known bound."""
    return TypeError(
        f"No Lipschitz bound is known for layer {layer.name!r} of type "
        f"{type(layer).__name__}{detail}; use layers that ocsdf.networks.layer_bound lists."
    )


def weight_of(layer, name, default=None):
    """Return a layer's weight in float64, or the default where it has none."""
    variable = getattr(layer, name)
    if variable is None:
        return default
    weight = np.asarray(to_numpy(variable), dtype=np.float64)
    if not np.all(np.isfinite(weight)):
        raise ValueError(f"Cannot bound layer {layer.name!r} with NaN or infinite weights.")
    return weight
