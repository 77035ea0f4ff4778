"""How seconds and memory of a fit grow with rows, features, width and depth.

Beside OCSDF stand IsolationForest and the nearest-neighbour search, given up after two minutes; all
score the rows they were fitted on. Data are mixtures of Gaussians, and the table http where
OCSDF_DATA_HOME has it. Each fit runs in a process of its own; tracing counts, loading libraries
does not. Fits that are done are kept in the folder and not done again.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import EngFormatter

from experiments.common.results import finish_cells
from experiments.speed.growth_worker import FOREST, GENERATED, NEIGHBORS, OURS, measure
from experiments.speed.suite import COLOURS, figure_of, judge
from ocsdf.benchmark.child_process import Child
from ocsdf.data.tables import load_table

NAME, ROUNDS, REQUIRES = "growth", 1, ()
ROWS, FEATURES = (1_000, 10_000, 100_000, 600_000), (2, 10, 100, 500, 1_555)
WIDTHS, DEPTHS = (32, 64, 128, 256, 512), (1, 2, 4, 8)
WIDTH, DEPTH = 128, 4
HTTP, HTTP_SHAPE = "http", (567_498, 3)
N_FEW, D_FEW, D_ROWS = 2_000, 20, 10
_MEASURED = ("detector", "data", "n", "d", "width", "depth")
_MOST_SECONDS = {OURS: 540, FOREST: 540, NEIGHBORS: 120}


def run(rounds, folder, cells=None):
    """Fit in a process of its own, a cell a fit."""
    cells = all_cells() if cells is None else cells
    cells = [{**cell, "round": turn} for turn in range(rounds) for cell in cells]
    return finish_cells(cells, fit_apart, Path(folder) / "speed_growth.csv")


def all_cells():
    """List the fits: along rows, features, width and depth, and the table http."""
    grown = [(n, D_ROWS) for n in ROWS] + [(N_FEW, d) for d in FEATURES]
    cells = [_cell(detector, *shape) for detector in (OURS, FOREST, NEIGHBORS) for shape in grown]
    cells += [_cell(OURS, N_FEW, D_FEW, width, DEPTH) for width in WIDTHS]
    cells += [_cell(OURS, N_FEW, D_FEW, WIDTH, depth) for depth in DEPTHS if depth != DEPTH]
    return [*cells, _cell(OURS, *HTTP_SHAPE, data=_http())]


def _cell(detector, n, d, width=WIDTH, depth=DEPTH, data=GENERATED):
    network = (width, depth) if detector == OURS else (None, None)
    return dict(zip(_MEASURED, (detector, data, n, d, *network), strict=True))


def _http():
    """Return the table's name where it is at hand, else that of data of the same size."""
    try:
        return HTTP if load_table(HTTP).X.shape == HTTP_SHAPE else GENERATED
    except ValueError:  # no table of that name
        return GENERATED


def fit_apart(**cell):
    """Do one cell in a process of its own."""
    most, child = _MOST_SECONDS[cell["detector"]], Child()
    try:
        return child.call(measure, *map(cell.get, _MEASURED), time_limit=most)[0]
    except TimeoutError:
        return {"note": f"over {most} s"}
    finally:
        child.close()


def _along(table, name, fixed):
    """Fits along one axis: medians over rounds of the rows whose other names are fixed."""
    chosen = np.all([table[key] == value for key, value in fixed.items()], axis=0)
    rows = table[chosen & table["fit_seconds"].notna()]
    return rows.groupby(name)[["fit_seconds", "score_seconds", "fit_megabytes"]].median()


def curves(table):
    """Pick the curves out of the rows."""
    network = {"data": GENERATED, "width": WIDTH, "depth": DEPTH}
    found = {}
    for detector in (OURS, FOREST, NEIGHBORS):
        fixed = {"detector": detector, "data": GENERATED}
        fixed |= network if detector == OURS else {}
        found["n", detector] = _along(table, "n", {**fixed, "d": D_ROWS})
        found["d", detector] = _along(table, "d", {**fixed, "n": N_FEW})
    few = {"detector": OURS, "data": GENERATED, "n": N_FEW, "d": D_FEW}
    found["width", OURS] = _along(table, "width", {**few, "depth": DEPTH})
    found["depth", OURS] = _along(table, "depth", {**few, "width": WIDTH})
    # Neighbours are searched for in scoring, so that fits alone cannot be compared.
    for curve in found.values():
        curve["seconds"] = curve["fit_seconds"] + curve["score_seconds"]
    return found


