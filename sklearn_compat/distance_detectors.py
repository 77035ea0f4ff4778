"""Exact distances to training rows, as detectors with a certificate and without training."""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.chain import Chain
from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.nearest import NearestRows
from ocsdf.recipes.tables import boundary_level, draw_rows
from ocsdf.sklearn_compat.detector import CertifiedDetector
from ocsdf.sklearn_compat.input_checks import LazyRows, check_rows, check_rows_in_chunks
from ocsdf.sklearn_compat.parameter_checks import plain_parameters
from ocsdf.sklearn_compat.standardization import standardization, standardized
from ocsdf.utils.checks import check_count

_GROUP_SIZES = (8, 64)
_N_REFERENCES = 1024


class DistanceDetector(CertifiedDetector):
    """A certified detector that remembers rows and learns nothing.

    A subclass has ``_distance_to(points)``, which makes the distance to standardized training rows.
    Verdicts call the farthest hundredth of the training rows anomalies, as those of OCSDF do.
    """

    def fit(self, X, y=None):
        """Standardize and remember rows; return the fitted detector.

        See :meth:`ocsdf.OCSDF.fit`.
        """
        # Features are noted on a blank detector: a fit that fails leaves this one as it was.
        plain = plain_parameters(self)
        rows = check_rows(plain, X, reset=True)
        check_random_state(getattr(plain, "random_state", None))
        mean, scale = standardization(rows)
        self._adopt_features(plain)
        self.mean_, self.scale_ = mean, scale
        points = self._standardized(rows)
        network = Chain([self._distance_to(points)], (points.shape[1],))
        self._set_network(CertifiedNetwork(network, *self._point_rounding()))
        self.offset_ = boundary_level(self._network.score(points))
        return self

    def save(self, path):
        """Raise a TypeError that says what to do instead: there is no file format for it."""
        raise TypeError(f"{type(self).__name__} has no file format of its own: pickle it.")

    def _checked_points(self, X):
        check_is_fitted(self)
        return LazyRows(check_rows_in_chunks(self, X), self._standardized)

    def _point_rounding(self):
        # Rows are rounded to float32, by at most 2^-24 of their norm; twice that for what follows.
        return 2.0**-23, 0.0

    def _standardized(self, rows):
        # The references are kept in float32: rounded alike, a training row is at distance 0.
        return standardized(rows, self.mean_, self.scale_).astype(np.float32)


class NearestNeighborDistance(DistanceDetector):
    r"""Minus the l2 distance to the nearest training row.

    .. math:: f(x) = -\min_i \|x - x_i\|_2

    in standardized units; 0 on every training row, so that it cannot tell training rows apart, and
    ``predict`` calls all other rows anomalies. Distances are 1-Lipschitz, so f carries the
    certificate of :class:`ocsdf.OCSDF`.
    """

    def _distance_to(self, points):
        return SubsampleDistance(points, (len(points),), "l2")


class NearestNeighborsDistance(DistanceDetector):
    """Minus the root mean square of the l2 distances to the k nearest training rows.

    DTE-NP ranks rows by it (Livernoche et al., *On Diffusion Modeling for Anomaly Detection*,
    2024), with k = 5, or all training rows where there are fewer. It is 1-Lipschitz in standardized
    units; see :class:`ocsdf.operations.nearest.NearestRows`.
    """

    def __init__(self, n_neighbors=5):
        self.n_neighbors = n_neighbors

    def _distance_to(self, points):
        check_count("n_neighbors", self.n_neighbors, 1)
        return NearestRows(points, min(self.n_neighbors, len(points)))


class SubsampleDistanceDetector(DistanceDetector):
    r"""Minus the mean l2 distance to the nearest row of random subsamples.

    .. math:: f(x) = -\frac{1}{2} \sum_{k \in \{8, 64\}} \frac{k}{1024}
        \sum_{g \in G_k} \min_{r \in g} \|x - r\|_2

    in standardized units, where :math:`G_k` cuts 1,024 training rows, drawn without replacement as
    long as there are any left, into subsamples of k (LeSiNN: Pang et al., ICDM Workshops 2015).
    Distances, their minima and their means are 1-Lipschitz, so f carries the certificate of
    :class:`ocsdf.OCSDF`.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def _distance_to(self, points):
        random_state = check_random_state(self.random_state)
        rows = draw_rows(len(points), _N_REFERENCES, random_state)
        return SubsampleDistance(points[rows], _GROUP_SIZES, "l2")
