"""Many small fits: scikit-learn's checks, fits again, grid search on two cores, other detectors.

Ours and other detectors fit the same rows in turn; what counts are the ratios within a round.
"""

import time
import warnings

import numpy as np
from pyod.models.ecod import ECOD
from pyod.models.knn import KNN
from rich.progress import track
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import check_estimator

from experiments.speed.growth_worker import memory
from experiments.speed.suite import figure_of, judge, spans, spread
from ocsdf import OCSDF

NAME, ROUNDS, REQUIRES = "fits", 5, ()
SMALL = {"hidden_layer_sizes": (16, 16), "epochs": 2}
EXPECTED = {
    f"check_sample_weight_equivalence_on_{kind}_data": "weights are sampling probabilities; "
    "OneClassSVM fails this check too"
    for kind in ("dense", "sparse")
}
OURS = "OCSDF"
DETECTORS = {
    OURS: OCSDF(random_state=0),
    "OCSDF fullsort": OCSDF(activation="fullsort", random_state=0),
    "IsolationForest": IsolationForest(random_state=0),
    "OneClassSVM": OneClassSVM(),
    "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
    "PyOD KNN": KNN(),
    "PyOD ECOD": ECOD(),
}
N_FEATURES = 20
SIZES = (500, 5_000)
GRID = {"margin": [0.05, 0.1, 0.2, 0.4]}
CHECKS, FAILED, FIT, FIRST, AGAIN, HELD, SEARCH = (
    "seconds of check_estimator",
    "checks failed",
    "seconds of fit",
    "seconds of an architecture's first fit",
    "seconds of its second fit",
    "megabytes held after a fit",
    "seconds of a grid search",
)


def run(rounds, folder, sizes=SIZES, n_fits=30, checks=True, searched=None):
    """Time all of them."""
    with warnings.catch_warnings():
        # Nothing here is trained long enough; deprecations are those of the checks.
        warnings.simplefilter("ignore")
        return [
            *(_checked() if checks else []),
            *_repeated(rounds),
            *_held(n_fits),
            *_searched(rounds, OCSDF(epochs=10, random_state=0) if searched is None else searched),
            *_against_others(rounds, sizes),
        ]


def _row(quantity, value, turn=0, detector=OURS, **at):
    return {"quantity": quantity, "detector": detector, "round": turn, **at, "value": value}


def _rows(n_rows, seed=0):
    return make_blobs(n_rows, N_FEATURES, centers=3, random_state=seed)[0]


def _seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _checked():
    outcomes = []
    seconds = _seconds(
        lambda: outcomes.extend(
            check_estimator(
                OCSDF(**SMALL), expected_failed_checks=EXPECTED, on_skip=None, on_fail=None
            )
        )
    )
    failed = sum(outcome["status"] == "failed" for outcome in outcomes)
    return [_row(CHECKS, seconds), _row(FAILED, failed)]


def _repeated(rounds):
    """Fit architectures that this process has not met, twice each."""
    X, rows = _rows(200), []
    for turn in track(range(rounds), description="fits: architectures"):
        detector = OCSDF(hidden_layer_sizes=(20 + 2 * turn,) * 4, epochs=1, random_state=0)
        for quantity in (FIRST, AGAIN):
            rows.append(_row(quantity, _seconds(lambda one=detector: one.fit(X)), turn))
    return rows


def _held(n_fits):
    """Fit again and again, other rows each time, and note the memory that is held."""
    rows = []
    for turn in track(range(n_fits), description="fits: memory"):
        OCSDF(**SMALL, random_state=turn).fit(_rows(200 + turn, seed=turn))
        rows.append(_row(HELD, memory(now=True), turn))
    return rows


def _searched(rounds, detector):
    X = _rows(300)
    anomalies = np.random.default_rng(0).uniform(-20.0, 20.0, size=(100, N_FEATURES))
    X, y = np.vstack([X, anomalies]), np.repeat([1, 0], [300, 100])
    searches = {
        jobs: GridSearchCV(detector, GRID, scoring="roc_auc", n_jobs=jobs, cv=2, refit=False)
        for jobs in (1, 2)
    }
    # Worker processes start and import once; they stay for the rounds.
    for search in searches.values():
        search.fit(X, y)
    return [
        _row(SEARCH, _seconds(lambda one=search: one.fit(X, y)), turn, jobs=jobs)
        for turn in track(range(rounds), description="fits: grid searches")
        for jobs, search in searches.items()
    ]


def _against_others(rounds, sizes):
    rows = []
    tables = {n_rows: _rows(n_rows) for n_rows in sizes}
    for detector in DETECTORS.values():
        # A throw-away fit: what is timed is a warm process.
        clone(detector).fit(tables[sizes[0]])
    turns = [(turn, n, name) for turn in range(rounds) for n in sizes for name in DETECTORS]
    for turn, n_rows, name in track(turns, description="fits: rounds x detectors"):
        detector = clone(DETECTORS[name])
        seconds = _seconds(lambda one=detector, n=n_rows: one.fit(tables[n]))
        rows.append(_row(FIT, seconds, turn, name, rows=n_rows))
    return rows


def verdicts(table):
    """Judge the time of scikit-learn's checks; none may fail but the expected one."""
    failed = int(_values(table, FAILED).sum())
    note = f"{failed} checks failed" if failed else ""
    verdict = judge("check_estimator, seconds", _values(table, CHECKS), most=90.0, note=note)
    return [verdict._replace(met=verdict.met and not failed)]


def describe(table):
    """Tell the ratios."""
    first, again = _values(table, FIRST), _values(table, AGAIN)
    held, searches = _values(table, HELD), table[table["quantity"] == SEARCH]
    one, two = (searches[searches["jobs"] == jobs].set_index("round")["value"] for jobs in (1, 2))
    lines = [
        f"first fit of an architecture / its second: {spread(first / again)} "
        f"({spread(first)} s, {spread(again)} s)",
        f"memory over {len(held)} fits: {held.iloc[-1] - held.iloc[0]:+.1f} MB, of it over the "
        f"second half {held.iloc[-1] - held.iloc[len(held) // 2]:+.1f} MB",
        f"grid search, n_jobs=1 / n_jobs=2: {spread(one / two)} ({spread(one)} s, {spread(two)} s)",
    ]
    for n_rows, seconds in _fit_seconds(table).items():
        ratios = ", ".join(
            f"{name} {spread(seconds[OURS] / seconds[name])}" for name in DETECTORS if name != OURS
        )
        lines.append(f"fit on {n_rows} rows: ours {spread(seconds[OURS])} s; times: {ratios}")
    return "\n".join(lines)


def draw(table):
    """Draw the seconds of a fit by detector."""
    found = _fit_seconds(table)
    figure, axes = figure_of(1, len(found))
    for ax, (n_rows, seconds) in zip(axes, found.items(), strict=True):
        spans(ax, {name: seconds[name] for name in DETECTORS}, "seconds of fit")
        ax.set_title(f"{n_rows} rows of {N_FEATURES}")
    return figure


def _values(table, quantity):
    return table[table["quantity"] == quantity].set_index("round")["value"]


def _fit_seconds(table):
    """By number of rows: a row a round, a column a detector."""
    groups = table[table["quantity"] == FIT].groupby("rows")
    return {
        int(n_rows): rows.pivot(index="round", columns="detector", values="value")
        for n_rows, rows in groups
    }
