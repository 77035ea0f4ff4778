"""Toy sets of the plane (OCSDF Sec. 5.1, App. E): Figures 2, 6 and 7, Tables 1 and 8.

Five toy sets, each with four detectors: ours, a conventional network, OneClassSVM and
IsolationForest. Three shapes whose signed distance is known, to hold f - m against it.

- ``--preset paper``: four layers of 512, 10,000 steps, as printed. Hours on one core.
- ``--preset cpu``: smaller, some minutes a cell on one core; the committed results.
- ``--preset smoke``: seconds, to see it run.

A cell's row and arrays are kept in ``--work``, so that a run goes on where it was stopped; the
tables (toy2d.md, toy2d.csv) and pictures (toy2d/*.png) are made from them. Other presets than
``cpu`` and other seeds need another ``--output``.
"""

import time
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM

from experiments.common.command import all_there, keep_committed, make_parser, write_text
from experiments.common.results import do_cells
from experiments.toy2d_data import SHAPES, TOY_SETS, draw_ring, draw_toy_set
from experiments.toy2d_figures import (
    draw_contours,
    draw_histograms,
    draw_score_against_distance,
    draw_signed_distances,
    grid_points,
    png,
)
from experiments.toy2d_networks import fit_clear, fit_conventional, fit_printed, slope_of
from experiments.toy2d_tables import CLEAR, PRINTED, describe
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.utils.files import write_whole

OURS, CONVENTIONAL = "1-Lipschitz (ours)", "conventional (ReLU, BCE)"
# Of the shapes.
_MARGIN = 0.05
N_SEEDS_CLEAR = 3
_BALL, _FAR, _VERY_FAR = 2.0, 5.0, 1e3
_N_POINTS, _ROWS_AT_ONCE = 20_000, 4_096


class Preset(NamedTuple):
    """How much is spent on four hidden layers of `width` units.

    `n_steps` and `n_steps_clear` are batches, as printed and with seeds clear of the data; `n_rows`
    and `n_rows_of_shape` are training rows of a toy set and of a shape. A picture's grid has
    `resolution` points along each side.
    """

    width: int
    n_steps: int
    n_steps_clear: int
    n_rows: int
    n_rows_of_shape: int
    resolution: int


PRESETS = {
    "smoke": Preset(8, 20, 20, 120, 400, 20),
    "cpu": Preset(64, 10_000, 15_000, 1_000, 10_000, 300),
    "paper": Preset(512, 10_000, 10_000, 1_000, 10_000, 300),
}


def main():
    """Do the cells that have no row yet, then write the tables and pictures."""
    parser = make_parser(__doc__, PRESETS, work="toy2d")
    parser.add_argument("--seed", type=int, default=0, help="of rows, weights and negatives")
    arguments = parser.parse_args()
    keep_committed(parser, arguments, "preset", "seed")
    key = {"preset": arguments.preset, "seed": arguments.seed}
    cells = [{"name": name, "setting": "toy", **key} for name in TOY_SETS]
    cells += [{"name": name, "setting": PRINTED, **key} for name in SHAPES]
    cells += [
        {**key, "name": name, "setting": CLEAR, "seed": arguments.seed + more}
        for name in SHAPES
        for more in range(N_SEEDS_CLEAR)
    ]
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = do_cells(cells, partial(run_cell, work=arguments.work), arguments, "toy2d")
    write_text(describe(rows, PRESETS[arguments.preset]), arguments.output, "toy2d")
    pictures = arguments.output / "toy2d"
    pictures.mkdir(parents=True, exist_ok=True)
    shown = [cell for cell in cells if cell["seed"] == arguments.seed]
    for draw, is_toy in ((draw_toys, True), (draw_shapes, False)):
        part = [cell for cell in shown if (cell["setting"] == "toy") == is_toy]
        if all_there(_arrays_of(arguments.work, **cell) for cell in part):
            for name, figure in draw(_load(part, arguments.work)):
                write_whole(pictures / f"{name}.png", png(figure))


def run_cell(name, setting, preset, seed, work):
    """Do one cell: a toy set with all detectors, or a shape with one setting of ours."""
    sizes = PRESETS[preset]
    if setting == "toy":
        row, arrays = compare(name, sizes, seed)
    else:
        row, arrays = hold_against_exact(name, setting, sizes, seed)
    np.savez_compressed(_arrays_of(work, name, setting, preset, seed), **arrays)
    return row


