"""Signed distance to a union of cones as a layer."""

import keras
from keras import ops

from ocsdf.operations.cones import check_cones, cone_distance

# Below, a float32 root has no gradient to speak of.
_TINY = 1e-12


@keras.saving.register_keras_serializable("ocsdf")
class Cones(keras.layers.Layer):
    r"""Signed distance to the edge of a union of cones, cut off near their common tip, as a layer.

    The parameters are K, r, :math:`\theta` and c of :class:`ocsdf.operations.cones.Cones`.
    """

    def __init__(self, n_cones, rank, angle, floor, **kwargs):
        super().__init__(**kwargs)
        self.n_cones, self.rank = check_cones(n_cones, rank, angle, floor)
        self.angle, self.floor = float(angle), float(floor)

    def build(self, input_shape):
        shape = (input_shape[-1], self.n_cones * self.rank)
        self.bases = self.add_weight(shape=shape, initializer="zeros", name="bases")

    def call(self, inputs):
        coordinates = ops.matmul(inputs, self.bases)
        if self.rank == 1:
            nearest = ops.max(coordinates, axis=1, keepdims=True)
        else:
            squares = ops.reshape(ops.square(coordinates), (-1, self.n_cones, self.rank))
            squares = ops.max(ops.sum(squares, axis=2), axis=1, keepdims=True)
            nearest = ops.sqrt(ops.maximum(squares, _TINY))
        squared_norm = ops.sum(ops.square(inputs), axis=1, keepdims=True)
        return cone_distance(nearest, squared_norm, self.angle, self.floor, ops, _TINY)

    def get_config(self):
        own = {"n_cones": self.n_cones, "rank": self.rank, "angle": self.angle}
        return super().get_config() | own | {"floor": self.floor}
