"""Command lines of the experiments: presets, options, names of files."""

import argparse
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from experiments.common.results import COMMIT, RESULTS, ROOT, do_cells, made_at, read_rows
from ocsdf.utils.extras import how_to_install
from ocsdf.utils.files import write_whole

# Its files bear the script's name alone.
_COMMITTED = "cpu"


def make_parser(description, presets=(), work=None):
    """Make a parser of what experiments have in common: ``--jobs``, ``--output`` and ``--render``.

    The description is shown as it is. Presets add ``--preset``; the name of a folder below build/
    adds ``--work``, which it is the default of.
    """
    if find_spec("tabulate") is None:
        # Pages need it, after all the work.
        raise SystemExit(f"Experiments need more libraries: {how_to_install('experiments')}")
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if presets:
        parser.add_argument("--preset", choices=tuple(presets), default=_COMMITTED)
    parser.add_argument("--jobs", type=count, default=1, help="cells at a time")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument(
        "--render", action="store_true", help="tables of the rows that are there; run nothing"
    )
    if work is not None:
        folder = ROOT / "build" / work
        parser.add_argument("--work", type=Path, default=folder, help="folder of arrays and meshes")
    return parser


def count(text):
    """Read how many of something an option asks for, one or more; argparse is told of others."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text!r}")
    return int(text)


def keep_committed(parser, arguments, *options):
    """Stop before a part of the cells is written over the tables of all.

    The options, by name, choose a part of the cells, or other ones: none may differ from its
    default where ``--output`` does not.
    """
    given = [name for name in options if getattr(arguments, name) != parser.get_default(name)]
    if given and arguments.output == RESULTS:
        told = " and ".join(f"--{name}" for name in given)
        parser.error(f"{told} would write over the tables of all cells: say where with --output")


def file_name(script, preset):
    """Name the files of a preset, so that none is written over another's."""
    return script if preset == _COMMITTED else f"{script}_{preset}"


def write_text(text, output, name):
    """Write ``<name>.md`` into a folder, and print it.

    Below the text stands at which commits the rows of ``<name>.csv`` were made.
    """
    if made := made_at(read_rows(output / f"{name}.csv")):
        text = f"{text.rstrip()}\n\n{made}\n"
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / f"{name}.md", text)
    print(text)
    print(f"Written: {output / name}.md", file=sys.stderr)


def page(title, *parts):
    """Join a title and the parts of a page, each of which ends its own paragraph, as Markdown."""
    return "\n".join([f"# {title}\n", *parts, ""])


def as_table(rows, floatfmt=".3g"):
    """Write rows of a record as a table of Markdown, without the commits they were made at."""
    rows = rows.drop(columns=COMMIT, errors="ignore")
    return rows.to_markdown(index=False, floatfmt=floatfmt)


def run_experiment(cells, work, arguments, name, describe, *facts):
    """Do the cells that an experiment's record lacks, write its page, and return the rows.

    ``describe(rows, *facts)`` makes the text of the page. Where the arguments of
    :func:`make_parser` have a folder ``work``, it is made, and `work` is given it by that name. See
    :func:`do_cells`.
    """
    if "work" in arguments:
        arguments.work.mkdir(parents=True, exist_ok=True)
        work = partial(work, work=arguments.work)
    rows = do_cells(cells, work, arguments, name)
    write_text(describe(rows, *facts), arguments.output, name)
    return rows


def run_tables(description, tables, work, name, describe):
    """Be the command line of an experiment with a cell a table; see :func:`run_experiment`."""
    cells = [{"table": table} for table in tables]
    run_experiment(cells, work, make_parser(description).parse_args(), name, describe)


def run_presets(description, presets, cells_of, work, name, describe):
    """Be the command line of an experiment with presets of sizes; see :func:`run_experiment`.

    ``cells_of(sizes)`` lists the cells of a preset, whose name each is given; `describe` is given
    its sizes after the rows.
    """
    arguments = make_parser(description, presets).parse_args()
    sizes = presets[arguments.preset]
    cells = [cell | {"preset": arguments.preset} for cell in cells_of(sizes)]
    run_experiment(cells, work, arguments, file_name(name, arguments.preset), describe, sizes)


def all_there(paths):
    """Tell whether all files that a picture is made from are there; if not, name a missing one."""
    for path in paths:
        if not path.exists():
            print(
                f"Pictures stay as they are: there is no {path}, which a run that measures this "
                "cell leaves."
            )
            return False
    return True
