"""A weighted mean of networks, as one network: 1-Lipschitz where its members are."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("ocsdf")
class WeightedMean(keras.layers.Layer):
    r"""Weighted mean of networks of the same rows.

    .. math:: f(x) = b + \sum_i w_i f_i(x), \qquad
       \mathrm{Lip}(f) \le \sum_i w_i \, \mathrm{Lip}(f_i)

    Parameters
    ----------
    members : sequence of keras.Sequential
        f_i, each maps (n, n_features) to (n, 1).
    weights : sequence of float
        w_i > 0, whose sum is 1.
    **kwargs
        Passed to ``keras.layers.Layer``.

    Raises
    ------
    ValueError
        If the weights do not fit the members, or are not positive, or do not sum to 1, or a member
        has more than one output.
    """

    def __init__(self, members, weights, **kwargs):
        super().__init__(**kwargs)
        self.members = list(members)
        self.shares = [float(weight) for weight in weights]
        if len(self.shares) != len(self.members) or min(self.shares, default=0.0) <= 0.0:
            raise ValueError(
                f"weights must be positive, one for each of {len(self.members)} members; "
                f"got {list(weights)}."
            )
        widths = [member.output_shape[-1] for member in self.members]
        if set(widths) != {1}:
            raise ValueError(f"members must have one output each; got {widths}.")
        # The exact sum, rounded once: whether weights are taken does not hang on their order.
        if (total := math.fsum(self.shares)) != 1.0:
            raise ValueError(f"weights must sum to 1; got {total!r}.")

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(1,), initializer="zeros", trainable=False, name="bias")

    def call(self, inputs):
        pairs = zip(self.shares, self.members, strict=True)
        return sum(share * member(inputs) for share, member in pairs) + ops.convert_to_tensor(
            self.bias
        )

    def get_config(self):
        members = [keras.saving.serialize_keras_object(member) for member in self.members]
        return super().get_config() | {"members": members, "weights": self.shares}

    @classmethod
    def from_config(cls, config):
        """Make the layer that :meth:`get_config` described, with its members.

        Parameters
        ----------
        config : dict
            Members as Keras describes them; a file holds all weights, theirs too.

        Returns
        -------
        WeightedMean
        """
        members = [keras.saving.deserialize_keras_object(m) for m in config.pop("members")]
        return cls(members, **config)
