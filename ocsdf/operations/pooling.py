"""Poolings of windows: means, maxima and norms, channels last."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ocsdf.operations.base import EXACT, Operation, operation
from ocsdf.operations.fields import as_number, count, freeze, readings
from ocsdf.operations.keras_layers import built
from ocsdf.operations.matrix_bounds import matrix_bound
from ocsdf.operations.windows import Windows, over, root_above, window_rounding, windows


class _Windowed(Windows, Operation):
    """A pooling of windows."""

    def output_shape(self, shape):
        return (*self._lengths(shape), shape[-1])

    @staticmethod
    def _spread(padded, taps, inside, part):
        """Add up what each tap of the windows gives to the pixels under it."""
        gradient = np.zeros(padded.shape)
        for tap in taps:
            gradient[tap] += part(padded[tap])
        return gradient[inside]


@dataclass(frozen=True, eq=False)
class _Pooling(_Windowed):
    """A pooling as Keras has it."""

    sizes: tuple
    strides: tuple
    padding: str

    def __post_init__(self):
        sizes, strides = self._check_windows(("valid", "same"))
        freeze(self, sizes=sizes, strides=strides)

    def to_keras(self, shape):
        import keras

        name = f"{self.keras_name}{len(self.sizes)}D"
        return getattr(keras.layers, name)(self.sizes, self.strides, self.padding, dtype="float32")


@operation("average_pooling")
class AveragePooling(_Pooling):
    r"""Mean of what each window holds: a matrix an axis, whose norms multiply (Kronecker).

    At most :math:`\prod_i (\lceil k_i / s_i \rceil / k_i)^{1/2}` for windows of k pixels, s apart,
    inside the image; counted for the size at hand where it is known.
    """

    keras_name = "AveragePooling"

    def evaluate(self, values, scratch=None):
        padded, taps, _ = self._padded(values)
        return sum(padded[tap] for tap in taps) / self._counts(values.shape[1:])

    def linearize(self, values):
        padded, taps, inside = self._padded(values)
        counts = self._counts(values.shape[1:])

        def pull_back(upstream):
            return self._spread(padded, taps, inside, lambda _: upstream / counts)

        return self.evaluate(values), pull_back

    def _bound(self, shape):
        axes = self.axes(shape)
        bound = root_above(math.prod(_most_weight(*axis) for axis in axes))
        product = 1.0
        for axis in axes:
            exact = matrix_bound(_means(*axis)) if axis[-1] else root_above(_most_weight(*axis))
            product = np.nextafter(product * exact, np.inf)
        return float(min(bound, product))

    def rounding(self, shape):
        return window_rounding(count(self.sizes) + 3, count(self.output_shape(shape)))


@operation("maximum_pooling")
class MaximumPooling(_Pooling):
    """Maximum of each window, which changes by no more than the most changed pixel in it.

    At most the square root of how many windows a pixel is in.
    """

    keras_name = "MaxPooling"

    def evaluate(self, values, scratch=None):
        padded, taps, _ = self._padded(values, -np.inf)
        return np.maximum.reduce([padded[tap] for tap in taps])

    def linearize(self, values):
        padded, taps, inside = self._padded(values, -np.inf)
        largest = self.evaluate(values)

        def pull_back(upstream):
            gradient = np.zeros(padded.shape)
            for tap in taps:
                chosen = padded[tap] == largest
                gradient[tap] += np.where(chosen, upstream, 0.0)
                # One pixel of each window, where several are equal.
                upstream = np.where(chosen, 0.0, upstream)
            return gradient[inside]

        return largest, pull_back

    def _bound(self, shape):
        axes = self.axes(shape)
        return root_above(Fraction(math.prod(_most_windows(*axis) for axis in axes)))

    def rounding(self, shape):
        return EXACT


@dataclass(frozen=True, eq=False)
class _ScaledPooling(_Windowed):
    """A pooling of windows side by side, times a coefficient."""

    sizes: tuple
    coefficient: float
    padding = "valid"

    def __post_init__(self):
        coefficient = as_number(self.coefficient, "coefficient")
        freeze(self, sizes=self._check_windows(("valid",))[0], coefficient=coefficient)

    @property
    def strides(self):
        """Windows lie side by side."""
        return self.sizes

    def _bound(self, shape):
        return root_above(Fraction(float(readings(self.coefficient))) ** 2 / count(self.sizes))

    def rounding(self, shape):
        return window_rounding(count(self.sizes) + 8, count(self.output_shape(shape)))

    def to_keras(self, shape):
        from deel.lip import layers

        layer = getattr(layers, self.keras_name)
        factor = self.coefficient / math.sqrt(count(self.sizes))
        return built(layer(self.sizes, k_coef_lip=factor, dtype="float32"), shape)


@operation("scaled_average_pooling")
class ScaledAveragePooling(_ScaledPooling):
    """Mean of each window, times a coefficient."""

    keras_name = "ScaledAveragePooling2D"

    def evaluate(self, values, scratch=None):
        padded, taps, _ = self._padded(values)
        return sum(padded[tap] for tap in taps) * (self.coefficient / len(taps))

    def linearize(self, values):
        padded, taps, inside = self._padded(values)
        share = self.coefficient / len(taps)

        def pull_back(upstream):
            return self._spread(padded, taps, inside, lambda _: upstream * share)

        return self.evaluate(values), pull_back


@operation("norm_pooling")
class NormPooling(_ScaledPooling):
    """Root of the mean square of each window, times a coefficient."""

    keras_name = "ScaledL2NormPooling2D"

    def evaluate(self, values, scratch=None):
        padded, taps, _ = self._padded(values)
        return np.sqrt(sum(padded[tap] ** 2 for tap in taps) / len(taps)) * self.coefficient

    def linearize(self, values):
        padded, taps, inside = self._padded(values)
        found = self.evaluate(values)

        def pull_back(upstream):
            slope = upstream * over(self.coefficient**2 / len(taps), found)
            return self._spread(padded, taps, inside, lambda pixels: pixels * slope)

        return found, pull_back


def _means(size, stride, padding, length):
    """Return an axis's average pooling as a matrix."""
    places = windows(size, stride, padding, length)
    means = np.zeros((len(places), length))
    for row, (start, stop) in enumerate(places):
        # Rounded up, so that the bound is of no smaller matrix.
        means[row, start:stop] = np.nextafter(1.0 / (stop - start), np.inf)
    return means


def _most_weight(size, stride, padding, length):
    """Most that one pixel of an axis counts in all means that it is in: the largest column sum.

    Every row's sum is 1, so that the root of it bounds the norm (Schur).
    """
    if length is None:
        # Of a window at the edge, which averages over what it holds, one pixel may be all.
        return Fraction(-(-size // stride), 1 if padding == "same" else size)
    weights = [Fraction(0)] * length
    for start, stop in windows(size, stride, padding, length):
        for pixel in range(start, stop):
            weights[pixel] += Fraction(1, stop - start)
    return max(weights)


def _most_windows(size, stride, padding, length):
    """Most windows of an axis that one pixel is in."""
    if length is None:
        return -(-size // stride)
    places = windows(size, stride, padding, length)
    return max(sum(start <= p < stop for start, stop in places) for p in range(length))
