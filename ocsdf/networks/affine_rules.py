"""What is known of layers that sum: dense ones, convolutions, distances."""

import math

import numpy as np
from keras import layers

from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.layer_rules import Step, count, output_shape, refusal, spatial_shape
from ocsdf.operations.convolution_bounds import convolution_bound
from ocsdf.operations.matrix_bounds import matrix_bound


def _dense(layer, input_shape):
    kernel = layer.kernel.numpy().astype(np.float64)
    n_places = count(input_shape[1:-1]) if input_shape else None
    return _affine(layer, matrix_bound(kernel), np.abs(kernel), len(kernel), n_places)


def _convolution(layer, input_shape):
    if layer.groups != 1 or set(layer.dilation_rate) != {1}:
        raise refusal(layer, f" with groups={layer.groups}, dilation_rate={layer.dilation_rate}")
    kernel = layer.kernel.numpy().astype(np.float64)
    lengths = spatial_shape(layer, input_shape) if input_shape else None
    bound = convolution_bound(kernel, lengths)
    n_terms = math.prod(kernel.shape[:-1])
    n_places = None
    if input_shape:
        n_places = count(spatial_shape(layer, output_shape(layer, input_shape)))
    weights = np.abs(kernel).reshape(-1, *kernel.shape[-2:]).sum(axis=0)
    return _affine(layer, bound, weights, n_terms, n_places)


def _affine(layer, bound, weights, n_terms, n_places):
    """Describe sums of n products and a bias, the same in each of some places."""
    absolute = min(
        np.linalg.norm(weights), np.sqrt(weights.sum(axis=0).max() * weights.sum(axis=1).max())
    )
    bias = layer.bias.numpy().astype(np.float64) if layer.use_bias else np.zeros(1)
    if not np.any(bias):
        return Step(bound, n_terms + 1, absolute)
    if n_places is None:
        return Step(bound, None)
    return Step(bound, n_terms + 1, absolute, np.linalg.norm(bias) * math.sqrt(n_places))


def _subsample_distance(layer, input_shape):
    if not layer.built:
        # The references come later, and with them the size of what is rounded.
        return Step(1.0, None)
    references = layer.references.numpy().astype(np.float64)
    farthest = np.linalg.norm(references, axis=1).max()
    # Sums over features, over groups and over sizes, with some roundings around each.
    n_groups = layer.n_references // layer.group_sizes[0]
    n_terms = references.shape[1] + n_groups + len(layer.group_sizes) + 8
    return Step(1.0, n_terms, offset=farthest)


RULES = {
    layers.Dense: _dense,
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Conv3D: _convolution,
    SubsampleDistance: _subsample_distance,
}
