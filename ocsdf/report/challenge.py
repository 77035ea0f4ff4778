"""The same black-box attack on a detector and on its rivals: same rows, radii, number of scores."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from ocsdf.attacks.black_box import random_search
from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.certificate.metrics import certified_auroc
from ocsdf.operations.base import Operation

MOST_ROWS, N_QUERIES = 200, 200
_MOST_LANDMARKS = 2000


class Challenge(NamedTuple):
    """Rows to attack, in the unit of one detector's certificate, and how.

    `y` is 1 for an anomaly, `radii` increase, `landmarks` are training rows that the attacker
    knows, and `n_queries` the scores that he may ask for, a row and radius. `mean`, `scale` and
    `stretched`, if any, turn rows into points.
    """

    points: np.ndarray
    y: np.ndarray
    radii: np.ndarray
    landmarks: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    stretched: Operation | None
    seed: int
    n_queries: int = N_QUERIES

    def __call__(self, score):
        """Attack a detector that is known by its scores of rows alone.

        It returns the AUROC of these rows, and what the attack of each radius left of it.
        """
        return self.search(SimpleNamespace(score=lambda points: _finite(score(self._rows(points)))))

    def search(self, network):
        """Attack what has scores of points; returns as a call."""
        signs = np.where(self.y == 1, 1.0, -1.0)
        scores = network.score(self.points)
        aurocs = [self._auroc(scores)]
        for radius in self.radii:
            found = random_search(
                network,
                *(self.points, signs, radius),
                landmarks=self.landmarks,
                n_queries=self.n_queries,
                random_state=self.seed,
            )
            # An attacker of a larger radius may do what one of a smaller did.
            scores = signs * np.maximum(signs * scores, signs * found.scores)
            aurocs.append(self._auroc(scores))
        return aurocs

    def _auroc(self, scores):
        return float(certified_auroc(scores[self.y == 0], scores[self.y == 1], 0.0)[0])

    def _rows(self, points):
        points = points if self.stretched is None else self.stretched.inverse(points)
        return points * self.scale + self.mean


def make_challenge(estimator, X_train, X, y, *, radii, random_state=0):
    """Prepare an attack on rows that a fitted detector judges, in the unit of its certificate."""
    known = estimator._checked_points(X_train)[:]
    drawn = np.random.default_rng(random_state).permutation(len(known))[:_MOST_LANDMARKS]
    units = estimator.mean_, estimator.scale_, estimator.stretch_
    points, radii = estimator._checked_points(X)[:], np.asarray(radii, dtype=np.float64)
    return Challenge(points, np.asarray(y), radii, known[drawn], *units, random_state)


def challenge_facts(estimator, challenge, X, rivals, *, n_restarts=3, n_steps=50, track=iter):
    """Attack the detector itself as its rivals were, and by its gradient as well.

    Returned are ``normal_rows``, ``anomalies``, ``queries`` and ``detectors``: a dict each with
    ``detector`` (None is the detector itself), ``attack``, ``scores_a_row``, ``auroc``,
    ``attacked_auroc`` and ``certified_auroc`` (lists by radius; None where there is none) and
    ``error``.
    """
    y, radii = challenge.y, challenge.radii
    clean, *certified = estimator.certified_auroc(X, y, [0.0, *radii])
    effort = {"n_restarts": n_restarts, "n_steps": n_steps, "random_state": challenge.seed}
    by_gradient = [attacked_auroc(estimator, X, y, radius, **effort)[0] for radius in track(radii)]
    by_gradient = np.minimum.accumulate(by_gradient)
    searched = challenge.search(estimator._network)
    own = {"detector": None, "auroc": float(clean), "error": None}
    own["certified_auroc"] = [float(bound) for bound in certified]
    facts = [
        own | _attacked("l2 PGD", n_restarts * (n_steps + 1), by_gradient),
        own | _attacked("random search", challenge.n_queries, searched[1:]),
    ]
    for rival in rivals:
        left = rival.attacked_auroc
        about = {"detector": rival.name, "certified_auroc": None, "error": rival.attack_error}
        about["auroc"] = None if left is None else left[0]
        facts.append(
            about
            | _attacked("random search", challenge.n_queries, None if left is None else left[1:])
        )
    return {
        "normal_rows": int(np.sum(y == 0)),
        "anomalies": int(np.sum(y == 1)),
        "queries": challenge.n_queries,
        "detectors": facts,
    }


def _attacked(attack, scores_a_row, aurocs):
    left = None if aurocs is None else [float(auroc) for auroc in aurocs]
    return {"attack": attack, "scores_a_row": scores_a_row, "attacked_auroc": left}


def _finite(scores):
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        n_bad = np.count_nonzero(~np.isfinite(scores))
        raise ValueError(f"{n_bad} of {len(scores)} scores under attack are NaN or infinite")
    return scores
