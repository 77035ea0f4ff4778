"""The table that translates Keras's, deel-lip's and our own layers into operations.

A layer is looked up by its very class: a subclass may compute something else than the class whose
proof is known. What is not in the table is refused by name.
"""

import keras
import numpy as np
from deel.lip import layers as deel
from keras import layers

from ocsdf.networks import cones, distances, ensembles, nearest, piecewise
from ocsdf.networks import layers as ours
from ocsdf.networks.weights import to_numpy
from ocsdf.operations.activations import Elu, Rectifier, Smooth
from ocsdf.operations.chain import Chain
from ocsdf.operations.cones import Cones
from ocsdf.operations.convolution import Convolution
from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.ensembles import ScaledMinimum, WeightedMean
from ocsdf.operations.fields import freeze
from ocsdf.operations.global_pooling import (
    GlobalAveragePooling,
    GlobalMaximumPooling,
    GlobalNormPooling,
)
from ocsdf.operations.linear import Asinh, Centered, Dense, Scaling
from ocsdf.operations.nearest import NearestRow, NearestValues
from ocsdf.operations.piecewise import Piecewise
from ocsdf.operations.pooling import (
    AveragePooling,
    MaximumPooling,
    NormPooling,
    ScaledAveragePooling,
)
from ocsdf.operations.rearrangements import DownSampling, Pad, Permute, Reshape
from ocsdf.operations.sorting import GroupSort, MaxMin, SortedHalves

_TABLE = {}
# Of these functions alone, one number to one number, every use is known.
_FUNCTIONS = {
    keras.activations.linear: list,
    keras.activations.relu: lambda: [Rectifier(0.0)],
    keras.activations.relu6: lambda: [Rectifier(0.0, 6.0)],
    keras.activations.leaky_relu: lambda: [Rectifier(0.2)],
    keras.activations.elu: lambda: [Elu(1.0)],
    keras.activations.softplus: lambda: [Smooth("softplus")],
    keras.activations.softsign: lambda: [Smooth("softsign")],
    keras.activations.tanh: lambda: [Smooth("tanh")],
    keras.activations.sigmoid: lambda: [Smooth("sigmoid")],
}


def register(layer_class, translate):
    """Add a layer to the table.

    Parameters
    ----------
    layer_class : type
        The very class; subclasses are not meant.
    translate : callable
        Takes a built layer, gives the list of :class:`ocsdf.operations.Operation` that computes
        the same at inference; none is the identity.
    """
    _TABLE[layer_class] = translate


def translate(model):
    """Translate a sequential network into operations, with its weights as they are now.

    Parameters
    ----------
    model : keras.Sequential
        Of layers that :func:`ocsdf.networks.layer_bound` lists.

    Returns
    -------
    Chain

    Raises
    ------
    TypeError
        If the model is not sequential or has a layer without a known bound.
    ValueError
        If a weight is NaN or infinite.
    """
    operations = [op for layer in _layers_in_order(model) for op in translate_layer(layer)]
    return Chain(operations, model.input_shape[1:])


def translate_layer(layer):
    """Translate one layer into a list of operations; see :func:`translate`."""
    _check_plain(layer)
    if type(layer) not in _TABLE:
        raise _refusal(layer)
    operations = _TABLE[type(layer)](layer)
    for part in operations:
        if part.label is None:
            freeze(part, label=f"layer {layer.name!r} of type {type(layer).__name__}")
    return operations


def _layers_in_order(model):
    """Return the layers of a sequential network, those of one inside it in its place."""
    if type(model) is not keras.Sequential:
        raise TypeError(
            f"Expected a keras.Sequential model, whose bound is its layers' product; got "
            f"{type(model).__name__}."
        )
    _check_plain(model)
    return [
        part
        for layer in model.layers
        for part in (_layers_in_order(layer) if isinstance(layer, keras.Sequential) else [layer])
    ]


def _check_plain(layer):
    """Check that a layer computes in float32, as its class does."""
    if layer.dtype_policy.name != "float32":
        raise TypeError(
            f"Expected float32 layers; {layer.name!r} has the policy {layer.dtype_policy.name}."
        )
    if own := {"call", "__call__"} & vars(layer).keys():
        raise _refusal(layer, f" with a {min(own)} of its own")


def _refusal(layer, detail=""):
    return TypeError(
        f"No Lipschitz bound is known for layer {layer.name!r} of type "
        f"{type(layer).__name__}{detail}; use layers that ocsdf.networks.layer_bound lists."
    )


def _weight(layer, name, default=None):
    """Return a layer's weight in float64, or the default where it has none."""
    variable = getattr(layer, name)
    if variable is None:
        return default
    weight = np.asarray(to_numpy(variable), dtype=np.float64)
    if not np.all(np.isfinite(weight)):
        raise ValueError(f"Cannot bound layer {layer.name!r} with NaN or infinite weights.")
    return weight


