"""A detector's scores of rows, with what rounding and an attack may have done to each."""

from typing import NamedTuple

import numpy as np

from ocsdf.sklearn_compat.detector import CertifiedDetector

# Detectors that do not bound their rounding are taken to compute in float32 at worst.
_RELATIVE_ERROR = 2.0**-20
_LARGEST = np.finfo(np.float64).max / 4.0
_ROUND_UP = 1.0 + 2.0**-48
# Of an alarm that itself allows for an attack, and of the row before and after another one.
EVALUATIONS = 5


class Evaluated(NamedTuple):
    """Scores of rows and what may have changed them.

    Attributes
    ----------
    scores : ndarray of shape (n,)
    error : ndarray of shape (n,)
        Bound of the distance from the real-valued score.
    error_slope : float
        By how much that bound can grow per unit of l2 distance.
    lipschitz : float or None
        Bound of the score's Lipschitz constant; None if the detector proves none.
    detector : str
    """

    scores: np.ndarray
    error: np.ndarray
    error_slope: float
    lipschitz: float | None
    detector: str

    def shift(self, radius, evaluations=3):
        r"""Bound what an attack and rounding add to, or take from, each score.

        .. math:: L r + k (e(x) + e' r)

        with e the error, e' its slope and k the number of `evaluations` whose rounding is covered:
        of the row as it came, and of the row before the attack on either side of a comparison.
        At radius 0 the error alone.

        Parameters
        ----------
        radius : float
        evaluations : int, default=3

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If the radius is > 0 and the detector has no bound of its Lipschitz constant.
        """
        if radius == 0.0:
            return self.error
        self.check_certified(f"radius={radius:g}")
        rounding = evaluations * (self.error + self.error_slope * radius)
        return (self.lipschitz * radius + rounding) * _ROUND_UP

    def check_certified(self, what):
        """Refuse what needs a bound where there is none.

        Parameters
        ----------
        what : str
            What needs it.

        Raises
        ------
        ValueError
            If the detector has no bound of its Lipschitz constant.
        """
        if self.lipschitz is None:
            raise ValueError(
                f"{what} needs a detector with a proven Lipschitz constant, lipschitz_bound_, as "
                f"OCSDF has; {self.detector} has none, and nothing holds under attack."
            )


def evaluate(estimator, X):
    """Score rows, with bounds of the rounding.

    Parameters
    ----------
    estimator : outlier detector
        Fitted; a :class:`CertifiedDetector` brings its own bounds.
    X : array-like of shape (n, n_features)

    Returns
    -------
    Evaluated

    Raises
    ------
    ValueError
        If a score is NaN.
    """
    name = type(estimator).__name__
    if isinstance(estimator, CertifiedDetector):
        points, network = estimator._checked_points(X), estimator._network
        return Evaluated(
            network.score(points),
            network.rounding_error(points),
            network.rounding_slope,
            estimator.lipschitz_bound_,
            name,
        )
    scores = np.clip(np.asarray(estimator.score_samples(X), np.float64), -_LARGEST, _LARGEST)
    n_bad = np.count_nonzero(np.isnan(scores))
    if n_bad:
        raise ValueError(f"{name} gives {n_bad} of {len(scores)} rows no score: NaN.")
    lipschitz = getattr(estimator, "lipschitz_bound_", None)
    slope = 0.0 if lipschitz is None else _RELATIVE_ERROR * lipschitz
    return Evaluated(scores, _RELATIVE_ERROR * np.abs(scores), slope, lipschitz, name)
