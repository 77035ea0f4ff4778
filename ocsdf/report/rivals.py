"""A judged detector beside an attack on it, and beside other detectors of the same rows."""

from typing import NamedTuple

import numpy as np

from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.benchmark.child_process import Children
from ocsdf.benchmark.detectors import find_detector
from ocsdf.benchmark.evaluate import evaluate_detector

MOST_ROWS = 500


class AttackedRanking(NamedTuple):
    """What an attack on both sides left of the AUROC.

    On the attacked rows, ``certified_auroc <= attacked_auroc <= auroc`` at every radius.

    Attributes
    ----------
    n_normals, n_anomalies : int
        Rows attacked.
    n_restarts, n_steps : int
        Effort of :func:`ocsdf.attacks.gradient_descent.pgd` for each of them.
    auroc : float
        Of these rows, before the attack.
    radii : ndarray of shape (n_radii,)
        Increasing. Scaled l2.
    certified_auroc : ndarray of shape (n_radii,)
        What no attack can push lower.
    attacked_auroc : ndarray of shape (n_radii,)
        What this one left: it never grows with the radius.
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
    """Another detector, fitted and judged on the same rows.

    Attributes
    ----------
    name : str
    auroc, average_precision : float or None
        None if it failed.
    certified_auroc : ndarray of shape (n_radii,) or None
        None if it has no certificate.
    transductive : bool
        True if its score of a row depends on the other rows to judge.
    joint : bool
        True if it was fitted on the rows to judge as well, as it can score no others.
    error : str or None
        Why it failed.
    """

    name: str
    auroc: float | None
    average_precision: float | None
    certified_auroc: np.ndarray | None
    transductive: bool
    joint: bool
    error: str | None


def rows_to_attack(y, random_state=0, most=MOST_ROWS):
    """Draw the rows that an attack has time for.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        1 for an anomaly, 0 for a normal row.
    random_state : int, default=0
    most : int, default=500
        Rows of each kind; all, if there are no more than that.

    Returns
    -------
    rows : ndarray of int
        Sorted, without repeats.
    """
    rng = np.random.default_rng(random_state)
    kinds = [np.flatnonzero(np.asarray(y) == kind) for kind in (0, 1)]
    drawn = [rng.choice(rows, min(most, len(rows)), replace=False) for rows in kinds]
    return np.sort(np.concatenate(drawn))


def attack(estimator, X, y, *, radii, random_state=0, n_restarts=3, n_steps=50, track=iter):
    """Attack normal rows and anomalies, and set what is left of the AUROC beside the certificate.

    By :func:`ocsdf.attacks.gradient_descent.pgd` with the settings of OCSDF Sec. 5.3.1, anywhere
    in the balls that the certificate covers.

    Parameters
    ----------
    estimator : OCSDF
        Fitted.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        1 for an anomaly, 0 for a normal row; both occur.
    radii : array-like of shape (n_radii,)
        Attack radii > 0, increasing. Scaled l2.
    random_state : int, default=0
        Seed of the starts.
    n_restarts : int, default=3
    n_steps : int, default=50
    track : callable, default=iter
        Called with the radii; they are attacked as its iterator hands them out.

    Returns
    -------
    ranking : AttackedRanking

    Raises
    ------
    ValueError
        If a row, label or radius is not as above.
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
    names, X_train, X_test, y_test, *, radii, protocol, random_state=0, time_limit=300, track=iter
):
    """Fit and judge other detectors on the rows that a detector was fitted and judged on.

    As in a benchmark: each in a child process, with its authors' defaults, on standardized rows if
    it is one of PyOD's, and without labels; see :func:`ocsdf.benchmark.run.run_benchmark`.

    Parameters
    ----------
    names : sequence of str
        What :func:`ocsdf.benchmark.detectors.find_detector` takes.
    X_train, X_test : ndarray of shape (n_rows, n_features)
        Rows to fit on, rows to judge.
    y_test : array-like of shape (n_test,)
        1 for an anomaly, 0 for a normal row; both occur.
    radii : sequence of float
        Attack radii to certify. Scaled l2.
    protocol : {"oc", "ad"}
    random_state : int, default=0
    time_limit : float, default=300
        Seconds for the fit and the scores of each.
    track : callable, default=iter
        Called with the names; the detectors run as its iterator hands them out.

    Returns
    -------
    rivals : list of Rival
        In the order of `names`. One that fails or takes too long says so, and stops nothing.
    """
    children = Children()
    known = {"protocol": protocol, "radii": [float(radius) for radius in radii]}
    known |= {"seed": random_state, "time_limit": time_limit}
    try:
        return [
            _rival(name, evaluate_detector(children, name, X_train, X_test, y_test, **known), known)
            for name in track(names)
        ]
    finally:
        children.close()


def _rival(name, found, known):
    # The benchmark's figures are in percent.
    bounds = [found.get(f"certified_auroc_{radius}") for radius in known["radii"]]
    flags = find_detector(name)
    return Rival(
        name=name,
        auroc=_share(found.get("auroc")),
        average_precision=_share(found.get("aupr")),
        certified_auroc=None if None in bounds else np.array(bounds) / 100,
        transductive=flags.transductive,
        joint=flags.joint and known["protocol"] == "oc",
        error=found.get("error"),
    )


def _share(percentage):
    return None if percentage is None else percentage / 100