def _activated(operation_of):
    """Translate a layer, and what its argument ``activation`` does after it."""

    def translated(layer):
        function = layer.activation
        if isinstance(function, layers.Layer):
            return [*operation_of(layer), *translate_layer(function)]
        if function not in _FUNCTIONS:
            name = getattr(function, "__name__", type(function).__name__)
            raise _refusal(layer, f" with the activation {name}")
        return [*operation_of(layer), *_FUNCTIONS[function]()]

    return translated


def _on_images(n_axes, operations_of, stays=True):
    """Translate a layer of images of n axes; operations have the channels last.

    It `stays` a layer of images, or leaves a row or what ends as one.
    """
    to_last, to_first = (*range(2, n_axes + 2), 1), (n_axes + 1, *range(1, n_axes + 1))

    def translated(layer):
        operations = operations_of(layer)
        if layer.data_format == "channels_last":
            return operations
        return [Permute(to_last), *operations, *([Permute(to_first)] if stays else [])]

    return translated


def _dense(layer):
    kernel = _weight(layer, "kernel")
    return [Dense(kernel, _weight(layer, "bias", np.zeros(kernel.shape[1])))]


def _convolution(layer):
    if layer.groups != 1 or set(layer.dilation_rate) != {1}:
        raise _refusal(layer, f" with groups={layer.groups}, dilation_rate={layer.dilation_rate}")
    kernel = _weight(layer, "kernel")
    bias = _weight(layer, "bias", np.zeros(kernel.shape[-1]))
    return [Convolution(kernel, bias, layer.strides, layer.padding)]


def _relu(layer):
    if layer.threshold != 0.0:
        # It jumps there.
        raise _refusal(layer, f" with threshold={layer.threshold:g}")
    return [Rectifier(layer.negative_slope, layer.max_value)]


def _batch_normalization(layer):
    r"""x -> gamma (x - mean) / sqrt(variance + epsilon) + beta, with the moving statistics."""
    epsilon = min(float(layer.epsilon), float(np.float32(layer.epsilon)))
    variance = _weight(layer, "moving_variance") + epsilon
    if not np.all(variance > 0.0):
        raise ValueError(f"Expected variances > -epsilon in {layer.name!r}; got {variance.min()}.")
    scale = (_weight(layer, "gamma", 1.0) if layer.scale else 1.0) / np.sqrt(variance)
    shift = _weight(layer, "beta", 0.0) if layer.center else 0.0
    return _scaling(scale, shift - scale * _weight(layer, "moving_mean"), layer)


def _normalization(layer):
    """x -> (x - mean) / max(sqrt(variance), epsilon), or the way back."""
    mean, deviation = _weight(layer, "mean"), np.sqrt(_weight(layer, "variance"))
    epsilon = keras.config.epsilon()
    if layer.invert:
        scale = np.maximum(deviation, max(epsilon, float(np.float32(epsilon))))
        return [Scaling(*(part[0] for part in np.broadcast_arrays(scale, mean)))]
    scale = 1.0 / np.maximum(deviation, min(epsilon, float(np.float32(epsilon))))
    return [Scaling(*(part[0] for part in np.broadcast_arrays(scale, -mean * scale)))]


def _rescaling(layer):
    scale = np.float64(layer.scale)
    if np.ndim(scale) and keras.config.image_data_format() == "channels_first":
        raise _refusal(layer, " with channels first")
    in_float32 = np.float64(np.float32(scale))
    scale = np.where(np.abs(in_float32) > np.abs(scale), in_float32, scale)
    return [Scaling(*np.broadcast_arrays(scale, np.float64(layer.offset)))]


def _scaling(scale, shift, layer):
    """Scale features along the axis of a batch normalization."""
    n_dims = layer.input_spec.ndim
    axis = layer.axis % n_dims
    shape = (-1, *[1] * (n_dims - 1 - axis))
    return [Scaling(np.reshape(scale, shape), np.reshape(shift, shape))]


def _flatten(layer):
    if layer.data_format == "channels_last":
        return [Reshape((-1,))]
    config = layer.get_build_config()
    if not config:
        raise _refusal(layer, " with channels first, before it is built")
    n_axes = len(config["input_shape"]) - 2
    return [Permute((*range(2, n_axes + 2), 1)), Reshape((-1,))]


def _margins(sizes, sign):
    """Return margins before and after, of one axis or several."""
    pairs = sizes if isinstance(sizes[0], tuple | list) else [sizes]
    return [Pad(tuple((sign * before, sign * after) for before, after in pairs))]


def _coefficient(layer):
    # None before the layer is built, where it will be 1.
    return (1.0 if layer.coef_lip is None else layer.coef_lip) * layer.k_coef_lip


def _max_min(layer):
    if layer.data_format == "channels_last":
        return [MaxMin(_coefficient(layer))]
    raise _refusal(layer, " with channels first")


def _pooling(kind):
    return lambda layer: [kind(layer.pool_size, layer.strides, layer.padding)]


def _scaled_pooling(kind):
    return lambda layer: [kind(layer.pool_size, layer._get_coef())]


def _global(n_axes, operation_of):
    """Translate a pooling of whole images, whose axes may stay with length 1."""

    def operations_of(layer):
        ones = [1] * n_axes
        last = layer.data_format == "channels_last"
        kept = [Reshape((*ones, -1) if last else (-1, *ones))] if layer.keepdims else []
        return [operation_of(layer), *kept]

    return _on_images(n_axes, operations_of, stays=False)


