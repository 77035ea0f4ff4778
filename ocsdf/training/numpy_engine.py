"""Training on a CPU by NumPy, whose products and sorts of small matrices are the fastest there."""

from functools import partial

import numpy as np

from ocsdf.training.compiled import (
    pack_keys,
    sort_pairs,
    unpack_keys,
    unsort_pairs,
    unsort_rows,
)
from ocsdf.training.losses import measure
from ocsdf.training.negatives import attract
from ocsdf.training.numpy_updates import WIDE, update
from ocsdf.utils.threads import crew, slices

# Rows of one task where layers are wide; work is cut in the same way on any number of cores, so
# that bits stay.
_ROWS = 64


class HostTraining:
    """An :class:`ocsdf.training.engine.Engine` without a graph to trace.

    It trains dense layers with orthogonal kernels and sorting ones in between by RMSprop, whose
    constants are Keras's by default. The variables are each dense layer's kernel and bias, the
    number of updates, the learning rate, and the mean square of each weight's gradient. As rows are
    independent, negatives are attracted, and gradients computed, in chunks of rows on all cores.
    """

    def __init__(self, activations, schedule, n_updates, rho=0.9, epsilon=1e-7):
        self._sorts = [_SORTS[activation] for activation in activations]
        self._n_weights = 2 * len(self._sorts) + 2
        self._rho, self._epsilon = rho, epsilon
        self._schedule = schedule
        self._n_updates = n_updates

    def run(self, values, attractor, domain, batches, newton_steps, margin, hinge_weight):
        """Train on batches; see :meth:`ocsdf.training.engine.Engine.run`."""
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
        return values, measure(scores, labels, margin, hinge_weight)

    def gradient_norm(self, values, points):
        """See :meth:`ocsdf.training.engine.Engine.gradient_norm`."""
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


class _Network:
    """Dense layers with sorting ones in between, forward and backward, in float32.

    Weights, kernel and bias of each layer, may be changed in place. `sorts` are those of the hidden
    layers: from values to the sorted ones, and a function that takes a gradient back.
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
    """Sort each row; return also the function that takes a gradient back."""
    keys = pack_keys(values, bias)
    keys.sort(axis=1)
    width = values.shape[1]
    columns = unpack_keys(keys, values, (1 << (width - 1).bit_length()) - 1)
    return values, partial(unsort_rows, columns)


def _sort_halves(values, bias):
    """Sort pairs of units, one of each half; see :class:`ocsdf.networks.layers.GroupSort2`."""
    return values, partial(unsort_pairs, sort_pairs(values, bias))


_SORTS = {"fullsort": _sort_all, "groupsort2": _sort_halves}
