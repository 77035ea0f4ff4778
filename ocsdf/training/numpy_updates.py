"""Updates of weights on a CPU by NumPy: RMSprop, and kernels brought back to orthogonal ones."""

from functools import partial

import numpy as np

from ocsdf.operations.orthogonal import (
    FIRST_ORDER,
    MOST_STEPS,
    SECOND_ORDER,
    second_order_coefficients,
)
from ocsdf.training.compiled import add_polynomial, rmsprop

# Entries from which an array is wide: it is worth a thread of its own. Small ones are done before
# a second thread has woken up.
WIDE = 2**16
# Rows of a wide array that stay in a core's cache.
_ROWS = 64


def update(run, weights, velocities, gradients, rate, rho, epsilon):
    """Make one RMSprop step on all weights, in place, and bring kernels back.

    Work is cut in the same way on any number of threads, so that bits stay.
    """
    descend = partial(_descend, np.float32([rate, rho, 1.0 - rho, epsilon]))
    steps = list(zip(weights, velocities, gradients, strict=True))
    wide = [step for step in steps if step[0].size > WIDE]
    # Wide kernels are worth a thread each. Of an odd number, threads share the last.
    shared = wide[-1:] if len(wide) % 2 else []
    alone = [step for step in steps if not any(step is other for other in shared)]
    for step in shared:
        run(partial(descend, step), _halves(len(step[0])))
        if step[0].ndim == 2:
            orthogonalize_in_place(step[0], run)

    def update_alone(step):
        descend(step, slice(0, len(step[0])))
        if step[0].ndim == 2:
            orthogonalize_in_place(step[0])

    run(update_alone, sorted(alone, key=lambda step: -step[0].size))


def _descend(constants, step, rows):
    weight, velocity, (gradient, *others) = step
    for start in range(rows.start, rows.stop, _ROWS):
        piece = slice(start, min(start + _ROWS, rows.stop))
        change = gradient[piece]
        for other in others:
            change += other[piece]
        rmsprop(weight[piece].ravel(), velocity[piece].ravel(), change.ravel(), *constants)


def orthogonalize_in_place(kernel, run=None):
    """Do what :func:`ocsdf.networks.layers.orthogonalize` does, to a NumPy matrix."""
    gram, transform = _gram, _transform
    if run is not None:
        gram, transform = partial(_gram_in_parts, run), partial(_transform_in_parts, run)
    tall = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
    diagonal = np.diag_indices(tall.shape[1])
    for _ in range(MOST_STEPS):
        defect = gram(tall)
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
        scale = np.sqrt(np.float32(shrink))
        if distance <= FIRST_ORDER:
            polynomial = 0.5 * defect
            polynomial[diagonal] += 1.0
            polynomial *= scale
        else:
            polynomial = gram(defect.T)
            distance = np.sqrt(np.linalg.norm(polynomial))
            coefficients = second_order_coefficients(min(distance, SECOND_ORDER))
            add_polynomial(polynomial, defect, *np.array(coefficients, kernel.dtype), scale)
        transform(tall, polynomial)
        if distance <= SECOND_ORDER:
            break


def _gram(matrix):
    # NumPy needs less time for a matrix times its own transpose.
    return matrix.T @ matrix


def _transform(matrix, polynomial):
    matrix[...] = matrix @ polynomial


def _gram_in_parts(run, matrix):
    """Return :func:`_gram` of a matrix, of which no block is computed twice."""
    width = matrix.shape[1]
    product = np.empty((width, width), matrix.dtype)
    left, right = _halves(width)

    def fill(task):
        # A block on the diagonal, and half of the rows of the one beside it.
        half, rows = task
        np.matmul(matrix[:, half].T, matrix[:, half], out=product[half, half])
        np.matmul(matrix[:, rows].T, matrix[:, right], out=product[rows, right])
        product[right, rows] = product[rows, right].T

    run(fill, list(zip((left, right), _halves(left.stop), strict=True)))
    return product


def _transform_in_parts(run, matrix, polynomial):
    run(lambda rows: _transform(matrix[rows], polynomial), _halves(len(matrix)))


def _halves(length):
    middle = length // 2
    return slice(0, middle), slice(middle, length)
