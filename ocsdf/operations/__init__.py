"""What a fitted network is made of, and float64 bounds of matrices and convolutions."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Chain": "ocsdf.operations.chain",
        "Dense": "ocsdf.operations.linear",
        "Operation": "ocsdf.operations.base",
        "convolution_bound": "ocsdf.operations.convolution_bounds",
        "matrix_bound": "ocsdf.operations.matrix_bounds",
    },
)
