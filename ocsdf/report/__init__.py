"""A certified report of one table: judged, attacked, beside rivals, as a page."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Setting": "ocsdf.report.summary",
        "evaluate": "ocsdf.report.evaluation",
        "ranked_examples": "ocsdf.report.evaluation",
        "render_html": "ocsdf.report.page",
        "render_markdown": "ocsdf.report.page",
        "summarize": "ocsdf.report.summary",
    },
)
