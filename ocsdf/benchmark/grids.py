"""The tables of a benchmark's report, as grids of texts."""

import math
import re
import textwrap
from typing import NamedTuple

import numpy as np

from ocsdf.utils.rounding import tenths_below

DAGGER, DOUBLE_DAGGER = "\N{DAGGER}", "\N{DOUBLE DAGGER}"
_NONE = "\N{EN DASH}"


class Cell(NamedTuple):
    """A figure of a table: `text`, and whether it is the `best` of its row or has `failed`."""

    text: str
    best: bool = False
    failed: bool = False


class Grid(NamedTuple):
    """A table: `rows` are pairs of a head and its cells; the last `n_summary` sum up the others.

    A `long` one is folded on the page and left out of the Markdown.
    """

    name: str
    columns: list
    rows: list
    n_summary: int = 0
    long: bool = False


def overview_grid(summaries):
    """The best detector of each protocol."""
    rows = []
    for summary in summaries:
        ranks, means = summary.rank_test.mean_ranks, summary.detectors["mean_auroc"]
        best = [_named(ranks, ranks.min(), ".2f"), _named(means, means.max(), ".1f")]
        cells = [str(summary.rank_test.n_tables), str(len(ranks)), *best]
        rows.append((summary.protocol, [Cell(text) for text in cells]))
    columns = ["protocol", "tables", "detectors", "best mean rank", "best mean AUROC (%)"]
    return Grid("Summary of the protocols", columns, rows)


def _named(figures, value, form):
    """Name all that have a figure; without a table that all were run on, there is none."""
    names = figures.index[np.isclose(figures, value, rtol=1e-12)]
    return f"{', '.join(names)} ({value:{form}})" if len(names) else _NONE


def auroc_grid(summary):
    """AUROC by table and detector, with what sums them up."""
    auroc, failures = summary.auroc, summary.failures.set_index(["table", "detector"])
    rows = []
    for table, values in auroc.iterrows():
        cells = []
        for name, value in values.items():
            if (table, name) in failures.index:
                cells.append(Cell(_short(failures.loc[(table, name), "reason"]), failed=True))
            else:
                cells.append(Cell(_figure(value, ".1f"), best=value == values.max()))
        marks = DOUBLE_DAGGER if table in summary.leaking else ""
        rows.append((table + marks, cells))
    sums = _summary_rows(summary.detectors)
    columns = ["table", *(_marked(name, summary) for name in auroc)]
    name = f"AUROC by table and detector, protocol {summary.protocol}"
    return Grid(name, columns, rows + sums, n_summary=len(sums))


def _summary_rows(detectors):
    measures = {
        "mean_auroc": ("mean AUROC", ".1f", "max"),
        "mean_rank": ("mean rank", ".2f", "min"),
        "family_mean_auroc": ("mean AUROC, families averaged", ".1f", "max"),
        "family_mean_rank": ("mean rank, families averaged", ".2f", "min"),
        "shortfall": ("worst shortfall", ".1f", "min"),
    }
    rows = []
    for column, (head, form, best) in measures.items():
        if column in detectors and detectors[column].notna().any():
            values, wanted = detectors[column], getattr(detectors[column], best)()
            rows.append((head, [Cell(_figure(value, form), value == wanted) for value in values]))
    if detectors["shortfall"].notna().any():
        places = detectors["shortfall_table"]
        cells = [Cell(place if isinstance(place, str) else _NONE) for place in places]
        rows.append(("… on table", cells))
    return rows


def certified_grid(summary):
    """Certified AUROC by detector and radius, or None."""
    if summary.certified.empty:
        return None
    rows = [
        (name, [Cell(_figure(auroc, ".1f")), *(Cell(_certified(value)) for value in proved)])
        for name, (auroc, *proved) in summary.certified.iterrows()
    ]
    columns = ["detector", *(f"radius {radius:g}" for radius in summary.certified)]
    return Grid(f"Certified AUROC (%), protocol {summary.protocol}", columns, rows)


def spread_grid(summary):
    """How far the AUROC spreads over seeds, by detector, or None."""
    rows = []
    spread = summary.spread
    for name in summary.costs.index:
        part = spread[spread["detector"] == name]
        if len(part):
            worst = part.loc[part["std"].idxmax()]
            figures = (f"{part['std'].median():.2f}", f"{worst['std']:.2f}", worst["table"])
            rows.append((name, [Cell(text) for text in (str(part["seeds"].max()), *figures)]))
    if not rows:
        return None
    columns = ["detector", "seeds", "median standard deviation", "largest", "on table"]
    return Grid(f"Spread of the AUROC over seeds, protocol {summary.protocol}", columns, rows)


def spread_table(summary):
    """Mean and deviation over seeds by table and detector, or None."""
    if summary.spread.empty:
        return None
    cells = summary.spread.set_index(["table", "detector"])
    detectors = [name for name in summary.costs.index if name in cells.index.levels[1]]
    rows = []
    for table in summary.auroc.index:
        present = [(table, name) in cells.index for name in detectors]
        texts = [
            f"{cells.loc[(table, name), 'mean']:.1f} ± {cells.loc[(table, name), 'std']:.1f}"
            if there
            else _NONE
            for name, there in zip(detectors, present, strict=True)
        ]
        rows.append((table, [Cell(text) for text in texts]))
    name = f"Mean and standard deviation by table, protocol {summary.protocol}"
    return Grid(name, ["table", *detectors], rows, long=True)


def cost_grid(summary):
    """Seconds and memory by detector."""
    rows = []
    for name, costs in summary.costs.iterrows():
        texts = [_seconds(costs.fit_seconds), _seconds(costs.score_seconds)]
        rows.append((name, [Cell(text) for text in (*texts, _figure(costs.peak_mb, ",.0f"))]))
    columns = ["detector", "fit (s)", "score (s)", "peak memory (MiB)"]
    name = f"Medians over tables of finished cells, protocol {summary.protocol}"
    return Grid(name, columns, rows)


def beside_grid(summary):
    """Means and certificates of the detectors beside the ranking."""
    radii = [column for column in summary.beside if column != "mean_auroc"]
    rows = []
    for name, values in summary.beside.iterrows():
        cells = [Cell(_figure(values["mean_auroc"], ".1f"))]
        rows.append((name, cells + [Cell(_certified(values[radius])) for radius in radii]))
    columns = ["detector", "mean AUROC", *(f"certified at {radius:g}" for radius in radii)]
    return Grid(f"Beside the ranking, protocol {summary.protocol}", columns, rows)


def curve_grid(curve):
    """Mean AUROC by share of anomalies."""
    rows = [
        (name, [Cell(_figure(value, ".1f")) for value in values])
        for name, values in curve.T.sort_values(curve.index[-1], ascending=False).iterrows()
    ]
    columns = ["detector", *(f"{100 * share:g} %" for share in curve.index)]
    return Grid("Mean AUROC (%) by share of anomalies in training", columns, rows)


def _marked(name, summary):
    return name + DAGGER if name in summary.transductive else name


def _figure(value, form):
    return _NONE if math.isnan(value) else format(value, form)


def _seconds(value):
    return "< 0.01" if value < 0.01 else _figure(value, ".2f")


def _certified(value):
    """A proved lower bound in percent, rounded down."""
    return _NONE if math.isnan(value) else tenths_below(value)


def _short(reason):
    """What to put into the cell of a failure, some ten letters."""
    if "time limit" in str(reason):
        return "over time"
    kind = re.match(r"(\w+)(Error|Exception)\b", str(reason))
    return textwrap.shorten(kind[0] if kind else "failed", 16, placeholder="…")
