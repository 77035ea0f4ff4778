"""What CNLS Table 1 is made of: images, networks, and the radii of training and attack."""

from collections.abc import Callable
from typing import NamedTuple

from experiments.resnet import resnet_18
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
