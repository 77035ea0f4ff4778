"""What is known of pooling layers."""

import math
from fractions import Fraction

import numpy as np
from deel.lip import layers as deel
from keras import layers

from ocsdf.networks.layer_rules import EXACT, Step, count, readings, spatial_shape
from ocsdf.operations.matrix_bounds import matrix_bound


def _average_pooling(layer, input_shape):
    """Mean of each window: a matrix an axis, whose norms multiply (Kronecker)."""
    bound = _root_above(math.prod(_most_weight(*axis) for axis in _axes(layer, input_shape)))
    if input_shape:
        product = 1.0
        for axis in _axes(layer, input_shape):
            product = np.nextafter(product * matrix_bound(_means(*axis)), np.inf)
        bound = float(min(bound, product))
    return Step(bound, math.prod(layer.pool_size) + 3)


def _max_pooling(layer, input_shape):
    """Maximum of each window, which changes by no more than the most changed pixel in it."""
    axes = _axes(layer, input_shape)
    return Step(_root_above(Fraction(math.prod(_most_windows(*axis) for axis in axes))))


def _scaled_pooling(layer, input_shape):
    r"""Root of the mean square, or mean, of windows that do not overlap, times a coefficient."""
    n_pixels = math.prod(layer.pool_size)
    squared = Fraction(readings(layer._get_coef())) ** 2 / n_pixels
    return Step(_root_above(squared), n_pixels + 8)


def _global_average(layer, input_shape):
    n_pixels = _n_pixels(layer, input_shape)
    return Step(_root_above(Fraction(1, n_pixels or 1)), n_pixels and n_pixels + 3)


def _scaled_global_average(layer, input_shape):
    n_pixels = _n_pixels(layer, input_shape)
    squared = Fraction(readings(layer._get_coef())) ** 2 / (n_pixels or 1)
    return Step(_root_above(squared), n_pixels and n_pixels + 5)


def _scaled_global_norm(layer, input_shape):
    n_pixels = _n_pixels(layer, input_shape)
    return Step(readings(layer._get_coef()), n_pixels and n_pixels + 8)


def _global_maximum(layer, input_shape):
    return EXACT


def _n_pixels(layer, input_shape):
    """How many pixels an image has; None where unknown."""
    return count(spatial_shape(layer, input_shape)) if input_shape else None


def _axes(layer, input_shape):
    """Return window, stride, padding and length of each axis."""
    lengths = spatial_shape(layer, input_shape) if input_shape else (None,) * len(layer.pool_size)
    return [
        (window, stride, layer.padding, length)
        for window, stride, length in zip(layer.pool_size, layer.strides, lengths, strict=True)
    ]


def _means(window, stride, padding, length):
    """Return an axis's average pooling as a matrix."""
    windows = _windows(window, stride, padding, length)
    means = np.zeros((len(windows), length))
    for row, (start, stop) in enumerate(windows):
        # Rounded up, so that the bound is of no smaller matrix.
        means[row, start:stop] = np.nextafter(1.0 / (stop - start), np.inf)
    return means


def _most_weight(window, stride, padding, length):
    """Most that one pixel of an axis counts in all means that it is in: the largest column sum.

    Every row's sum is 1, so that the root of it bounds the norm (Schur).
    """
    if length is None:
        # Of a window at the edge, which averages over what it holds, one pixel may be all.
        return Fraction(-(-window // stride), 1 if padding == "same" else window)
    weights = [Fraction(0)] * length
    for start, stop in _windows(window, stride, padding, length):
        for pixel in range(start, stop):
            weights[pixel] += Fraction(1, stop - start)
    return max(weights)


def _most_windows(window, stride, padding, length):
    """Most windows of an axis that one pixel is in."""
    if length is None:
        return -(-window // stride)
    windows = _windows(window, stride, padding, length)
    return max(sum(start <= p < stop for start, stop in windows) for p in range(length))


def _windows(window, stride, padding, length):
    """Return first and last but one pixel of each window, as TensorFlow places them."""
    before, n_windows = 0, (length - window) // stride + 1
    if padding == "same":
        n_windows = -(-length // stride)
        before = max((n_windows - 1) * stride + window - length, 0) // 2
    starts = [stride * i - before for i in range(n_windows)]
    return [(max(start, 0), min(start + window, length)) for start in starts]


def _root_above(fraction):
    """Return the square root of a fraction, rounded up where float64 does not hold it."""
    root = math.sqrt(fraction)
    while Fraction(root) ** 2 < fraction:
        root = math.nextafter(root, math.inf)
    return root


RULES = {
    deel.ScaledAveragePooling2D: _scaled_pooling,
    deel.ScaledL2NormPooling2D: _scaled_pooling,
    deel.ScaledGlobalAveragePooling2D: _scaled_global_average,
    deel.ScaledGlobalL2NormPooling2D: _scaled_global_norm,
}
_OF_EACH_DIMENSION = {
    "AveragePooling": _average_pooling,
    "MaxPooling": _max_pooling,
    "GlobalAveragePooling": _global_average,
    "GlobalMaxPooling": _global_maximum,
}
RULES |= {
    getattr(layers, f"{kind}{n_axes}D"): rule
    for kind, rule in _OF_EACH_DIMENSION.items()
    for n_axes in (1, 2, 3)
}
