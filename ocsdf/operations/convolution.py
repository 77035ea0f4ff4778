"""Convolutions, as they are summed when written out."""

import math

import numpy as np

from ocsdf.operations.base import Operation, operation
from ocsdf.operations.convolution_bounds import convolution_bound
from ocsdf.operations.fields import as_array, check_width, count, freeze
from ocsdf.operations.keras_layers import built
from ocsdf.operations.linear import affine_rounding
from ocsdf.operations.windows import Windows


@operation("convolution")
class Convolution(Windows, Operation):
    r"""A convolution of d axes, :math:`y_p = \sum_t x_{s p + t} K_t + b`.

    K is `kernel`, of shape (k_1, ..., k_d, n_in, n_out). Its rounding is that of a dense layer, as
    long as it is not summed by Winograd's or Fourier's transform, with
    :math:`\||W|\|_2 \le \|\sum_t |K_t|\|_2`, and b counting once for each pixel.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strides: tuple
    padding: str

    def __post_init__(self):
        kernel = as_array(self.kernel, np.ndim(self.kernel), "kernel")
        bias = as_array(self.bias, 1, "bias")
        if not 3 <= kernel.ndim <= 5 or bias.shape != kernel.shape[-1:]:
            raise ValueError(
                f"kernel must have 1 to 3 axes of taps, and bias fit it; got {kernel.shape} and "
                f"{bias.shape}."
            )
        freeze(self, kernel=kernel, bias=bias)
        freeze(self, strides=self._check_windows(("valid", "same", "causal"))[1])

    @property
    def sizes(self):
        """The taps of each axis."""
        return self.kernel.shape[:-2]

    def output_shape(self, shape):
        check_width(shape, self.kernel.shape[-2], "A convolution")
        return (*self._lengths(shape), self.kernel.shape[-1])

    def evaluate(self, values, scratch=None):
        padded, taps, _ = self._padded(values)
        found = np.zeros((len(values), *self.output_shape(values.shape[1:])))
        for tap, matrix in zip(taps, self._matrices(), strict=True):
            found += padded[tap] @ matrix
        found += self.bias
        return found

    def linearize(self, values):
        padded, taps, inside = self._padded(values)

        def pull_back(upstream):
            gradient = np.zeros(padded.shape)
            for tap, matrix in zip(taps, self._matrices(), strict=True):
                gradient[tap] += upstream @ matrix.T
            return gradient[inside]

        return self.evaluate(values), pull_back

    def _matrices(self):
        return self.kernel.reshape(-1, *self.kernel.shape[-2:])

    def _bound(self, shape):
        return convolution_bound(self.kernel, None if shape is None else shape[:-1])

    def rounding(self, shape):
        n_places = None if shape is None else count(self._lengths(shape))
        n_terms = math.prod(self.kernel.shape[:-1])
        weights = np.abs(self._matrices()).sum(axis=0)
        return affine_rounding(weights, self.bias, n_terms, n_places)

    def to_keras(self, shape):
        import keras

        layer = getattr(keras.layers, f"Conv{len(self.sizes)}D")(
            len(self.bias),
            self.sizes,
            self.strides,
            self.padding,
            kernel_initializer="zeros",
            dtype="float32",
        )
        return built(layer, shape, self.kernel, self.bias)
