"""Judge a fitted detector on rows: how well it ranks them, and what of that is certified."""

from typing import NamedTuple

import numpy as np

from ocsdf.certificate.metrics import certified_auroc, certified_recall, certified_tpr
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
    average_precision : float
        Area under the precision-recall curve, anomalies positive.
    """

    radii: np.ndarray
    certified_auroc: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    certified_tpr: np.ndarray
    certified_recall: np.ndarray
    average_precision: float


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


class Judgement(NamedTuple):
    """What `judge` found on the rows.

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
    ranking: Ranking | None


def judge(estimator, X, y=None, *, radii, random_state=0, n_resamples=RESAMPLES):
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
        Bootstrap resamples.

    Returns
    -------
    judgement : Judgement

    Raises
    ------
    ValueError
        If a radius is not a finite number > 0, or `y` lacks one of its two classes.
    """
    radii = increasing_radii(radii)
    scores = estimator.score_samples(X)
    certified = estimator.certified_radius(X)
    scaled = (np.asarray(X, dtype=float) - estimator.mean_) / estimator.scale_
    ranking = None
    if y is not None:
        y = check_labels(y, n_rows=len(scores)).astype(np.int64)
        ranking = _rank(estimator, X, scores, y, radii, random_state, n_resamples)
    return Judgement(
        radii=radii,
        scores=scores,
        inside=scores >= estimator.offset_,
        certified_radii=certified,
        y=y,
        certified_verdicts=(certified > radii[:, None]).sum(axis=1),
        outside_domain=int((~estimator.domain_.contains(scaled)).sum()),
        float_slack=float(estimator.float_slack(X).max()),
        ranking=ranking,
    )


def ranked_examples(estimator, X, judgement, n_each=5):
    """Pick the most and least normal rows (OCSDF Sec. 4.2), and those nearest to the boundary.

    Parameters
    ----------
    estimator : OCSDF
        Fitted.
    X : array-like of shape (n_samples, n_features)
        The rows judged.
    judgement : Judgement
    n_each : int, default=5

    Returns
    -------
    examples : dict of str to Examples
        ``most_normal``, ``least_normal`` and ``nearest_boundary``, by score, by falling score and
        by certified radius; equals in the order of the rows.
    """
    orders = {
        "most_normal": -judgement.scores,
        "least_normal": judgement.scores,
        "nearest_boundary": judgement.certified_radii,
    }
    chosen = {name: np.argsort(by, kind="stable")[:n_each] for name, by in orders.items()}
    rows = np.concatenate(list(chosen.values()))
    explained = estimator.explain(X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows])
    ends = np.cumsum([len(part) for part in chosen.values()])[:-1]
    parts = (np.split(values, ends) for values in (explained.radius, explained.distance))
    return dict(zip(chosen, map(Examples, chosen.values(), *parts), strict=True))


def increasing_radii(radii):
    """Sorted, distinct radii to certify.

    Parameters
    ----------
    radii : array-like of shape (n_radii,)

    Returns
    -------
    radii : ndarray of shape (n_radii,)

    Raises
    ------
    ValueError
        If there is none, or one is not a finite number > 0.
    """
    radii = np.unique(check_radii(radii))
    if radii[0] == 0.0:
        raise ValueError("radii must be finite numbers > 0; got 0, where nobody attacks")
    return radii


def _rank(estimator, X, scores, y, radii, seed, n_resamples):
    from sklearn.metrics import average_precision_score

    from ocsdf.networks.lipschitz import float_error

    normal, anomalies = scores[y == 0], scores[y == 1]
    grid = np.union1d(np.linspace(0.0, radii[-1], _CURVE_POINTS), radii)
    bound = estimator.lipschitz_bound_
    _, rounding_slope = float_error(estimator.model_)
    slack = estimator.float_slack(X).max() + rounding_slope * grid
    known = {"lipschitz": bound, "slack": slack}
    margins = np.where(grid > 0.0, 2.0 * (bound * grid + slack), 0.0)
    lower, upper = _bootstrap_interval(normal, anomalies, margins, seed, n_resamples)
    return Ranking(
        radii=grid,
        certified_auroc=certified_auroc(normal, anomalies, grid, **known),
        lower=lower,
        upper=upper,
        certified_tpr=certified_tpr(normal, anomalies, grid, fpr=_FALSE_POSITIVES, **known),
        certified_recall=certified_recall(anomalies, grid, threshold=estimator.offset_, **known),
        average_precision=average_precision_score(y, -scores),
    )


def _bootstrap_interval(normal, anomalies, margins, seed, n_resamples):
    """95 % percentile interval of the share of pairs apart by more than each margin.

    Normal rows and anomalies are resampled separately. A pair's order depends on the rows alone,
    so resamples are drawn as counts of rows, and scores are sorted once, not once a resample.
    """
    if min(len(normal), len(anomalies)) < 2:
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
