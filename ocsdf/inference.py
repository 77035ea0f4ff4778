"""A trained network as scores with a certificate: fixed blocks, float64 bounds."""

import numpy as np
import tensorflow as tf

from ocsdf.lipschitz import float_error, network_bound

_BLOCK = 64
_BLOCKS_A_CALL = 128


class CertifiedNetwork:
    """Evaluate a network on any number of rows, and bound it in float64.

    A matrix product's rounding may depend on its shape. Here every product has one shape, a block
    of 64 rows: a row's score is the same, to the last bit, alone and among others. Memory does
    not grow with the number of rows.

    Parameters
    ----------
    model : keras.Sequential
        Maps (n, n_features) to (n, 1). Its weights must not change afterwards, but by
        :meth:`shift`.

    Attributes
    ----------
    lipschitz_bound : float
        See :func:`ocsdf.lipschitz.network_bound`.
    rounding_constant, rounding_slope : float
        See :func:`ocsdf.lipschitz.float_error`.
    """

    def __init__(self, model):
        self.model = model
        self._bound()
        block_shape = (_BLOCK, model.input_shape[1])

        def score_block(block):
            return model(tf.ensure_shape(block, block_shape), training=False)[:, 0]

        # A concrete function is traced once, here.
        self._score_blocks = tf.function(
            lambda blocks: tf.map_fn(score_block, blocks)
        ).get_concrete_function(tf.TensorSpec((None, *block_shape), tf.float32))

    def _bound(self):
        self.lipschitz_bound = network_bound(self.model)
        self.rounding_constant, self.rounding_slope = float_error(self.model)

    def shift(self, constant):
        """Add a constant to f, in place.

        Parameters
        ----------
        constant : float
        """
        bias = self.model.layers[-1].bias
        bias.assign(bias + constant)
        self._bound()

    def score(self, points):
        """Evaluate f.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features), float32

        Returns
        -------
        ndarray of shape (n_samples,), float64
        """
        scores = np.empty(len(points), dtype=np.float64)
        rows_a_call = _BLOCK * _BLOCKS_A_CALL
        for start in range(0, len(points), rows_a_call):
            chunk = points[start : start + rows_a_call]
            n_blocks = -(-len(chunk) // _BLOCK)
            padded = np.zeros((n_blocks * _BLOCK, points.shape[1]), dtype=np.float32)
            padded[: len(chunk)] = chunk
            blocks = tf.constant(padded.reshape(n_blocks, _BLOCK, -1))
            values = self._score_blocks(blocks).numpy().reshape(-1)
            scores[start : start + len(chunk)] = values[: len(chunk)]
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
        norms = np.linalg.norm(points.astype(np.float64), axis=1)
        return self.rounding_constant + self.rounding_slope * norms
