"""Resumable cells: a key, an atomic row, resume after a kill."""

import hashlib
import json
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

from ocsdf.utils.files import write_whole


def run_cells(cells, work, folder, n_jobs=1, prefer=None):
    """Do the work of each cell that has no row yet, and keep its row as soon as it is done.

    A cell killed in the middle leaves nothing behind and is done again by the next call; a
    finished one never is. A cell that raises keeps a row with ``error``
    until a later call does it again. So does one whose work returns ``error``, unless it returns
    ``timed_out`` as well: it would only take its time again.

    Parameters
    ----------
    cells : list of dict
        Each is a cell's key: names to JSON values.
    work : callable
        ``work(**cell)`` returns a dict, the row's values.
    folder : str or os.PathLike
        Where rows are kept, one file a cell.
    n_jobs : int, default=1
        Cells at a time, through ``joblib.Parallel``.
    prefer : {"processes", "threads"}, optional
        joblib's hint; a backend that the caller has chosen (joblib.parallel_config) wins.

    Returns
    -------
    list of dict
        The cells' keys and values, in the order of ``cells``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [cell for cell in cells if not _is_done(folder, cell)]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("cells", total=len(cells), completed=len(cells) - len(missing))
        parallel = joblib.Parallel(n_jobs=n_jobs, prefer=prefer, return_as="generator_unordered")
        jobs = (joblib.delayed(_do_cell)(cell, work, folder) for cell in missing)
        for _ in parallel(jobs):
            progress.advance(task)
    return [json.loads(_row_file(folder, cell).read_text()) for cell in cells]


def _do_cell(cell, work, folder):
    try:
        row = json.dumps({**cell, **work(**cell)})
    except Exception as error:  # the row says so, and the other cells go on
        row = json.dumps({**cell, "error": f"{type(error).__name__}: {error}"})
    write_whole(_row_file(folder, cell), row)


def _is_done(folder, cell):
    file = _row_file(folder, cell)
    if not file.exists():
        return False
    row = json.loads(file.read_text())
    return "error" not in row or row.get("timed_out", False)


def _row_file(folder, cell):
    key = json.dumps(cell, sort_keys=True)
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
