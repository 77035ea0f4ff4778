"""The record of an experiment: a CSV file with a row a cell, which a run goes on from.

Cells that are being done are kept in one file below build/; when all that were asked for are there,
they join the CSV file.
"""

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from ocsdf.benchmark.store import run_cells
from ocsdf.utils.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
RESULTS, BUILD = ROOT / "experiments" / "results", ROOT / "build" / "cells"
# The state of the code that a row was made with, as git describes it.
COMMIT = "commit"


def read_rows(path):
    """Read the rows of a CSV file, each without its empty columns; there are none without a file.

    Numbers, true, false, lists and objects are read as JSON, all else as text.
    """
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {name: _value(text) for name, text in line.items() if text}
            for line in csv.DictReader(file)
        ]


def write_rows(path, rows):
    """Write rows as CSV, whole; :func:`read_rows` gives the same ones back.

    None stands for an empty field.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row if name != COMMIT))
    columns += [COMMIT] if any(COMMIT in row for row in rows) else []
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())


def finish_cells(cells, work, path, n_jobs=1, render=False):
    """Do the cells that the record at a path lacks, put them into it, and return all rows.

    Cells are dictionaries of keys; a row is a cell's if it agrees in all names that occur in these,
    those that a cell lacks being empty in it. ``work(**cell)`` returns a row's values; a cell that
    failed has ``error``, and is in the record with it until a later call has done it. ``render``
    does nothing but return the rows that are there.
    """
    names = list(dict.fromkeys(name for cell in cells for name in cell))
    kept = read_rows(path)
    done = {_key(row, names): row for row in kept if "error" not in row}
    missing = [cell for cell in cells if _key(cell, names) not in done]
    if missing and not render:
        store = _store_of(path)
        state = describe_code()
        fresh = [
            {name: value for name, value in row.items() if value is not None} | {COMMIT: state}
            for row in run_cells(missing, work, store, n_jobs)
        ]
        redone = {_key(row, names) for row in fresh}
        write_rows(path, [row for row in kept if _key(row, names) not in redone] + fresh)
        if not any("error" in row for row in fresh):
            # What is in the record is needed nowhere else.
            for part in store.parent.glob(f"{store.name}*"):
                part.unlink()
        done |= {_key(row, names): row for row in fresh}
    rows = (done.get(_key(cell, names)) for cell in cells)
    return [row for row in rows if row is not None]


def do_cells(cells, work, arguments, name):
    """Do the cells that ``<name>.csv`` lacks, as :func:`finish_cells`; return a DataFrame of them.

    What is to be done, and where it is kept, is told before. Where cells failed, it exits with a
    line for each error and the cells that failed with it; the others are kept. With ``--render`` it
    exits if no cell is there.
    """
    path = arguments.output / f"{name}.csv"
    if not arguments.render:
        print(_plan(cells, path), file=sys.stderr)
    rows = finish_cells(cells, work, path, arguments.jobs, arguments.render)
    failed = {}
    for row in rows:
        if "error" in row:
            names = list(dict.fromkeys(name for cell in cells for name in cell))
            told = ", ".join(_words({name: row[name] for name in names if name in row}))
            failed.setdefault(row["error"], []).append(told)
    if failed:
        raise SystemExit("\n".join(f"{'; '.join(who)}: {why}" for why, who in failed.items()))
    if not rows:
        raise SystemExit(f"{path} has none of these cells: run without --render")
    return pd.DataFrame(rows)


def _plan(cells, path):
    """Say how many cells a record lacks, where they are kept, or how to measure them anew."""
    names = list(dict.fromkeys(name for cell in cells for name in cell))
    done = {_key(row, names) for row in read_rows(path) if "error" not in row}
    n_missing = sum(_key(cell, names) not in done for cell in cells)
    if n_missing:
        return (
            f"{path} lacks {n_missing} of {len(cells)} cells. Each is kept in {_store_of(path)} as "
            "soon as it is done: the same command goes on where it was stopped."
        )
    return (
        f"{path} has all {len(cells)} cells: nothing is measured, its page is written anew. To "
        "measure them yourself, name an empty folder with --output."
    )


def describe_code():
    """Return the commit of the code, with a plus where files have changed since, or "unknown"."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def made_at(rows):
    """Say in a sentence at which commits rows entered the record; nothing if they do not tell."""
    counts = Counter(str(row[COMMIT]) for row in rows if COMMIT in row)
    told = ", ".join(f"{commit} ({count})" for commit, count in counts.most_common())
    return f"Rows entered the record at commit: {told}." if told else ""


def _store_of(path):
    folder = BUILD if path.parent.resolve() == RESULTS.resolve() else path.parent
    return folder / f"{path.stem}.sqlite"


def _key(row, names):
    """The JSON of a row's key; 1 and 1.0 are the same."""
    values = [row.get(name) for name in names]
    return json.dumps([float(v) if type(v) is int else v for v in values], sort_keys=True)


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value):
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, str):
        # Text that would be read as something else is put in quotation marks.
        return value if _value(value) is value else json.dumps(value)
    return json.dumps(value, default=lambda number: number.item())


def _words(cell):
    for value in cell.values():
        if isinstance(value, dict):
            yield from _words(value)
        elif not isinstance(value, list):
            yield str(value)
