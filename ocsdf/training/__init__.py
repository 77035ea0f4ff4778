"""Training against negatives that are pulled to the boundary (OCSDF Algorithms 1 to 3)."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Ball": "ocsdf.training.domain",
        "Box": "ocsdf.training.domain",
        "HKR": "ocsdf.training.losses",
        "Settings": "ocsdf.training.trainer",
        "Trainer": "ocsdf.training.trainer",
        "attract": "ocsdf.training.negatives",
        "hkr": "ocsdf.training.losses",
        "newton_step": "ocsdf.training.newton",
        "sample_level_set": "ocsdf.training.negatives",
    },
)
