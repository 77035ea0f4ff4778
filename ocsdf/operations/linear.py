"""Dense layers, scalings of features, and what a row has beyond its mean."""

import math

import numpy as np

from ocsdf.operations.base import Operation, Rounding, operation
from ocsdf.operations.fields import as_array, as_number, check_width, count, freeze
from ocsdf.operations.keras_layers import built, own_layer
from ocsdf.operations.matrix_bounds import column_sum_bound, matrix_bound
from ocsdf.operations.scratch import whole_blocks


@operation("dense")
class Dense(Operation):
    r"""The affine map :math:`x \mapsto x W + b` of the last axis.

    Computed in any order of summation, :math:`\|\hat y - y\| \le \gamma_{n+1} (\|x\| \,
    \||W|\|_2 + \|b\|)` (Higham, *Accuracy and Stability of Numerical Algorithms*, Sec. 3.5).

    Parameters
    ----------
    kernel : ndarray of shape (n_in, n_out)
        W.
    bias : ndarray of shape (n_out,)
        b.

    Raises
    ------
    ValueError
        If the bias has another length than the kernel has columns.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.operations import Dense
    >>> dense = Dense(np.array([[0.6], [0.8]]), np.array([1.0]))
    >>> dense.evaluate(np.array([[3.0, 4.0]])), round(dense.bound((2,)), 6)
    (array([[6.]]), 1.0)
    """

    kernel: np.ndarray
    bias: np.ndarray

    def __post_init__(self):
        kernel, bias = as_array(self.kernel, 2, "kernel"), as_array(self.bias, 1, "bias")
        if bias.shape != kernel.shape[1:]:
            raise ValueError(f"bias must fit the kernel {kernel.shape}; got {bias.shape}.")
        freeze(self, kernel=kernel, bias=bias, _blocks=whole_blocks(kernel))

    def shifted(self, constant):
        """Return the map plus a constant, as float32 layers hold it."""
        return Dense(self.kernel, np.float32(self.bias) + np.float32(constant))

    def output_shape(self, shape):
        check_width(shape, len(self.kernel), "A dense operation")
        return (*shape[:-1], self.kernel.shape[1])

    def evaluate(self, values, scratch=None):
        if scratch is None or values.ndim > 2:
            return values @ self.kernel + self.bias
        if len(self.bias) == 1:
            terms = scratch.beside(values, values.shape)
            np.multiply(values, self.kernel[:, 0], out=terms)
            return terms.sum(axis=1, keepdims=True) + self.bias
        products = scratch.product(values, self._blocks, len(self.bias))
        products += self.bias
        return products

    def linearize(self, values):
        return self.evaluate(values), lambda upstream: upstream @ self.kernel.T

    def _bound(self, shape):
        return matrix_bound(self.kernel)

    def linf_bound(self, shape=None):
        return column_sum_bound(self.kernel)

    def rounding(self, shape):
        n_places = None if shape is None else count(shape[:-1])
        return affine_rounding(np.abs(self.kernel), self.bias, len(self.kernel), n_places)

    def to_onnx(self, graph, values, shape):
        products = graph.add("MatMul", values, graph.constant(self.kernel))
        return graph.add("Add", products, graph.constant(self.bias))

    def to_keras(self, shape):
        import keras

        # Drawing weights first would use up global randomness.
        layer = keras.layers.Dense(len(self.bias), kernel_initializer="zeros", dtype="float32")
        return built(layer, shape, self.kernel, self.bias)


def affine_rounding(weights, bias, n_terms, n_places):
    """Describe sums of n products and a bias, the same in each of some places.

    The weights are a matrix whose norm no sum of the products' magnitudes exceeds.
    """
    if n_places is None:
        return None
    absolute = min(
        np.linalg.norm(weights), np.sqrt(weights.sum(axis=0).max() * weights.sum(axis=1).max())
    )
    offset = np.linalg.norm(bias) * math.sqrt(n_places)
    n_results = (2 * n_terms + 1) * math.sqrt(n_places * len(bias))
    return Rounding(n_terms + 1, float(absolute), float(offset), n_results)


