"""Training on a CPU by NumPy, whose products and sorts of small matrices are the fastest there."""

from functools import partial

import keras
import numpy as np
import tensorflow as tf

from ocsdf.networks.layers import FullSort, GroupSort2, Orthogonal
from ocsdf.training.compiled import sort_pairs, unsort_pairs
from ocsdf.training.losses import measure
from ocsdf.training.negatives import attract
from ocsdf.training.numpy_updates import WIDE, update
from ocsdf.utils.threads import crew, slices

# Rows of one task where layers are wide; work is cut in the same way on any number of cores, so
# that bits stay.
_ROWS = 64


class HostTraining:
    """Trains as ``tensorflow_engine.TrainingGraph`` does, without a graph to trace.

    The same contract and, up to float32 rounding, the same results. Rows are independent, so
    negatives are attracted, and gradients computed, in chunks of rows on all cores.

    Parameters
    ----------
    model : keras.Sequential
        One that :func:`trains_on_host`.
    optimizer : keras.optimizers.RMSprop
    schedule : {"printed", "even"}
    n_updates : int
        K.
    """

    def __init__(self, model, optimizer, schedule, n_updates):
        self._sorts = [_SORTS[type(layer)] for layer in model.layers[1:-1:2]]
        self._n_weights = len(model.weights)
        self._rho, self._epsilon = optimizer.rho, optimizer.epsilon
        self._schedule = schedule
        self._n_updates = n_updates

    def run(self, values, attractor, domain, batches, newton_steps, margin, hinge_weight):
        """Train on batches; see :meth:`ocsdf.training.tensorflow_engine.TrainingGraph.run`."""
        values = [np.array(value, order="C") for value in values]
        weights, (iterations, rate, *velocities) = self._weights(values), values[self._n_weights :]
        network = _Network(weights, self._sorts)
        attracting = _Network(attractor, self._sorts) if attractor else network
        n_steps, batch_size, _ = batches.data.shape
        labels = np.repeat(np.float32([1.0, -1.0]), batch_size)
        scores = np.empty((n_steps, 2 * batch_size), np.float32)
        is_wide = _is_wide(weights)
        rows = _ROWS if is_wide else batch_size
        tasks = slices(batch_size, rows), slices(2 * batch_size, 2 * rows)
        with crew(max(len(tasks[0]), 2) if is_wide else 1) as run:
            for step, (data, seeds, eta) in enumerate(zip(*batches, strict=True)):
                pull = partial(
                    self._pull, attracting, domain, seeds, eta, int(newton_steps), -margin
                )
                points = np.concatenate([data, *run(pull, tasks[0])])
                differentiate = partial(network.loss_gradient, points, labels, margin, hinge_weight)
                for _ in range(self._n_updates):
                    parts = run(differentiate, tasks[1])
                    gradients = [gradient for _, gradient in parts]
                    gradients = list(zip(*gradients, strict=True))
                    update(
                        run, weights, velocities, gradients, float(rate), self._rho, self._epsilon
                    )
                    iterations += 1
                scores[step] = np.concatenate([part_scores for part_scores, _ in parts])
        return values, measure(scores, labels, margin, hinge_weight).numpy()

    def gradient_norm(self, values, points):
        """See :meth:`ocsdf.training.tensorflow_engine.TrainingGraph.gradient_norm`."""
        weights = [np.asarray(value) for value in self._weights(values)]
        network = _Network(weights, self._sorts)
        tasks = slices(len(points), _ROWS if _is_wide(weights) else len(points))
        # BLAS threads would spin on for a while, in the way of the next batches.
        with crew(len(tasks)) as run:
            parts = run(lambda rows: network.value_and_gradient(points[rows])[1], tasks)
        return float(np.linalg.norm(np.concatenate(parts), axis=1).mean())

    def _weights(self, values):
        return values[: self._n_weights]

    def _pull(self, network, domain, seeds, eta, newton_steps, level, rows):
        return attract(
            network, seeds[rows], domain, level=level, eta=eta[rows], steps=newton_steps,
            schedule=self._schedule,
        )  # fmt: skip


def _is_wide(weights):
    return max(weight.size for weight in weights) > WIDE


