"""Several networks as one: their weighted mean, their minimum; 1-Lipschitz where they are."""

import keras
from keras import ops

from ocsdf.operations.ensembles import check_scales, check_shares


class _Ensemble(keras.layers.Layer):
    """A layer of networks of the same rows, each from (n, n_features) to (n, 1)."""

    def __init__(self, members, **kwargs):
        super().__init__(**kwargs)
        self.members = list(members)
        widths = [member.output_shape[-1] for member in self.members]
        if set(widths) - {1}:
            raise ValueError(f"members must have one output each; got {widths}.")

    def get_config(self):
        members = [keras.saving.serialize_keras_object(member) for member in self.members]
        return super().get_config() | {"members": members}

    @classmethod
    def from_config(cls, config):
        """Make the layer that :meth:`get_config` described, with its members.

        Members are as Keras describes them; a file holds all weights, theirs too.
        """
        members = [keras.saving.deserialize_keras_object(m) for m in config.pop("members")]
        return cls(members, **config)


@keras.saving.register_keras_serializable("ocsdf")
class WeightedMean(_Ensemble):
    """Weighted mean of networks; see :class:`ocsdf.operations.ensembles.WeightedMean`.

    Its weights are positive and sum to 1, else it raises a ValueError.
    """

    def __init__(self, members, weights, **kwargs):
        super().__init__(members, **kwargs)
        self.shares = list(check_shares(weights, self.members))

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(1,), initializer="zeros", trainable=False, name="bias")

    def call(self, inputs):
        pairs = zip(self.shares, self.members, strict=True)
        return sum(share * member(inputs) for share, member in pairs) + ops.convert_to_tensor(
            self.bias
        )

    def get_config(self):
        return super().get_config() | {"weights": self.shares}


@keras.saving.register_keras_serializable("ocsdf")
class ScaledMinimum(_Ensemble):
    """Scaled minimum of networks; see :class:`ocsdf.operations.ensembles.ScaledMinimum`.

    Its scales are positive and finite, one a member; its variable ``levels`` is 0 at first.
    """

    def __init__(self, members, scales, **kwargs):
        super().__init__(members, **kwargs)
        self.scales = list(check_scales(scales, self.members))

    def build(self, input_shape):
        shape = (len(self.members),)
        self.levels = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="levels"
        )

    def call(self, inputs):
        values = ops.concatenate([member(inputs) for member in self.members], axis=1)
        scaled = ops.convert_to_tensor(self.scales, dtype=values.dtype) * (values - self.levels)
        return ops.min(scaled, axis=1, keepdims=True)

    def get_config(self):
        return super().get_config() | {"scales": self.scales}
