"""Do the shares of `explain` agree with SHAP's, as users will compare them?

Ten tables: one fit of the default on normal rows; of up to 20 flagged anomalies, the shares of
`explain`, those of the gradient and the magnitudes of SHAP's PermutationExplainer (f with 50
training rows as the background), by Spearman's rank correlation over the features of each row.
And how many features a sparse flip moves, how much longer it is than the nearest flip found, and
whether the rows that are returned have the other verdict.

    python -m experiments.reasons
"""

import numpy as np
from scipy.stats import spearmanr

from experiments.common.command import as_table, page, run_tables
from ocsdf import OCSDF, load_table
from ocsdf.explanation.shares import gradient_shares

TABLES = (
    *("4_breastw", "6_cardio", "14_glass", "18_Ionosphere", "21_Lymphography"),
    *("29_Pima", "38_thyroid", "40_vowels", "42_WBC", "45_wine"),
)
FITTED, ROWS, BACKGROUND = 2000, 20, 50


def compare(table):
    """Explain flagged anomalies of a table both ways; the mean rank correlations."""
    import shap

    data = load_table(table)
    rng = np.random.default_rng(0)
    normal = rng.permutation(np.flatnonzero(data.y == 0))
    detector = OCSDF(random_state=0).fit(data.X[normal[: min(FITTED, len(normal) // 2)]])
    anomalies = data.X[rng.permutation(np.flatnonzero(data.y == 1))]
    rows = anomalies[detector.predict(anomalies) == -1][:ROWS]
    background = data.X[normal[:BACKGROUND]]
    explainer = shap.explainers.Permutation(detector.score_samples, background, seed=0)
    budget = 10 * (2 * data.X.shape[1] + 1)
    theirs = np.abs(explainer(rows, max_evals=budget, silent=True).values)
    nearest, sparse = detector.explain(rows), detector.explain(rows, sparse=True)
    change, found = nearest.shares, sparse.converged
    flipped = detector.predict(sparse.boundary[found]) == 1
    slope = gradient_shares(detector._network, detector._checked_points(rows)[:])
    return {
        "features": data.X.shape[1],
        "rows": len(rows),
        "change_and_shap": _agreement(change, theirs),
        "slope_and_shap": _agreement(slope, theirs),
        "change_and_slope": _agreement(change, slope),
        "same_first_feature": float(np.mean(change.argmax(axis=1) == theirs.argmax(axis=1))),
        "sparse_features": float(np.mean(np.sum(sparse.boundary != sparse.rows, axis=1)[found])),
        "sparse_length": float(np.mean(sparse.distance[found] / nearest.distance[found])),
        "flips_found": int(found.sum()),
        "flips_verified": int(flipped.sum()),
    }


def _agreement(ours, theirs):
    pairs = zip(ours, theirs, strict=True)
    return float(np.mean([spearmanr(one, other).statistic for one, other in pairs]))


def describe(rows):
    """Write the tables' rows as Markdown."""
    columns = ["change_and_shap", "slope_and_shap", "same_first_feature"]
    columns += ["sparse_features", "sparse_length"]
    means = rows[columns].mean()
    return page(
        "Shares beside SHAP's",
        f"Mean Spearman correlation with SHAP's magnitudes over {len(rows)} tables: "
        f"{means['change_and_shap']:.2f} for the shares of the change that flips the verdict "
        f"(what `explain` gives), {means['slope_and_shap']:.2f} for those of the slope. The "
        f"first feature is the same in {100 * means['same_first_feature']:.0f} % of rows.\n",
        f"Sparse flips move {means['sparse_features']:.1f} of {rows['features'].mean():.1f} "
        f"features on average and are {means['sparse_length']:.2f} times as long as the "
        f"nearest found. Of {rows['rows'].sum()} rows asked for, flips of "
        f"{rows['flips_found'].sum()} were found, of which {rows['flips_verified'].sum()} have "
        "the other verdict as rows.\n",
        as_table(rows),
    )


def main():
    """Compare the tables that have no row yet, and write the table."""
    run_tables(__doc__, TABLES, compare, "reasons", describe)


if __name__ == "__main__":
    main()
