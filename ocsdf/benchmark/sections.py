"""A benchmark's report as sections of texts, grids and pictures."""

import textwrap
from typing import NamedTuple

from ocsdf.benchmark.grids import (
    DAGGER,
    DOUBLE_DAGGER,
    auroc_grid,
    beside_grid,
    certified_grid,
    cost_grid,
    curve_grid,
    overview_grid,
    spread_grid,
    spread_table,
)

NAMES = {
    "ad": "fitted and judged on all rows, anomalies included",
    "oc": "fitted on a random half of the normal rows, judged on the others and all anomalies",
    "adbench": "ADBench's 70/30 split, with its bootstrap of small and subsample of large tables",
    "clean": "ADBench's 70/30 split, with no row drawn twice",
    "contaminated": "a given share of anomalies among the rows fitted on",
    "fixed": "fitted on the rows that a table's file gives for it, judged on its others",
}


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


def sections(summaries, curve, drawn):
    """Put a benchmark's figures into words and grids."""
    drawn = {picture.name: picture for picture in drawn}
    parts = []
    if summaries:
        parts.append(Section("In short", 2, [overview_grid(summaries)]))
    for summary in summaries:
        shown = {
            name.removeprefix(summary.protocol): picture
            for name, picture in drawn.items()
            if name.startswith(f"{summary.protocol}_")
        }
        parts += [section for section in _protocol_sections(summary, shown) if any(section.blocks)]
    if curve is not None:
        blocks = [f"Protocol contaminated: {NAMES['contaminated']}."]
        blocks += _curve_blocks(curve[0], drawn.get("contamination"))
        parts.append(Section("Contamination", 2, blocks))
    return parts


def _protocol_sections(summary, shown):
    title = f"Protocol {summary.protocol}"
    families = "_ranks_families" in shown
    note = summary.rank_test.note
    ranks = [shown.get("_ranks"), _friedman(summary.rank_test, "tables"), note]
    if summary.family_rank_test is not None:
        ranks += [shown.get("_ranks_families")]
        ranks += [_friedman(summary.family_rank_test, "tables, families averaged first")]
        if not families and summary.family_rank_test.note != note:
            ranks.append(summary.family_rank_test.note)
    spread = [spread_grid(summary), shown.get("_spread"), spread_table(summary)]
    return [
        Section(title, 2, [_intro(summary), auroc_grid(summary), _notes(summary)]),
        Section(f"Ranks ({summary.protocol})", 3, [block for block in ranks if block]),
        Section(f"Beside the ranking ({summary.protocol})", 3, _beside_blocks(summary)),
        Section(
            f"Certified AUROC ({summary.protocol})",
            3,
            [block for block in (certified_grid(summary), shown.get("_certified")) if block],
        ),
        Section(f"Spread over seeds ({summary.protocol})", 3, [block for block in spread if block]),
        Section(f"Time and memory ({summary.protocol})", 3, [cost_grid(summary)]),
    ]


def _intro(summary):
    return (
        f"{NAMES[summary.protocol][0].upper()}{NAMES[summary.protocol][1:]}. AUROC in percent, "
        "mean over seeds, the best of each table in bold; detectors from the best mean rank to "
        "the worst."
    )


def _notes(summary):
    notes = []
    if summary.detectors["shortfall"].notna().any():
        notes.append(
            "Worst shortfall: points below the better of IForest and KNN, on the table where they "
            "are most; negative where a detector is above it on every table."
        )
    transductive = [name for name in summary.transductive if name in summary.auroc]
    if transductive:
        notes.append(
            f"{DAGGER} Transductive: {', '.join(transductive)}. A row's score depends on the "
            "other rows that are scored with it."
        )
    if summary.leaking:
        notes.append(
            f"{DOUBLE_DAGGER} Leaking: the bootstrap that fills tables up to 1,000 rows comes "
            "before the split, so that copies of one row are on both its sides."
        )
    if summary.uncut:
        notes.append(
            f"All rows of the tables over 5,000: {', '.join(summary.uncut)}. The other detectors "
            "had 5,000 of them."
        )
    if summary.left_out:
        notes.append(
            "Shown, but in no mean and no rank, as a detector has not been run on them: "
            f"{', '.join(summary.left_out)}."
        )
    if len(summary.failures):
        notes.append(
            "A cell that failed, at one seed or more, is ranked last on its table, as is its "
            "family, and is missing from its detector's mean AUROC and shortfall."
        )
    for failure in summary.failures.itertuples():
        reason = textwrap.shorten(str(failure.reason), 160, placeholder=" …")
        seeds = f"{failure.failed} of {count(failure.seeds, 'seed')}"
        notes.append(f"{failure.detector} on {failure.table} failed at {seeds}: {reason}")
    return notes


def _friedman(test, what):
    if test.friedman is None:
        return ""
    p = test.friedman
    level = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return (
        f"Friedman test that all {len(test.mean_ranks)} detectors rank alike, over "
        f"{test.n_tables} {what}: {level}."
    )


def count(n, noun):
    """Say a number of things, as "1 table" or "20 tables"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _beside_blocks(summary):
    if summary.beside.empty:
        return []
    text = "Reference distances and variants, for comparison; they take part in no rank."
    return [text, beside_grid(summary)]


def _curve_blocks(curve, picture):
    if picture is None:
        return ["No table has every share of every detector yet: no curve."]
    return [curve_grid(curve), picture]
