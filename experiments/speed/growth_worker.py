"""One fit, in a process of its own, so that its peak of memory is its own."""

import re
import resource
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from ocsdf import OCSDF
from ocsdf.data.tables import load_table

GENERATED = "generated"
OURS, FOREST, NEIGHBORS = "OCSDF", "IsolationForest", "NearestNeighbors"
_N_NEIGHBORS = 5
_STATUS = Path("/proc/self/status")


def memory(now=False):
    """Return this process's peak of resident memory in megabytes, or what it holds now."""
    # Linux passes ru_maxrss on from the parent process, so a small child of a large one lies.
    if _STATUS.exists():
        name = "VmRSS" if now else "VmHWM"
        return int(re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text())[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(detector, data, n, d, width, depth):
    """Fit a detector and let it score its own rows."""
    if data == GENERATED:
        X, _ = make_blobs(n, d, centers=3, random_state=0)
    else:
        X = load_table(data).X
    if np.shape(X) != (n, d):
        raise ValueError(f"{data} has the shape {X.shape}; expected {(n, d)}.")
    fit, score = _detector(detector, width, depth)
    row = {"megabytes_before": memory()}
    start = time.perf_counter()
    fit(X)
    row |= {"fit_seconds": time.perf_counter() - start, "fit_megabytes": memory()}
    start = time.perf_counter()
    score(X)
    return row | {"score_seconds": time.perf_counter() - start, "megabytes": memory()}


def _detector(name, width, depth):
    """Return what fits and what scores."""
    if name == OURS:
        # Loading TensorFlow is not fitting.
        import ocsdf.sklearn_compat.fitting  # noqa: F401

        detector = OCSDF(hidden_layer_sizes=(width,) * depth, random_state=0)
        return detector.fit, detector.score_samples
    if name == FOREST:
        forest = IsolationForest(random_state=0)
        return forest.fit, forest.score_samples
    neighbors = NearestNeighbors(n_neighbors=_N_NEIGHBORS)
    return neighbors.fit, neighbors.kneighbors
