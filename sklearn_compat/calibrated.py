"""What a calibrated detector can say of rows: p-values, discoveries, what no attack can do."""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ocsdf.decisions.checks import raised
from ocsdf.decisions.discoveries import (
    benjamini_hochberg,
    benjamini_yekutieli,
    e_benjamini_hochberg,
)
from ocsdf.decisions.e_values import conformal_e_values
from ocsdf.decisions.guarantees import no_false_alarm, no_masking
from ocsdf.decisions.p_values import conformal_p_values
from ocsdf.sklearn_compat.evaluations import EVALUATIONS, evaluate
from ocsdf.utils.checks import check_number
from ocsdf.utils.types import Rows

_METHODS = ("auto", "bh", "by", "e-bh")


class CalibratedDetector(OutlierMixin, BaseEstimator):
    """An outlier detector with scores of normal rows that fitting did not see.

    Abstract: a subclass has the parameter ``replaced`` and a ``fit`` that sets ``estimator_``,
    ``calibration_`` and ``thresholds_``.
    """

    def p_values(
        self, X: Rows, radius: float = 0.0, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        r"""Return how rarely a normal row looks as abnormal as each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows as they came, attacked or not.
        radius : float, default=0.0
            With radius :math:`\epsilon > 0`, f(x) counts as :math:`f(x) + L \epsilon`: the value
            is never below that of the row before any l2 change of norm up to epsilon, so it is
            a valid p-value whatever an attacker did (no false alarm). In the units of
            ``certified_radius`` of the detector.
        groups : array-like of shape (n_samples,) or None, default=None
            The segment of each row, where ``fit`` was given some.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            In (0, 1]; small for anomalies.

        Raises
        ------
        ValueError
            If radius > 0 and the detector has no ``lipschitz_bound_``.
        """
        return self._evidence(X, radius, groups, conformal_p_values, replaced=self.replaced)

    def e_values(
        self, X: Rows, radius: float = 0.0, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the evidence that each row is an anomaly, of expectation at most 1 if it is none.

        Parameters
        ----------
        X, radius, groups
            As for :meth:`p_values`: never above the value of the row before an attack.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            See :func:`ocsdf.decisions.e_values.conformal_e_values`.

        Raises
        ------
        ValueError
            As :meth:`p_values`; or if calibration rows may have been replaced, as one of them
            can outweigh all others.
        """
        if self.replaced:
            raise ValueError(
                f"e-values need calibration rows that are all trusted; replaced={self.replaced}. "
                "Use p_values, and discoveries with method='by'."
            )
        return self._evidence(X, radius, groups, conformal_e_values)

    def discoveries(
        self,
        X: Rows,
        fdr: float = 0.1,
        radius: float = 0.0,
        groups: ArrayLike | None = None,
        method: str = "auto",
    ) -> NDArray[np.bool_]:
        """Call anomalies in a batch such that few of those called are expected to be normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        fdr : float, default=0.1
            Bound of the expected share of normal rows among those called.
        radius : float, default=0.0
            The bound holds under any l2 attack of up to that radius on each row, by an attacker
            who sees all rows.
        groups : array-like of shape (n_samples,) or None, default=None
        method : {"auto", "bh", "by", "e-bh"}, default="auto"
            Benjamini-Hochberg, proved for rows that nobody attacked; Benjamini-Yekutieli and the
            e-value procedure, proved under any dependence between rows and so under attack.
            "auto" is "bh" at radius 0 and "e-bh" above; "by" if rows may have been replaced.

        Returns
        -------
        ndarray of shape (n_samples,), bool

        Raises
        ------
        ValueError
            As :meth:`p_values` and :meth:`e_values`.

        Warns
        -----
        UserWarning
            With "bh" at a radius > 0: nothing is proved of it there.
        """
        if method not in _METHODS:
            raise ValueError(
                f"method must be one of {', '.join(map(repr, _METHODS))}; got {method!r}."
            )
        radius = check_number("radius", radius, 0.0)
        if method == "auto":
            method = "bh" if radius == 0.0 else "by" if self.replaced else "e-bh"
        if method == "e-bh":
            return e_benjamini_hochberg(self.e_values(X, radius, groups), fdr)
        p_values = self.p_values(X, radius, groups)
        if method == "by":
            return benjamini_yekutieli(p_values, fdr)
        if radius > 0.0:
            warnings.warn(
                "Benjamini-Hochberg is not proved to control the false-discovery rate under "
                "attack, and an attacker who hides anomalies raises it; use method='by' or "
                "'e-bh'.",
                stacklevel=2,
            )
        return benjamini_hochberg(p_values, fdr)

    def drift(self, X, groups=None, by=None):
        """Tell whether rows still look like those that calibrated the detector.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        groups : array-like of shape (n_samples,) or None, default=None
            As for :meth:`p_values`.
        by : array-like of shape (n_samples,) or None, default=None
            Segments that are judged each by itself as well; the groups, where there are any.

        Returns
        -------
        Drift
            ``scores``, the Kolmogorov-Smirnov test of the p-values and the share of rows beyond
            what 1 % of calibration rows are, see :func:`ocsdf.decisions.score_drift`;
            ``columns``, means and spreads that moved; ``segments``; ``drifted``; ``sentence()``.

        Raises
        ------
        ValueError
            If there are no calibration rows.
        """
        from ocsdf.sklearn_compat.drift import drift_of_rows, has_reference

        check_is_fitted(self)
        if not has_reference(self):
            raise ValueError("drift needs calibration rows in every group; some group has none.")
        evaluated = evaluate(self.estimator_, X)
        scores = raised(evaluated.scores, evaluated.error)
        labels = self.calibration_.check_groups(groups, len(scores))
        labels = None if groups is None else labels
        return drift_of_rows(self, X, scores, labels, labels if by is None else by)

    def no_masking(
        self, X: Rows, radius: float, alarm_radius: float = 0.0, groups: ArrayLike | None = None
    ) -> NDArray[np.bool_]:
        r"""Tell which rows raise an alarm that no attack can silence.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows before the attack.
        radius : float
            Largest l2 norm of the attack.
        alarm_radius : float, default=0.0
            Radius of the alarm ``p_values(X, alarm_radius) <= alpha``; 0 is that of ``predict``.
        groups : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        ndarray of shape (n_samples,), bool
            The mean over anomalies is the guaranteed detection rate.

        Raises
        ------
        ValueError
            As :meth:`p_values`.
        """
        evaluated, thresholds = self._evaluated(X, groups)
        radius = check_number("radius", radius, 0.0)
        radius += check_number("alarm_radius", alarm_radius, 0.0)
        shift = evaluated.shift(radius, EVALUATIONS)
        return no_masking(evaluated.scores, thresholds, shift)

    def no_false_alarm(
        self, X: Rows, radius: float, groups: ArrayLike | None = None
    ) -> NDArray[np.bool_]:
        """Tell which rows raise no alarm of ``predict``, whatever an attack does to them.

        Parameters
        ----------
        X, radius, groups
            As for :meth:`no_masking`.

        Returns
        -------
        ndarray of shape (n_samples,), bool
            1 minus the mean over normal rows bounds the rate of false alarms under attack.

        Raises
        ------
        ValueError
            As :meth:`p_values`.
        """
        evaluated, thresholds = self._evaluated(X, groups)
        shift = evaluated.shift(check_number("radius", radius, 0.0))
        return no_false_alarm(evaluated.scores, thresholds, shift)

    def certified_radius(self, X: Rows, groups: ArrayLike | None = None) -> NDArray[np.float64]:
        r"""Return the l2 norm below which no change of a row flips its verdict.

        .. math:: \max\Big(0, \frac{|f(x) - t| - 5 e(x)}{L + 5 e'}\Big)

        with t the threshold of the row's group, e the bound of rounding and e' its slope.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows as they came.
        groups : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        ndarray of shape (n_samples,)
            In the units of ``certified_radius`` of the detector; infinite where there are too
            few calibration rows for an alarm.

        Raises
        ------
        ValueError
            If the detector has no ``lipschitz_bound_``.
        """
        evaluated, thresholds = self._evaluated(X, groups)
        evaluated.check_certified("certified_radius")
        return self._radius(evaluated, thresholds)

    def _radius(self, evaluated, thresholds):
        radius = np.abs(evaluated.scores - thresholds) - EVALUATIONS * evaluated.error
        radius = radius / (evaluated.lipschitz + EVALUATIONS * evaluated.error_slope)
        return np.maximum(0.0, radius * (1.0 - 2.0**-48))

    def _evidence(self, X, radius, groups, measure, **options):
        radius = check_number("radius", radius, 0.0)
        check_is_fitted(self)
        return self._measured(evaluate(self.estimator_, X), radius, groups, measure, **options)

    def _measured(self, evaluated, radius, groups, measure, **options):
        shift, n_rows = evaluated.shift(radius), len(evaluated.scores)
        labels = self.calibration_.check_groups(groups, n_rows)
        return self.calibration_.evidence(measure, evaluated.scores, shift, labels, **options)

    def _judged(self, X, groups):
        """Scores, verdicts, radii where there are any, p-values: from one evaluation."""
        evaluated, thresholds = self._evaluated(X, groups)
        scores = raised(evaluated.scores, evaluated.error)
        columns = {"score": scores, "normal": scores - thresholds >= 0.0}
        if evaluated.lipschitz is not None:
            columns["certified_radius"] = self._radius(evaluated, thresholds)
        p_values = self._measured(
            evaluated, 0.0, groups, conformal_p_values, replaced=self.replaced
        )
        return columns | {"p_value": p_values}

    def _evaluated(self, X, groups):
        """Return the detector's evaluation of rows, and the threshold of each row's group."""
        check_is_fitted(self)
        evaluated = evaluate(self.estimator_, X)
        return evaluated, self._row_thresholds(groups, len(evaluated.scores))

    def _row_thresholds(self, groups, n_rows):
        labels = self.calibration_.check_groups(groups, n_rows)
        return np.array([self.thresholds_[label] for label in labels.tolist()])
