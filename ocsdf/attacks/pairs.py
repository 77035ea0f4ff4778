"""The search for the steepest pair of points: what would break a Lipschitz bound, if anything."""

from typing import NamedTuple

import numpy as np

from ocsdf.attacks.inputs import take_subject
from ocsdf.networks.gradients import input_gradient, or_one, unit
from ocsdf.utils.checks import check_count, check_number


class SteepPairs(NamedTuple):
    """The steepest pair of points that a search found from each start.

    Attributes
    ----------
    ratios : ndarray of shape (n_starts,), float64
        :math:`|f(x) - f(y)| / \\|x - y\\|`.
    first, second : ndarray of shape (n_starts, n_features), float64
        x and y, in units of the certificate.

    Examples
    --------
    The ratio is that of the scores at the two ends:

    >>> import numpy as np
    >>> from ocsdf.attacks import SteepPairs
    >>> first, second = np.array([[0.0, 3.0]]), np.array([[4.0, 0.0]])
    >>> SteepPairs(np.array([0.8]), first, second).ratios * np.linalg.norm(first - second)
    array([4.])
    """

    ratios: np.ndarray
    first: np.ndarray
    second: np.ndarray


def steepest_pairs(network, starts, *, longest=1.0, shortest=1e-3, n_steps=50, random_state=0):
    r"""Search for pairs of points between which the score is steepest.

    .. math:: R(x, y) = |f(x) - f(y)| / \|x - y\|

    grows along :math:`\sigma \nabla f(x) - R e` in x and along :math:`R e - \sigma \nabla f(y)`
    in y, with :math:`e = (x - y) / \|x - y\|` and sigma the sign of f(x) - f(y). Each step goes
    there, by half the pair's length times these vectors over the larger gradient norm. That turns
    a pair towards the gradient and carries it to where f is steeper; on an affine f of unit
    gradient one step arrives. Pairs get shorter from step to step, evenly on a logarithmic scale,
    so that they find a steep region first and its steepest place then.

    Parameters
    ----------
    network : OCSDF or another detector of this package, or a network
        As for :func:`ocsdf.attacks.gradient_descent.pgd`.
    starts : array-like of shape (n_starts, n_features)
        Middles of the first pairs, whose directions are random; rows of X for a detector.
    longest, shortest : float, default=1.0 and 1e-3
        Length of the first and of the last pairs. An error of delta in f is one of
        2 delta / `shortest` in R: far shorter pairs would measure rounding.
    n_steps : int, default=50
    random_state : int or numpy.random.Generator, default=0
        Draws the directions.

    Returns
    -------
    SteepPairs
        The best of all n_steps + 1 pairs from each start.

    Raises
    ------
    ValueError
        If the starts are not finite rows, or not 0 < shortest <= longest, or n_steps < 1.
    TypeError
        If the network has no gradient.

    Examples
    --------
    An affine f of unit gradient is as steep as its bound allows, everywhere:

    >>> import numpy as np
    >>> from ocsdf.attacks import steepest_pairs
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.6], [0.8]]), np.zeros(1))], (2,)))
    >>> pairs = steepest_pairs(network, [[0.0, 0.0], [5.0, 5.0]])
    >>> pairs.ratios.round(6), bool(np.all(pairs.ratios <= network.lipschitz_bound + 1e-9))
    (array([1., 1.]), True)
    """
    subject = take_subject(network, starts, "starts")
    network, middles = subject.network, subject.points.copy()
    shortest, longest = check_number("shortest", shortest), check_number("longest", longest)
    if not 0.0 < shortest <= longest:
        raise ValueError(
            f"lengths must be 0 < shortest <= longest; got shortest={shortest}, longest={longest}."
        )
    check_count("n_steps", n_steps)
    gradient = input_gradient(network)
    axis = np.random.default_rng(random_state).standard_normal(middles.shape)
    best = SteepPairs(np.full(len(middles), -1.0), middles.copy(), middles.copy())
    for length in np.geomspace(longest, shortest, n_steps + 1):
        axis *= 0.5 * length / np.linalg.norm(axis, axis=1, keepdims=True)
        first, second = middles + axis, middles - axis
        rise = _judge_pairs(network, first, second, best)
        first, second = _steepen(gradient, first, second, rise)
        middles, axis = 0.5 * (first + second), _nonzero(0.5 * (first - second), axis)
    return best


def _judge_pairs(network, first, second, best):
    """Return (f(x) - f(y)) / |x - y|, and keep in place the pairs that are the steepest yet."""
    distance = np.linalg.norm(first - second, axis=1)
    rise = (network.score(first) - network.score(second)) / or_one(distance)
    better = np.abs(rise) > best.ratios
    best.ratios[better] = np.abs(rise[better])
    best.first[better], best.second[better] = first[better], second[better]
    return rise


def _steepen(gradient, first, second, rise):
    """Move both points of pairs by one step."""
    offset = first - second
    distance = np.linalg.norm(offset, axis=1, keepdims=True)
    slopes = np.where(rise < 0.0, -1.0, 1.0)[:, np.newaxis] * np.stack(
        [gradient(first), gradient(second)]
    )
    steepest = or_one(np.linalg.norm(slopes, axis=2, keepdims=True).max(axis=0))
    ascent = (slopes - np.abs(rise)[:, np.newaxis] * unit(offset)) / steepest
    return first + 0.5 * distance * ascent[0], second - 0.5 * distance * ascent[1]


def _nonzero(vectors, others):
    """Replace vectors that are zero."""
    return np.where(vectors.any(axis=1, keepdims=True), vectors, others)
