"""What CNLS Table 1 is made of: images, radii of training and attack, networks, ResNet-18 too."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np

from ocsdf.levelsets import conv_net_4a, conv_net_4b


class Problem(NamedTuple):
    """One part of the table; radii and steps are in l-inf, of images in [0, 1]."""

    images: str
    build: Callable  # of width and seed, a model
    augmented: bool  # whether images are shifted and mirrored in training
    radius: float  # of the attack in training of Madry and TRADES
    our_radius: float  # epsilon of Eq. 12
    our_weight: float  # lambda_j of correctly classified images
    train_step: float  # of an attack in training
    attack_radius: float
    attack_step: float


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


# By the network's name. Radii, weights and the final attacks are the paper's (Sec. 5.2, App. B.3);
# of CIFAR-10, the steps in training are those of Madry et al., and images are shifted and mirrored
# as theirs: the paper does not say what it did.
PROBLEMS = {
    "ConvNet-4a": Problem("mnist", conv_net_4a, False, 0.3, 0.4, 1.0, 0.1, 0.3, 0.01),
    "ConvNet-4b": Problem(
        "cifar10", conv_net_4b, True, 0.031, 0.045, 10.0, 2 / 255, 8 / 255, 0.003
    ),
    "ResNet-18": Problem("cifar10", resnet_18, True, 0.031, 0.045, 10.0, 2 / 255, 8 / 255, 0.003),
}
