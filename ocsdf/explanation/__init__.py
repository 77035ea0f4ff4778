"""Why a row has its verdict: boundary points, shares of features, certified counts."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BoundaryPoints": "ocsdf.explanation.boundary",
        "Explanation": "ocsdf.explanation.verdicts",
        "VerdictCounts": "ocsdf.explanation.verdicts",
        "boundary_points": "ocsdf.explanation.boundary",
        "sparse_boundary_points": "ocsdf.explanation.sparse",
        "explain": "ocsdf.explanation.verdicts",
        "verdict_counts": "ocsdf.explanation.verdicts",
    },
)
