"""Judge a fitted detector on rows: how well it ranks them, and what of that is certified."""

from typing import NamedTuple

import numpy as np

from ocsdf.certification import certified_recall, certified_tpr

RESAMPLES = 1000
_CURVE_POINTS = 41
_FALSE_POSITIVES = 0.05
_FLOAT64_MARGIN = 1e-12


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
    radii = check_radii(radii)
    scores = estimator.score_samples(X)
    certified = estimator.certified_radius(X)
    scaled = (np.asarray(X, dtype=float) - estimator.mean_) / estimator.scale_
    ranking = None
    if y is not None:
        y = np.asarray(y)
        if not set(np.unique(y)) == {0, 1}:
            raise ValueError(
                f"rows to judge must hold normal rows (0) and anomalies (1); got only labels "
                f"{sorted(set(y.tolist()))}. Judge without labels, or add rows of the other kind"
            )
        ranking = _rank(estimator, X, scores, y, radii, random_state, n_resamples)
    return Judgement(
        radii=radii,
        scores=scores,
        inside=estimator.predict(X) == 1,
        certified_radii=certified,
        y=y,
        certified_verdicts=(certified > radii[:, None]).sum(axis=1),
        outside_domain=int((~estimator.domain_.contains(scaled)).sum()),
        float_slack=float(estimator.float_slack(X).max()),
        ranking=ranking,
    )


def check_radii(radii):
    """Sorted, distinct radii.

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
    radii = np.unique(np.asarray(radii, dtype=float))
    if not radii.size or not (np.isfinite(radii) & (radii > 0)).all():
        raise ValueError(f"radii must be one or more finite numbers > 0; got {radii.tolist()}")
    return radii


def _rank(estimator, X, scores, y, radii, seed, n_resamples):
    from sklearn.metrics import average_precision_score

    from ocsdf.lipschitz import float_error

    normal, anomalous = y == 0, y == 1
    grid = np.union1d(np.linspace(0.0, radii[-1], _CURVE_POINTS), radii)
    bound, threshold = estimator.lipschitz_bound_, estimator.offset_
    # What a row's float slack counts at the row itself; the rest grows with the radius.
    _, slope = float_error(estimator.model_)
    rounding = estimator.float_slack(X) - slope * np.abs(scores - threshold) / bound
    rounding *= 1.0 + _FLOAT64_MARGIN
    clean = scores[normal], scores[anomalous]
    worst = (scores - rounding)[normal], (scores + rounding)[anomalous]
    known = {"lipschitz": bound, "slack": slope * grid}

    def curve(certified, *clean_and_worst, **settings):
        at_rest, attacked = (certified(*one, grid, **settings) for one in clean_and_worst)
        return np.where(grid > 0.0, attacked, at_rest)

    margins = 2.0 * (bound + slope) * grid
    intervals = [
        _bootstrap_interval(*clean, margins[:1], seed, n_resamples),
        _bootstrap_interval(*worst, margins[1:], seed, n_resamples),
    ]
    lower, upper = np.concatenate(intervals, axis=1)
    return Ranking(
        radii=grid,
        certified_auroc=estimator.certified_auroc(X, y, grid),
        lower=lower,
        upper=upper,
        certified_tpr=curve(certified_tpr, clean, worst, fpr=_FALSE_POSITIVES, **known),
        certified_recall=curve(
            certified_recall, clean[1:], worst[1:], threshold=threshold, **known
        ),
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
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return np.stack(interval)
