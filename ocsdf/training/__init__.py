"""Training against negatives that are pulled to the boundary (OCSDF Algorithms 1 to 3)."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Ball": "ocsdf.training.domain",
        "Box": "ocsdf.training.domain",
        "Callback": "ocsdf.training.callbacks",
        "HKR": "ocsdf.training.keras_loss",
        "KerasState": "ocsdf.training.keras_state",
        "NumpyState": "ocsdf.training.numpy_state",
        "Settings": "ocsdf.training.trainer",
        "Trainer": "ocsdf.training.trainer",
        "attract": "ocsdf.training.negatives",
        "hkr": "ocsdf.training.losses",
        "initial_weights": "ocsdf.training.numpy_state",
        "newton_step": "ocsdf.training.newton",
        "sample_level_set": "ocsdf.training.negatives",
    },
)
