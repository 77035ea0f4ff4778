"""ResNet-18 for images of 32 x 32 pixels, with statistics of single images."""

import math

import keras
import numpy as np

_STAGES = (64, 128, 256, 512)


def resnet_18(width=1.0, seed=None):
    """Build ResNet-18 as TRADES has it for CIFAR-10, but for its normalization.

    Under batch normalization, F of a point would depend on the batch the point is in: it would
    have no level sets. Here, groups of channels are normalized in each image (Wu and He, 2018),
    with as many parameters: 11,173,962 by default (CNLS Sec. 5.2: 11.2M).
    """
    rng = np.random.default_rng(seed)
    images = keras.Input((32, 32, 3))
    channels = [round(width * n) for n in _STAGES]
    hidden = _normalized(_convolution(channels[0], 3, 1, rng)(images), relu=True)
    for stage, n_channels in enumerate(channels):
        for stride in (2 if stage else 1, 1):
            hidden = _block(hidden, n_channels, stride, rng)
    pooled = keras.layers.GlobalAveragePooling2D()(hidden)
    last = keras.layers.Dense(10, kernel_initializer=_he(rng))
    return keras.Model(images, last(pooled))


def _block(inputs, n_channels, stride, rng):
    """Two convolutions 3 x 3 beside a shortcut."""
    hidden = _normalized(_convolution(n_channels, 3, stride, rng)(inputs), relu=True)
    hidden = _normalized(_convolution(n_channels, 3, 1, rng)(hidden))
    if stride > 1 or inputs.shape[-1] != n_channels:
        inputs = _normalized(_convolution(n_channels, 1, stride, rng)(inputs))
    return keras.layers.ReLU()(keras.layers.Add()([hidden, inputs]))


def _convolution(n_channels, size, stride, rng):
    return keras.layers.Conv2D(
        n_channels, size, stride, "same", use_bias=False, kernel_initializer=_he(rng)
    )


def _normalized(hidden, relu=False):
    hidden = keras.layers.GroupNormalization(math.gcd(32, hidden.shape[-1]))(hidden)
    return keras.layers.ReLU()(hidden) if relu else hidden


def _he(rng):
    return keras.initializers.HeNormal(int(rng.integers(2**31)))