def _subsample_distance(layer):
    # The references come when it is built; until then nothing but its bound is asked for.
    references = _weight(layer, "references") if layer.built else np.zeros((layer.n_references, 1))
    return [SubsampleDistance(references, layer.group_sizes, layer.norm)]


def _cones(layer):
    bases = _weight(layer, "bases") if layer.built else np.zeros((1, layer.n_cones * layer.rank))
    return [Cones(bases, layer.n_cones, layer.rank, layer.angle, layer.floor)]


def _weighted_mean(layer):
    bias = _weight(layer, "bias") if layer.built else np.zeros(1)
    return [WeightedMean(map(translate, layer.members), layer.shares, bias)]


def _scaled_minimum(layer):
    levels = _weight(layer, "levels") if layer.built else np.zeros(len(layer.members))
    return [ScaledMinimum(map(translate, layer.members), layer.scales, levels)]


def _identity(layer):
    return []


for _layer in (
    layers.InputLayer,
    layers.Identity,
    # At inference, the identity.
    layers.Dropout,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    *(getattr(layers, f"SpatialDropout{n}D") for n in (1, 2, 3)),
):
    register(_layer, _identity)

register(layers.Dense, _activated(_dense))
register(layers.Activation, _activated(_identity))
register(layers.ReLU, _relu)
register(layers.LeakyReLU, lambda layer: [Rectifier(layer.negative_slope)])
register(layers.PReLU, lambda layer: [Rectifier(_weight(layer, "alpha"))])
register(layers.ELU, lambda layer: [Elu(layer.alpha)])
register(layers.BatchNormalization, _batch_normalization)
register(layers.Normalization, _normalization)
register(layers.Rescaling, _rescaling)
register(layers.Flatten, _flatten)
register(layers.Reshape, lambda layer: [Reshape(layer.target_shape)])
register(layers.Permute, lambda layer: [Permute(layer.dims)])
register(layers.Cropping1D, lambda layer: _margins(layer.cropping, -1))
for _n in (1, 2, 3):
    for _name, _translate in {
        "Conv": _activated(_on_images(_n, _convolution)),
        "AveragePooling": _on_images(_n, _pooling(AveragePooling)),
        "MaxPooling": _on_images(_n, _pooling(MaximumPooling)),
        "GlobalAveragePooling": _global(_n, lambda layer: GlobalAveragePooling()),
        "GlobalMaxPooling": _global(_n, lambda layer: GlobalMaximumPooling()),
        "ZeroPadding": _on_images(_n, lambda layer: _margins(layer.padding, 1)),
    }.items():
        register(getattr(layers, f"{_name}{_n}D"), _translate)
for _layer in (layers.Cropping2D, layers.Cropping3D):
    _n = int(_layer.__name__[-2])
    register(_layer, _on_images(_n, lambda layer: _margins(layer.cropping, -1)))

register(deel.GroupSort, lambda layer: [GroupSort(layer.n, _coefficient(layer))])
register(deel.GroupSort2, lambda layer: [GroupSort(2, _coefficient(layer))])
register(deel.FullSort, lambda layer: [GroupSort(None, _coefficient(layer))])
register(deel.MaxMin, _max_min)
register(
    deel.InvertibleDownSampling,
    _on_images(2, lambda layer: [DownSampling(layer.pool_size)]),
)
register(deel.ScaledAveragePooling2D, _on_images(2, _scaled_pooling(ScaledAveragePooling)))
register(deel.ScaledL2NormPooling2D, _on_images(2, _scaled_pooling(NormPooling)))
register(
    deel.ScaledGlobalAveragePooling2D,
    _global(2, lambda layer: GlobalAveragePooling(layer._get_coef())),
)
register(
    deel.ScaledGlobalL2NormPooling2D,
    _global(2, lambda layer: GlobalNormPooling(layer._get_coef())),
)

register(ours.FullSort, lambda layer: [GroupSort(None, _coefficient(layer))])
register(ours.GroupSort2, lambda layer: [SortedHalves(_coefficient(layer))])
register(ours.Asinh, lambda layer: [Asinh(layer.scale)])
register(ours.Centered, lambda layer: [Centered()])
register(distances.SubsampleDistance, _subsample_distance)
register(cones.Cones, _cones)
register(ensembles.WeightedMean, _weighted_mean)
register(ensembles.ScaledMinimum, _scaled_minimum)
register(
    nearest.NearestRow,
    lambda layer: [NearestRow(_weight(layer, "references"), _weight(layer, "setbacks"))],
)
register(
    nearest.NearestValues,
    lambda layer: [NearestValues(_weight(layer, "seen"), np.array(layer.counts))],
)
register(
    piecewise.Piecewise,
    lambda layer: [
        Piecewise(
            _weight(layer, "knots"),
            _weight(layer, "slopes"),
            np.array(layer.counts),
            _weight(layer, "origins"),
        )
    ],
)
