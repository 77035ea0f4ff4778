"""Control of neural level sets: projection, the sample network, losses on it, polytopes.

Method: Atzmon et al., "Controlling Neural Level Sets", NeurIPS 2019 (CNLS).
"""

from ocsdf.levelsets.architectures import (
    conv_net_2a,
    conv_net_2b,
    conv_net_4a,
    conv_net_4b,
    fc_1,
    fc_2,
)
from ocsdf.levelsets.losses import (
    axis_distance,
    class_margin,
    geometric_svm,
    reconstruction,
    robust,
)
from ocsdf.levelsets.polytope import mesh_network, polytope_network
from ocsdf.levelsets.projection import Projection, project
from ocsdf.levelsets.sample_network import SampleNetwork

__all__ = [
    "Projection",
    "SampleNetwork",
    "axis_distance",
    "class_margin",
    "conv_net_2a",
    "conv_net_2b",
    "conv_net_4a",
    "conv_net_4b",
    "fc_1",
    "fc_2",
    "geometric_svm",
    "mesh_network",
    "polytope_network",
    "project",
    "reconstruction",
    "robust",
]