def slope(curve, column="seconds"):
    """Return the exponent between a curve's last two points."""
    ends = np.log(np.array([curve.index[-2:], curve[column].iloc[-2:]], dtype=float))
    if ends.shape[1] < 2:
        return np.nan
    return float((ends[1, 1] - ends[1, 0]) / (ends[0, 1] - ends[0, 0]))


def describe(table):
    """Say what the curves say."""
    found = curves(table)
    axes = {"n": (OURS, NEIGHBORS, FOREST), "d": (OURS, NEIGHBORS, FOREST)}
    axes |= {"width": (OURS,), "depth": (OURS,)}
    told = [_told(found[axis, name], name, axis) for axis, names in axes.items() for name in names]
    lines = ["Seconds of a fit and of scoring the same rows:", *told, "Of the fit alone:"]
    lines += [_told(found[axis, OURS], OURS, axis, "fit_seconds") for axis in axes]
    memory = found["n", OURS]["fit_megabytes"]
    if len(memory):
        lines.append(
            f"Peak memory of {OURS}: {memory.iloc[0]:.0f} MB at n = {memory.index[0]}, "
            f"{memory.iloc[-1]:.0f} MB at n = {memory.index[-1]}."
        )
    if "note" in table:
        late = table[table["note"].notna()]
        lines += [f"{row.detector} at {row.n} x {row.d}: {row.note}." for row in late.itertuples()]
    return "\n".join(lines)


def _told(curve, detector, axis, column="seconds"):
    if curve.empty:
        return f"{detector}: no fit along {axis}."
    growth = f", at the end as {axis}^{slope(curve, column):.2f}" if len(curve) > 1 else ""
    return (
        f"{detector} takes {curve[column].iloc[0]:.3g} s at {axis} = {curve.index[0]:.0f} and "
        f"{curve[column].iloc[-1]:.3g} s at {axis} = {curve.index[-1]:.0f}{growth}."
    )


def verdicts(table):
    """Judge the fits on http and on very wide rows."""
    ours = table[table["detector"] == OURS]
    many = ours[(ours["n"] == HTTP_SHAPE[0]) & (ours["d"] == HTTP_SHAPE[1])]
    wide = ours[(ours["n"] == N_FEW) & (ours["d"] == FEATURES[-1])]
    note = f"data: {', '.join(many['data'].unique()) or 'none'}"
    shape = " x ".join(map(str, HTTP_SHAPE))
    return [
        judge(f"fit on http ({shape}), seconds", many["fit_seconds"], most=60.0, note=note),
        judge(f"fit on http ({shape}), megabytes", many["fit_megabytes"], most=1500.0, note=note),
        judge(f"fit on {N_FEW} x {FEATURES[-1]}, seconds", wide["fit_seconds"], most=120.0),
    ]


def draw(table):
    """Draw seconds along four axes, and memory along the rows."""
    found = curves(table)
    figure, axes = figure_of(2, 3)
    names = {"n": "rows", "d": "features", "width": "width", "depth": "depth"}
    panels = [(axis, "seconds", "seconds of fit and scoring") for axis in names]
    panels.append(("n", "fit_megabytes", "peak megabytes of fit"))
    for ax, (axis, column, label) in zip(axes, panels, strict=False):
        for colour, detector in zip(COLOURS, (OURS, FOREST, NEIGHBORS), strict=False):
            curve = found.get((axis, detector))
            if curve is not None and len(curve):
                ax.loglog(curve.index, curve[column], "o-", color=colour, label=detector)
        # Ticks where fits are, in plain numbers: logarithmic ones run into each other.
        ticks = sorted(
            {x for name in (OURS, FOREST) if (axis, name) in found for x in found[axis, name].index}
        )
        ax.set_xticks(ticks, [EngFormatter(sep="")(x) for x in ticks])
        ax.set_xticks([], minor=True)
        ax.set(xlabel=names[axis], ylabel=label)
    axes[-1].axis("off")
    axes[-1].legend(*axes[0].get_legend_handles_labels(), frameon=False, loc="center")
    return figure
