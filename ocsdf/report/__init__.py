"""A certified report of one table: judged, attacked, beside rivals, as a page."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "judge": "ocsdf.report.evaluation",
        "render": "ocsdf.report.summary",
        "summarize": "ocsdf.report.summary",
    },
)
