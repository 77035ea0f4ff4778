"""Builders: 1-Lipschitz networks of images, the paper's and one that keeps gradients' norms."""

import math

import keras
import numpy as np
from deel.lip.layers import (
    GroupSort2,
    InvertibleDownSampling,
    ScaledGlobalL2NormPooling2D,
    ScaledL2NormPooling2D,
)

from ocsdf.networks.convolutions import orthogonal_convolution
from ocsdf.networks.layers import Orthogonal
from ocsdf.networks.weights import to_numpy
from ocsdf.operations.convolution_bounds import convolution_bound
from ocsdf.operations.matrix_bounds import matrix_bound

# Table 6: channels of the three blocks, and their convolutions.
PAPER_CHANNELS, PAPER_DEPTHS = (64, 128, 256), (4, 4, 3)


def build_convnet(image_shape, channels=PAPER_CHANNELS, depths=PAPER_DEPTHS, width=1.0, seed=0):
    r"""Build the paper's convolutional 1-Lipschitz network for training (OCSDF Table 6).

    Blocks of orthogonal 3x3 convolutions, each followed by GroupSort2 over pairs of channels, and
    at the end of a block the norm of each 2x2 window,

    .. math:: (x_{11}, x_{12}, x_{21}, x_{22}) \mapsto \|(x_{11}, x_{12}, x_{21}, x_{22})\|_2;

    then the norm of each channel's image, and one dense output of unit weight. With the defaults
    and one input channel: 2,103,617 parameters. Convolutions are about 1-Lipschitz in training,
    see :func:`ocsdf.networks.convolutions.convolution_factor`; :func:`condense_convnet` makes a
    certified network of it.

    Parameters
    ----------
    image_shape : tuple of (height, width, n_channels)
    channels : sequence of int, default=(64, 128, 256)
        Channels of each block's convolutions.
    depths : sequence of int, default=(4, 4, 3)
        Convolutions of each block.
    width : float, default=1.0
        Channels are times it, to the nearest even number, and at least 2.
    seed : int, default=0
        Seed of the kernels' initial values.

    Returns
    -------
    keras.Sequential
        Maps rows, (n, height * width * n_channels), to (n, 1).

    Raises
    ------
    ValueError
        If the image is too small to be halved once a block.

    Examples
    --------
    >>> from ocsdf.networks import build_convnet
    >>> build_convnet((8, 8, 1), channels=(4, 8), depths=(1, 1)).output_shape
    (None, 1)
    """
    height, breadth, _ = image_shape
    if min(height, breadth) < 2 ** len(channels):
        raise ValueError(
            f"Expected an image of at least {2 ** len(channels)} pixels each way, to be halved "
            f"{len(channels)} times; got image_shape={tuple(image_shape)}; give fewer channels."
        )
    seeds = iter(np.random.default_rng(seed).integers(2**31, size=sum(depths) + 1))
    layers = _entrance(image_shape)
    for n_channels, depth in zip(channels, depths, strict=True):
        n_channels = max(2, 2 * round(width * n_channels / 2))
        for _ in range(depth):
            layer_seed = int(next(seeds))
            convolution = orthogonal_convolution(n_channels, (height, breadth), seed=layer_seed)
            layers += [convolution, GroupSort2()]
        layers.append(ScaledL2NormPooling2D((2, 2)))
        height, breadth = height // 2, breadth // 2
    return keras.Sequential([*layers, ScaledGlobalL2NormPooling2D(), _dense(1, next(seeds))])


