"""Pictures of a fitted model's results: arrays first, drawing only in ``plot``."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CertifiedAUROCDisplay": "ocsdf.displays.certified",
        "CertifiedROCDisplay": "ocsdf.displays.certified",
        "ExplanationDisplay": "ocsdf.displays.explanation",
        "ScoreHistogramDisplay": "ocsdf.displays.scores",
        "SignedDistanceDisplay": "ocsdf.displays.signed_distance",
        "TrainingHistoryDisplay": "ocsdf.displays.scores",
    },
)
