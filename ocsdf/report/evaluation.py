"""Judge a fitted detector on rows: how well it ranks them, and what of that is certified."""

from typing import NamedTuple

import numpy as np

from ocsdf.certificate.metrics import (
    certified_auroc,
    certified_radius,
    certified_recall,
    certified_tpr,
)
from ocsdf.utils.checks import check_labels, check_radii

RESAMPLES = 1000
_CURVE_POINTS = 41
_FALSE_POSITIVES = 0.05


class Ranking(NamedTuple):
    """How well the scores part normal rows from anomalies, under attack.

    Attributes
    ----------
    radii : ndarray of shape (n_points,)
        A grid from 0 to the largest radius that holds every radius asked for. Scaled l2.
    certified_auroc, lower, upper : ndarray of shape (n_points,)
        Certified AUROC, both rows of a pair attacked, and its 95 % stratified bootstrap percentile
        interval. At radius 0: the AUROC. NaN ends when a group has fewer than two rows.
    certified_tpr, certified_recall : ndarray of shape (n_points,)
        Share of anomalies still caught at a false positive rate of 5 %, and at the threshold.
    certified_precision : ndarray of shape (n_points,)
        Average precision (area under the precision-recall curve, anomalies positive) that no
        attack on both can push lower: that of scores moved as far as they can be.
    """

    radii: np.ndarray
    certified_auroc: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    certified_tpr: np.ndarray
    certified_recall: np.ndarray
    certified_precision: np.ndarray


class Examples(NamedTuple):
    """Rows to look at, and how far the boundary is from each.

    Attributes
    ----------
    rows : ndarray of shape (n_examples,), int
        Places among the rows judged.
    radius : ndarray of shape (n_examples,)
        Certified: the boundary is nowhere nearer. Scaled l2.
    distance : ndarray of shape (n_examples,)
        To a point with the other verdict: the boundary is no farther. Infinite if none was found.
    """

    rows: np.ndarray
    radius: np.ndarray
    distance: np.ndarray


class Evaluation(NamedTuple):
    """What :func:`evaluate` found on the rows; every score was computed once.

    Attributes
    ----------
    radii : ndarray of shape (n_radii,)
        The radii asked for, increasing. Scaled l2.
    scores : ndarray of shape (n_samples,)
        Higher = more normal.
    inside : ndarray of shape (n_samples,), bool
        The verdicts: True is normal.
    certified_radii : ndarray of shape (n_samples,)
        No change shorter than this flips the verdict. Scaled l2.
    y : ndarray of shape (n_samples,) or None
        Labels, 1 = anomaly.
    certified_verdicts : ndarray of shape (n_radii,), int
        How many verdicts no change of that length can flip.
    outside_domain : int
        Rows outside the set B in which the model was trained.
    float_slack : float
        Largest rounding error of a score that the certificates allow for.
    radius_slack : ndarray of shape (n_radii,)
        The same for rows under an attack of each radius.
    ranking : Ranking or None
        None without labels.
    """

    radii: np.ndarray
    scores: np.ndarray
    inside: np.ndarray
    certified_radii: np.ndarray
    y: np.ndarray | None
    certified_verdicts: np.ndarray
    outside_domain: int
    float_slack: float
    radius_slack: np.ndarray
    ranking: Ranking | None


def evaluate(estimator, X, y=None, *, radii, random_state=0, n_resamples=RESAMPLES):
    """Score rows with a fitted model, and certify what the scores say.

    Parameters
    ----------
    estimator : OCSDF
        Fitted.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), default=None
        0 is normal, 1 an anomaly; both must occur.
    radii : array-like of shape (n_radii,)
        Attack radii > 0, scaled l2; sorted here.
    random_state : int, default=0
        Seed of the bootstrap.
    n_resamples : int, default=1000
        Bootstrap resamples; 0 for no intervals.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If a radius is not a finite number > 0, or `y` lacks one of its two classes.

    Examples
    --------
    Each row that is not fitted on has a score, a verdict and a radius:

    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.report import evaluate
    >>> X, y = load_wine(return_X_y=True)
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(X[:40])
    >>> evaluation = evaluate(detector, X[40:], y[40:] > 0, radii=[0.1], n_resamples=20)
    >>> len(evaluation.scores)
    138
    """
    radii = increasing_radii(radii)
    # LazyRows where the table is large: standardized anew, a chunk at a time.
    points = estimator._checked_points(X)
    scores = estimator._network.score(points)
    slack = estimator._slack(points, scores)
    bound, offset = estimator.lipschitz_bound_, estimator.offset_
    certified = certified_radius(scores, offset, bound, slack)

    def slack_at(radii):
        return estimator._network.largest_slack(points, radii)

    ranking = None
    if y is not None:
        y = check_labels(y, n_rows=len(scores)).astype(np.int64)
        normal, anomalies = scores[y == 0], scores[y == 1]
        grid = np.union1d(np.linspace(0.0, radii[-1], _CURVE_POINTS), radii)
        known = {"lipschitz": bound, "slack": slack_at(grid)}
        ranking = _rank(normal, anomalies, grid, offset, known, random_state, n_resamples)
    return Evaluation(
        radii=radii,
        scores=scores,
        inside=scores >= offset,
        certified_radii=certified,
        y=y,
        certified_verdicts=(certified > radii[:, None]).sum(axis=1),
        outside_domain=int((~estimator.domain_.contains(points[:])).sum()),
        float_slack=float(slack.max()),
        radius_slack=slack_at(radii),
        ranking=ranking,
    )