def build_downsampling_net(image_shape, hidden_layer_sizes=(512, 512), depth=2, seed=0):
    r"""Build a network of images whose gradient has norm 1, and that a CPU trains fast.

    As long as both sides are even, a block: each 2x2 window becomes one pixel of four times the
    channels, which rearranges numbers and no more, and `depth` orthogonal matrices mix each
    pixel's channels, followed by GroupSort2. What is left is one row, for a dense network. All
    maps but the dense ones are isometries, and backwards so is an orthogonal kernel that does not
    widen: wherever the network is differentiable, as long as no hidden layer has more units than
    the layer before it, or than the image has numbers,

    .. math:: \|\nabla f(x)\|_2 = 1

    (Property 2 of the signed distance, which OCSDF App. I.1 does not find in the paper's network).

    Parameters
    ----------
    image_shape : tuple of (height, width, n_channels)
    hidden_layer_sizes : sequence of int, default=(512, 512)
        Units of the dense layers, even.
    depth : int, default=2
        Mixing matrices of each block.
    seed : int, default=0
        Seed of the kernels' initial values.

    Returns
    -------
    keras.Sequential
        Maps rows, (n, height * width * n_channels), to (n, 1); certified by
        :func:`ocsdf.networks.builders.condense`.

    Raises
    ------
    ValueError
        If a dense layer has an odd number of units, which GroupSort2 cannot pair.

    Examples
    --------
    >>> from ocsdf.networks import build_downsampling_net
    >>> build_downsampling_net((8, 8, 1), hidden_layer_sizes=(16, 16)).output_shape
    (None, 1)
    """
    if any(units % 2 for units in hidden_layer_sizes):
        raise ValueError(
            "GroupSort2 sorts pairs, so hidden layers need an even number of units; got "
            f"hidden_layer_sizes={tuple(hidden_layer_sizes)}."
        )
    height, breadth, n_channels = image_shape
    random_state = np.random.default_rng(seed)
    layers = _entrance(image_shape)
    while height % 2 == breadth % 2 == 0:
        height, breadth, n_channels = height // 2, breadth // 2, 4 * n_channels
        layers.append(InvertibleDownSampling((2, 2)))
        for _ in range(depth):
            layers += [_dense(n_channels, random_state.integers(2**31)), GroupSort2()]
    layers.append(keras.layers.Flatten())
    for units in hidden_layer_sizes:
        layers += [_dense(units, random_state.integers(2**31)), GroupSort2()]
    return keras.Sequential([*layers, _dense(1, random_state.integers(2**31))])


def condense_convnet(model):
    r"""Turn a trained network of images into plain layers whose bounds are at most 1.

    Each kernel is divided by its own float64 bound :math:`b_k`, that of a convolution for images of
    the size it is given, until the float32 result's bound is at most 1. Biases are divided by
    :math:`b_1 \cdots b_k`. Every other layer is positively homogeneous, so that the network
    becomes :math:`f / \prod_k b_k`: its order of images stays, and where bounds are below 1 its
    gradient grows.

    Parameters
    ----------
    model : keras.Sequential
        As made by :func:`build_convnet`.

    Returns
    -------
    keras.Sequential
        With :func:`ocsdf.networks.lipschitz.network_bound` at most 1, without constraints.

    Examples
    --------
    >>> from ocsdf.networks import build_convnet, condense_convnet, network_bound
    >>> network = condense_convnet(build_convnet((8, 8, 1), channels=(4,), depths=(1,)))
    >>> network_bound(network) <= 1.0
    True
    """
    layers, weights, scale = [keras.Input(model.input_shape[1:])], [], 1.0
    shape = model.input_shape
    for layer in model.layers:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            lengths = shape[1:-1] if isinstance(layer, keras.layers.Conv2D) else None
            kernel, bound = _shortened(to_numpy(layer.kernel), lengths)
            scale *= bound
            weights += [kernel, (to_numpy(layer.bias) / scale).astype(np.float32)]
            # The weights are set below; drawing them first would use up global randomness.
            config |= {"kernel_initializer": "zeros", "kernel_constraint": None}
        layers.append(type(layer).from_config(config))
        shape = layer.compute_output_spec(keras.KerasTensor(shape)).shape
    condensed = keras.Sequential(layers)
    condensed.set_weights(weights)
    return condensed


def _entrance(image_shape):
    """Begin a network with rows that are images."""
    return [keras.Input((math.prod(image_shape),)), keras.layers.Reshape(tuple(image_shape))]


def _dense(units, seed):
    initializer = keras.initializers.Orthogonal(seed=int(seed))
    return keras.layers.Dense(units, kernel_initializer=initializer, kernel_constraint=Orthogonal())


def _shortened(kernel, lengths):
    """Divide by the float64 bound until that of the float32 result is at most 1.

    Returns it, and what it was divided by.
    """
    exact, divisor = kernel.astype(np.float64), 1.0
    while True:
        shortened = (exact / divisor).astype(np.float32)
        bound = (
            matrix_bound(shortened) if lengths is None else convolution_bound(shortened, lengths)
        )
        if bound <= 1.0 and divisor != 1.0:
            return shortened, divisor
        divisor *= bound * (1.0 + 2.0**-24)
