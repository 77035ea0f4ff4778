"""Exact distances to the nearest row, and to each feature's nearest value, as layers."""

import keras
from keras import ops

from ocsdf.networks.piecewise import PerFeature

# References that a forward pass compares rows with at a time.
_BLOCK = 128


@keras.saving.register_keras_serializable("ocsdf")
class NearestRow(keras.layers.Layer):
    """Minus the distance to the nearest row; see :class:`ocsdf.operations.nearest.NearestRow`."""

    def __init__(self, n_references, **kwargs):
        super().__init__(**kwargs)
        self.n_references = int(n_references)

    def build(self, input_shape):
        self.references = self.add_weight(
            shape=(self.n_references, input_shape[-1]),
            initializer="zeros",
            trainable=False,
            name="references",
        )
        self.setbacks = self.add_weight(
            shape=(self.n_references,), initializer="zeros", trainable=False, name="setbacks"
        )

    def call(self, inputs):
        # Some references at a time: no array holds all differences.
        nearest = None
        for start in range(0, self.n_references, _BLOCK):
            references = self.references[start : start + _BLOCK]
            distances = ops.norm(inputs[:, None, :] - references, axis=2)
            least = ops.min(distances + self.setbacks[start : start + _BLOCK], axis=1)
            nearest = least if nearest is None else ops.minimum(nearest, least)
        return -nearest[:, None]

    def get_config(self):
        return super().get_config() | {"n_references": self.n_references}


@keras.saving.register_keras_serializable("ocsdf")
class NearestValues(PerFeature):
    """Minus the norm of features' distances to their nearest values.

    See :class:`ocsdf.operations.nearest.NearestValues`.
    """

    def build(self, input_shape):
        self.seen = self.add_weight(
            shape=(sum(self.counts),), initializer="zeros", trainable=False, name="seen"
        )

    def call(self, inputs):
        columns, first = [], 0
        for j, count in enumerate(self.counts):
            seen, x = self.seen[first : first + count], inputs[:, j]
            place = ops.searchsorted(seen, x, side="right")
            above = ops.abs(x - ops.take(seen, ops.minimum(place, count - 1)))
            below = ops.abs(x - ops.take(seen, ops.maximum(place - 1, 0)))
            columns.append(ops.minimum(above, below))
            first += count
        return -ops.norm(ops.stack(columns, axis=1), axis=1, keepdims=True)
