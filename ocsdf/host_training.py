"""Training on a CPU by NumPy, whose products and sorts of small matrices are the fastest there."""

from functools import partial

import keras
import numpy as np
import tensorflow as tf

from ocsdf.layers import (
    FIRST_ORDER,
    MOST_STEPS,
    SECOND_ORDER,
    FullSort,
    GroupSort2,
    Orthogonal,
    second_order_coefficients,
)
from ocsdf.losses import measure
from ocsdf.negatives import attract
from ocsdf.threads import crew, slices

# Rows of one task where layers are wide; work is cut in the same way on any number of cores, so
# that bits stay. Small arrays are done before a second thread has woken up.
_ROWS = 64
_WIDE = 2**16


class HostTraining:
    """Trains as :class:`ocsdf.training_graph.TrainingGraph` does, without a graph to trace.

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
        """Train on batches; see :meth:`ocsdf.training_graph.TrainingGraph.run`."""
        values = [np.array(value) for value in values]
        weights, (iterations, rate, *velocities) = self._weights(values), values[self._n_weights :]
        network = _Network(weights, self._sorts)
        attracting = _Network(attractor, self._sorts) if attractor else network
        n_steps, batch_size, _ = batches.data.shape
        labels = np.repeat(np.float32([1.0, -1.0]), batch_size)
        scores = np.empty((n_steps, 2 * batch_size), np.float32)
        is_wide = max(weight.size for weight in weights) > _WIDE
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
                    steps = zip(weights, velocities, zip(*gradients, strict=True), strict=True)
                    self._update(run, list(steps), float(rate))
                    iterations += 1
                scores[step] = np.concatenate([part_scores for part_scores, _ in parts])
        return values, measure(scores, labels, margin, hinge_weight).numpy()

    def gradient_norm(self, values, points):
        """See :meth:`ocsdf.training_graph.TrainingGraph.gradient_norm`."""
        weights = [np.asarray(value) for value in self._weights(values)]
        # BLAS threads would spin on for a while, in the way of the next batches.
        with crew(1):
            _, gradient = _Network(weights, self._sorts).value_and_gradient(points)
        return float(np.linalg.norm(gradient, axis=1).mean())

    def _weights(self, values):
        return values[: self._n_weights]

    def _pull(self, network, domain, seeds, eta, newton_steps, level, rows):
        return attract(
            network, seeds[rows], domain, level=level, eta=eta[rows], steps=newton_steps,
            schedule=self._schedule,
        )  # fmt: skip

    def _update(self, run, steps, rate):
        """Make one RMSprop step on all weights, in place, and bring kernels back."""
        wide = [step for step in steps if step[0].size > _WIDE]
        # Wide kernels are worth a thread each. Of an odd number, threads share the last.
        shared = wide[-1:] if len(wide) % 2 else []
        alone = [step for step in steps if not any(step is other for other in shared)]
        for step in shared:
            self._step(rate, partial(_multiply_in_parts, run), step)
        run(partial(self._step, rate, np.matmul), sorted(alone, key=lambda step: -step[0].size))

    def _step(self, rate, multiply, step):
        weight, velocity, (gradient, *others) = step
        # In pieces that stay in a core's cache.
        for rows in slices(len(weight), _ROWS):
            change, mean_square = gradient[rows], velocity[rows]
            for other in others:
                change += other[rows]
            mean_square *= self._rho
            mean_square += (1.0 - self._rho) * np.square(change)
            change *= rate
            change /= np.sqrt(mean_square + self._epsilon)
            weight[rows] -= change
        if weight.ndim == 2:
            orthogonalize_in_place(weight, multiply)


def _multiply_in_parts(run, left, right):
    product = np.empty((left.shape[0], right.shape[1]), left.dtype)

    def fill(rows):
        np.matmul(left[rows], right, out=product[rows])

    run(fill, slices(len(left), -(-len(left) // 2)))
    return product


def orthogonalize_in_place(kernel, multiply=np.matmul):
    """Do what :func:`ocsdf.layers.orthogonalize` does, to a NumPy matrix.

    Parameters
    ----------
    kernel : ndarray of shape (n_in, n_out), float32
    multiply : callable, default=numpy.matmul
    """
    tall = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
    diagonal = np.diag_indices(tall.shape[1])
    for _ in range(MOST_STEPS):
        # NumPy needs less time for a matrix times its own transpose.
        defect = multiply(tall.T, tall)
        np.negative(defect, out=defect)
        defect[diagonal] += 1.0
        distance = np.linalg.norm(defect)
        shrink = 1.0
        if not distance <= 1.0:
            defect[diagonal] -= 1.0
            bound = min(np.abs(defect).sum(axis=1).max(), 1.0 + distance)
            shrink = min(1.0, 2.0 / bound)
            defect *= shrink
            defect[diagonal] += 1.0
        if distance <= FIRST_ORDER:
            polynomial = 0.5 * defect
        else:
            polynomial = multiply(defect, defect.T)
            distance = np.sqrt(np.linalg.norm(polynomial))
            first, second = second_order_coefficients(min(distance, SECOND_ORDER))
            polynomial *= second
            defect *= first
            polynomial += defect
        polynomial[diagonal] += 1.0
        polynomial *= np.sqrt(np.float32(shrink))
        tall[...] = multiply(tall, polynomial)
        if distance <= SECOND_ORDER:
            break


def trains_on_host(model, optimizer):
    """Tell whether :class:`HostTraining` can train a model here.

    Parameters
    ----------
    model : keras.Sequential
    optimizer : keras.optimizers.Optimizer

    Returns
    -------
    bool
        True where there is no GPU, kernels are kept orthogonal by projection, activations sort,
        and the optimizer is Keras's RMSprop with nothing changed but its learning rate.
    """
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
        upstream = np.broadcast_to(self._kernels[-1][:, 0], (len(points), len(self._kernels[-1])))
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
        for index in range(len(unsorts) - 1, -1, -1):
            upstream = unsorts[index](upstream @ self._kernels[index + 1].T)
            gradients += [upstream.sum(axis=0), inputs[index].T @ upstream]
        return scores, gradients[::-1]

    def _forward(self, points):
        """Return f, the input of each layer, and how gradients go back through each sort."""
        inputs, unsorts = [points], []
        for kernel, bias, sort in zip(self._kernels, self._biases, self._sorts, strict=False):
            values = inputs[-1] @ kernel
            values += bias
            values, unsort = sort(values)
            inputs.append(values)
            unsorts.append(unsort)
        return inputs[-1] @ self._kernels[-1][:, 0] + self._biases[-1], inputs, unsorts


def _sort_all(values):
    """Sort each row, as float64 keys: a value above, and in bits that float32 lacks its column."""
    n_rows, width = values.shape
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


def _sort_halves(values):
    """Sort pairs of units, one of each half; see :class:`ocsdf.layers.GroupSort2`."""
    middle = values.shape[1] // 2
    first, second = values[:, :middle], values[:, middle:]
    # All bits set where the pair changes places.
    swap = np.negative(first > second, dtype=np.int32, casting="unsafe")
    ordered = np.empty_like(values)
    np.minimum(first, second, out=ordered[:, :middle])
    np.maximum(first, second, out=ordered[:, middle:])
    return ordered, partial(_unsort_halves, swap)


def _unsort_halves(swap, values):
    middle = values.shape[1] // 2
    bits = np.ascontiguousarray(values).view(np.int32)
    change = bits[:, :middle] ^ bits[:, middle:]
    change &= swap
    unsorted = np.empty_like(bits)
    np.bitwise_xor(bits[:, :middle], change, out=unsorted[:, :middle])
    np.bitwise_xor(bits[:, middle:], change, out=unsorted[:, middle:])
    return unsorted.view(np.float32)


_SORTS = {FullSort: _sort_all, GroupSort2: _sort_halves}
