"""Passes over float32 arrays that take NumPy several, compiled, with the same bits."""

import numpy as np

from ocsdf.utils.compiled import compiled


@compiled(error_model="numpy")
def sort_pairs(values, bias):
    """Add a bias to rows and sort their pairs of units, one of each half, in place.

    Unit i makes a pair with unit i + d/2, the smaller value of which comes first; d is even.
    Returned is which pairs have changed places, (n, d/2), for :func:`unsort_pairs`.
    """
    n_rows, width = values.shape
    middle = width // 2
    swap = np.empty((n_rows, middle), np.bool_)
    for i in range(n_rows):
        for j in range(middle):
            first, second = values[i, j] + bias[j], values[i, j + middle] + bias[j + middle]
            # Written so, each line is compiled to a vector instruction.
            changed = first > second
            swap[i, j] = changed
            values[i, j] = second if changed else first
            values[i, j + middle] = first if changed else second
    return swap


@compiled(error_model="numpy")
def unsort_pairs(swap, values):
    """Put pairs, (n, d), back to where :func:`sort_pairs` took them from."""
    n_rows, middle = swap.shape
    unsorted = np.empty((n_rows, 2 * middle), np.float32)
    for i in range(n_rows):
        for j in range(middle):
            first, second, changed = values[i, j], values[i, j + middle], swap[i, j]
            unsorted[i, j] = second if changed else first
            unsorted[i, j + middle] = first if changed else second
    return unsorted


@compiled(error_model="numpy")
def rmsprop(weight, mean_square, gradient, rate, rho, rest, epsilon):
    r"""Make one RMSprop step, in place.

    .. math:: v \leftarrow \rho v + (1 - \rho) g^2, \qquad
        w \leftarrow w - \frac{\alpha g}{\sqrt{v + \varepsilon}}

    on w, v and g in float32; `rest` is 1 - rho.
    """
    for i in range(len(weight)):
        square = mean_square[i] * rho + rest * (gradient[i] * gradient[i])
        mean_square[i] = square
        weight[i] -= gradient[i] * rate / np.sqrt(square + epsilon)


@compiled(error_model="numpy")
def add_polynomial(squared, matrix, first, second, scale):
    """Replace the square of a matrix Q, in place, by :math:`s (I + a Q + b Q^2)`.

    `squared` holds Q^2, and a, b and s are `first`, `second` and `scale`.
    """
    for i in range(len(squared)):
        for j in range(len(squared)):
            squared[i, j] = squared[i, j] * second + matrix[i, j] * first
        squared[i, i] += np.float32(1.0)
        for j in range(len(squared)):
            squared[i, j] *= scale


@compiled
def pack_keys(values, bias):
    """Add a bias to rows, and make float64 keys that sort as they do and know their columns.

    A float64 has bits that float32 lacks: the lowest ones hold the column.
    """
    n_rows, width = values.shape
    keys = np.empty((n_rows, width))
    bits = keys.view(np.int64)
    for i in range(n_rows):
        for j in range(width):
            # Zeros with other low bits would be subnormal, which some processors' settings take for
            # equal; a power of two has no low bits of its own.
            keys[i, j] = np.float64(values[i, j] + bias[j]) + 2.0**-1000
        for j in range(width):
            bits[i, j] |= j
    return keys


@compiled
def unpack_keys(keys, values, mask):
    """Take values and columns out of keys that :func:`pack_keys` made, sorted or not.

    `values` are overwritten, columns returned in int64; `mask` has the bits that hold a column.
    """
    n_rows, width = keys.shape
    bits = keys.view(np.int64)
    columns = np.empty((n_rows, width), np.int64)
    for i in range(n_rows):
        for j in range(width):
            values[i, j] = keys[i, j]
            # A NaN may come with bits of its own.
            columns[i, j] = min(bits[i, j] & mask, width - 1)
    return columns


@compiled
def unsort_rows(columns, values):
    """Put the numbers of each row back to the columns, int64, that they came from."""
    n_rows, width = values.shape
    unsorted = np.empty((n_rows, width), values.dtype)
    for i in range(n_rows):
        for j in range(width):
            unsorted[i, columns[i, j]] = values[i, j]
    return unsorted
