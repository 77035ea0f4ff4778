"""What the benchmarks share: targets and how they are judged, files, and what must be there."""

import argparse
import importlib.util
import io
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from experiments.speed.scoring import spread
from ocsdf.data.tables import data_home
from ocsdf.utils.files import write_whole

FOLDER = "experiments/results"
DATA_HOME, REFERENCE = "the tables", "the reference"
COLOURS = ("#2f86c4", "#d9731a", "#2f9e73", "#a667c2", "#8a8a8a")


class Verdict(NamedTuple):
    """What became of one acceptance target.

    Attributes
    ----------
    name : str
    measured : str
        Median [min, max] over rounds.
    target : str
    met : bool
    note : str
        What else belongs beside it.
    """

    name: str
    measured: str
    target: str
    met: bool
    note: str = ""

    def __str__(self):
        note = f" ({self.note})" if self.note else ""
        state = "met   " if self.met else "missed"
        return f"{state}  {self.name}: {self.measured}, target {self.target}{note}"


def judge(name, values, *, least=None, most=None, note=""):
    """Hold the median of what was measured against a target.

    Parameters
    ----------
    name : str
    values : array-like
        One a round. Without any, the target is missed.
    least, most : float
        The target: one of the two.
    note : str, default=""

    Returns
    -------
    Verdict
    """
    values = pd.Series(values, dtype=float).dropna()
    target = f">= {least:g}" if most is None else f"<= {most:g}"
    if values.empty:
        return Verdict(name, "not measured", target, False, note)
    median = values.median()
    met = median >= least if most is None else median <= most
    return Verdict(name, spread(values), target, bool(met), note)


def finished(rows):
    """Return a table of the rows whose cells did not fail.

    Parameters
    ----------
    rows : list of dict
        As :func:`ocsdf.benchmark.cells.run_cells` returns.

    Returns
    -------
    pandas.DataFrame
    """
    return pd.DataFrame([row for row in rows if "error" not in row])


def failures(rows):
    """Say in a line what failed.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    str
        Empty if nothing did.
    """
    errors = [row["error"] for row in rows if "error" in row]
    if not errors:
        return ""
    return f"{len(errors)} cells failed, run again to retry; the first: {errors[0]}"


def why_not(requirements):
    """Say in a line why a benchmark cannot run here.

    Parameters
    ----------
    requirements : collection of {DATA_HOME, REFERENCE}

    Returns
    -------
    str
        Empty if it can.
    """
    if REFERENCE in requirements and importlib.util.find_spec("tf_keras") is None:
        return "it needs tf-keras: pip install 'ocsdf[experiments]'"
    if DATA_HOME in requirements and data_home() is None:
        return "it needs the tables: set OCSDF_DATA_HOME to the folder that holds adbench/*.npz"
    return ""


def figure_of(n_rows, n_columns):
    """Make a figure and its axes, outside pyplot.

    Parameters
    ----------
    n_rows, n_columns : int

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
    """
    figure = Figure(figsize=(4.6 * n_columns, 3.6 * n_rows), layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def spans(ax, groups, label):
    """Draw the median of each group as a dot, its range as a line, on a log scale.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    groups : dict of str to pandas.Series
    label : str
        What the numbers are.
    """
    for place, values in enumerate(groups.values()):
        ax.hlines(place, values.min(), values.max(), color="black", linewidth=1.5)
        ax.plot(values.median(), place, "o", color=COLOURS[0])
        text, above = f"{values.median():.3g}", (0, 5)
        ax.annotate(text, (values.median(), place), above, textcoords="offset points", ha="center")
    ax.set_yticks(range(len(groups)), list(groups))
    ax.set(xscale="log", xlabel=label, ylim=(len(groups) - 0.5, -0.7))
    ax.margins(x=0.15)
    # Over less than a decade its labels would lie on each other.
    ax.xaxis.set_minor_formatter(NullFormatter())


def keep(name, rows, figure, folder):
    """Write a benchmark's rows and picture, each whole.

    Parameters
    ----------
    name : str
    rows : list of dict
    figure : matplotlib.figure.Figure or None
    folder : str or os.PathLike
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"speed_{name}.csv", pd.DataFrame(rows).to_csv(index=False))
    if figure is not None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        write_whole(folder / f"speed_{name}.png", buffer.getvalue())


def perform(benchmark, rounds, folder, **options):
    """Run a benchmark, keep what it found and print what it says.

    Parameters
    ----------
    benchmark : module
        With ``NAME``, ``REQUIRES``, ``ROUNDS``, ``run``, ``describe``, ``verdicts``, ``draw``.
    rounds : int or None
        None leaves it to the benchmark.
    folder : str or os.PathLike
    **options
        Passed to its ``run``.

    Returns
    -------
    list of Verdict
        Empty if it was skipped.
    """
    if reason := why_not(benchmark.REQUIRES):
        print(f"{benchmark.NAME} is skipped: {reason}")
        return []
    rows = benchmark.run(rounds or benchmark.ROUNDS, folder, **options)
    done = finished(rows)
    # The rows of hours must be on disk before anything is made of them.
    keep(benchmark.NAME, rows, None, folder)
    print("\n".join(filter(None, [f"-- {benchmark.NAME}", failures(rows)])))
    if done.empty:
        return []
    keep(benchmark.NAME, rows, benchmark.draw(done), folder)
    print(benchmark.describe(done), end="\n\n")
    return benchmark.verdicts(done)


def parser_of(document, rounds):
    """Make the parser of a benchmark that runs alone.

    Parameters
    ----------
    document : str
        The module's.
    rounds : int
        Its default.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(
        description=document, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--output", default=FOLDER, help="folder of the results")
    return parser
