"""A benchmark's report as sections of texts, grids of cells and pictures."""

import math
import re
import textwrap
from typing import NamedTuple

from ocsdf.utils.rounding import tenths_below

NAMES = {
    "ad": "fitted and judged on all rows, anomalies included",
    "oc": "fitted on a random half of the normal rows, judged on the others and all anomalies",
    "adbench": "ADBench's 70/30 split, with its bootstrap of small and subsample of large tables",
    "clean": "ADBench's 70/30 split, with no row drawn twice",
    "contaminated": "a given share of anomalies among the rows fitted on",
}
_DAGGER, _LEAK = "\N{DAGGER}", "\N{DOUBLE DAGGER}"
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


class Picture(NamedTuple):
    """A picture's `name` (its file's), `caption`, and its content as `png` and `svg`."""

    name: str
    caption: str
    png: bytes
    svg: str


class Section(NamedTuple):
    """A `title` at a `level`, and its `blocks`: texts, lists of texts, grids and pictures."""

    title: str
    level: int
    blocks: list


def sections(standings, curve, drawn):
    """Put a benchmark's figures into words and grids.

    Parameters
    ----------
    standings : list of Standing
    curve : tuple of (DataFrame, int) or None
        Contamination curve and its number of tables.
    drawn : list of Picture

    Returns
    -------
    sections : list of Section
    """
    drawn = {picture.name: picture for picture in drawn}
    parts = []
    if standings:
        parts.append(Section("In short", 2, [_overview(standings)]))
    for standing in standings:
        shown = {
            name.removeprefix(standing.protocol): picture
            for name, picture in drawn.items()
            if name.startswith(f"{standing.protocol}_")
        }
        parts += [section for section in _protocol_sections(standing, shown) if any(section.blocks)]
    if curve is not None:
        blocks = [f"Protocol contaminated: {NAMES['contaminated']}."]
        blocks += _curve_blocks(curve[0], drawn.get("contamination"))
        parts.append(Section("Contamination", 2, blocks))
    return parts


def _protocol_sections(standing, shown):
    title = f"Protocol {standing.protocol}"
    families = "_ranks_families" in shown
    note = standing.comparison.note
    ranks = [shown.get("_ranks"), _friedman(standing.comparison, "tables"), note]
    if standing.family_comparison is not None:
        ranks += [shown.get("_ranks_families")]
        ranks += [_friedman(standing.family_comparison, "tables, families averaged first")]
        if not families and standing.family_comparison.note != note:
            ranks.append(standing.family_comparison.note)
    spread = [_spread_grid(standing), shown.get("_spread"), _spread_table(standing)]
    return [
        Section(title, 2, [_intro(standing), _auroc_grid(standing), _notes(standing)]),
        Section(f"Ranks ({standing.protocol})", 3, [block for block in ranks if block]),
        Section(f"Beside the ranking ({standing.protocol})", 3, _beside_blocks(standing)),
        Section(
            f"Certified AUROC ({standing.protocol})",
            3,
            [block for block in (_certified_grid(standing), shown.get("_certified")) if block],
        ),
        Section(
            f"Spread over seeds ({standing.protocol})", 3, [block for block in spread if block]
        ),
        Section(f"Time and memory ({standing.protocol})", 3, [_cost_grid(standing)]),
    ]


def _overview(standings):
    rows = []
    for standing in standings:
        ranks, means = standing.comparison.mean_ranks, standing.summary["mean_auroc"]
        # Without a table that all were run on, or with failures only, there is no best.
        best = [
            f"{ranks.idxmin()} ({ranks.min():.2f})" if ranks.notna().any() else _NONE,
            f"{means.idxmax()} ({means.max():.1f})" if means.notna().any() else _NONE,
        ]
        cells = [str(standing.comparison.n_tables), str(len(ranks)), *best]
        rows.append((standing.protocol, [Cell(text) for text in cells]))
    columns = ["protocol", "tables", "detectors", "best mean rank", "best mean AUROC (%)"]
    return Grid("Summary of the protocols", columns, rows)


def _intro(standing):
    return (
        f"{NAMES[standing.protocol][0].upper()}{NAMES[standing.protocol][1:]}. AUROC in percent, "
        "mean over seeds, the best of each table in bold; detectors from the best mean rank to "
        "the worst."
    )


def _auroc_grid(standing):
    auroc, failures = standing.auroc, standing.failures.set_index(["table", "detector"])
    rows = []
    for table, values in auroc.iterrows():
        cells = []
        for name, value in values.items():
            if (table, name) in failures.index:
                cells.append(Cell(_short(failures.loc[(table, name), "reason"]), failed=True))
            else:
                cells.append(Cell(_figure(value, ".1f"), best=value == values.max()))
        marks = _LEAK if table in standing.leaking else ""
        rows.append((table + marks, cells))
    summary = _summary_rows(standing.summary)
    columns = ["table", *(_marked(name, standing) for name in auroc)]
    name = f"AUROC by table and detector, protocol {standing.protocol}"
    return Grid(name, columns, rows + summary, n_summary=len(summary))


def _summary_rows(summary):
    measures = {
        "mean_auroc": ("mean AUROC", ".1f", "max"),
        "mean_rank": ("mean rank", ".2f", "min"),
        "family_mean_auroc": ("mean AUROC, families averaged", ".1f", "max"),
        "family_mean_rank": ("mean rank, families averaged", ".2f", "min"),
        "shortfall": ("worst shortfall", ".1f", "min"),
    }
    rows = []
    for column, (head, form, best) in measures.items():
        if column in summary and summary[column].notna().any():
            values, wanted = summary[column], getattr(summary[column], best)()
            rows.append((head, [Cell(_figure(value, form), value == wanted) for value in values]))
    if summary["shortfall"].notna().any():
        places = summary["shortfall_table"]
        cells = [Cell(place if isinstance(place, str) else _NONE) for place in places]
        rows.append(("… on table", cells))
    return rows


