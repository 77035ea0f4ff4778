"""A fitted detector for other runtimes: ONNX (``pip install 'ocsdf[onnx]'``)."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__, {"Graph": "ocsdf.export.graph", "detector_graph": "ocsdf.export.detector"}
)
