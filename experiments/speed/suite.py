"""What the benchmarks share: targets, running, files, pictures, and what must be there."""

import importlib.util
import io
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from experiments.common.results import COMMIT, describe_code, made_at, read_rows, write_rows
from ocsdf.data.tables import data_home
from ocsdf.utils.files import write_whole

DATA_HOME, REFERENCE = "the tables", "the reference"
COLOURS = ("#2f86c4", "#d9731a", "#2f9e73", "#a667c2", "#8a8a8a")


class Verdict(NamedTuple):
    """What became of one target: the median [min, max] of what was measured, and if it was met."""

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
    """Hold the median of what was measured, a value a round, against its least or its most.

    Without any value, the target is missed.
    """
    values = pd.Series(values, dtype=float).dropna()
    target = f">= {least:g}" if most is None else f"<= {most:g}"
    if values.empty:
        return Verdict(name, "not measured", target, False, note)
    median = values.median()
    met = median >= least if most is None else median <= most
    return Verdict(name, spread(values), target, bool(met), note)


def spread(values):
    """Write numbers as their median [min, max]."""
    return f"{values.median():.3g} [{values.min():.3g}, {values.max():.3g}]"


def tabulate(verdicts):
    """Write verdicts as a table in Markdown."""
    body = [
        ["met" if v.met else "**missed**", v.name, v.measured, v.target, v.note] for v in verdicts
    ]
    header = ["", "target", "measured", "wanted", "note"]
    return pd.DataFrame(body, columns=header).to_markdown(index=False, disable_numparse=True)


def finished(rows):
    """Return a table of the rows whose cells did not fail."""
    return pd.DataFrame([row for row in rows if "error" not in row])


def failures(rows):
    """Say in a line what failed."""
    errors = [row["error"] for row in rows if "error" in row]
    if not errors:
        return ""
    return f"{len(errors)} cells failed, run again to retry; the first: {errors[0]}"


def why_not(requirements):
    """Say in a line why a benchmark cannot run here."""
    if REFERENCE in requirements and importlib.util.find_spec("tf_keras") is None:
        return "it needs tf-keras: pip install 'ocsdf[experiments]'"
    if DATA_HOME in requirements and data_home() is None:
        return "it needs the tables: set OCSDF_DATA_HOME to the folder that holds adbench/*.npz"
    return ""


def figure_of(n_rows, n_columns):
    """Make a figure and its axes, outside pyplot."""
    figure = Figure(figsize=(4.6 * n_columns, 3.6 * n_rows), layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def spans(ax, groups, label):
    """Draw the median of each group as a dot, its range as a line, on a log scale."""
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


def perform(benchmark, rounds, folder, render=False, **options):
    """Run a benchmark, keep what it found and draw it."""
    path = folder / f"speed_{benchmark.NAME}.csv"
    if render:
        rows = read_rows(path)
    elif reason := why_not(benchmark.REQUIRES):
        return f"{benchmark.NAME} is skipped: {reason}", []
    else:
        rows = benchmark.run(rounds or benchmark.ROUNDS, folder, **options)
        if not any(COMMIT in row for row in rows):
            # The rows of hours must be on disk before anything is made of them.
            write_rows(path, [row | {COMMIT: describe_code()} for row in rows])
    table = finished(rows)
    if table.empty:
        return failures(rows) or f"{path} has no rows: run without --render", []
    figure, buffer = benchmark.draw(table), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path.with_suffix(".png"), buffer.getvalue())
    told = filter(None, [failures(rows), benchmark.describe(table), made_at(read_rows(path))])
    return "\n".join(told), benchmark.verdicts(table)
