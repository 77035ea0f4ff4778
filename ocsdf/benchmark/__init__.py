"""Detectors on tables: run, resumed, ranked, reported."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "find_detector": "ocsdf.benchmark.detectors",
        "run_benchmark": "ocsdf.benchmark.run",
        "write_report": "ocsdf.benchmark.files",
    },
)
