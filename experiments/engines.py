"""One model, scored by Dask, Ray Data and Spark with one and two workers, beside one process.

Each row of the record is a process of its own: the engine starts, scores a few rows, and is then
timed on a table in uneven parts, one of them empty; its scores are compared with one process's.

    python -m experiments.engines
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd

from experiments.common.command import as_table, count, make_parser, page, write_text
from experiments.common.results import do_cells
from ocsdf import OCSDF
from ocsdf.sklearn_compat import score_frame

CELLS = [("one process", 1)] + [(name, n) for name in ("Dask", "Ray", "Spark") for n in (1, 2)]
_FITTED, _FEATURES = 5000, 20


def make_parts(n_rows):
    """Rows with a key in parts: large ones, a small one and an empty one, 16 in all."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(size=(n_rows, _FEATURES))).rename(columns="x{}".format)
    rows.insert(0, "key", np.arange(n_rows))
    cuts = [0, 0, *np.linspace(7, n_rows, 15).astype(int)]
    return [rows.iloc[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]


@contextmanager
def dask(detector, n_workers):
    """Score by a cluster of Dask on this machine."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    settings = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        model = client.scatter(detector, broadcast=True)

        def score(parts):
            frame = dd.from_map(lambda part: part, parts, meta=parts[0].iloc[:0])
            meta = score_frame(detector, parts[0].iloc[:0], keep=["key"])
            return frame.map_partitions(_with_model, model, meta=meta).compute()

        yield score


def _with_model(part, detector):
    return score_frame(detector, part, keep=["key"])


@contextmanager
def ray(detector, n_workers):
    """Score by Ray Data on this machine."""
    import ray as library

    library.init(num_cpus=n_workers, include_dashboard=False, log_to_driver=False)
    library.data.DataContext.get_current().execution_options.preserve_order = True
    model = library.put(detector)

    def score(parts):
        return (
            library.data.from_pandas(parts)
            .map_batches(
                lambda part: score_frame(library.get(model), part, keep=["key"]),
                batch_format="pandas",
                batch_size=None,
            )
            .to_pandas()
        )

    try:
        yield score
    finally:
        library.shutdown()


@contextmanager
def spark(detector, n_workers):
    """Score by Spark on this machine."""
    from pyspark.sql import SparkSession

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    session = SparkSession.builder.master(f"local[{n_workers}]")
    session = session.config("spark.ui.enabled", "false")
    session = session.config("spark.sql.execution.arrow.pyspark.enabled", "true").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    model = session.sparkContext.broadcast(detector)

    def judge(batches):
        for batch in batches:
            yield score_frame(model.value, batch, keep=["key"])

    def score(parts):
        schema = session.createDataFrame(parts[-1][:1]).schema
        frame, *others = (session.createDataFrame(part, schema).coalesce(1) for part in parts)
        for other in others:
            frame = frame.union(other)
        found = session.createDataFrame(score_frame(detector, parts[-1][:2], keep=["key"])).schema
        scores = frame.mapInPandas(judge, found).toPandas()
        return scores.sort_values("key", ignore_index=True)

    try:
        yield score
    finally:
        session.stop()


@contextmanager
def one_process(detector, n_workers):
    """Score here."""
    yield lambda parts: pd.concat([score_frame(detector, part, keep=["key"]) for part in parts])


ENGINES = {"one process": one_process, "Dask": dask, "Ray": ray, "Spark": spark}


def fit_model(path):
    """Fit the model that all engines get, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        rows = pd.DataFrame(rng.normal(size=(_FITTED, _FEATURES))).rename(columns="x{}".format)
        OCSDF(random_state=0).fit(rows).save(path)


def run_here(engine, workers, n_rows, path):
    """Time one engine in this process; the values of its row."""
    detector, parts = OCSDF.load(path), make_parts(n_rows)
    started = time.monotonic()
    with ENGINES[engine](detector, workers) as score:
        score(make_parts(320))
        ready = time.monotonic()
        scores = score(parts)
        done = time.monotonic()
    whole = pd.concat(parts, ignore_index=True)
    expected = score_frame(detector, whole, keep=["key"])
    slack = detector.float_slack(whole.drop(columns="key"))
    difference = np.abs(scores["score"].to_numpy() - expected["score"].to_numpy())
    clear = expected["certified_radius"].to_numpy() > 0.0
    same = scores["verdict"].to_numpy() == expected["verdict"].to_numpy()
    return {
        "seconds_to_start": round(ready - started, 1),
        "seconds": round(done - ready, 1),
        "rows_per_second": round(n_rows / (done - ready)),
        "keys_in_order": bool((scores["key"].to_numpy() == whole["key"].to_numpy()).all()),
        "largest_difference_over_slack": float(np.max(difference / slack)),
        "verdicts_that_differ": int(np.count_nonzero(~same[clear])),
    }


def measure(engine, workers, rows, work):
    """Time one engine in a process of its own."""
    fit_model(work / "model.ocsdf")
    command = [sys.executable, "-m", "experiments.engines", "--rows", str(rows)]
    command += ["--child", engine, "--workers", str(workers), "--work", str(work)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{engine} failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def describe(rows):
    """Write the rows as Markdown."""
    return page(
        "One model by three engines",
        f"{_FEATURES} features, 16 uneven parts, one of them empty. Seconds of scoring include "
        "the way of rows to workers and back; workers compute by one thread each. A "
        "difference over slack below 1 is within what the certificate takes off.\n",
        as_table(rows, "g"),
    )


def main():
    """Measure what has no row yet, and write the table."""
    parser = make_parser(__doc__, work="engines")
    parser.add_argument("--rows", type=count, default=400_000, metavar="N")
    parser.add_argument("--child", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=count, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        model = arguments.work / "model.ocsdf"
        facts = run_here(arguments.child, arguments.workers, arguments.rows, model)
        print(json.dumps(facts))
        return
    cells = [{"engine": e, "workers": n, "rows": arguments.rows} for e, n in CELLS]
    rows = do_cells(cells, partial(measure, work=arguments.work), arguments, "engines")
    write_text(describe(rows), arguments.output, "engines")


if __name__ == "__main__":
    main()
