"""A judged detector beside an attack on it, and beside other detectors of the same rows."""

from typing import NamedTuple

import numpy as np

from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.benchmark.child_process import Children
from ocsdf.benchmark.detectors import find_detector
from ocsdf.benchmark.evaluate import evaluate_detector

MOST_ROWS = 500


class AttackedRanking(NamedTuple):
    """What an attack on both sides left of the AUROC, on the rows attacked; radii are scaled l2.

    At every radius ``certified_auroc <= attacked_auroc <= auroc``: what no attack can push lower,
    what this one left (it never grows with the radius), and what was there before. `n_restarts` and
    `n_steps` are the effort of :func:`ocsdf.attacks.gradient_descent.pgd` for each row.
    """

    n_normals: int
    n_anomalies: int
    n_restarts: int
    n_steps: int
    auroc: float
    radii: np.ndarray
    certified_auroc: np.ndarray
    attacked_auroc: np.ndarray


class Rival(NamedTuple):
    """Another detector, fitted and judged on the same rows; None stands where it has no figure.

    A `transductive` one scores rows by the other rows to judge, a `joint` one was fitted on these
    as well, as it can score no others. `attacked_auroc` is the AUROC on the rows of a challenge,
    before the attack and after that of each radius; `error` and `attack_error` say why there is
    none.
    """

    name: str
    auroc: float | None
    average_precision: float | None
    certified_auroc: np.ndarray | None
    transductive: bool
    joint: bool
    error: str | None
    attacked_auroc: list | None = None
    attack_error: str | None = None


def rows_to_attack(y, random_state=0, most=MOST_ROWS):
    """Draw the rows that an attack has time for."""
    rng = np.random.default_rng(random_state)
    kinds = [np.flatnonzero(np.asarray(y) == kind) for kind in (0, 1)]
    drawn = [rng.choice(rows, min(most, len(rows)), replace=False) for rows in kinds]
    return np.sort(np.concatenate(drawn))


def attack(estimator, X, y, *, radii, random_state=0, n_restarts=3, n_steps=50, track=iter):
    """Attack normal rows and anomalies, and set what is left of the AUROC beside the
    certificate.

    By :func:`ocsdf.attacks.gradient_descent.pgd` with the settings of OCSDF Sec. 5.3.1, anywhere
    in the balls that the certificate covers.
    """
    effort = {"n_restarts": n_restarts, "n_steps": n_steps}
    attacked = [
        attacked_auroc(estimator, X, y, radius, random_state=random_state, **effort)[0]
        for radius in track(radii)
    ]
    clean, *certified = estimator.certified_auroc(X, y, [0.0, *radii])
    return AttackedRanking(
        n_normals=int(np.sum(np.asarray(y) == 0)),
        n_anomalies=int(np.sum(np.asarray(y) == 1)),
        auroc=float(clean),
        radii=np.asarray(radii, dtype=float),
        certified_auroc=np.array(certified),
        # An attacker of a larger radius may do what one of a smaller did.
        attacked_auroc=np.minimum.accumulate(attacked),
        **effort,
    )


def compare(
    names,
    X_train,
    X_test,
    y_test,
    *,
    radii,
    protocol,
    random_state=0,
    time_limit=300,
    challenge=None,
    track=iter,
):
    """Fit and judge other detectors on the rows that a detector was fitted and judged on.

    As in a benchmark: each in a child process, with its authors' defaults, on standardized rows if
    it is one of PyOD's, and without labels; see :func:`ocsdf.benchmark.run.run_benchmark`. With a
    :class:`ocsdf.report.challenge.Challenge` each is attacked as well.
    """
    children = Children()
    known = {"protocol": protocol, "radii": [float(radius) for radius in radii]}
    known |= {"seed": random_state, "time_limit": time_limit}
    rows = X_train, X_test, y_test
    try:
        return [_compare_one(children, name, rows, known, challenge) for name in track(names)]
    finally:
        children.close()


def _compare_one(children, name, rows, known, challenge):
    flags, why_not = find_detector(name), None
    if challenge is not None and (flags.transductive or flags.joint):
        challenge, why_not = None, "not attacked: a row's score depends on the other rows judged"
    found = evaluate_detector(children, name, *rows, challenge=challenge, **known)
    # The benchmark's figures are in percent.
    bounds = [found.get(f"certified_auroc_{radius}") for radius in known["radii"]]
    return Rival(
        name=name,
        auroc=_share(found.get("auroc")),
        average_precision=_share(found.get("aupr")),
        certified_auroc=None if None in bounds else np.array(bounds) / 100,
        transductive=flags.transductive,
        joint=flags.joint and known["protocol"] == "oc",
        error=found.get("error"),
        attacked_auroc=found.get("challenge"),
        attack_error=why_not or found.get("challenge_error"),
    )


def _share(percentage):
    return None if percentage is None else percentage / 100
