"""Functions of one number to one number."""

import math

import numpy as np

from ocsdf.operations.base import EXACT, Operation, Rounding, operation
from ocsdf.operations.fields import as_array, as_number, count, freeze, readings
from ocsdf.operations.keras_layers import built


@operation("rectifier")
class Rectifier(Operation):
    r"""Linear with another slope below 0: :math:`x \mapsto \min(x^+, m) - a \, x^-`.

    a is `slope`, whose axes are the last ones of a point, and m is `largest`; None sets no limit.
    """

    slope: np.ndarray
    largest: float | None = None

    def __post_init__(self):
        freeze(self, slope=as_array(self.slope, np.ndim(self.slope), "slope"))
        if self.largest is not None:
            freeze(self, largest=as_number(self.largest, "largest", least=0.0))

    def evaluate(self, values, scratch=None):
        limit = math.inf if self.largest is None else self.largest
        rising = np.clip(values, 0.0, limit)
        return rising + self.slope * np.minimum(values, 0.0) if np.any(self.slope) else rising

    def linearize(self, values):
        limit = math.inf if self.largest is None else self.largest
        slopes = np.where(values > 0.0, values < limit, self.slope)
        return self.evaluate(values), lambda upstream: upstream * slopes

    def _bound(self, shape):
        return max(1.0, float(np.max(readings(self.slope))))

    def rounding(self, shape):
        if not np.any(self.slope):
            return EXACT
        if count(shape) is None:
            return None
        # Its slope is rounded, and the product.
        return Rounding(4, n_results=count(shape))

    def to_keras(self, shape):
        import keras

        if self.slope.ndim:
            slope = np.broadcast_to(self.slope, shape)
            return built(keras.layers.PReLU(dtype="float32"), shape, slope)
        return keras.layers.ReLU(self.largest, float(self.slope), dtype="float32")


def _sigmoid(values):
    return 0.5 * (1.0 + np.tanh(0.5 * values))


# Name, function, derivative, largest slope.
_SMOOTH = {
    "softplus": (lambda x: np.logaddexp(0.0, x), _sigmoid, 1.0),
    "softsign": (lambda x: x / (1.0 + np.abs(x)), lambda x: (1.0 + np.abs(x)) ** -2.0, 1.0),
    "tanh": (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2, 1.0),
    "sigmoid": (_sigmoid, lambda x: 0.25 * (1.0 - np.tanh(0.5 * x) ** 2), 0.25),
}


@operation("smooth")
class Smooth(Operation):
    """A softplus, softsign, tanh or sigmoid, by its name. Nobody vouches for its rounding."""

    name: str

    def __post_init__(self):
        if self.name not in _SMOOTH:
            raise ValueError(f"name must be one of {', '.join(_SMOOTH)}; got {self.name!r}.")

    def evaluate(self, values, scratch=None):
        return _SMOOTH[self.name][0](values)

    def linearize(self, values):
        slopes = _SMOOTH[self.name][1](values)
        return self.evaluate(values), lambda upstream: upstream * slopes

    def _bound(self, shape):
        return _SMOOTH[self.name][2]

    def to_keras(self, shape):
        import keras

        return keras.layers.Activation(self.name, dtype="float32")


@operation("elu")
class Elu(Operation):
    r"""Exponential below 0: :math:`x \mapsto \alpha (e^x - 1)`. Nobody vouches for its rounding."""

    alpha: float

    def __post_init__(self):
        freeze(self, alpha=as_number(self.alpha, "alpha"))

    def evaluate(self, values, scratch=None):
        return np.where(values > 0.0, values, self.alpha * np.expm1(np.minimum(values, 0.0)))

    def linearize(self, values):
        slopes = np.where(values > 0.0, 1.0, self.alpha * np.exp(np.minimum(values, 0.0)))
        return self.evaluate(values), lambda upstream: upstream * slopes

    def _bound(self, shape):
        return max(1.0, float(readings(self.alpha)))

    def to_keras(self, shape):
        import keras

        return keras.layers.ELU(self.alpha, dtype="float32")
