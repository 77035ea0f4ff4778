"""What every fitted detector can do: scores, verdicts, certificates, one file."""

from typing import TYPE_CHECKING

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ocsdf.certificate.metrics import certified_auroc, certified_radius
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.base import from_description
from ocsdf.utils.checks import check_labels, check_radii
from ocsdf.utils.types import Label, Rows

if TYPE_CHECKING:
    from ocsdf.explanation.verdicts import VerdictCounts


class CertifiedDetector(OutlierMixin, BaseEstimator):
    """An outlier detector whose score is a 1-Lipschitz network of checked points.

    Abstract: a subclass has parameters, ``fit``, and ``_checked_points(X)``, which gives the
    network's input for checked rows, a chunk at a time: its slices are arrays. ``fit`` calls
    ``_set_network`` and sets ``offset_``.
    """

    def score_samples(self, X: Rows) -> NDArray[np.float64]:
        """Return f(x), the learned signed distance to the edge of the data.

        A row's scores among other rows, or on other machines, differ by less than its
        :meth:`float_slack`; the same call on the same machine gives the same bits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Arrays, memory-mapped files and data frames are read a chunk of rows at a time and
            never copied whole.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            In the detector's unit: positive inside, the lower the more abnormal.
        """
        points = self._checked_points(X)
        return self._network.score(points)

    def decision_function(self, X: Rows) -> NDArray[np.float64]:
        """Return ``score_samples(X) - offset_``: negative for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), float64
            In the detector's unit; 0 counts as inside.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Rows) -> NDArray[np.int_]:
        """Tell normal rows (+1) from anomalies (-1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units of those that it was fitted on.

        Returns
        -------
        verdicts : ndarray of shape (n_samples,), int
            +1 where ``decision_function(X) >= 0``.
        """
        return np.where(self.decision_function(X) >= 0.0, 1, -1)

    def float_slack(self, X: Rows) -> NDArray[np.float64]:
        r"""Bound what rounding can take from a row's certificate.

        With :math:`a + b \|z\|` the rounding error of f, evaluated in float64 at a standardized
        row z,

        .. math:: 2 (a + b \|z\|) + b \, |f(z) - \text{offset}| / L

        covers the error at z and at any attacked row within the certified radius.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            In the units of ``score_samples``.
        """
        points = self._checked_points(X)
        return self._slack(points, self._network.score(points))

    def attack_slack(self, X: Rows, radii: ArrayLike) -> NDArray[np.float64]:
        """Bound what rounding can take from any row's score under an attack of each radius.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        radii : array-like of shape (n_radii,)
            In the detector's unit.

        Returns
        -------
        ndarray of shape (n_radii,)
            In the units of ``score_samples``; one number a radius, for all rows.
        """
        return self._network.largest_slack(self._checked_points(X), check_radii(radii))

    def _slack(self, points, scores):
        reach = np.abs(scores - self.offset_) / self.lipschitz_bound_
        return self._network.slack(points, reach)

    def certified_radius(self, X: Rows) -> NDArray[np.float64]:
        r"""Return the l2 norm below which no change of a row flips its verdict.

        .. math:: \max(0, |f(x) - \text{offset}| - \text{float slack}) / L

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As for :meth:`score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,)
            l2 radius in the detector's unit: standard deviations, unless it says otherwise.
        """
        return self._certified_scores(X)[1]

    def _certified_scores(self, X):
        """Return scores and certified radii of rows, from one evaluation of the network."""
        points = self._checked_points(X)
        scores = self._network.score(points)
        slack = self._slack(points, scores)
        return scores, certified_radius(scores, self.offset_, self.lipschitz_bound_, slack)

    def _judged(self, X, groups=None):
        """Scores, verdicts and radii, from one evaluation of the network."""
        if groups is not None:
            raise ValueError("groups are for a ConformalDetector that was fitted with them.")
        scores, certified = self._certified_scores(X)
        return {
            "score": scores,
            "normal": scores - self.offset_ >= 0.0,
            "certified_radius": certified,
        }

    def verdict_counts(self, X: Rows, radii: ArrayLike) -> "VerdictCounts":
        """Count the verdicts that no l2 change of norm up to each radius can flip.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        radii : float or array-like of shape (n_radii,)
            In the detector's unit.

        Returns
        -------
        VerdictCounts
            ``radii``, ``normal``, ``anomalous``, ``uncertified``; at each radius the counts sum
            to n_samples.
        """
        from ocsdf.explanation.verdicts import verdict_counts

        scores, certified = self._certified_scores(X)
        return verdict_counts(certified, np.where(scores - self.offset_ >= 0.0, 1, -1), radii)

    def certified_auroc(
        self, X: Rows, y: ArrayLike, radii: ArrayLike, pos_label: Label = None
    ) -> NDArray[np.float64]:
        """Bound the AUROC from below under any l2 attack on normal rows and anomalies.

        OCSDF Proposition 1 with the printed sign corrected; rounding of the scores is included.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Two classes, both present, no label missing.
        radii : float or array-like of shape (n_radii,)
            Attack radii in the detector's unit; at 0 the AUROC itself, rounded down.
        pos_label : int, float, bool, str or None, default=None
            The anomalies' label. None is 1 where labels are 0 and 1 or boolean, and an error for
            others: of the -1 and 1 that ``predict`` gives, 1 is normal.

        Returns
        -------
        ndarray of shape (n_radii,)

        Raises
        ------
        ValueError
            If ``y`` does not fit X, has missing labels or not two classes, or does not tell
            which of them are the anomalies.
        """
        points = self._checked_points(X)
        anomaly = check_labels(y, pos_label, len(points))
        radii = check_radii(radii)
        scores = self._network.score(points)
        slack = self._network.largest_slack(points, radii)
        return certified_auroc(
            scores[~anomaly], scores[anomaly], radii, self.lipschitz_bound_, slack=slack
        )

    def _adopt_features(self, noted):
        """Take over the number and names of features that were noted on another detector."""
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if name in vars(noted):
                setattr(self, name, vars(noted)[name])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # The map that stretches standardized rows, a Piecewise; None where they stay as they are.
    stretch_ = None
    # Scores of training rows, each as if it had been left out, increasing; None where not kept.
    training_scores_ = None
    # Makes rows of numbers of a table's columns, a ColumnEncoder; None where they are numbers.
    encoder_ = None

    def _points_of(self, rows):
        """The network's input for checked rows."""
        return (rows - self.mean_) / self.scale_

    def _rows_of(self, points):
        """Rows in the units of X whose points are given, up to rounding."""
        points = points if self.stretch_ is None else self.stretch_.inverse(points)
        return points * self.scale_ + self.mean_

    def _point_rounding(self):
        """How far points are rounded, relative to their norm, and beyond."""
        # Standardizing takes 2 u.
        return 2.0**-52, 0.0

    @property
    def model_(self):
        """f as a Keras model, built when it is first asked for."""
        check_is_fitted(self)
        return self._network.model

    def _set_network(self, network):
        self._network = network
        self.lipschitz_bound_ = network.lipschitz_bound

    def __getstate__(self):
        state = dict(super().__getstate__())
        network = state.pop("_network", None)
        if network is not None:
            state["_network"] = network.network.describe()
        if state.get("stretch_") is not None:
            state["stretch_"] = state["stretch_"].describe()
        return state

    def __dask_tokenize__(self):
        return type(self).__qualname__, joblib.hash(self.__getstate__())

    def __setstate__(self, state):
        super().__setstate__(state)
        if state.get("stretch_") is not None:
            self.stretch_ = from_description(*state["stretch_"])
        if "_network" in state:
            network = from_description(*state["_network"])
            self._set_network(CertifiedNetwork(network, *self._point_rounding()))
