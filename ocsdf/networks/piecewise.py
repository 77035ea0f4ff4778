"""Increasing, piecewise linear maps of single features as a layer."""

import keras
from keras import ops


class PerFeature(keras.layers.Layer):
    """A layer with an increasing list of numbers for each feature, one list after the other.

    `counts` says how many numbers each feature has.
    """

    def __init__(self, counts, **kwargs):
        super().__init__(**kwargs)
        self.counts = [int(count) for count in counts]

    def get_config(self):
        return super().get_config() | {"counts": self.counts}


@keras.saving.register_keras_serializable("ocsdf")
class Piecewise(PerFeature):
    """Piecewise linear maps of features; see :class:`ocsdf.operations.piecewise.Piecewise`."""

    def build(self, input_shape):
        n_knots, n_features = sum(self.counts), len(self.counts)
        self.knots = self.add_weight(
            shape=(n_knots,), initializer="zeros", trainable=False, name="knots"
        )
        self.slopes = self.add_weight(
            shape=(n_knots + n_features,), initializer="ones", trainable=False, name="slopes"
        )
        self.origins = self.add_weight(
            shape=(n_features,), initializer="zeros", trainable=False, name="origins"
        )

    def call(self, inputs):
        columns, first = [], 0
        for j, count in enumerate(self.counts):
            knots = self.knots[first : first + count]
            slopes = self.slopes[first + j : first + j + count + 1]
            rises = ops.concatenate(
                [self.origins[j : j + 1], slopes[1:-1] * (knots[1:] - knots[:-1])]
            )
            heights = ops.cumsum(rises)
            x = inputs[:, j]
            piece = ops.searchsorted(knots, x, side="right")
            knot = ops.maximum(piece - 1, 0)
            start = ops.take(heights, knot)
            columns.append(start + ops.take(slopes, piece) * (x - ops.take(knots, knot)))
            first += count
        return ops.stack(columns, axis=1)
