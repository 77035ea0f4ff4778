"""What a benchmark leaves in its folder: rows, report, pictures, ADBench's own CSV form."""

from pathlib import Path

import numpy as np
import pandas as pd

from ocsdf.benchmark.report import pages, pictures
from ocsdf.benchmark.sections import NAMES
from ocsdf.benchmark.statistics import (
    CONTAMINATED,
    contamination_curve,
    has_failed,
)
from ocsdf.benchmark.summary import BESIDE, summarize_protocol
from ocsdf.utils.files import write_whole
from ocsdf.utils.text import csv_text

_KEY = ["protocol", "table", "detector", "seed", "contamination"]
_NEEDED = (
    *("protocol", "table", "detector", "seed", "auroc", "aupr", "fit_seconds", "score_seconds"),
    *("peak_mb", "transductive", "leaks"),
)


def write_report(rows, folder, adbench_csv=False, beside=BESIDE):
    """Write a benchmark's rows, tables and pictures.

    Parameters
    ----------
    rows : DataFrame
        One row per cell, as the benchmark's runner returns them: AUROC, AUPR and certified AUROC
        in percent; `error` holds a text where the cell failed; `contamination` is a share of 1.
    folder : str or Path
        Made if it does not exist. Gets benchmark.csv, benchmark.md, benchmark.html and figures/.
    adbench_csv : bool, default=False
        Also write ADBench's form: adbench_AUCROC.csv, adbench_AUCPR.csv, adbench_Time_fit.csv and
        adbench_Time_inference.csv of protocol "adbench"; of another, its name comes last.
    beside : sequence of str
        Detectors shown beside the ranking, not in it; those whose name starts with "OCSDF " are
        so too.

    Returns
    -------
    paths : list of Path
        The files written.

    Raises
    ------
    ValueError
        If there is no row, or a column is missing.

    Examples
    --------
    >>> from ocsdf.benchmark import run_benchmark, write_report
    >>> rows = run_benchmark(["wine"], ["IForest", "KNN"], [0], ["oc"], folder="bench")
    >>> sorted(path.name for path in write_report(rows, "report"))[:3]
    ['benchmark.csv', 'benchmark.html', 'benchmark.md']
    """
    rows = _checked(rows)
    folder = Path(folder)
    protocols = [name for name in NAMES if name in set(rows["protocol"])]
    by_protocol = {name: rows[rows["protocol"] == name] for name in protocols}
    summaries = [
        summarize_protocol(part, beside)
        for name, part in by_protocol.items()
        if name != CONTAMINATED
    ]
    curve = contamination_curve(rows) if CONTAMINATED in by_protocol else None
    drawn = pictures(summaries, curve)
    html, markdown = pages(summaries, curve, drawn)
    contents = {
        "benchmark.csv": csv_text(rows, index=False),
        "benchmark.md": markdown,
        "benchmark.html": html,
    }
    contents |= {f"figures/{picture.name}.png": picture.png for picture in drawn}
    if adbench_csv:
        contents |= _adbench_files(by_protocol)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


def _checked(rows):
    """Return the rows with every column that the report reads, or raise."""
    missing = [name for name in _NEEDED if name not in rows]
    if missing or rows.empty:
        raise ValueError(
            "rows must hold at least one cell and the columns "
            f"{', '.join(_NEEDED)}; got {len(rows)} rows without {', '.join(missing) or 'a cell'}"
        )
    unknown = sorted(set(rows["protocol"]) - set(NAMES))
    if unknown:
        raise ValueError(f"protocol must be one of {', '.join(NAMES)}; got {', '.join(unknown)}")
    # These are absent where they apply to no cell.
    extra = ("error", "contamination", "rows")
    rows = rows.assign(**{name: np.nan for name in extra if name not in rows})
    rows["error"] = rows["error"].replace("", np.nan)
    twice = rows[rows.duplicated(_KEY)]
    if len(twice):
        cell = ", ".join(str(value) for value in twice.iloc[0][_KEY])
        raise ValueError(f"each cell must have one row; {cell} has two: drop one of them")
    return rows


def adbench_form(rows):
    """Put rows of one protocol into the form of the CSV files that ADBench's RunPipeline writes.

    AUCROC and AUCPR lie between 0 and 1. A row is a table, a share of labelled anomalies (0.0, as
    nothing is told to an unsupervised detector) and a seed; a failed cell is empty.
    """
    columns = {
        "AUCROC": rows["auroc"] / 100,
        "AUCPR": rows["aupr"] / 100,
        "Time_fit": rows["fit_seconds"],
        "Time_inference": rows["score_seconds"],
    }
    keys = [rows["table"], pd.Series(0.0, rows.index), rows["seed"], rows["detector"]]
    index = pd.MultiIndex.from_arrays(keys, names=["table", "share", "seed", "detector"])
    failed = has_failed(rows)
    frames = {}
    for name, values in columns.items():
        frame = values.where(~failed).set_axis(index).unstack("detector")
        frames[name] = frame.set_axis(frame.index.to_flat_index()).rename_axis(columns=None)
    return frames


def _adbench_files(by_protocol):
    return {
        f"adbench_{name}{'' if protocol == 'adbench' else f'_{protocol}'}.csv": csv_text(frame)
        for protocol, rows in by_protocol.items()
        if protocol != CONTAMINATED
        for name, frame in adbench_form(rows).items()
    }
