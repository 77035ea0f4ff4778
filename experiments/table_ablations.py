"""The default without its network, its network alone, and with each other emphasis.

Classes for the bench, by name: ``experiments.table_ablations:WithoutNetwork`` and so on.
"""

import numpy as np

from ocsdf import OCSDF
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.chain import Chain
from ocsdf.operations.ensembles import WeightedMean
from ocsdf.operations.nearest import NearestRow


class _Ablated(OCSDF):
    """The default, fitted, and cut down."""

    def fit(self, X, y=None, sample_weight=None):
        """Fit the whole, then leave out what is not wanted."""
        super().fit(X, y, sample_weight)
        (mean,) = self._network.network.operations
        chain = self._cut(mean, *mean.members[0].operations)
        self._network = CertifiedNetwork(chain, *self._point_rounding())
        return self


class WithoutNetwork(_Ablated):
    """The exact distances alone: the nearest row halfway has the network's share."""

    def _cut(self, mean, halfway, pair):
        shape = mean.members[0].input_shape
        first = Chain((halfway, *pair.members[0].operations), shape)
        members = (first, *mean.members[1:])
        return Chain((WeightedMean(members, mean.shares, mean.bias),), shape)


class NetworkAlone(_Ablated):
    """The trained network alone, halfway between standardized and stretched rows."""

    def _cut(self, mean, halfway, pair):
        return Chain((halfway, *pair.members[1].operations), mean.members[0].input_shape)


class NearestInUnit(_Ablated):
    """The distance to the nearest row alone, in the unit of the default's certificate."""

    def _cut(self, mean, halfway, pair):
        (steps,) = mean.members[1].operations
        nearest = NearestRow(steps.references, np.zeros(len(steps.references)))
        return Chain((nearest,), mean.members[0].input_shape)


class EmphasisOnCertificate(OCSDF):
    """The default with emphasis on the certificate."""

    def __init__(self, random_state=None):
        super().__init__(emphasis="certificate", random_state=random_state)


class EmphasisOnContamination(OCSDF):
    """The default with emphasis on contamination."""

    def __init__(self, random_state=None):
        super().__init__(emphasis="contamination", random_state=random_state)
