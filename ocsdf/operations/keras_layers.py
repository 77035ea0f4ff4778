"""How operations make Keras layers, without loading Keras before one is asked for."""

from importlib import import_module

import numpy as np


def own_layer(name, *settings, **more):
    """Make a Keras layer of :mod:`ocsdf.networks`, which stands above operations, by its name."""
    module, name = name.split(".")
    return getattr(import_module(f"ocsdf.networks.{module}"), name)(
        *settings, dtype="float32", **more
    )


def built(layer, shape, *weights):
    """Build a Keras layer for inputs of a shape, and set its weights."""
    layer.build((None, *shape))
    layer.set_weights([np.asarray(weight, dtype=np.float32) for weight in weights])
    return layer
