"""The Keras layers that training needs, builders of networks, and their bounds."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Asinh": "ocsdf.networks.layers",
        "BjorckDense": "ocsdf.networks.layers",
        "Centered": "ocsdf.networks.layers",
        "FullSort": "ocsdf.networks.layers",
        "GroupSort2": "ocsdf.networks.layers",
        "Orthogonal": "ocsdf.networks.layers",
        "average": "ocsdf.networks.builders",
        "build_convnet": "ocsdf.networks.convnets",
        "L1Columns": "ocsdf.networks.linf",
        "build_linf_mlp": "ocsdf.networks.linf",
        "build_downsampling_net": "ocsdf.networks.convnets",
        "build_mlp": "ocsdf.networks.builders",
        "condense": "ocsdf.networks.builders",
        "condense_linf": "ocsdf.networks.linf",
        "condense_convnet": "ocsdf.networks.convnets",
        "float_error": "ocsdf.networks.lipschitz",
        "input_gradient": "ocsdf.networks.gradients",
        "layer_bound": "ocsdf.networks.lipschitz",
        "network_bound": "ocsdf.networks.lipschitz",
        "orthogonal_convolution": "ocsdf.networks.convolutions",
        "orthogonalize": "ocsdf.networks.layers",
        "register": "ocsdf.networks.translation",
        "translate": "ocsdf.networks.translation",
    },
)