def ranked_examples(estimator, X, evaluation, n_each=5):
    """Pick the most and least normal rows (OCSDF Sec. 4.2), and those nearest to the boundary.

    Returns: ``most_normal``, ``least_normal`` and ``nearest_boundary``, by score, by falling score
    and by certified radius; equals in the order of the rows.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.report import evaluate, ranked_examples
    >>> X, y = load_wine(return_X_y=True)
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(X[:40])
    >>> evaluation = evaluate(detector, X[40:], y[40:] > 0, radii=[0.1], n_resamples=20)
    >>> sorted(ranked_examples(detector, X[40:], evaluation, n_each=1))
    ['least_normal', 'most_normal', 'nearest_boundary']
    """
    orders = {
        "most_normal": -evaluation.scores,
        "least_normal": evaluation.scores,
        "nearest_boundary": evaluation.certified_radii,
    }
    chosen = {name: np.argsort(by, kind="stable")[:n_each] for name, by in orders.items()}
    rows = np.concatenate(list(chosen.values()))
    explained = estimator.explain(X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows])
    ends = np.cumsum([len(part) for part in chosen.values()])[:-1]
    parts = (np.split(values, ends) for values in (explained.radius, explained.distance))
    return dict(zip(chosen, map(Examples, chosen.values(), *parts), strict=True))


def increasing_radii(radii):
    """Sorted, distinct radii to certify."""
    radii = np.unique(check_radii(radii))
    if radii[0] == 0.0:
        raise ValueError("radii must be finite numbers > 0; got 0, where nobody attacks")
    return radii


def _rank(normal, anomalies, grid, offset, known, seed, n_resamples):
    from sklearn.metrics import average_precision_score

    margins = 2.0 * (known["lipschitz"] * grid + known["slack"])
    margins = np.where(grid > 0.0, margins, 0.0)
    lower, upper = _bootstrap_interval(normal, anomalies, margins, seed, n_resamples)
    y = np.repeat([0, 1], [len(normal), len(anomalies)])
    precisions = []
    for margin in margins:
        # The worst of all attacks within a radius: each score as far the wrong way as it can be.
        attacked = np.append(normal - margin / 2.0, anomalies + margin / 2.0)
        precisions.append(average_precision_score(y, -attacked))
    return Ranking(
        radii=grid,
        certified_auroc=certified_auroc(normal, anomalies, grid, **known),
        lower=lower,
        upper=upper,
        certified_tpr=certified_tpr(normal, anomalies, grid, fpr=_FALSE_POSITIVES, **known),
        certified_recall=certified_recall(anomalies, grid, threshold=offset, **known),
        certified_precision=np.array(precisions),
    )


def _bootstrap_interval(normal, anomalies, margins, seed, n_resamples):
    """95 % percentile interval of the share of pairs apart by more than each margin.

    Normal rows and anomalies are resampled separately. A pair's order depends on the rows alone,
    so resamples are drawn as counts of rows, and scores are sorted once, not once a resample.
    """
    if n_resamples == 0 or min(len(normal), len(anomalies)) < 2:
        return np.full((2, len(margins)), np.nan)
    from scipy.stats import bootstrap

    levels = np.add.outer(margins, anomalies)
    normal = np.sort(normal)
    above = np.searchsorted(normal, levels, side="right")
    not_below = np.searchsorted(normal, levels, side="left")

    def share(normal_rows, anomaly_rows):
        # upto[k]: how many rows of the resample are among the k lowest normal scores.
        upto = np.append(0, np.cumsum(np.bincount(normal_rows, minlength=len(normal))))
        times = np.bincount(anomaly_rows, minlength=len(anomalies))
        below = (upto[above] + upto[not_below]) @ times / (2.0 * len(normal) * len(anomalies))
        return 1.0 - below

    interval = bootstrap(
        (np.arange(len(normal)), np.arange(len(anomalies))),
        share,
        vectorized=False,
        n_resamples=n_resamples,
        # Resamples are drawn in batches of at most a million rows, or one at a time.
        batch=max(1, 1_000_000 // max(len(normal), len(anomalies))),
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return np.stack(interval)
