"""How much the figures depend on the seed of the training."""

import numpy as np

from ocsdf.report.evaluation import evaluate


def seed_facts(fit, X, y, *, radii, seeds, first, track=iter):
    """Fit again with other seeds, and judge the same rows.

    Returned are ``fits``, a dict a seed such as `first`; ``auroc`` and ``certified_auroc``: the
    lowest, the mean and the highest over seeds.
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
