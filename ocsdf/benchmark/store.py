"""Rows of cells in one SQLite file: each is in it whole or not at all, whatever ends a run."""

import contextlib
import hashlib
import json
import sqlite3
import threading
import time
from pathlib import Path

import joblib
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Seconds to wait while another process writes.
_PATIENCE = 60
_TABLE = "CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, row TEXT NOT NULL)"
# A row that another process has finished in the meantime stays.
_KEEP = """
INSERT INTO cells VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET row = excluded.row
WHERE json_extract(cells.row, '$.error') IS NOT NULL
"""


class Store:
    """The rows of cells, by their keys, in a file that several processes may open.

    Each row is one transaction in SQLite's write-ahead log: a kill, a full disk or a crash of the
    machine leaves all rows that were kept before, and nothing half. The file and its folder are
    made where they are not there; a ValueError says that a file is no store.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # joblib asks for the next cell in threads of its own; they take turns.
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            self._use_log()
            self._connection.execute(_TABLE)
        except sqlite3.DatabaseError as error:
            self.close()
            raise ValueError(f"{self.path} holds no cells ({error}): name another one") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file; its log is merged into it."""
        self._connection.close()

    def _use_log(self):
        """Turn the log on; where another process does so just now, SQLite itself does not wait."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def keep(self, cell, row):
        """Keep a cell's row, for good when this returns."""
        try:
            with self._lock:
                self._connection.execute(_KEEP, (_key(cell), json.dumps(row)))
        except sqlite3.OperationalError as error:
            raise OSError(f"cannot write {self.path}: {error}; finished cells are kept") from error

    def find(self, cell):
        """Return a cell's row, or None if it has none."""
        with self._lock:
            found = self._connection.execute("SELECT row FROM cells WHERE key = ?", (_key(cell),))
            row = found.fetchone()
        return None if row is None else json.loads(row[0])

    def rows(self):
        """Return all rows, in the order in which they were first kept."""
        with self._lock:
            found = self._connection.execute("SELECT row FROM cells ORDER BY rowid").fetchall()
        return [json.loads(row) for (row,) in found]


def run_cells(cells, work, path, n_jobs=1, prefer=None, again=None):
    """Do the work of each cell that has no row yet, and keep its row as soon as it is done.

    A cell is a dict, for which ``work(**cell)`` returns its values; one that was killed is done
    again by the next call, and so is one that raised or returned ``error``, unless ``again(row)``
    says no. This process alone writes, but a second one may work on the same file, and does no cell
    that this one has finished before. Returned are keys and values, in the order of `cells`.
    """

    def missing(cell):
        row = store.find(cell)
        return row is None or ("error" in row and (again is None or again(row)))

    with contextlib.closing(Store(path)) as store:
        to_do = [cell for cell in cells if missing(cell)]
        failed = {_key(cell) for cell in to_do if store.find(cell) is not None}
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("cells", total=len(cells), completed=len(cells) - len(to_do))
            parallel = joblib.Parallel(
                n_jobs=n_jobs, prefer=prefer, return_as="generator_unordered"
            )
            jobs = (
                joblib.delayed(_do_cell)(cell, work)
                for cell in to_do
                if _key(cell) in failed or store.find(cell) is None
            )
            for cell, row in parallel(jobs):
                store.keep(cell, row)
                progress.advance(task)
        return [store.find(cell) for cell in cells]


def _do_cell(cell, work):
    try:
        row = {**cell, **work(**cell)}
        json.dumps(row)
    except Exception as error:  # the row says so, and the other cells go on
        row = {**cell, "error": f"{type(error).__name__}: {error}"}
    return cell, row


def _key(cell):
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()
