"""A black-box l2 attack: it asks for scores alone, so that detectors without a gradient take it."""

import numpy as np

from ocsdf.attacks.inputs import check_direction, take_subject
from ocsdf.attacks.search import Search
from ocsdf.networks.gradients import unit
from ocsdf.utils.checks import check_count, check_number, check_rows

# Points of a row whose scores are asked for at once.
_TRIED = 4
# Lengths of steps, as shares of the radius; what leaves the ball is projected on it.
_SHORTEST, _LONGEST = 0.05, 2.0
# Of the proposals, those that move a few features only: trees look at one at a time.
_SPARSE = 0.5


def random_search(
    network,
    points,
    direction,
    radius,
    *,
    landmarks=None,
    n_queries=200,
    domain=None,
    lipschitz=None,
    random_state=0,
):
    r"""Move the score of rows by random search in l2 balls, without gradients.

    The first proposals lie on the ray from the row towards its nearest landmarks where the score
    is pushed up, away from them where it is pushed down. All others are the best point so far plus
    a random step, which moves all features or a few, and whose length falls geometrically from the
    radius to a twentieth; each is projected on the ball, judged, and the best is kept. That is the
    scheme of Guo et al., Simple Black-box Adversarial Attacks, 2019, with steps of all lengths.

    Parameters
    ----------
    network : OCSDF or another detector of this package, or a network
        As for :func:`ocsdf.attacks.pgd`; a network needs ``score(points)`` alone.
    points, direction, radius
        As for :func:`ocsdf.attacks.pgd`.
    landmarks : array-like of shape (n_landmarks, n_features) or None, default=None
        Normal rows that the attacker knows, such as training rows, in the units of `points`.
    n_queries : int, default=200
        Scores asked for, a row.
    domain : Box or Ball, default=None
        As for :func:`ocsdf.attacks.pgd`.
    lipschitz : float, default=None
        As for :func:`ocsdf.attacks.pgd`.
    random_state : int or numpy.random.Generator, default=0

    Returns
    -------
    Attack

    Raises
    ------
    ValueError
        As :func:`ocsdf.attacks.pgd`, or if landmarks are no rows of the same width.

    Examples
    --------
    An attacker who knows a normal row looks along the way to it:

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from ocsdf.attacks import random_search
    >>> score = SimpleNamespace(score=lambda points: -np.linalg.norm(points, axis=1))
    >>> random_search(score, [[3.0, 4.0]], 1, 0.5, landmarks=[[0.0, 0.0]]).scores.round(2)
    array([-4.5])
    """
    subject = take_subject(network, points, lipschitz=lipschitz)
    signs = check_direction(direction, subject)
    radius = check_number("radius", radius, 0.0)
    check_count("n_queries", n_queries)
    search = Search(subject.network, subject.points, signs, radius, domain, subject.lipschitz)
    if radius > 0.0:
        rng = np.random.default_rng(random_state)
        known = _checked_landmarks(landmarks, subject)
        _run(search, subject.points, signs, radius, known, n_queries, rng)
    return subject.in_units_of_X(search.found(), radius)


def _checked_landmarks(landmarks, subject):
    if landmarks is None:
        return None
    known = subject.standardize(check_rows("landmarks", landmarks))
    if known.shape[1] != subject.points.shape[1]:
        raise ValueError(
            f"landmarks must have {subject.points.shape[1]} features, as the rows; got "
            f"{known.shape[1]}."
        )
    return known


def _run(search, points, signs, radius, landmarks, n_queries, rng):
    asked = 0
    while asked < n_queries:
        n_tried = min(_TRIED, n_queries - asked)
        if asked == 0 and landmarks is not None:
            moved = _towards(points, signs, radius, landmarks, n_tried)
        else:
            shares = rng.uniform(*np.log([_SHORTEST, _LONGEST]), (len(points), n_tried, 1))
            steps = _directions(len(points), n_tried, points.shape[1], rng)
            moved = search.best[:, np.newaxis] + radius * np.exp(shares) * steps
        search.evaluate(search.confine(moved))
        asked += n_tried


def _towards(points, signs, radius, landmarks, n_tried):
    """Points as far towards the nearest landmarks as the radius, or away from them."""
    from scipy.spatial import cKDTree

    n_nearest = min(n_tried, len(landmarks))
    nearest = cKDTree(landmarks).query(points, k=range(1, n_nearest + 1))[1]
    offsets = landmarks[nearest] - points[:, np.newaxis]
    lengths = np.linalg.norm(offsets, axis=2, keepdims=True)
    up = (signs > 0.0)[:, np.newaxis, np.newaxis]
    reach = np.where(up, np.minimum(lengths, radius), -radius)
    return points[:, np.newaxis] + reach * unit(offsets)


def _directions(n_rows, n_each, n_features, rng):
    """Draw unit vectors, of which half move a few features only."""
    steps = rng.standard_normal((n_rows, n_each, n_features))
    n_kept = rng.integers(1, min(4, n_features) + 1, size=(n_rows, n_each, 1))
    ranks = rng.random(steps.shape).argsort(axis=2).argsort(axis=2)
    sparse = rng.random((n_rows, n_each, 1)) < _SPARSE
    return unit(np.where(sparse & (ranks >= n_kept), 0.0, steps))
