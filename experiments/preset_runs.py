"""What scripts with presets share: options, cells that must all be done, names of their files."""

import argparse
from pathlib import Path

from ocsdf.files import write_whole
from ocsdf.runs import run_cells

RESULTS = Path(__file__).parent / "results"
# Its files bear the script's name alone.
_COMMITTED = "cpu"


def make_parser(description, presets, jobs=False, work=None):
    """Make a parser of ``--preset`` and ``--output``.

    Parameters
    ----------
    description : str
        Shown as it is.
    presets : iterable of str
    jobs : bool, default=False
        Whether ``--jobs`` says how many cells are done at a time.
    work : str or None, default=None
        The folder below build/ that ``--work`` is by default; without, there is no such option.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=tuple(presets), default=_COMMITTED)
    if jobs:
        parser.add_argument("--jobs", type=int, default=1, help="cells at a time")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    if work is not None:
        folder = Path(__file__).parent.parent / "build" / work
        parser.add_argument("--work", type=Path, default=folder, help="folder of arrays and meshes")
    return parser


def file_name(script, preset):
    """Name the files of a preset, so that none is written over another's."""
    return script if preset == _COMMITTED else f"{script}_{preset}"


def do_cells(cells, work, folder, n_jobs=1):
    """Do the cells that have no row yet, and stop if some have failed.

    Parameters
    ----------
    cells, work, folder, n_jobs
        As of :func:`ocsdf.runs.run_cells`.

    Returns
    -------
    list of dict

    Raises
    ------
    SystemExit
        With a line for each cell that failed; the others are kept.
    """
    rows = run_cells(cells, work, folder, n_jobs)
    failed = [
        f"{_told(cell)}: {row['error']}"
        for cell, row in zip(cells, rows, strict=True)
        if "error" in row
    ]
    if failed:
        raise SystemExit("\n".join(failed))
    return rows


def _told(cell):
    return ", ".join(str(value) for value in cell.values() if not isinstance(value, dict | list))


def write_tables(rows, text, output, name):
    """Write ``<name>.csv`` and ``<name>.md`` into a folder, and print the text.

    Parameters
    ----------
    rows : DataFrame
    text : str
    output : Path
    name : str
    """
    write_whole(output / f"{name}.csv", rows.to_csv(index=False))
    write_whole(output / f"{name}.md", text)
    print(text)