def trains_on_host(model, optimizer):
    """Tell whether :class:`HostTraining` can train a model here."""
    config, plain = optimizer.get_config(), keras.optimizers.RMSprop().get_config()
    changed = {name for name in config if config[name] != plain.get(name)}
    *hidden, last = model.layers
    return (
        not tf.config.list_logical_devices("GPU")
        and type(optimizer) is keras.optimizers.RMSprop
        and changed <= {"name", "learning_rate"}
        and isinstance(config["learning_rate"], float)
        and all(_is_orthogonal(layer) for layer in [*hidden[::2], last])
        and all(type(layer) in _SORTS for layer in hidden[1::2])
    )


def _is_orthogonal(layer):
    return type(layer) is keras.layers.Dense and isinstance(layer.kernel_constraint, Orthogonal)


class _Network:
    """Dense layers with sorting ones in between, forward and backward, in float32.

    Parameters
    ----------
    weights : list of ndarray
        Kernel and bias of each layer; may be changed in place.
    sorts : list of callable
        Of the hidden layers: from values to the sorted ones, and a function that takes a gradient
        back.
    """

    def __init__(self, weights, sorts):
        self._kernels, self._biases = weights[0::2], weights[1::2]
        self._sorts = sorts

    def value_and_gradient(self, points):
        """Return f, shape (n,), and its gradient, shape (n, n_features)."""
        scores, _, unsorts = self._forward(points)
        upstream = np.tile(self._kernels[-1][:, 0], (len(points), 1))
        for kernel, unsort in zip(self._kernels[-2::-1], reversed(unsorts), strict=True):
            upstream = unsort(upstream) @ kernel.T
        return scores, upstream

    def loss_gradient(self, points, labels, margin, hinge_weight, rows):
        """Return f on some rows, and their part of the gradient of the loss by the weights.

        The loss is the mean of Eq. 2 over data plus that over negatives, as many of them.
        """
        labels, share = labels[rows], 2.0 / len(labels)
        scores, inputs, unsorts = self._forward(points[rows])
        hinged = labels * scores < margin
        upstream = (-share * labels * (1.0 + hinge_weight * hinged))[:, np.newaxis]
        upstream = upstream.astype(np.float32)
        gradients = [upstream.sum(axis=0), inputs[-1].T @ upstream]
        # BLAS would take several times as long for an outer product.
        upstream = upstream * self._kernels[-1].T
        for index in range(len(unsorts) - 1, -1, -1):
            upstream = unsorts[index](upstream)
            gradients += [upstream.sum(axis=0), inputs[index].T @ upstream]
            if index:
                upstream = upstream @ self._kernels[index].T
        return scores, gradients[::-1]

    def _forward(self, points):
        """Return f, the input of each layer, and how gradients go back through each sort."""
        inputs, unsorts = [points], []
        for kernel, bias, sort in zip(self._kernels, self._biases, self._sorts, strict=False):
            values, unsort = sort(inputs[-1] @ kernel, bias)
            inputs.append(values)
            unsorts.append(unsort)
        return inputs[-1] @ self._kernels[-1][:, 0] + self._biases[-1], inputs, unsorts


def _sort_all(values, bias):
    """Sort each row, as float64 keys: a value above, and in bits that float32 lacks its column."""
    n_rows, width = values.shape
    values += bias
    keys = values.astype(np.float64)
    # Zeros with other low bits would be subnormal, which some processors' settings take for equal;
    # a power of two has no low bits of its own.
    keys += 2.0**-1000
    bits = keys.view(np.int64)
    bits |= np.arange(width)
    keys.sort(axis=1)
    places = bits & ((1 << (width - 1).bit_length()) - 1)
    places += width * np.arange(n_rows)[:, np.newaxis]
    return keys.astype(np.float32), partial(_unsort_all, places.ravel())


def _unsort_all(places, values):
    unsorted = np.empty(values.size, values.dtype)
    unsorted[places] = values.ravel()
    return unsorted.reshape(values.shape)


def _sort_halves(values, bias):
    """Sort pairs of units, one of each half; see :class:`ocsdf.networks.layers.GroupSort2`."""
    return values, partial(unsort_pairs, sort_pairs(values, bias))


_SORTS = {FullSort: _sort_all, GroupSort2: _sort_halves}