def _notes(standing):
    notes = []
    if standing.summary["shortfall"].notna().any():
        notes.append(
            "Worst shortfall: points below the better of IForest and KNN, on the table where they "
            "are most; negative where a detector is above it on every table."
        )
    transductive = [name for name in standing.transductive if name in standing.auroc]
    if transductive:
        notes.append(
            f"{_DAGGER} Transductive: {', '.join(transductive)}. A row's score depends on the "
            "other rows that are scored with it."
        )
    if standing.leaking:
        notes.append(
            f"{_LEAK} Leaking: the bootstrap that fills tables up to 1,000 rows comes before the "
            "split, so that copies of one row are on both its sides."
        )
    if standing.uncut:
        notes.append(
            f"All rows of the tables over 5,000: {', '.join(standing.uncut)}. The other detectors "
            "had 5,000 of them."
        )
    if standing.left_out:
        notes.append(
            "Shown, but in no mean and no rank, as a detector has not been run on them: "
            f"{', '.join(standing.left_out)}."
        )
    if len(standing.failures):
        notes.append(
            "A cell that failed, at one seed or more, is ranked last on its table, as is its "
            "family, and is missing from its detector's mean AUROC and shortfall."
        )
    for failure in standing.failures.itertuples():
        reason = textwrap.shorten(str(failure.reason), 160, placeholder=" …")
        seeds = f"{failure.failed} of {count(failure.seeds, 'seed')}"
        notes.append(f"{failure.detector} on {failure.table} failed at {seeds}: {reason}")
    return notes


def _friedman(comparison, what):
    if comparison.friedman is None:
        return ""
    p = comparison.friedman
    level = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return (
        f"Friedman test that all {len(comparison.mean_ranks)} detectors rank alike, over "
        f"{comparison.n_tables} {what}: {level}."
    )


def _beside_blocks(standing):
    if standing.beside.empty:
        return []
    radii = [column for column in standing.beside if column != "mean_auroc"]
    rows = []
    for name, values in standing.beside.iterrows():
        cells = [Cell(_figure(values["mean_auroc"], ".1f"))]
        rows.append((name, cells + [Cell(_certified(values[radius])) for radius in radii]))
    columns = ["detector", "mean AUROC", *(f"certified at {radius:g}" for radius in radii)]
    return [
        "Reference distances and variants, for comparison; they take part in no rank.",
        Grid(f"Beside the ranking, protocol {standing.protocol}", columns, rows),
    ]


def _certified_grid(standing):
    if standing.certified.empty:
        return None
    rows = [
        (name, [Cell(_figure(auroc, ".1f")), *(Cell(_certified(value)) for value in proved)])
        for name, (auroc, *proved) in standing.certified.iterrows()
    ]
    columns = ["detector", *(f"radius {radius:g}" for radius in standing.certified)]
    return Grid(f"Certified AUROC (%), protocol {standing.protocol}", columns, rows)


def _spread_grid(standing):
    rows = []
    spread = standing.spread
    for name in standing.costs.index:
        part = spread[spread["detector"] == name]
        if len(part):
            worst = part.loc[part["std"].idxmax()]
            figures = (f"{part['std'].median():.2f}", f"{worst['std']:.2f}", worst["table"])
            rows.append((name, [Cell(text) for text in (str(part["seeds"].max()), *figures)]))
    if not rows:
        return None
    columns = ["detector", "seeds", "median standard deviation", "largest", "on table"]
    return Grid(f"Spread of the AUROC over seeds, protocol {standing.protocol}", columns, rows)


def _spread_table(standing):
    if standing.spread.empty:
        return None
    cells = standing.spread.set_index(["table", "detector"])
    detectors = [name for name in standing.costs.index if name in cells.index.levels[1]]
    rows = []
    for table in standing.auroc.index:
        present = [(table, name) in cells.index for name in detectors]
        texts = [
            f"{cells.loc[(table, name), 'mean']:.1f} ± {cells.loc[(table, name), 'std']:.1f}"
            if there
            else _NONE
            for name, there in zip(detectors, present, strict=True)
        ]
        rows.append((table, [Cell(text) for text in texts]))
    name = f"Mean and standard deviation by table, protocol {standing.protocol}"
    return Grid(name, ["table", *detectors], rows, long=True)


def _cost_grid(standing):
    rows = []
    for name, costs in standing.costs.iterrows():
        texts = [_seconds(costs.fit_seconds), _seconds(costs.score_seconds)]
        rows.append((name, [Cell(text) for text in (*texts, _figure(costs.peak_mb, ",.0f"))]))
    columns = ["detector", "fit (s)", "score (s)", "peak memory (MiB)"]
    name = f"Medians over tables of finished cells, protocol {standing.protocol}"
    return Grid(name, columns, rows)


def _curve_blocks(curve, picture):
    if picture is None:
        return ["No table has every share of every detector yet: no curve."]
    rows = [
        (name, [Cell(_figure(value, ".1f")) for value in values])
        for name, values in curve.T.sort_values(curve.index[-1], ascending=False).iterrows()
    ]
    columns = ["detector", *(f"{100 * share:g} %" for share in curve.index)]
    return [Grid("Mean AUROC (%) by share of anomalies in training", columns, rows), picture]


def _marked(name, standing):
    return name + _DAGGER if name in standing.transductive else name


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


def count(n, noun):
    """Say a number of things, as "1 table" or "20 tables"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
