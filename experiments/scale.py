"""Tables larger than memory: seconds and memory of fit and score, beside an IsolationForest loop.

A Parquet file of normal rows, some of them moved, is generated below build/. Each step is a
process of its own, whose largest memory the system tells.

    python -m experiments.scale --rows 10000000
"""

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from experiments.common.command import as_table, count, make_parser, page, write_text
from experiments.common.results import do_cells

STEPS = ("pass", "fit", "IsolationForest", "score")
_PIECE, _SHARE_MOVED = 2**18, 0.01


def generate(path, n_rows, n_columns):
    """Write the rows, a piece at a time, unless they are there."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    names = [f"x{place}" for place in range(n_columns)]
    writer = None
    for start in range(0, n_rows, _PIECE):
        rng = np.random.default_rng((0, start))
        rows = rng.normal(size=(min(_PIECE, n_rows - start), n_columns))
        rows[rng.random(len(rows)) < _SHARE_MOVED] += 2.0
        table = pa.table(dict(zip(names, rows.T, strict=True)))
        writer = writer or parquet.ParquetWriter(aside, table.schema)
        writer.write_table(table)
    writer.close()
    aside.rename(path)


def run_pass(table, work):
    """Read all rows once: moments and a sample, without a fit."""
    from ocsdf.data.batches import Batches
    from ocsdf.data.features import AS_IT_IS
    from ocsdf.data.summaries import summarize_rows

    summarize_rows(frame for frame, _ in Batches(table, AS_IT_IS))


def run_forest(table, work):
    """Fit a forest on a sample, and score the same batches in a loop."""
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from sklearn.ensemble import IsolationForest

    from ocsdf.data.batches import Batches
    from ocsdf.data.features import AS_IT_IS

    batches, forest, writer = Batches(table, AS_IT_IS), IsolationForest(random_state=0), None
    for frame, _ in batches:
        if writer is None:
            forest.fit(frame)
        scores = forest.score_samples(frame)
        found = pa.table({"score": scores, "anomaly": scores < forest.offset_})
        writer = writer or parquet.ParquetWriter(work / "forest.parquet", found.schema)
        writer.write_table(found)
    writer.close()


def run_fit(table, work):
    """Do `ocsdf fit`."""
    _command("fit", table, "--output", work / "model.ocsdf")


def run_score(table, work):
    """Do `ocsdf score`."""
    _command("score", work / "model.ocsdf", table, "--output", work / "scores.parquet")


def _command(*words):
    from ocsdf.cli import main

    sys.argv = ["ocsdf", *map(str, words)]
    main()


RUNS = {"pass": run_pass, "fit": run_fit, "IsolationForest": run_forest, "score": run_score}


def measure(step, rows, columns, work):
    """Run one step in a process of its own; the values of its row."""
    table = work / f"rows_{rows}_{columns}.parquet"
    generate(table, rows, columns)
    command = [sys.executable, "-m", "experiments.scale", "--child", step]
    command += ["--rows", str(rows), "--columns", str(columns), "--work", str(work)]
    started = time.monotonic()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - started
    if status:
        raise RuntimeError(f"{step} failed with status {status}")
    return {
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "table_mb": round(table.stat().st_size / 2**20),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())),
    }


def describe(rows):
    """Write the rows as Markdown."""
    return page(
        "Tables larger than memory",
        "Generated Parquet, each step a process of its own. `pass` reads all rows once for "
        "moments and a sample; `fit` and `score` are the commands; IsolationForest scores the "
        "same batches in a loop. Seconds include the start of the process; on a machine that "
        "others used at the same time, only ratios within one number of rows mean much.\n",
        as_table(rows, "g"),
    )


def main():
    """Measure the steps that have no row yet, and write the table."""
    parser = make_parser(__doc__, work="scale")
    parser.add_argument("--rows", type=count, nargs="+", default=[10_000_000], metavar="N")
    parser.add_argument("--columns", type=count, default=20, metavar="N")
    parser.add_argument("--child", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        (rows,) = arguments.rows
        table = Path(arguments.work) / f"rows_{rows}_{arguments.columns}.parquet"
        RUNS[arguments.child](table, arguments.work)
        return
    cells = [
        {"step": step, "rows": rows, "columns": arguments.columns}
        for rows in arguments.rows
        for step in STEPS
    ]
    rows = do_cells(cells, partial(measure, work=arguments.work), arguments, "scale")
    write_text(describe(rows), arguments.output, "scale")


if __name__ == "__main__":
    main()
