"""The hinge Kantorovich-Rubinstein loss for Keras."""

import keras

from ocsdf.training.losses import hkr


@keras.saving.register_keras_serializable("ocsdf")
class HKR(keras.losses.Loss):
    """:func:`ocsdf.training.losses.hkr` as a Keras loss.

    Parameters
    ----------
    margin : float
    hinge_weight : float
    **kwargs
        ``reduction``, ``name``, ``dtype`` of ``keras.losses.Loss``.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.training import HKR
    >>> loss = HKR(margin=1.0, hinge_weight=10.0)
    >>> float(loss(np.array([[1.0], [-1.0]]), np.array([[2.0], [-0.5]])))
    1.25
    """

    def __init__(self, margin, hinge_weight, name="hkr", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin
        self.hinge_weight = hinge_weight

    def call(self, y_true, y_pred):
        return hkr(y_true, y_pred, self.margin, self.hinge_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "margin": self.margin,
            "hinge_weight": self.hinge_weight,
        }
