"""What a Lipschitz bound proves about detection, computed from scores alone.

f is L-Lipschitz in the l2 norm and high scores are normal, so moving a sample by eps moves its
score by at most L * eps. Radii are l2 distances in the space where L was bounded (for the
estimators: standardized and stretched features, or pixels in [0, 1]).

Rounding never flatters a certificate: a shift is formed exactly and rounded up to the next
float64, comparisons of the kind ``a - shift`` against ``b`` are decided exactly, from the
rounded difference and its rounding error, and a share of pairs or rows is rounded down.
"""

from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ocsdf.utils.checks import check_number, check_radii, check_vector
from ocsdf.utils.rounding import share_below

_ATTACKED = {"both": 2, "anomalies": 1, "normals": 1}


def certified_radius(
    scores: ArrayLike, offset: float = 0.0, lipschitz: float = 1.0, slack: ArrayLike = 0.0
) -> NDArray[np.float64]:
    r"""Distance every sample can be moved without a change of its verdict.

    .. math:: r(x) = \max(0, |f(x) - c| - s) / L

    where f(x) is the score, c the `offset`, s the `slack` and L the `lipschitz` bound
    (OCSDF, Sec. 4.1). A sample that moves by less than r(x) stays on its side of f = c.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Scores f(x).
    offset : float, default=0.0
        Score at the boundary of the verdict.
    lipschitz : float, default=1.0
        Upper bound of the Lipschitz constant of f, in l2.
    slack : float or array-like of shape (n,), default=0.0
        Bound of the error that floating point makes in the comparison of two scores.

    Returns
    -------
    radii : ndarray of shape (n,), float64
        Radii in units of the input, rounded down, never negative; 0 certifies nothing.

    Raises
    ------
    ValueError
        If the scores are not a non-empty 1-d array of finite numbers, `offset` is not finite,
        `lipschitz` is not positive, or `slack` is negative or of another shape.

    Examples
    --------
    >>> from ocsdf import certified_radius
    >>> certified_radius([0.75, -0.5, 0.1], offset=0.25, lipschitz=0.5)
    array([1. , 1.5, 0.3])
    """
    scores = check_vector("scores", scores)
    offset = check_number("offset", offset)
    lipschitz = check_number("lipschitz", lipschitz, above=0.0)
    slack = _slack(slack, len(scores), "scores")
    # Each operation rounds to nearest: the next number below is not above the exact result.
    # What overflows is at least the largest float64, which is below infinity.
    with np.errstate(over="ignore"):
        gap = _below(np.abs(scores - offset))
        return np.maximum(0.0, _below(np.maximum(0.0, _below(gap - slack)) / lipschitz))


