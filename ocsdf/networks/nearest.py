"""Exact distances to the nearest row, and to each feature's nearest value, as layers."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("ocsdf")
class NearestRow(keras.layers.Layer):
    """Minus the distance to the nearest row; see :class:`ocsdf.operations.nearest.NearestRow`.

    Parameters
    ----------
    n_references : int
    **kwargs
        Passed to ``keras.layers.Layer``.
    """

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
        # Products choose the reference; the distance to it is computed without cancellation.
        rows = ops.stop_gradient(inputs)
        squares = ops.sum(ops.square(self.references), axis=1)
        squared = squares - 2.0 * ops.matmul(rows, ops.transpose(self.references))
        squared = squared + ops.sum(ops.square(rows), axis=1, keepdims=True)
        distances = ops.sqrt(ops.maximum(squared, 0.0)) + self.setbacks
        places = ops.argmin(distances, axis=1)
        offset = inputs - ops.take(self.references, places, axis=0)
        return -(ops.norm(offset, axis=1) + ops.take(self.setbacks, places))[:, None]

    def get_config(self):
        return super().get_config() | {"n_references": self.n_references}


@keras.saving.register_keras_serializable("ocsdf")
class NearestValues(keras.layers.Layer):
    """Minus the norm of features' distances to their nearest values.

    See :class:`ocsdf.operations.nearest.NearestValues`.

    Parameters
    ----------
    counts : sequence of int
        How many values each feature has.
    **kwargs
        Passed to ``keras.layers.Layer``.
    """

    def __init__(self, counts, **kwargs):
        super().__init__(**kwargs)
        self.counts = [int(count) for count in counts]

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

    def get_config(self):
        return super().get_config() | {"counts": self.counts}
