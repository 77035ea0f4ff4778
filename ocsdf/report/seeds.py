"""How much the figures depend on the seed of the training."""

import numpy as np

from ocsdf.report.evaluation import evaluate


def seed_facts(fit, X, y, *, radii, seeds, first, track=iter):
    """Fit again with other seeds, and judge the same rows.

    Parameters
    ----------
    fit : callable
        ``fit(seed)`` returns a fitted detector.
    X : array-like of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        1 for an anomaly, 0 for a normal row.
    radii : array-like of shape (n_radii,)
    seeds : sequence of int
        Seeds of the fits still to be made.
    first : dict
        ``seed``, ``auroc`` and ``certified_auroc`` (a list, one a radius) of the fit at hand.
    track : callable, default=iter
        Called with the seeds; the fits are made as its iterator hands them out.

    Returns
    -------
    dict
        ``fits``, a dict a seed such as `first`; ``auroc`` and ``certified_auroc``: the lowest,
        the mean and the highest over seeds.
    """
    fits = [first]
    for seed in track(seeds):
        ranking = evaluate(fit(seed), X, y, radii=radii, n_resamples=0).ranking
        at = np.searchsorted(ranking.radii, np.unique(radii))
        fits.append(
            {
                "seed": int(seed),
                "auroc": float(ranking.certified_auroc[0]),
                "certified_auroc": ranking.certified_auroc[at].tolist(),
            }
        )
    auroc = np.array([one["auroc"] for one in fits])
    certified = np.array([one["certified_auroc"] for one in fits])
    return {
        "fits": fits,
        "auroc": _spread(auroc),
        "certified_auroc": [_spread(column) for column in certified.T],
    }


def _spread(values):
    return {
        "lowest": float(values.min()),
        "mean": float(values.mean()),
        "highest": float(values.max()),
    }
