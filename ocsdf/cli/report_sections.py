"""Sections of `ocsdf report` that take minutes, with their progress: attacks, rivals, seeds."""

from ocsdf.cli.console import progress_bar, tracked
from ocsdf.cli.fitting import fit_rows
from ocsdf.cli.loading import frame


def attack_rows(estimator, X, y, radii, seed):
    """Attack as many of the rows judged as there is time for."""
    from ocsdf.report.rivals import attack, rows_to_attack

    rows = rows_to_attack(y, seed)
    X, y = X.iloc[rows], y[rows]
    with progress_bar("attacking") as bar:
        return attack(estimator, X, y, radii=radii, random_state=seed, track=tracked(bar))


def compare_with(names, attacked, table, fitted, judged, radii, protocol, seed):
    """Fit and judge other detectors on the same rows; attack all alike where one is attacked."""
    from ocsdf.report.challenge import MOST_ROWS, challenge_facts, make_challenge
    from ocsdf.report.rivals import compare, rows_to_attack

    parts = table.X[fitted], table.X[judged], table.y[judged]
    known = {"radii": radii, "protocol": protocol, "random_state": seed}
    if attacked is None:
        with progress_bar("comparing") as bar:
            return compare(names, *parts, **known, track=tracked(bar)), None
    rows = rows_to_attack(parts[2], seed, MOST_ROWS)
    X, y = frame(table, judged).iloc[rows], parts[2][rows]
    train = frame(table, fitted)
    challenge = make_challenge(attacked, train, X, y, radii=radii, random_state=seed)
    with progress_bar("comparing and attacking") as bar:
        found = compare(names, *parts, challenge=challenge, **known, track=tracked(bar))
    with progress_bar("attacking this model alike") as bar:
        return found, challenge_facts(attacked, challenge, X, found, track=tracked(bar))


def other_seeds(table, fitted, how, evaluation, X, seed, n_seeds):
    """Fit with other seeds on the same rows, and judge the same."""
    import numpy as np

    from ocsdf.report.seeds import seed_facts

    ranking = evaluation.ranking
    at = np.searchsorted(ranking.radii, evaluation.radii)
    first = {
        "seed": seed,
        "auroc": float(ranking.certified_auroc[0]),
        "certified_auroc": ranking.certified_auroc[at].tolist(),
    }
    return seed_facts(
        lambda other: fit_rows(table, fitted, *how, other)[0],
        X,
        evaluation.y,
        radii=evaluation.radii,
        seeds=range(seed + 1, seed + n_seeds),
        first=first,
    )
