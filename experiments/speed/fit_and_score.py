"""Fit and score seconds of OCSDF beside scikit-learn's detectors, in turn, in one run.

Run ``python -m experiments.speed.fit_and_score --help``. Times are process-wide wall seconds; what
counts are the ratios within one run.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
from rich.progress import track
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from ocsdf import OCSDF
from ocsdf.files import write_whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default="reports/speed.csv")
    arguments = parser.parse_args()
    X, _ = make_blobs(arguments.rows, arguments.features, centers=3, random_state=0)
    detectors = {
        "OCSDF": OCSDF(random_state=0),
        "OCSDF groupsort2": OCSDF(activation="groupsort2", random_state=0),
        "IsolationForest": IsolationForest(random_state=0),
        "OneClassSVM": OneClassSVM(),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
    }
    turns = [(i, name) for i in range(arguments.rounds) for name in detectors]
    rows = pd.DataFrame(
        [
            {"round": i, "detector": name, **measure(detectors[name], X)}
            for i, name in track(turns, description="rounds x detectors")
        ]
    )
    Path(arguments.output).parent.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.output, rows.to_csv(index=False))
    medians = rows.groupby("detector", sort=False)[["fit_seconds", "score_seconds"]].median()
    ratios = medians / medians.loc["IsolationForest"]
    print(medians.join(ratios, rsuffix=" / IsolationForest").round(4).to_string())
    print(f"All rounds: {arguments.output}")


def measure(detector, X):
    start = time.perf_counter()
    detector.fit(X)
    fitted = time.perf_counter()
    detector.score_samples(X)
    return {"fit_seconds": fitted - start, "score_seconds": time.perf_counter() - fitted}


if __name__ == "__main__":
    main()
