"""A detector of what lies in a solid: the exact signed distance to its surface."""

import numpy as np

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.chain import Chain
from ocsdf.sklearn_compat.estimator import OCSDF
from ocsdf.training.domain import Box


def solid_detector(solid):
    """Make a fitted OCSDF of a :class:`ocsdf.operations.solids.SolidDistance`; nothing is trained.

    Its scores are the signed distance to the solid's surface, positive inside, in the units of the
    solid, and 1-Lipschitz in l2: a ball around x of radius :math:`|f(x)|` holds no point of the
    surface. The offset is 0, ``standardize=False``, and B is the box around the solid, a tenth of
    its longest side wider on each side; its other parameters say nothing.
    """
    detector = OCSDF(standardize=False)
    lower, upper = solid.vertices.min(axis=0), solid.vertices.max(axis=0)
    border = 0.1 * (upper - lower).max()
    detector.n_features_in_ = 3
    detector.mean_, detector.scale_ = np.zeros(3), np.ones(3)
    detector.domain_ = Box((lower - border).astype(np.float32), (upper + border).astype(np.float32))
    detector.offset_ = detector.margin_ = 0.0
    detector.history_, detector.n_iter_ = {}, 0
    detector._set_network(CertifiedNetwork(Chain((solid,), (3,)), *detector._point_rounding()))
    return detector
