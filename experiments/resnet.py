"""ResNet-18 for images of 32 x 32 pixels, with statistics of single images or of batches."""

import math
from functools import partial

import keras
import numpy as np

_STAGES = (64, 128, 256, 512)


def resnet_18(width=1.0, seed=None, batch_norm=False):
    """Build ResNet-18 as TRADES has it for CIFAR-10, but for its normalization.

    Under batch normalization, F of a point depends in training on the batch the point is in: it
    has no level sets. Here, groups of channels are normalized in each image (Wu and He, 2018),
    with as many parameters: 11,173,962 by default (CNLS Sec. 5.2: 11.2M). With ``batch_norm`` the
    network is the paper's; its level sets are those at its moving statistics, which the robust
    loss leaves alone (CNLS Sec. 6 names what is open there).
    """
    rng, normalized = np.random.default_rng(seed), partial(_normalized, batch_norm)
    images = keras.Input((32, 32, 3))
    channels = [round(width * n) for n in _STAGES]
    hidden = normalized(_convolution(channels[0], 3, 1, rng)(images), relu=True)
    for stage, n_channels in enumerate(channels):
        for stride in (2 if stage else 1, 1):
            hidden = _block(hidden, n_channels, stride, rng, normalized)
    pooled = keras.layers.GlobalAveragePooling2D()(hidden)
    last = keras.layers.Dense(10, kernel_initializer=_he(rng))
    return keras.Model(images, last(pooled))


def _block(inputs, n_channels, stride, rng, normalized):
    """Two convolutions 3 x 3 beside a shortcut."""
    hidden = normalized(_convolution(n_channels, 3, stride, rng)(inputs), relu=True)
    hidden = normalized(_convolution(n_channels, 3, 1, rng)(hidden))
    if stride > 1 or inputs.shape[-1] != n_channels:
        inputs = normalized(_convolution(n_channels, 1, stride, rng)(inputs))
    return keras.layers.ReLU()(keras.layers.Add()([hidden, inputs]))


def _convolution(n_channels, size, stride, rng):
    return keras.layers.Conv2D(
        n_channels, size, stride, "same", use_bias=False, kernel_initializer=_he(rng)
    )


def _normalized(batch_norm, hidden, relu=False):
    if batch_norm:
        hidden = keras.layers.BatchNormalization()(hidden)
    else:
        hidden = keras.layers.GroupNormalization(math.gcd(32, hidden.shape[-1]))(hidden)
    return keras.layers.ReLU()(hidden) if relu else hidden


def _he(rng):
    return keras.initializers.HeNormal(int(rng.integers(2**31)))
