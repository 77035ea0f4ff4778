"""What several tests are made of: networks of exact distances and of minima, a mixed table."""

import keras
import numpy as np
import pandas as pd

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.ensembles import ScaledMinimum
from ocsdf.networks.layers import Asinh

START = pd.Timestamp("2024-03-01 09:30")


def mixed_table(n_rows, n_units, unit, seed=0):
    """Numbers that depend on a category, a second category, and dates of a unit."""
    rng = np.random.default_rng(seed)
    proto = rng.choice(["tcp", "udp", "icmp"], n_rows, p=[0.6, 0.3, 0.1])
    return pd.DataFrame(
        {
            "size": rng.normal(size=n_rows) + 2.0 * (proto == "udp"),
            "proto": proto,
            "when": START + pd.to_timedelta(rng.integers(0, n_units, n_rows), unit=unit),
            "load": 100.0 + 20.0 * rng.normal(size=n_rows),
            "flag": rng.choice(["S", "R"], n_rows),
        }
    )


def build_distance(references, group_sizes, norm="l1", softening=None):
    """Minus the mean distance to rows; both sides softened by s asinh(x / s), where s is given."""
    distance = SubsampleDistance(len(references), group_sizes, norm)
    if softening is not None:
        references = softening * np.arcsinh(references / softening)
    model = _chain(references.shape[1:], distance, softening)
    distance.references.assign(references)
    return model


def affine_network(weights, bias):
    """An affine network of rows, certified."""
    model = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(1)])
    model.set_weights([weights[:, None], np.array([bias])])
    return CertifiedNetwork.from_keras(model)


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
