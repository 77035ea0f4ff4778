"""Builders: 1-Lipschitz networks in training, certified ones, and means of networks."""

import keras
import numpy as np

from ocsdf.networks.ensembles import WeightedMean
from ocsdf.networks.layers import ACTIVATIONS, BjorckDense, Orthogonal
from ocsdf.networks.weights import to_numpy
from ocsdf.operations.orthogonal import polished

ORTHOGONALITY = ("projection", "reparametrization")


def build_mlp(
    n_features,
    hidden_layer_sizes,
    activation="fullsort",
    orthogonality="projection",
    seed=0,
):
    """Build a 1-Lipschitz multilayer perceptron for training (OCSDF Def. 2, App. D, Table 6).

    Every kernel is orthogonal (its rows or its columns are orthonormal), the last one a unit
    vector, and activations sort.

    Parameters
    ----------
    n_features : int
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    activation : {"fullsort", "groupsort2"}
        Sort the whole layer, or pairs of units.
    orthogonality : {"projection", "reparametrization"}
        Move kernels back by one Björck step after each update, or orthogonalize free
        weights in the forward pass, as in the paper.
    seed : int
        Seed of the kernels' initial values.

    Returns
    -------
    keras.Sequential
        Maps (n, n_features) to (n, 1).

    Raises
    ------
    ValueError
        If ``groupsort2`` is asked to pair an odd number of units.

    Examples
    --------
    >>> from ocsdf.networks import build_mlp
    >>> build_mlp(3, (16, 16), activation="groupsort2").output_shape
    (None, 1)
    """
    sizes = [*hidden_layer_sizes, 1]
    layers = [keras.Input((n_features,))]
    for index, (units, initializer) in enumerate(
        zip(sizes, _initializers(sizes, seed), strict=True)
    ):
        if index:
            layers.append(ACTIVATIONS[activation]())
        if activation == "groupsort2" and index < len(hidden_layer_sizes) and units % 2:
            raise ValueError(
                f"activation='groupsort2' sorts pairs, so hidden layers need an even number of "
                f"units; got {units} in hidden_layer_sizes={tuple(hidden_layer_sizes)}."
            )
        if orthogonality == "projection":
            layer = keras.layers.Dense(
                units, kernel_initializer=initializer, kernel_constraint=Orthogonal()
            )
        else:
            layer = BjorckDense(units, kernel_initializer=initializer)
        layers.append(layer)
    return keras.Sequential(layers)


def initial_weights(n_features, hidden_layer_sizes, seed=0):
    """Draw the weights that :func:`build_mlp` begins with, kernel and bias in turn, as float32."""
    sizes = [*hidden_layer_sizes, 1]
    weights, n_in = [], n_features
    for units, initializer in zip(sizes, _initializers(sizes, seed), strict=True):
        kernel = to_numpy(initializer((n_in, units), dtype="float32"))
        weights += [kernel, np.zeros(units, np.float32)]
        n_in = units
    return weights


def _initializers(sizes, seed):
    """Make the initializer of each layer's kernel."""
    seeds = np.random.default_rng(seed).integers(2**31, size=len(sizes))
    return [keras.initializers.Orthogonal(seed=int(layer_seed)) for layer_seed in seeds]


def condense(model):
    """Turn a trained network into plain layers whose bounds are at most 1.

    Each kernel is replaced by the nearest orthogonal one, in float64, then divided by its own
    float64 bound until the float32 result's bound is at most 1, see
    :func:`ocsdf.operations.orthogonal.polished`.

    Parameters
    ----------
    model : keras.Sequential
        As made by :func:`build_mlp`; it is left as it is.

    Returns
    -------
    model : keras.Sequential
        The same function up to the polishing, of ``Dense`` and sorting layers only; with
        :func:`ocsdf.networks.lipschitz.network_bound` at most 1 in l2.

    Examples
    --------
    >>> from ocsdf.networks import build_mlp, condense, network_bound
    >>> network_bound(condense(build_mlp(3, (16, 16)))) <= 1.0
    True
    """
    return with_plain_layers(model, polished_weights)


def with_plain_layers(model, polish):
    """Rebuild a network of dense and sorting layers from plain ones.

    ``polish(layer)`` returns a dense layer's kernel and its bias, as they are to be.
    """
    layers, weights = [keras.Input(model.input_shape[1:])], []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            weights += polish(layer)
            # The weights are set below; drawing them first would use up global randomness.
            layers.append(keras.layers.Dense(layer.units, kernel_initializer="zeros"))
        else:
            layers.append(type(layer).from_config(layer.get_config()))
    condensed = keras.Sequential(layers)
    condensed.set_weights(weights)
    return condensed


def polished_weights(layer):
    """Return the polished kernel of a trained dense layer of :func:`build_mlp`, and its bias."""
    kernel = layer.orthogonal_kernel()[0] if isinstance(layer, BjorckDense) else layer.kernel
    return polished(to_numpy(kernel)), to_numpy(layer.bias)


def average(members, weights):
    """Build the weighted mean of networks as one network.

    Parameters
    ----------
    members : sequence of keras.Sequential
        Networks of the same input.
    weights : sequence of float
        As of :class:`ocsdf.networks.ensembles.WeightedMean`, which may refuse them.

    Returns
    -------
    keras.Sequential

    Examples
    --------
    >>> from ocsdf.networks import average, build_mlp, condense, network_bound
    >>> members = [condense(build_mlp(3, (4,), seed=seed)) for seed in range(2)]
    >>> mean = average(members, [0.5, 0.5])
    >>> mean.output_shape, network_bound(mean) <= 1.0
    ((None, 1), True)
    """
    return keras.Sequential(
        [keras.Input(members[0].input_shape[1:]), WeightedMean(members, weights)]
    )
