"""What scripts with presets share: options, cells that must all be done, names of their files."""

import argparse
from pathlib import Path

from ocsdf.benchmark.cells import run_cells
from ocsdf.utils.files import write_whole

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
        parser.add_argument("--jobs", type=count, default=1, help="cells at a time")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    if work is not None:
        folder = Path(__file__).parent.parent / "build" / work
        parser.add_argument("--work", type=Path, default=folder, help="folder of arrays and meshes")
    return parser


def count(text):
    """Read how many of something an option asks for: one or more.

    Parameters
    ----------
    text : str

    Returns
    -------
    int

    Raises
    ------
    argparse.ArgumentTypeError
        For anything else.
    """
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text!r}")
    return int(text)


def keep_committed(parser, arguments, *options):
    """Stop before a part of the cells is written over the tables of all.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    arguments : argparse.Namespace
        With ``output``.
    *options : str
        Names of options that choose a part of the cells, or other ones, unless left alone.

    Raises
    ------
    SystemExit
        If one is not as it is by default, but ``--output`` is.
    """
    given = [name for name in options if getattr(arguments, name) != parser.get_default(name)]
    if given and arguments.output == RESULTS:
        told = " and ".join(f"--{name}" for name in given)
        parser.error(f"{told} would write over the tables of all cells: say where with --output")


def file_name(script, preset):
    """Name the files of a preset, so that none is written over another's."""
    return script if preset == _COMMITTED else f"{script}_{preset}"


def do_cells(cells, work, folder, n_jobs=1):
    """Do the cells that have no row yet, and stop if some have failed.

    Parameters
    ----------
    cells, work, folder, n_jobs
        As of :func:`ocsdf.benchmark.cells.run_cells`.

    Returns
    -------
    list of dict

    Raises
    ------
    SystemExit
        With a line for each error, and the cells that failed with it; the others are kept.
    """
    rows = run_cells(cells, work, folder, n_jobs)
    failed = {}
    for cell, row in zip(cells, rows, strict=True):
        if "error" in row:
            failed.setdefault(row["error"], []).append(_told(cell))
    if failed:
        raise SystemExit("\n".join(f"{'; '.join(who)}: {why}" for why, who in failed.items()))
    return rows


def _told(cell):
    return ", ".join(_values(cell))


def _values(cell):
    for value in cell.values():
        if isinstance(value, dict):
            yield from _values(value)
        elif not isinstance(value, list):
            yield str(value)


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
