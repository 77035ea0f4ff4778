"""A trained network as scores with a certificate: evaluated and bounded in float64."""

import keras
import numpy as np

from ocsdf.lipschitz import float_error, layers_in_order, network_bound

_BLOCK = 64


class CertifiedNetwork:
    """Evaluate a network on any number of rows in float64, and bound it in float64.

    In float64 what rounding takes from a certificate is far below any radius of interest, and
    NumPy sorts rows faster than TensorFlow does. A matrix product's rounding may depend on its
    shape, so every product has one shape, a block of 64 rows: a row's score is the same, to the
    last bit, alone and among others. Memory does not grow with the number of rows.

    Parameters
    ----------
    model : keras.Sequential
        Of linear ``Dense`` and sorting layers; maps (n, n_features) to (n, 1). Its weights must
        not change afterwards, but by :meth:`shift`.

    Attributes
    ----------
    lipschitz_bound : float
        See :func:`ocsdf.lipschitz.network_bound`.
    rounding_constant, rounding_slope : float
        See :func:`ocsdf.lipschitz.float_error`.
    """

    def __init__(self, model):
        self.model = model
        self._take_weights()

    def shift(self, constant):
        """Add a constant to f, in place.

        Parameters
        ----------
        constant : float
        """
        bias = self.model.layers[-1].bias
        bias.assign(bias + constant)
        self._take_weights()

    def score(self, points):
        """Evaluate f.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), float64
        """
        scores = np.empty(len(points))
        block = np.zeros((_BLOCK, points.shape[1]))
        for start in range(0, len(points), _BLOCK):
            rows = points[start : start + _BLOCK]
            block[: len(rows)] = rows
            scores[start : start + len(rows)] = self._score_block(block)[: len(rows)]
        return scores

    def rounding_error(self, points):
        """Bound the distance of :meth:`score` from the real-valued f at the same rows.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        norms = np.linalg.norm(np.asarray(points, dtype=np.float64), axis=1)
        return self.rounding_constant + self.rounding_slope * norms

    def _take_weights(self):
        self.lipschitz_bound = network_bound(self.model)
        self.rounding_constant, self.rounding_slope = float_error(self.model)
        self._steps = [_float64_step(layer) for layer in layers_in_order(self.model)]

    def _score_block(self, values):
        for step in self._steps:
            values = step(values)
        return values[:, 0]


def _float64_step(layer):
    """Return a layer as a function of a float64 block."""
    if isinstance(layer, keras.layers.Dense):
        kernel = layer.kernel.numpy().astype(np.float64)
        bias = layer.bias.numpy().astype(np.float64) if layer.use_bias else 0.0
        if layer.units == 1:
            # Not a matrix-vector product, whose rounding may depend on the row's place.
            return lambda values: (values * kernel[:, 0]).sum(axis=1, keepdims=True) + bias
        return lambda values: values @ kernel + bias
    coefficient = layer._get_coef()

    def sort(values):
        groups = values.reshape(len(values), -1, layer.n)
        return coefficient * np.sort(groups, axis=2).reshape(values.shape)

    return sort
