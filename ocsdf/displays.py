"""Pictures of a fitted model's results: arrays first, drawing only in ``plot``."""

from ocsdf.certified_displays import CertifiedAUROCDisplay, CertifiedROCDisplay
from ocsdf.score_displays import ScoreHistogramDisplay, TrainingHistoryDisplay
from ocsdf.signed_distance_display import SignedDistanceDisplay

__all__ = [
    "CertifiedAUROCDisplay",
    "CertifiedROCDisplay",
    "ScoreHistogramDisplay",
    "SignedDistanceDisplay",
    "TrainingHistoryDisplay",
]
