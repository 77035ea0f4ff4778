"""Exact distances to reference rows as a layer."""

import math

import keras
from keras import ops

from ocsdf.operations.distances import arranged, check_group_sizes, mean_over_sizes

# References that a forward pass compares rows with at a time.
_BLOCK = 128


@keras.saving.register_keras_serializable("ocsdf")
class SubsampleDistance(keras.layers.Layer):
    """Minus the mean distance to the nearest row of random subsamples, as a layer.

    R is the number of references; see :class:`ocsdf.operations.distances.SubsampleDistance`.
    """

    def __init__(self, n_references, group_sizes, norm="l1", **kwargs):
        super().__init__(**kwargs)
        self.group_sizes = check_group_sizes(n_references, group_sizes, norm)
        self.n_references, self.norm = int(n_references), norm

    def build(self, input_shape):
        shape = (self.n_references, input_shape[-1])
        self.references = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="references"
        )

    def call(self, inputs):
        # Some rows of each smallest group at a time: no array holds all differences.
        size = self.group_sizes[0]
        n_groups = self.n_references // size
        n_rows = math.gcd(size, max(1, _BLOCK // n_groups))
        blocks = arranged(self.references, (*self.group_sizes, self.n_references), ops)
        blocks = ops.reshape(blocks, (size // n_rows, n_rows * n_groups, -1))

        def distances(block):
            differences = inputs[:, None, :] - block
            if self.norm == "l1":
                return ops.sum(ops.abs(differences), axis=2) / math.sqrt(inputs.shape[-1])
            return ops.sqrt(ops.sum(ops.square(differences), axis=2))

        nearest = ops.fori_loop(
            1,
            size // n_rows,
            lambda i, nearest: ops.minimum(nearest, distances(blocks[i])),
            distances(blocks[0]),
        )
        nearest = ops.min(ops.reshape(nearest, (-1, n_rows, n_groups)), axis=1)
        return -ops.expand_dims(mean_over_sizes(nearest, self.group_sizes, ops), 1)

    def get_config(self):
        config = super().get_config()
        sizes = {"n_references": self.n_references, "group_sizes": self.group_sizes}
        return config | sizes | {"norm": self.norm}