def compare(name, sizes, seed):
    """Fit the four detectors to a toy set and score a grid, the rows, and uniform points of B."""
    rows, toy = draw_toy_set(name, sizes.n_rows, seed), TOY_SETS[name]
    grid = grid_points(toy.reach, sizes.resolution)
    started = time.perf_counter()
    effort = sizes.width, sizes.n_steps, toy.margin, seed
    detector = fit_printed(rows, *effort)
    fitted = time.perf_counter()
    model = fit_conventional(rows, detector.domain_, *effort)
    row = {"ours_steps": sizes.n_steps, "ours_seconds": fitted - started}
    row["conventional_seconds"] = time.perf_counter() - fitted
    svm = OneClassSVM(nu=0.05, gamma=0.5).fit(rows)
    forest = IsolationForest(contamination=0.05, random_state=seed).fit(rows)
    uniform = detector.domain_.sample(_N_POINTS // 4, np.random.default_rng(seed))
    far = draw_ring(_VERY_FAR, _VERY_FAR, 1_000, np.random.default_rng(seed))
    networks = {
        "ours": (detector.model_, detector.score_samples),
        "conventional": (model, partial(_predict, model)),
    }
    arrays = {"rows": rows, "svm": svm.decision_function(grid)}
    arrays["forest"] = forest.decision_function(grid)
    for key, (network, score) in networks.items():
        arrays |= {key: score(grid), f"{key}_rows": score(rows), f"{key}_uniform": score(uniform)}
        slope = slope_of(network)
        row[f"{key}_slope_rows"] = float(slope(rows).max())
        row[f"{key}_slope_grid"] = float(slope(grid).max())
        row[f"{key}_largest"] = float(np.abs(arrays[f"{key}_uniform"]).max())
        row[f"{key}_far"] = float(np.abs(score(far)).mean())
    return row, {key: array.astype(np.float32) for key, array in arrays.items()}


def hold_against_exact(name, setting, sizes, seed):
    """Fit ours to a shape and measure f - m against the exact signed distance S (OCSDF Eq. 4)."""
    shape, random_state = SHAPES[name], np.random.default_rng(seed)
    rows = shape.draw(sizes.n_rows_of_shape, random_state)
    started = time.perf_counter()
    fit, n_steps = (
        (fit_printed, sizes.n_steps) if setting == PRINTED else (fit_clear, sizes.n_steps_clear)
    )
    detector = fit(rows, sizes.width, n_steps, _MARGIN, seed)
    network, row = CertifiedNetwork.from_keras(detector.model_), {"ours_steps": n_steps}
    row["ours_seconds"] = time.perf_counter() - started
    ball = draw_ring(0.0, _BALL, _N_POINTS, random_state)
    inside = shape.signed_distance(ball) >= 0.0
    parts = {"ball": ball, "inside": ball[inside], "outside": ball[~inside]}
    parts["far"] = draw_ring(_BALL, _FAR, _N_POINTS, random_state)
    parts["domain"] = detector.domain_.sample(_N_POINTS, random_state).astype(np.float64)
    slope = slope_of(network.model)
    for part, points in parts.items():
        error = network.score(points) - _MARGIN - shape.signed_distance(points)
        row[f"error_{part}"] = float(np.abs(error).mean())
        row[f"slope_{part}"] = float(slope(points).mean())
    grid = grid_points(_BALL, sizes.resolution)
    exact = shape.signed_distance(grid)
    error = network.score(grid) - _MARGIN - exact
    return row, {"error": error.astype(np.float32), "exact": exact.astype(np.float32)}


def draw_toys(arrays):
    """Draw the pictures of toy sets that are done."""
    scores = {"ours": {}, "conventional": {}}
    for name, toy in TOY_SETS.items():
        found = arrays[name, "toy"]
        responses = {
            OURS: found["ours"],
            CONVENTIONAL: found["conventional"],
            "OneClassSVM": found["svm"],
            "IsolationForest": found["forest"],
        }
        picture = draw_contours(name, found["rows"], toy.reach, responses)
        yield f"contours_{name.replace(' ', '_')}", picture
        for key, by_name in scores.items():
            by_name[name] = {"data": found[f"{key}_rows"], "uniform on B": found[f"{key}_uniform"]}
    yield "histograms", draw_histograms(scores)


def draw_shapes(arrays):
    """Draw the pictures of shapes that are done."""
    errors = {
        name: {setting: arrays[name, setting]["error"] for setting in (CLEAR, PRINTED)}
        for name in SHAPES
    }
    exact = {name: arrays[name, CLEAR]["exact"] for name in SHAPES}
    yield "signed_distance", draw_signed_distances(_BALL, errors, exact)
    yield "score_against_distance", draw_score_against_distance(errors, exact)


def _load(cells, work):
    """Read the arrays of cells, by name and setting."""
    return {(cell["name"], cell["setting"]): np.load(_arrays_of(work, **cell)) for cell in cells}


def _arrays_of(work, name, setting, preset, seed):
    return work / f"{preset} {seed} {setting} {name}.npz".replace(" ", "_")


def _predict(model, points):
    parts = np.array_split(points, max(1, len(points) // _ROWS_AT_ONCE))
    return np.concatenate([model(part).numpy()[:, 0] for part in parts]).astype(np.float64)


if __name__ == "__main__":
    main()
