"""Poolings of each channel's whole image: mean, norm, maximum."""

import math
from fractions import Fraction

import numpy as np

from ocsdf.operations.base import EXACT, Operation, operation
from ocsdf.operations.fields import count, readings
from ocsdf.operations.keras_layers import built
from ocsdf.operations.scaled import Scaled
from ocsdf.operations.windows import over, root_above, window_rounding


class _GlobalPooling(Operation):
    """A pooling of each channel's whole image."""

    def output_shape(self, shape):
        return shape[-1:]

    def _n_pixels(self, shape):
        return count(shape[:-1]) if shape else None

    def _spread(self, channels, ndim):
        return channels.reshape(len(channels), *[1] * (ndim - 2), -1)


@operation("global_average_pooling")
class GlobalAveragePooling(_GlobalPooling, Scaled):
    """Mean of each channel's image, times a coefficient."""

    def evaluate(self, values, scratch=None):
        return values.mean(axis=tuple(range(1, values.ndim - 1))) * self.coefficient

    def linearize(self, values):
        share = self.coefficient / self._n_pixels(values.shape[1:])

        def pull_back(upstream):
            return np.broadcast_to(self._spread(upstream * share, values.ndim), values.shape)

        return self.evaluate(values), pull_back

    def _bound(self, shape):
        squared = Fraction(float(readings(self.coefficient))) ** 2
        return root_above(squared / (self._n_pixels(shape) or 1))

    def rounding(self, shape):
        n_pixels = self._n_pixels(shape)
        return window_rounding(n_pixels and n_pixels + 5, count(shape[-1:]))

    def to_keras(self, shape):
        import keras

        if self.coefficient == 1.0:
            name = f"GlobalAveragePooling{len(shape) - 1}D"
            return getattr(keras.layers, name)(dtype="float32")
        from deel.lip.layers import ScaledGlobalAveragePooling2D

        factor = self.coefficient / math.sqrt(self._n_pixels(shape))
        return built(ScaledGlobalAveragePooling2D(k_coef_lip=factor, dtype="float32"), shape)


@operation("global_norm_pooling")
class GlobalNormPooling(_GlobalPooling, Scaled):
    """Norm of each channel's image, times a coefficient."""

    def evaluate(self, values, scratch=None):
        axes = tuple(range(1, values.ndim - 1))
        return np.sqrt(np.square(values).sum(axis=axes)) * self.coefficient

    def linearize(self, values):
        found = self.evaluate(values)

        def pull_back(upstream):
            slope = upstream * over(self.coefficient**2, found)
            return values * self._spread(slope, values.ndim)

        return found, pull_back

    def rounding(self, shape):
        n_pixels = self._n_pixels(shape)
        return window_rounding(n_pixels and n_pixels + 8, count(shape[-1:]))

    def to_keras(self, shape):
        from deel.lip.layers import ScaledGlobalL2NormPooling2D

        layer = ScaledGlobalL2NormPooling2D(k_coef_lip=self.coefficient, dtype="float32")
        return built(layer, shape)


@operation("global_maximum_pooling")
class GlobalMaximumPooling(_GlobalPooling):
    """Maximum of each channel's image."""

    def evaluate(self, values, scratch=None):
        return values.max(axis=tuple(range(1, values.ndim - 1)))

    def linearize(self, values):
        flat = values.reshape(len(values), -1, values.shape[-1])
        places = flat.argmax(axis=1)[:, np.newaxis]

        def pull_back(upstream):
            gradient = np.zeros(flat.shape)
            np.put_along_axis(gradient, places, upstream[:, np.newaxis], axis=1)
            return gradient.reshape(values.shape)

        return self.evaluate(values), pull_back

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        return EXACT

    def to_keras(self, shape):
        import keras

        return getattr(keras.layers, f"GlobalMaxPooling{len(shape) - 1}D")(dtype="float32")
