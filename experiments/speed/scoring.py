"""Rows scored a second by OCSDF and by other detectors, in turn, in one run.

What counts are the ratios within a round; the slowest detectors score fewer rows, which does not
change their rate.
"""

import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
from pyod.models.hbos import HBOS
from pyod.models.knn import KNN
from rich.progress import track
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import OneClassSVM

from experiments.speed.suite import figure_of, judge, spans, spread
from ocsdf import OCSDF

NAME, ROUNDS, REQUIRES = "scoring", 5, ()
MANY, FEW, MAPPED = 100_000, 10_000, 1_000_000
N_FEATURES, N_FIT, N_REFERENCE, N_SINGLE = 20, 2_000, 20_000, 200
TABLE, SINGLE, MAP = "a table", "one row", "a memory-mapped file"
OURS, FULLSORT, FOREST = "OCSDF", "OCSDF fullsort", "IsolationForest"
NEIGHBORS, PYOD_NEIGHBORS = "NearestNeighbors", "PyOD KNN"
# Detector, peer, and how many times the peer's rows a second it must reach.
TARGETS = [
    (OURS, FOREST, 1.0),
    (FULLSORT, FOREST, 0.5),
    (OURS, NEIGHBORS, 5.0),
    (OURS, PYOD_NEIGHBORS, 5.0),
]


def run(rounds, folder):
    """Time every detector once a round."""
    X, _ = make_blobs(MANY + N_REFERENCE, N_FEATURES, centers=3, random_state=0)
    queries, reference = X[:MANY], X[MANY:]
    scorers = _fitted(reference)
    turns = [(turn, name) for turn in range(rounds) for name in scorers]
    results = []
    for turn, name in track(turns, description="rounds x detectors"):
        score, n_rows = scorers[name]
        at = {"detector": name, "round": turn}
        results.append({"benchmark": TABLE, **at, **_timed(score, queries[:n_rows])})
        if name in (OURS, FULLSORT, FOREST):
            results.append({"benchmark": SINGLE, **at, **_single_rows(score, queries[:N_SINGLE])})
    for name in (OURS, FULLSORT):
        results.append(
            {"benchmark": MAP, "detector": name, "round": 0, **_mapped(scorers[name][0])}
        )
    return results


def verdicts(table):
    """Judge the targets by the ratios within each round."""
    table = table[table["benchmark"] == TABLE]
    rates = table.pivot(index="round", columns="detector", values="rows_per_second")
    return [
        judge(
            f"rows scored a second, {detector} / {peer}",
            rates[detector] / rates[peer],
            least=target,
        )
        for detector, peer, target in TARGETS
    ]


def describe(table):
    """Tell rows a second, milliseconds for one row, and memory beside a memory-mapped file."""
    rates = table.groupby(["benchmark", "detector"], sort=False)["rows_per_second"].apply(spread)
    single = table[table["benchmark"] == SINGLE].groupby("detector", sort=False)["seconds"]
    lines = [rates.to_string(), "", "Milliseconds for one row:"]
    lines.append(str((1e3 * single.median()).round(3).to_dict()))
    if "peak_megabytes" in table:
        peaks = table[table["benchmark"] == MAP].set_index("detector")["peak_megabytes"]
        lines += [
            f"Megabytes beside a memory-mapped file of {4 * MAPPED * N_FEATURES / 1e6:.0f} "
            f"({8 * MAPPED / 1e6:.0f} of scores included):",
            str(peaks.round(1).to_dict()),
        ]
    return "\n".join(lines)


def draw(table):
    """Draw rows scored a second by detector."""
    figure, (ax,) = figure_of(1, 1)
    groups = table[table["benchmark"] == TABLE].groupby("detector", sort=False)
    spans(ax, dict(iter(groups["rows_per_second"])), "rows scored a second")
    return figure


def _fitted(reference):
    """Return each detector's function of rows, and how many rows it is timed on."""
    few = reference[:N_FIT]
    # The speed of scoring does not depend on how long a network was trained.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = {
            OURS: OCSDF(max_steps=5, random_state=0).fit(few),
            FULLSORT: OCSDF(activation="fullsort", max_steps=5, random_state=0).fit(few),
        }
    neighbors = NearestNeighbors(n_neighbors=5).fit(reference)
    return {
        **{name: (detector.score_samples, MANY) for name, detector in ours.items()},
        FOREST: (IsolationForest(random_state=0).fit(few).score_samples, MANY),
        "OneClassSVM": (OneClassSVM().fit(few).score_samples, FEW),
        NEIGHBORS: (neighbors.kneighbors, FEW),
        PYOD_NEIGHBORS: (KNN(n_neighbors=5).fit(reference).decision_function, FEW),
        "PyOD HBOS": (HBOS().fit(reference).decision_function, MANY),
    }


def _timed(score, rows):
    start = time.perf_counter()
    score(rows)
    seconds = time.perf_counter() - start
    return {"rows": len(rows), "seconds": seconds, "rows_per_second": len(rows) / seconds}


def _single_rows(score, rows):
    """Time rows one by one: the median, so that a pause of the machine does not count."""
    seconds = np.median([_timed(score, row[np.newaxis])["seconds"] for row in rows])
    return {"rows": 1, "seconds": seconds, "rows_per_second": 1.0 / seconds}


def _mapped(score):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        shape = (MAPPED, N_FEATURES)
        rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        rng = np.random.default_rng(0)
        for start in range(0, MAPPED, MANY):
            rows[start : start + MANY] = rng.normal(size=(MANY, N_FEATURES))
        rows = np.load(path, mmap_mode="r")
        result = _timed(score, rows)
        tracemalloc.start()
        score(rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return {**result, "peak_megabytes": peak / 1e6}
