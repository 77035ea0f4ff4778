"""The networks of CNLS's experiments, as plain Keras models (its supplement's Table A1)."""

import math
from typing import NamedTuple

import keras
import numpy as np

DIGITS = (28, 28, 1)
COLOURED = (32, 32, 3)


class _Convolution(NamedTuple):
    channels: int
    size: int
    stride: int = 1


_POOL = object()


def conv_net_2a(input_shape=DIGITS, n_outputs=10, width=1.0, seed=None):
    """Build ConvNet-2a: two strided convolutions 4 x 4, one hidden dense layer.

    Parameters
    ----------
    input_shape : tuple of three int, default=(28, 28, 1)
        Height, width and channels of an image.
    n_outputs : int, default=10
        Outputs of the last layer, which has no activation.
    width : float, default=1.0
        Factor of all channels and hidden units: 0.5 is half width.
    seed : int, numpy.random.Generator or None, default=None
        Seed of the initial weights; nothing is drawn from a global generator.

    Returns
    -------
    keras.Model
        Maps (n, \\*input_shape) to (n, n_outputs). Kernels are drawn from He's uniform
        distribution, biases from +- 1 / sqrt(fan-in): the paper does not say how its were.

    Raises
    ------
    ValueError
        If images are too small for the layers, or width leaves a layer empty.

    Examples
    --------
    >>> from ocsdf.levelsets import conv_net_2a
    >>> conv_net_2a(width=0.25, seed=0).output_shape
    (None, 10)
    """
    layers = [_Convolution(16, 4, 2), _Convolution(32, 4, 2), 100]
    return _convolutional(layers, input_shape, n_outputs, width, seed)


def conv_net_2b(input_shape=DIGITS, n_outputs=10, width=1.0, seed=None):
    """Build ConvNet-2b: two convolutions 5 x 5 with pooling, one hidden dense layer.

    Parameters, Returns and Raises as of :func:`conv_net_2a`.

    Examples
    --------
    >>> from ocsdf.levelsets import conv_net_2b
    >>> conv_net_2b(width=0.25, seed=0).output_shape
    (None, 10)
    """
    layers = [_Convolution(32, 5), _POOL, _Convolution(64, 5), _POOL, 512]
    return _convolutional(layers, input_shape, n_outputs, width, seed)


def conv_net_4a(input_shape=DIGITS, n_outputs=10, width=1.0, seed=None):
    """Build ConvNet-4a: four convolutions 3 x 3 with pooling, two hidden dense layers.

    312,202 parameters by default (CNLS Sec. 5.2: 312K), as convolutions are not padded.
    Parameters, Returns and Raises as of :func:`conv_net_2a`.

    Examples
    --------
    >>> from ocsdf.levelsets import conv_net_4a
    >>> conv_net_4a(seed=0).count_params()
    312202
    """
    convolutions = [_Convolution(n, 3) for n in (32, 32, 64, 64)]
    layers = [*convolutions[:2], _POOL, *convolutions[2:], _POOL, 200, 200]
    return _convolutional(layers, input_shape, n_outputs, width, seed)


def conv_net_4b(input_shape=COLOURED, n_outputs=10, width=1.0, seed=None):
    """Build ConvNet-4b: four convolutions, two of them strided, two hidden dense layers.

    2,466,858 parameters by default (CNLS Sec. 5.2: 2.5M). So many only if convolutions are
    padded, here alone; without padding they would be 1.2 million.
    Parameters, Returns and Raises as of :func:`conv_net_2a`.

    Examples
    --------
    >>> from ocsdf.levelsets import conv_net_4b
    >>> network = conv_net_4b(seed=0)
    >>> network.count_params(), network.output_shape
    (2466858, (None, 10))
    """
    convolutions = [_Convolution(n, 3 + s - 1, s) for n in (32, 64) for s in (1, 2)]
    layers = [*convolutions, 512, 512]
    return _convolutional(layers, input_shape, n_outputs, width, seed, padding="same")