@operation("scaling")
class Scaling(Operation):
    r"""An elementwise affine map :math:`x \mapsto s x + t` (normalizations at inference).

    The axes of s and t are the last ones of a point. Its rounding is unknown: what its numbers were
    computed from in float32 is not told.
    """

    scale: np.ndarray
    shift: np.ndarray

    def __post_init__(self):
        axes = np.ndim(self.scale)
        scale, shift = as_array(self.scale, axes, "scale"), as_array(self.shift, axes, "shift")
        freeze(self, scale=scale, shift=shift)

    def evaluate(self, values, scratch=None):
        return self.scale * values + self.shift

    def linearize(self, values):
        return self.evaluate(values), lambda upstream: upstream * self.scale

    def _bound(self, shape):
        return float(np.max(np.abs(self.scale))) * (1.0 + 2.0**-50)

    def to_onnx(self, graph, values, shape):
        scaled = graph.add("Mul", values, graph.constant(self.scale))
        return graph.add("Add", scaled, graph.constant(self.shift))

    def to_keras(self, shape):
        import keras

        return keras.layers.Rescaling(self.scale, self.shift, dtype="float32")


@operation("centered")
class Centered(Operation):
    r"""Take the mean over the first axis from each number, :math:`x \mapsto x - \bar x`."""

    def evaluate(self, values, scratch=None):
        return values - values.mean(axis=1, keepdims=True)

    def linearize(self, values):
        return self.evaluate(values), self.evaluate

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        if count(shape) is None:
            return None
        # A sum over the axis, its mean's rounding and a difference.
        return Rounding(shape[0] + 3, absolute=3.0, n_results=3 * count(shape))

    def to_keras(self, shape):
        return own_layer("layers.Centered")


@operation("asinh")
class Asinh(Operation):
    r"""Draw far values in: :math:`x \mapsto s \, \mathrm{asinh}(x / s)`, with s > 0."""

    scale: float

    def __post_init__(self):
        freeze(self, scale=as_number(self.scale, "scale", above=0.0))

    def evaluate(self, values, scratch=None):
        return self.scale * np.arcsinh(values / self.scale)

    def linearize(self, values):
        slope = 1.0 / np.hypot(1.0, values / self.scale)
        return self.evaluate(values), lambda upstream: upstream * slope

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        if count(shape) is None:
            return None
        # Two roundings, and an arcsinh that is right to four units in the last place.
        return Rounding(10, n_results=(2.0 + self.scale) * count(shape))

    def to_onnx(self, graph, values, shape):
        r"""Write asinh out, as runtimes have it in float32 only.

        .. math:: \mathrm{sign}(u) \, \mathrm{log1p}\Big(|u| +
           \frac{u^2}{1 + \sqrt{1 + u^2}}\Big)

        keeps small values; log1p(y) is log(1 + y), times y over what 1 + y was rounded to less 1.
        Squares are of numbers of at most 1, so that none overflows.
        """
        one, scale = graph.constant(1.0), graph.constant(self.scale)
        ratio = graph.add("Div", values, scale)
        size = graph.add("Abs", ratio)
        larger = graph.add("Max", size, one)
        parts = [graph.add("Div", part, larger) for part in (one, size)]
        squares = [graph.add("Mul", part, part) for part in parts]
        root = graph.add("Mul", larger, graph.add("Sqrt", graph.add("Add", *squares)))
        share = graph.add("Div", size, graph.add("Add", one, root))
        term = graph.add("Add", size, graph.add("Mul", size, share))
        above = graph.add("Add", one, term)
        rounded = graph.add("Sub", above, one)
        lost = graph.add("Equal", rounded, graph.constant(0.0))
        safe = graph.add("Where", lost, one, rounded)
        log = graph.add("Mul", graph.add("Log", above), graph.add("Div", term, safe))
        found = graph.add("Where", lost, term, log)
        return graph.add("Mul", scale, graph.add("Mul", graph.add("Sign", ratio), found))

    def to_keras(self, shape):
        return own_layer("layers.Asinh", self.scale)
