"""From scores to decisions: p-values, thresholds, discoveries, and what an attacker can do."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "benjamini_hochberg": "ocsdf.decisions.discoveries",
        "benjamini_yekutieli": "ocsdf.decisions.discoveries",
        "conformal_e_values": "ocsdf.decisions.e_values",
        "conformal_p_values": "ocsdf.decisions.p_values",
        "e_benjamini_hochberg": "ocsdf.decisions.discoveries",
        "marginal_threshold": "ocsdf.decisions.thresholds",
        "no_false_alarm": "ocsdf.decisions.guarantees",
        "no_masking": "ocsdf.decisions.guarantees",
        "pac_threshold": "ocsdf.decisions.thresholds",
        "rows_needed": "ocsdf.decisions.thresholds",
        "score_drift": "ocsdf.decisions.drift",
    },
)