def certified_auroc(
    normal_scores: ArrayLike,
    anomaly_scores: ArrayLike,
    radii: ArrayLike,
    lipschitz: float = 1.0,
    attacked: Literal["both", "anomalies", "normals"] = "both",
    slack: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    r"""AUROC that no attack of a given l2 radius can push below.

    .. math:: P(d > \sigma) + P(d = \sigma) / 2, \quad d = f(x^+) - f(x^-)

    where x+ runs over the normal rows, x- over the anomalies, and sigma is the worst shift of
    d: 2 (L eps + s) when both sides are attacked, L eps + s when one is. L is the `lipschitz`
    bound, eps the radius and s the `slack`. This is Proposition 1 of OCSDF (Sec. 4.1, Eq. 9) with
    the sign corrected: as printed, the value would grow with eps.

    Parameters
    ----------
    normal_scores : array-like of shape (n,)
        Scores of the normal rows.
    anomaly_scores : array-like of shape (m,)
        Scores of the anomalies.
    radii : float or array-like of shape (n_radii,)
        Attack radii eps >= 0.
    lipschitz : float, default=1.0
        Upper bound of the Lipschitz constant of f, in l2.
    attacked : {"both", "anomalies", "normals"}, default="both"
        Which rows the attacker may move.
    slack : float or array-like of shape (n_radii,), default=0.0
        Bound of the error that floating point makes in one attacked sample's score at each
        radius. It counts only where eps > 0: at eps = 0 nobody attacks.

    Returns
    -------
    auroc : ndarray of shape (n_radii,), float64
        Lower bounds in [0, 1]; at eps = 0 the AUROC, rounded down. They never grow with eps, as
        long as `slack` does not shrink with it.

    Raises
    ------
    ValueError
        If scores or radii are not non-empty 1-d arrays of finite numbers, a radius or `slack`
        is negative, `lipschitz` is not positive, or `attacked` is none of the three.

    Notes
    -----
    Costs one sort and O(n log m) for each radius. sigma is rounded up to a float64, d is then
    compared with it exactly, and the share of pairs is rounded down: the result is never above
    the exact value, and ties count one half where they are real.

    Examples
    --------
    >>> from ocsdf import certified_auroc
    >>> certified_auroc([1.0, 2.0], [-1.0, 0.0], radii=[0.0, 0.25, 0.75])
    array([1.  , 1.  , 0.75])
    """
    normals = np.sort(check_vector("normal_scores", normal_scores))
    anomalies = np.sort(check_vector("anomaly_scores", anomaly_scores))
    shifts = _shifts(radii, lipschitz, slack, _n_attacked(attacked))
    counts = [_count_below(anomalies, normals, shift) for shift in shifts]
    pairs = len(normals) * len(anomalies)
    return np.array([share_below(2 * below + ties, 2 * pairs) for below, ties in counts])


def certified_tpr(
    normal_scores: ArrayLike,
    anomaly_scores: ArrayLike,
    radii: ArrayLike,
    fpr: float = 0.05,
    lipschitz: float = 1.0,
    attacked: Literal["both", "anomalies", "normals"] = "both",
    slack: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    r"""True positive rate at a bounded false positive rate, whatever an attacker does.

    Anomalies are the positives and a row is flagged when its score is below a threshold t. At
    each radius, let u be the normal scores, lowered by L eps + s if normal rows are attacked. t is
    the largest threshold that flags at most a share `fpr` of u:

    .. math:: t = u_{(k+1)}, \quad k = \max\{j : j / n \le \mathrm{fpr}\}

    with u_(1) <= ... <= u_(n). An anomaly counts when its score, raised by L eps + s if anomalies
    are attacked, is still below t. Hence the ROC curve of any attacked scores reaches at least
    this true positive rate at a false positive rate of at most `fpr`.

    Parameters
    ----------
    normal_scores, anomaly_scores, radii, lipschitz, attacked, slack
        As for :func:`certified_auroc`; L is the `lipschitz` bound and s the `slack`.
    fpr : float, default=0.05
        Largest share of normal rows that may be flagged, 0 <= fpr < 1.

    Returns
    -------
    tpr : ndarray of shape (n_radii,), float64
        Lower bounds in [0, 1]. They never grow with eps, as long as `slack` does not shrink
        with it.

    Raises
    ------
    ValueError
        As :func:`certified_auroc`, and if `fpr` is outside [0, 1).

    Examples
    --------
    >>> from ocsdf import certified_tpr
    >>> certified_tpr([1.0, 2.0, 3.0, 4.0], [-1.0, 0.75], radii=[0.0, 0.5], fpr=0.25)
    array([1., 1.])
    """
    normals = np.sort(check_vector("normal_scores", normal_scores))
    anomalies = np.sort(check_vector("anomaly_scores", anomaly_scores))
    shifts = _shifts(radii, lipschitz, slack, _n_attacked(attacked))
    if not 0 <= check_number("fpr", fpr) < 1:
        raise ValueError(f"fpr must be a share with 0 <= fpr < 1, got {fpr!r}")
    # j / n <= fpr is compared as floats are read: 29 of 100 rows are a share of 0.29.
    n_flagged = np.searchsorted(np.arange(1, len(normals) + 1) / len(normals), fpr, side="right")
    boundary = normals[n_flagged : n_flagged + 1]
    counts = [_count_below(anomalies, boundary, shift) for shift in shifts]
    return np.array([share_below(below, len(anomalies)) for below, _ in counts])


def certified_recall(
    anomaly_scores: ArrayLike,
    radii: ArrayLike,
    threshold: float = 0.0,
    lipschitz: float = 1.0,
    slack: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    r"""Share of anomalies that stay flagged under any attack of a given l2 radius.

    .. math:: P(f(x^-) + L \epsilon + s < t)

    where x- runs over the anomalies, L is the `lipschitz` bound, eps the radius, s the `slack`
    and t the `threshold`; a score of t or more is inside.

    Parameters
    ----------
    anomaly_scores, radii, lipschitz, slack
        As for :func:`certified_auroc`.
    threshold : float, default=0.0
        Scores below it are flagged.

    Returns
    -------
    recall : ndarray of shape (n_radii,), float64
        Lower bounds in [0, 1]; at eps = 0 the recall itself. They never grow with eps, as long
        as `slack` does not shrink with it.

    Raises
    ------
    ValueError
        As :func:`certified_auroc`, and if `threshold` is not finite.

    Examples
    --------
    >>> from ocsdf import certified_recall
    >>> certified_recall([-1.0, -0.25, 0.5], radii=[0.0, 0.5], threshold=0.0)
    array([0.66666667, 0.33333333])
    """
    anomalies = np.sort(check_vector("anomaly_scores", anomaly_scores))
    boundary = np.array([check_number("threshold", threshold)])
    shifts = _shifts(radii, lipschitz, slack, _n_attacked("anomalies"))
    counts = [_count_below(anomalies, boundary, shift) for shift in shifts]
    return np.array([share_below(below, len(anomalies)) for below, _ in counts])


def _count_below(sorted_scores, bounds, shift):
    """Count the pairs with score < bound - shift and with score = bound - shift, exactly."""
    # Knuth's TwoSum: bounds - shift = difference + error without rounding. The error is under
    # half a spacing of floats, so it decides only where a score equals the rounded difference.
    # Where a sum overflows the error may be NaN: such an equal score is counted in neither.
    with np.errstate(over="ignore", invalid="ignore"):
        difference = bounds - shift
        moved = difference - bounds
        error = (bounds - (difference - moved)) - (shift + moved)
    below = np.searchsorted(sorted_scores, difference, side="left")
    equal = np.searchsorted(sorted_scores, difference, side="right") - below
    return int(below.sum() + equal[error > 0].sum()), int(equal[error == 0].sum())


def _shifts(radii, lipschitz, slack, n_attacked):
    """Return n_attacked * (lipschitz * eps + slack) per radius, rounded up; 0 at eps = 0."""
    radii = check_radii(radii)
    lipschitz = Fraction(check_number("lipschitz", lipschitz, above=0.0))
    slack = np.broadcast_to(_slack(slack, len(radii), "radii"), radii.shape)
    return [
        _round_up(n_attacked * (lipschitz * Fraction(eps) + Fraction(extra))) if eps > 0 else 0.0
        for eps, extra in zip(radii.tolist(), slack.tolist(), strict=True)
    ]


def _round_up(exact):
    """Return the smallest float64 that is not below a positive fraction."""
    try:
        nearest = float(exact)
    except OverflowError:
        return np.inf
    return nearest if Fraction(nearest) >= exact else np.nextafter(nearest, np.inf)


def _n_attacked(attacked):
    if attacked not in _ATTACKED:
        options = ", ".join(map(repr, _ATTACKED))
        raise ValueError(f"attacked must be one of {options}, got {attacked!r}")
    return _ATTACKED[attacked]


def _below(values):
    return np.nextafter(values, -np.inf)


def _slack(slack, size, counted):
    """Return `slack` as float64: a number, or one number for each of `size` entries."""
    if np.ndim(slack) == 0:
        slack = check_number("slack", slack)
    else:
        slack = check_vector("slack", slack)
        if len(slack) != size:
            raise ValueError(
                f"slack must be a number or one per entry of {counted} ({size}), got {len(slack)}"
            )
    if np.min(slack) < 0:
        raise ValueError(f"slack must be 0 or more, got {np.min(slack)}")
    return slack
