"""Scores in blocks of one fixed shape, so that batch size never changes one."""

import numpy as np
import tensorflow as tf

_BLOCK = 64
_BLOCKS_A_CALL = 128


class BlockScorer:
    """Evaluate a network on any number of rows, each in a block of 64.

    A matrix product's rounding may depend on its shape. Here every product has one shape,
    whatever the number of rows: a row's score is the same, to the last bit, alone and among
    others. Memory does not grow with the number of rows.

    Parameters
    ----------
    model : keras.Model
        Maps (n, n_features) to (n, 1).
    """

    def __init__(self, model):
        n_features = model.input_shape[1]
        block_shape = (_BLOCK, n_features)

        def score_block(block):
            return model(tf.ensure_shape(block, block_shape), training=False)[:, 0]

        self._score_blocks = tf.function(
            lambda blocks: tf.map_fn(score_block, blocks)
        ).get_concrete_function(tf.TensorSpec((None, *block_shape), tf.float32))

    def __call__(self, points):
        """Score rows.

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
            blocks = padded.reshape(n_blocks, _BLOCK, -1)
            values = self._score_blocks(tf.constant(blocks)).numpy().reshape(-1)
            scores[start : start + len(chunk)] = values[: len(chunk)]
        return scores
