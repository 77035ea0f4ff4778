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

    `error` bounds each score's distance from the real-valued one, and `error_slope` how much that
    can grow per unit of l2 distance. `lipschitz` bounds the score's Lipschitz constant; None if the
    detector proves none.
    """

    scores: np.ndarray
    error: np.ndarray
    error_slope: float
    lipschitz: float | None
    detector: str

    def shift(self, radius, evaluations=3):
        """Bound what an attack and rounding add to, or take from, each score.

        .. math:: L r + k (e(x) + e' r)

        with e the error, e' its slope and k the number of `evaluations` whose rounding is covered:
        of the row as it came, and of the row before the attack on either side of a comparison. At
        radius 0 it is the error alone; a ValueError says that a radius > 0 needs a bound that there
        is not.
        """
        if radius == 0.0:
            return self.error
        self.check_certified(f"radius={radius:g}")
        rounding = evaluations * (self.error + self.error_slope * radius)
        return (self.lipschitz * radius + rounding) * _ROUND_UP

    def check_certified(self, what):
        """Refuse what needs a bound of the Lipschitz constant where there is none.

        The ValueError names it, by `what`.
        """
        if self.lipschitz is None:
            raise ValueError(
                f"{what} needs a detector with a proven Lipschitz constant, lipschitz_bound_, as "
                f"OCSDF has; {self.detector} has none, and nothing holds under attack."
            )


def evaluate(estimator, X):
    """Score rows of a fitted detector, with bounds of the rounding; a NaN score is a ValueError.

    A :class:`CertifiedDetector` brings its own bounds.
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