def fc_1(input_dim=2, output_dim=1, width=512, seed=None):
    """Build FC-1: three hidden layers of the same width.

    Parameters
    ----------
    input_dim, output_dim : int, default=2 and 1
        d and l.
    width : int, default=512
        Units of a hidden layer.
    seed : int, numpy.random.Generator or None, default=None
        Seed of the initial weights, drawn as :func:`conv_net_2a` draws them.

    Returns
    -------
    keras.Model
        Maps (n, input_dim) to (n, output_dim).

    Examples
    --------
    >>> from ocsdf.levelsets import fc_1
    >>> fc_1(input_dim=2, width=64, seed=0).output_shape
    (None, 1)
    """
    rng = np.random.default_rng(seed)
    points = hidden = keras.Input((input_dim,))
    for _ in range(3):
        hidden = _dense(width, hidden.shape[-1], rng, "relu")(hidden)
    return keras.Model(points, _dense(output_dim, width, rng)(hidden))


def fc_2(input_dim=3, output_dim=1, width=512, seed=None):
    """Build FC-2: eight layers, of which the six in the middle see the input, too.

    Parameters
    ----------
    input_dim, output_dim, seed
        As for :func:`fc_1`, with 3 and 1 by default.
    width : int, default=512
        What enters a layer in the middle: input_dim coordinates of the point beside
        width - input_dim units of the layer before (509 in the paper).

    Returns
    -------
    keras.Model
        Maps (n, input_dim) to (n, output_dim).

    Raises
    ------
    ValueError
        If width is not above input_dim: the layer in the middle would have no unit left.

    Examples
    --------
    >>> from ocsdf.levelsets import fc_2
    >>> fc_2(input_dim=3, width=64, seed=0).output_shape
    (None, 1)
    """
    if width <= input_dim:
        raise ValueError(
            f"width must be above input_dim, which it holds; got {width} and {input_dim}."
        )
    rng = np.random.default_rng(seed)
    points, units = keras.Input((input_dim,)), width - input_dim
    hidden = _dense(units, input_dim, rng, "relu")(points)
    for _ in range(6):
        beside = keras.layers.Concatenate()([hidden, points])
        hidden = _dense(units, width, rng, "relu")(beside)
    return keras.Model(points, _dense(output_dim, units, rng)(hidden))


def _convolutional(plan, input_shape, n_outputs, width, seed, padding="valid"):
    """Stack convolutions, pools and hidden layers of a plan, and a last dense layer."""
    rng = np.random.default_rng(seed)
    images = hidden = keras.Input(input_shape)
    for part in plan:
        if part is _POOL:
            hidden = keras.layers.MaxPooling2D(2)(hidden)
        elif isinstance(part, _Convolution):
            initializers = _initializers(part.size**2 * hidden.shape[-1], rng)
            hidden = keras.layers.Conv2D(
                _scaled(part.channels, width),
                part.size,
                part.stride,
                padding,
                activation="relu",
                **initializers,
            )(hidden)
        else:
            if len(hidden.shape) > 2:
                hidden = keras.layers.Flatten()(hidden)
            hidden = _dense(_scaled(part, width), hidden.shape[-1], rng, "relu")(hidden)
    return keras.Model(images, _dense(n_outputs, hidden.shape[-1], rng)(hidden))


def _dense(units, fan_in, rng, activation=None):
    return keras.layers.Dense(units, activation, **_initializers(fan_in, rng))


def _initializers(fan_in, rng):
    kernel_seed, bias_seed = (int(seed) for seed in rng.integers(2**31, size=2))
    bound = 1.0 / math.sqrt(fan_in)
    return {
        "kernel_initializer": keras.initializers.HeUniform(kernel_seed),
        # Without biases, the zero level set of every fresh network would be a cone.
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound, bias_seed),
    }


def _scaled(number, width):
    units = round(number * width)
    if units < 1:
        raise ValueError(f"width must leave every layer a unit; {width} times {number} has none.")
    return units
