"""A benchmark's report as one self-contained HTML page and as Markdown."""

from functools import partial

from ocsdf.benchmark.figures import (
    TIGHT,
    certified_curves,
    contamination_curves,
    png,
    rank_diagram,
    spread_strip,
)
from ocsdf.benchmark.grids import Grid
from ocsdf.benchmark.sections import Picture, count, sections
from ocsdf.utils.html import fill_template, inline_svg
from ocsdf.utils.text import markdown_text


def pictures(summaries, curve):
    """Draw what there is to draw."""
    plans = [plan for summary in summaries for plan in _plans(summary)]
    if curve is not None and len(curve[0]):
        caption = (
            "Mean AUROC against the share of anomalies among the rows fitted on, over the "
            f"{count(curve[1], 'table')} that every detector finished at every share."
        )
        plans.append(("contamination", caption, partial(contamination_curves, curve[0])))
    return [
        Picture(name, caption, png(draw), inline_svg(draw, **TIGHT))
        for name, caption, draw in plans
    ]


def pages(summaries, curve, drawn):
    """Render the report."""
    parts = sections(summaries, curve, drawn)
    tests = {
        "grid": lambda block: isinstance(block, Grid),
        "picture": lambda block: isinstance(block, Picture),
    }
    html = fill_template("ocsdf.benchmark", "benchmark.html.j2", tests, sections=parts)
    return html, _markdown(parts)


def _plans(summary):
    """Name, caption and drawing of each picture of a protocol."""
    protocol = summary.protocol
    for suffix, comparison in (
        ("", summary.rank_test),
        ("_families", summary.family_rank_test),
    ):
        if comparison is not None and comparison.p_values is not None:
            what = "tables, families averaged first" if suffix else "tables"
            yield (
                f"{protocol}_ranks{suffix}",
                f"Mean ranks over {comparison.n_tables} {what}. A grey bar joins detectors that "
                "the Nemenyi test does not tell apart at the 5 % level "
                f"(critical difference {comparison.critical_difference:.2f}).",
                partial(rank_diagram, comparison),
            )
    if len(summary.certified):
        caption = (
            f"Certified AUROC, mean over {count(summary.certified_tables, 'table')}: no attack "
            "of at most that radius on every row can push the AUROC below the line."
        )
        yield f"{protocol}_certified", caption, partial(certified_curves, summary.certified)
    if len(summary.spread):
        order = [name for name in summary.costs.index if name in set(summary.spread["detector"])]
        caption = "Spread over seeds: a dot for each table, a bar at the median."
        yield f"{protocol}_spread", caption, partial(spread_strip, summary.spread, order)


def _markdown(sections):
    """Sections as Markdown, without the long grids."""
    parts = ["# Benchmark"]
    for section in sections:
        parts.append(f"{'#' * section.level} {section.title}")
        for block in section.blocks:
            if isinstance(block, Grid):
                parts += [] if block.long else [_markdown_table(block)]
            elif isinstance(block, Picture):
                parts += [f"![{block.name}](figures/{block.name}.png)", block.caption]
            elif isinstance(block, list):
                parts += ["\n".join(f"- {text}" for text in block)] if block else []
            else:
                parts.append(block)
    return "\n\n".join(parts) + "\n"


def _markdown_table(grid):
    lines = [
        _line(map(markdown_text, grid.columns)),
        _line(["---"] + ["---:"] * (len(grid.columns) - 1)),
    ]
    for head, cells in grid.rows:
        texts = [markdown_text(cell.text) for cell in cells]
        texts = [
            f"**{text}**" if cell.best else text for text, cell in zip(texts, cells, strict=True)
        ]
        lines.append(_line([markdown_text(head), *texts]))
    return "\n".join(lines)


def _line(texts):
    return f"| {' | '.join(texts)} |"
