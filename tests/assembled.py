"""Networks of exact distances and of minima, assembled from the layers."""

import keras
import numpy as np

from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.ensembles import ScaledMinimum
from ocsdf.networks.layers import Asinh


def build_distance(references, group_sizes, norm="l1", softening=None):
    """Minus the mean distance to rows; both sides softened by s asinh(x / s), where s is given."""
    distance = SubsampleDistance(len(references), group_sizes, norm)
    if softening is not None:
        references = softening * np.arcsinh(references / softening)
    model = _chain(references.shape[1:], distance, softening)
    distance.references.assign(references)
    return model


def least(members, scales, levels, softening=None):
    """Minimum of networks of the same, softened rows."""
    minimum = ScaledMinimum(members, scales)
    model = _chain(members[0].input_shape[1:], minimum, softening)
    minimum.levels.assign(levels)
    return model


def _chain(shape, layer, softening):
    layers = [keras.Input(shape), layer]
    if softening is not None:
        layers.insert(1, Asinh(softening))
    return keras.Sequential(layers)
