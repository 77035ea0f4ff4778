"""How Keras's, deel-lip's and our own layers are translated into operations: a rule a class."""

import keras
import numpy as np
from deel.lip import layers as deel
from keras import layers

from ocsdf.networks import cones, distances, ensembles, nearest, piecewise
from ocsdf.networks import layers as ours
from ocsdf.networks.layer_table import (
    refusal,
    register,
    translate,
    translate_layer,
    weight_of,
)
from ocsdf.operations.activations import Elu, Rectifier, Smooth
from ocsdf.operations.cones import Cones
from ocsdf.operations.convolution import Convolution
from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.ensembles import ScaledMinimum, WeightedMean
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


def _activated(operation_of):
    """Translate a layer, and what its argument ``activation`` does after it."""

    def translated(layer):
        function = layer.activation
        if isinstance(function, layers.Layer):
            return [*operation_of(layer), *translate_layer(function)]
        if function not in _FUNCTIONS:
            name = getattr(function, "__name__", type(function).__name__)
            raise refusal(layer, f" with the activation {name}")
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
    kernel = weight_of(layer, "kernel")
    return [Dense(kernel, weight_of(layer, "bias", np.zeros(kernel.shape[1])))]


def _convolution(layer):
    if layer.groups != 1 or set(layer.dilation_rate) != {1}:
        raise refusal(layer, f" with groups={layer.groups}, dilation_rate={layer.dilation_rate}")
    kernel = weight_of(layer, "kernel")
    bias = weight_of(layer, "bias", np.zeros(kernel.shape[-1]))
    return [Convolution(kernel, bias, layer.strides, layer.padding)]


def _relu(layer):
    if layer.threshold != 0.0:
        # It jumps there.
        raise refusal(layer, f" with threshold={layer.threshold:g}")
    return [Rectifier(layer.negative_slope, layer.max_value)]


def _batch_normalization(layer):
    r"""x -> gamma (x - mean) / sqrt(variance + epsilon) + beta, with the moving statistics."""
    epsilon = min(float(layer.epsilon), float(np.float32(layer.epsilon)))
    variance = weight_of(layer, "moving_variance") + epsilon
    if not np.all(variance > 0.0):
        raise ValueError(f"Expected variances > -epsilon in {layer.name!r}; got {variance.min()}.")
    scale = (weight_of(layer, "gamma", 1.0) if layer.scale else 1.0) / np.sqrt(variance)
    shift = weight_of(layer, "beta", 0.0) if layer.center else 0.0
    return _scaling(scale, shift - scale * weight_of(layer, "moving_mean"), layer)


def _normalization(layer):
    """x -> (x - mean) / max(sqrt(variance), epsilon), or the way back."""
    mean, deviation = weight_of(layer, "mean"), np.sqrt(weight_of(layer, "variance"))
    epsilon = keras.config.epsilon()
    if layer.invert:
        scale = np.maximum(deviation, max(epsilon, float(np.float32(epsilon))))
        return [Scaling(*(part[0] for part in np.broadcast_arrays(scale, mean)))]
    scale = 1.0 / np.maximum(deviation, min(epsilon, float(np.float32(epsilon))))
    return [Scaling(*(part[0] for part in np.broadcast_arrays(scale, -mean * scale)))]


def _rescaling(layer):
    scale = np.asarray(layer.scale, np.float64)
    if np.ndim(scale) and keras.config.image_data_format() == "channels_first":
        raise refusal(layer, " with channels first")
    in_float32 = scale.astype(np.float32).astype(np.float64)
    scale = np.where(np.abs(in_float32) > np.abs(scale), in_float32, scale)
    return [Scaling(*np.broadcast_arrays(scale, np.asarray(layer.offset, np.float64)))]


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
        raise refusal(layer, " with channels first, before it is built")
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
        return [MaxMin(coefficient=_coefficient(layer))]
    raise refusal(layer, " with channels first")


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
    references = (
        weight_of(layer, "references") if layer.built else np.zeros((layer.n_references, 1))
    )
    return [SubsampleDistance(references, layer.group_sizes, layer.norm)]


def _cones(layer):
    bases = weight_of(layer, "bases") if layer.built else np.zeros((1, layer.n_cones * layer.rank))
    return [Cones(bases, layer.n_cones, layer.rank, layer.angle, layer.floor)]


def _weighted_mean(layer):
    bias = weight_of(layer, "bias") if layer.built else np.zeros(1)
    return [WeightedMean(map(translate, layer.members), layer.shares, bias)]


def _scaled_minimum(layer):
    levels = weight_of(layer, "levels") if layer.built else np.zeros(len(layer.members))
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
register(layers.PReLU, lambda layer: [Rectifier(weight_of(layer, "alpha"))])
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

register(deel.GroupSort, lambda layer: [GroupSort(layer.n, coefficient=_coefficient(layer))])
register(deel.GroupSort2, lambda layer: [GroupSort(2, coefficient=_coefficient(layer))])
register(deel.FullSort, lambda layer: [GroupSort(None, coefficient=_coefficient(layer))])
register(deel.MaxMin, _max_min)
register(
    deel.InvertibleDownSampling,
    _on_images(2, lambda layer: [DownSampling(layer.pool_size)]),
)
register(deel.ScaledAveragePooling2D, _on_images(2, _scaled_pooling(ScaledAveragePooling)))
register(deel.ScaledL2NormPooling2D, _on_images(2, _scaled_pooling(NormPooling)))
register(
    deel.ScaledGlobalAveragePooling2D,
    _global(2, lambda layer: GlobalAveragePooling(coefficient=layer._get_coef())),
)
register(
    deel.ScaledGlobalL2NormPooling2D,
    _global(2, lambda layer: GlobalNormPooling(coefficient=layer._get_coef())),
)

register(ours.FullSort, lambda layer: [GroupSort(None, coefficient=_coefficient(layer))])
register(ours.GroupSort2, lambda layer: [SortedHalves(coefficient=_coefficient(layer))])
register(ours.Asinh, lambda layer: [Asinh(layer.scale)])
register(ours.Centered, lambda layer: [Centered()])
register(distances.SubsampleDistance, _subsample_distance)
register(cones.Cones, _cones)
register(ensembles.WeightedMean, _weighted_mean)
register(ensembles.ScaledMinimum, _scaled_minimum)
register(
    nearest.NearestRow,
    lambda layer: [NearestRow(weight_of(layer, "references"), weight_of(layer, "setbacks"))],
)
register(
    nearest.NearestValues,
    lambda layer: [NearestValues(weight_of(layer, "seen"), np.array(layer.counts))],
)
register(
    piecewise.Piecewise,
    lambda layer: [
        Piecewise(
            weight_of(layer, "knots"),
            weight_of(layer, "slopes"),
            np.array(layer.counts),
            weight_of(layer, "origins"),
        )
    ],
)
