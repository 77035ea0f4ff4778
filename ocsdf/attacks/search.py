"""The best points that an attacker has tried, and where it may go.

Whatever is reported was evaluated in float64.
"""

from typing import NamedTuple

import numpy as np

from ocsdf.attacks.inputs import check_direction, take_subject
from ocsdf.utils.checks import check_number

# What summing squares in another order may add to a norm, and more.
_INSIDE = 1.0 - 2.0**-40


class Attack(NamedTuple):
    """The best points that an attack tried, the rows themselves among them.

    Attributes
    ----------
    points : ndarray of shape (n_samples, n_features), float64
        No farther from the rows than the radius, as float64 computes it. In the units of X where
        a detector was attacked.
    scores : ndarray of shape (n_samples,), float64
        f at these points; never worse for the attacker than f at the rows.
    excess : ndarray of shape (n_samples,), float64
        The largest :math:`|f(x') - f(x)| - L \\|x' - x\\|` of all points x' tried for a row x, x
        among them: 0 or more. More than rounding disproves that L is a Lipschitz constant of f.
    certified : ndarray of shape (n_samples,) or None
        The radius within which a detector certifies each row's verdict, in certificate units: no
        attack of a smaller radius flips it. None where a network was attacked.

    Examples
    --------
    No attack of a radius below the certified one flips a verdict:

    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.attacks import pgd
    >>> wine = load_wine().data
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(wine[:40])
    >>> attack = pgd(detector, wine[40:60], direction=None, radius=0.1)
    >>> flipped = detector.predict(attack.points) != detector.predict(wine[40:60])
    >>> bool((flipped & (attack.certified > 0.1)).any()), bool((attack.excess < 1e-6).all())
    (False, True)
    """

    points: np.ndarray
    scores: np.ndarray
    excess: np.ndarray
    certified: np.ndarray | None = None


def evaluate_candidates(
    network, points, candidates, direction, radius, *, domain=None, lipschitz=None
):
    """Evaluate what any attacker proposes, as :func:`ocsdf.attacks.pgd` does its own iterates.

    The candidates, (n_samples, n_features), are a proposal for each point, in their units; they are
    projected, and those that are not finite replaced by the points. A network needs no gradient.
    """
    subject = take_subject(network, points, lipschitz=lipschitz)
    points = subject.points
    candidates = np.asarray(candidates, dtype=np.float64)
    if candidates.shape != points.shape:
        raise ValueError(
            f"candidates must have the shape of the points, {points.shape}; got {candidates.shape}."
        )
    signs = check_direction(direction, subject)
    radius = check_number("radius", radius, 0.0)
    candidates = subject.standardize(candidates)
    candidates = np.where(np.isfinite(candidates).all(axis=1, keepdims=True), candidates, points)
    search = Search(subject.network, points, signs, radius, domain, subject.lipschitz)
    search.evaluate(search.confine(candidates[:, np.newaxis]))
    return subject.in_units_of_X(search.found(), radius)


class Search:
    """Rows under attack: where iterates may go, and the best of those tried so far."""

    def __init__(self, network, points, signs, radius, domain, lipschitz):
        self._network, self._points, self._signs = network, points, signs
        self._domain, self._lipschitz = domain, lipschitz
        # Adding an offset to a row rounds it by half a spacing a coordinate at most.
        rounding = np.linalg.norm(np.spacing(np.abs(points) + radius), axis=1)
        self._reach = np.maximum(0.0, radius * _INSIDE - rounding)[:, np.newaxis]
        self._clean = network.score(points)
        self._best_points, self._best_scores = points.copy(), self._clean.copy()
        self._excess = np.zeros(len(points))

    @property
    def best(self):
        """The best point of each row so far, (n, d)."""
        return self._best_points

    def confine(self, moved):
        """Project points, (n, k, d): k for each row."""
        moved = self._into_ball(moved)
        if self._domain is None:
            return moved
        inside = self._domain.project(moved.reshape(-1, moved.shape[2])).astype(np.float64)
        return self._into_ball(inside.reshape(moved.shape))

    def _into_ball(self, moved):
        offset = moved - self._points[:, np.newaxis]
        distance = np.linalg.norm(offset, axis=2)
        share = self._reach / np.maximum(distance, self._reach + (self._reach == 0.0))
        pulled = self._points[:, np.newaxis] + offset * share[:, :, np.newaxis]
        return np.where((distance > self._reach)[:, :, np.newaxis], pulled, moved)

    def evaluate(self, tried):
        """Evaluate points, (n, k, d), and keep each row's best."""
        scores = self._network.score(tried.reshape(-1, tried.shape[2])).reshape(tried.shape[:2])
        distance = np.linalg.norm(tried - self._points[:, np.newaxis], axis=2)
        change = np.abs(scores - self._clean[:, np.newaxis])
        excess = (change - self._lipschitz * distance).max(axis=1)
        self._excess = np.maximum(self._excess, excess)
        rows = np.arange(len(tried))
        choice = (self._signs[:, np.newaxis] * scores).argmax(axis=1)
        better = self._signs * (scores[rows, choice] - self._best_scores) > 0.0
        self._best_scores = np.where(better, scores[rows, choice], self._best_scores)
        self._best_points[better] = tried[rows, choice][better]

    def found(self):
        """Return the best of each row."""
        return Attack(self._best_points, self._best_scores, self._excess)
