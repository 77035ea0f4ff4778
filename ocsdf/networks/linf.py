"""Networks that are 1-Lipschitz in l-inf: each unit's weights have an l1 norm of at most 1."""

import keras
import numpy as np
from keras import ops

from ocsdf.networks.builders import with_plain_layers
from ocsdf.networks.layers import ACTIVATIONS
from ocsdf.networks.weights import to_numpy
from ocsdf.operations.matrix_bounds import column_sum_bound

# Of the weights that a unit has at first, beside one of size 1.
_NOISE = 0.02


def project_to_l1_ball(kernel):
    r"""Move each column of a matrix to the nearest point of the l1 ball of radius 1.

    .. math:: w_i \leftarrow \mathrm{sign}(w_i) \max(|w_i| - \theta, 0), \qquad
        \sum_i \max(|w_i| - \theta, 0) = 1

    where the l1 norm is above 1; other columns stay. With the k largest sizes
    :math:`u_1 \ge u_2 \ge \dots`, :math:`\theta = (\sum_{i \le k} u_i - 1) / k` for the last k with
    :math:`u_k > \theta` (Duchi et al., ICML 2008; Anil et al., ICML 2019, for this use). Columns
    have an l1 norm of at most 1, up to rounding.
    """
    sizes = ops.flip(ops.sort(ops.abs(kernel), axis=0), axis=0)
    counts = ops.reshape(ops.arange(1, kernel.shape[0] + 1, dtype=kernel.dtype), (-1, 1))
    thresholds = (ops.cumsum(sizes, axis=0) - 1.0) / counts
    # Sizes above their threshold come first, so that the last one's is the largest.
    thresholds = ops.where(sizes > thresholds, thresholds, 0.0)
    least = ops.relu(ops.max(thresholds, axis=0, keepdims=True))
    return ops.sign(kernel) * ops.relu(ops.abs(kernel) - least)


@keras.saving.register_keras_serializable("ocsdf")
class L1Columns(keras.constraints.Constraint):
    """Keep the l1 norm of each unit's weights at 1 or below after each update.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import L1Columns
    >>> np.asarray(L1Columns()(np.float32([[3.0], [2.0]]))).ravel().tolist()
    [1.0, 0.0]
    """

    def __call__(self, kernel):
        return project_to_l1_ball(kernel)


def build_linf_mlp(n_features, hidden_layer_sizes, activation="groupsort2", seed=0):
    r"""Build a multilayer perceptron for training that is 1-Lipschitz in l-inf (OCSDF App. I.2).

    .. math:: |f(x) - f(y)| \le \|x - y\|_\infty

    as the weights of each unit have an l1 norm of at most 1 and activations sort (Anil et al.,
    2019). A unit starts as one input, or its negative, and a little of the others: weights spread
    evenly would average all that is known away in a few layers.

    Parameters
    ----------
    n_features : int
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    activation : {"fullsort", "groupsort2"}
    seed : int

    Returns
    -------
    keras.Sequential
        Maps (n, n_features) to (n, 1).

    Examples
    --------
    >>> from ocsdf.networks import build_linf_mlp
    >>> build_linf_mlp(3, (8, 8)).output_shape
    (None, 1)
    """
    random_state = np.random.default_rng(seed)
    layers, kernels, n_in = [keras.Input((n_features,))], [], n_features
    for units in [*hidden_layer_sizes, 1]:
        if kernels:
            layers.append(ACTIVATIONS[activation]())
        kernels.append(_first_kernel(n_in, units, random_state))
        layers.append(
            keras.layers.Dense(units, kernel_initializer="zeros", kernel_constraint=L1Columns())
        )
        n_in = units
    model = keras.Sequential(layers)
    model.set_weights([part for k in kernels for part in (k, np.zeros(k.shape[1], np.float32))])
    return model


def condense_linf(model):
    """Turn a trained network into plain layers whose l-inf bounds are at most 1.

    As :func:`condense`, with each unit's weights divided by their l1 norm where it is above 1:
    the l-inf :func:`network_bound` of the result, a keras.Sequential, is at most 1.

    Parameters
    ----------
    model : keras.Sequential
        As made by :func:`build_linf_mlp`.

    Examples
    --------
    >>> from ocsdf.networks import build_linf_mlp, condense_linf, network_bound
    >>> network_bound(condense_linf(build_linf_mlp(3, (8, 8))), norm="linf") <= 1.0
    True
    """
    return with_plain_layers(
        model, lambda layer: (_polished(to_numpy(layer.kernel)), to_numpy(layer.bias))
    )


def _first_kernel(n_in, units, random_state):
    """Draw weights, each unit's of l1 norm 1, the inputs being shared out evenly among units."""
    kernel = _NOISE * random_state.standard_normal((n_in, units)) / n_in
    inputs = np.concatenate([random_state.permutation(n_in) for _ in range(-(-units // n_in))])
    kernel[inputs[:units], np.arange(units)] += random_state.choice([-1.0, 1.0], units)
    return (kernel / np.abs(kernel).sum(axis=0)).astype(np.float32)


def _polished(kernel):
    """Divide each column by its l1 norm where that is above 1, until float32's bound is not."""
    exact = kernel.astype(np.float64) / np.maximum(1.0, np.abs(kernel).sum(axis=0, dtype=float))
    polished, shrink = exact.astype(np.float32), 1.0
    while (bound := column_sum_bound(polished)) > 1.0:
        shrink *= bound * (1.0 + 2.0**-24)
        polished = (exact / shrink).astype(np.float32)
    return polished
