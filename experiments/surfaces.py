"""Surfaces from raw points without normals (CNLS Sec. 5.3, Eq. 13, App. B.4; OCSDF Sec. 6).

10,000 points of each mesh, with Gaussian noise of 0.005 of its longest side; one shape also with
100,000 points. Our rows:

- CNLS: FC-2 at half width, first on the signed distance to the points, then on Eq. 13;
- 1-Lipschitz HKR: inside against outside, on queries that keep clear of the surface by the margin;
- regression: FC-2 on the signed distance to the points, in squares (DeepSDF; OCSDF Table 4);
- the start alone: the mesh of the local fit, `ocsdf surface`, with no network;
- Eq. 13 from points alone: the distance to a ball, then Eq. 13 on the raw points.

The first three take sides and smoothed points from
:class:`ocsdf.surfaces.local_fit.LocalSurface`, and leave out connected parts of a surface that no
point is near. Beside them, from PyMeshLab (needs `pip install 'ocsdf[experiments]'`): screened
Poisson with estimated normals, of the raw and of our smoothed points; and ball pivoting.

Six watertight meshes replace FAUST, which needs a licence, and ModelNet10, which is not watertight;
screened Poisson and ball pivoting replace AtlasNet, whose code is no longer kept up, and Graphite.

- ``--preset paper``: FC-2 at full width, batches of 1,024, thousands of steps; for a GPU.
- ``--preset cpu``: about a minute a surface on two cores; the committed results.
- ``--preset smoke``: seconds, on generated shapes.

It goes on where it was stopped, and does the cells that surfaces.csv lacks. The picture needs the
meshes in ``--work``.
"""

import time
from functools import partial
from typing import NamedTuple

import numpy as np

from experiments.common.command import all_there, file_name, keep_committed, make_parser, write_text
from experiments.common.results import do_cells
from experiments.lipschitz_fields import clear_queries, fit_field, separate
from experiments.scans import by_meshlab
from experiments.shapes import GENERATED, MESHES, load_shape, surrounding_box
from experiments.surface_tables import describe, draw
from ocsdf.levelsets.architectures import fc_2
from ocsdf.surfaces.meshing import extract_surface
from ocsdf.surfaces.neural import draw_queries, frame_cloud
from ocsdf.surfaces.reconstruction import Effort, fit_level_sets, reconstruct, regress
from ocsdf.surfaces.scans import reconstruct_scan
from ocsdf.surfaces.shape_distances import chamfer, compare_meshes, sample_surface, signed_distance

CNLS, LIPSCHITZ, REGRESSION = "CNLS (Eq. 13)", "1-Lipschitz HKR", "regression (DeepSDF)"
START, ALONE = "start alone", "Eq. 13 from points alone"
POISSON, SMOOTHED = "screened Poisson", "screened Poisson, smoothed points"
PIVOTING = "ball pivoting"
METHODS = (CNLS, POISSON, LIPSCHITZ, REGRESSION, SMOOTHED, PIVOTING, START, ALONE)
NOISE, N_MANY = 0.005, 100_000
# PyMeshLab's filters, whose own settings stay.
_SCREENED_POISSON = "generate_surface_reconstruction_screened_poisson"
_BALL_PIVOTING = "generate_surface_reconstruction_ball_pivoting"
# Of HKR, and the deviations of its queries from the points.
_HINGE_WEIGHT, _MARGIN, _SPREADS = 1_000.0, 0.005, (0.005, 0.015, 0.05)
# Radius of the ball from which Eq. 13 alone begins, where the longest side of the cloud is 1.
_BALL = 0.4
_NEAR, _N_ERRORS = 0.02, 2_000


class Preset(NamedTuple):
    """How much is spent; the last of the shapes is made with `many` points as well.

    `effort` is the training of FC-2 for CNLS, `regression_steps` that for regression alone, and
    `alone_steps` those of Eq. 13 without an exact start; HKR has four hidden layers of
    `lipschitz_width` units. `resolution` cells are along the grid's longest side, and `n_samples`
    points of each surface measure distances.
    """

    shapes: tuple
    n_points: int
    effort: Effort
    regression_steps: int
    alone_steps: int
    lipschitz_width: int
    lipschitz_steps: int
    resolution: int
    n_samples: int
    many: int


PRESETS = {
    "smoke": Preset(
        GENERATED, 600, Effort(24, 4_000, 60, 10, 256, 5e-3), 60, 10, 16, 60, 32, 1_000, 1_200
    ),
    "cpu": Preset(MESHES, 10_000, Effort(), 2_400, 300, 128, 4_000, 100, 10_000, N_MANY),
    "paper": Preset(
        MESHES,
        10_000,
        Effort(512, 500_000, 5_000, 5_000),
        10_000,
        5_000,
        512,
        40_000,
        100,
        30_000,
        N_MANY,
    ),
}


def run_cell(shape, method, n_points, preset, seed, work):
    """Reconstruct one shape by one method, and measure it.

    Returned are those of :class:`ocsdf.surfaces.shape_distances.ShapeDistances`, the floor of both
    Chamfer distances, ``watertight``, ``seconds``; of networks also ``error_near``, ``error_far``
    (mean size of f minus the true signed distance, normal around the surface with deviation 0.02,
    and uniform on the box), ``slope_near`` and ``slope_far`` (mean gradient norm).
    """
    sizes, truth = PRESETS[preset], load_shape(shape)
    points = draw_cloud(truth, n_points, np.random.default_rng([seed, 0]))
    started = time.perf_counter()
    mesh, network = _METHODS[method](points, sizes, np.random.default_rng([seed, 1]))
    row = {"seconds": time.perf_counter() - started, "watertight": bool(mesh.is_watertight)}
    measure = np.random.default_rng([seed, 2])
    row |= compare_meshes(mesh, truth, measure, sizes.n_samples)._asdict()
    samples = [sample_surface(truth, sizes.n_samples, measure)[0] for _ in range(2)]
    row |= {f"floor_l{norm}": chamfer(*samples, norm=norm) for norm in (1, 2)}
    if network is not None:
        row |= _field_errors(network, truth, measure)
    mesh.export(mesh_file(work, preset, seed, shape, method, n_points))
    return row


def draw_cloud(truth, n_points, random_state):
    """Draw noisy points of a surface: ndarray of shape (n_points, 3)."""
    points, _ = sample_surface(truth, n_points, random_state)
    return points + NOISE * random_state.standard_normal(points.shape)


def mesh_file(work, preset, seed, shape, method, n_points):
    """Name the file of a mesh."""
    word = "".join(letter if letter.isalnum() else "_" for letter in method)
    return work / f"{preset}_{seed}_{shape}_{word}_{n_points}.ply"


def _field_errors(network, truth, random_state):
    near, _ = sample_surface(truth, _N_ERRORS, random_state)
    parts = {
        "near": near + _NEAR * random_state.standard_normal(near.shape),
        "far": random_state.uniform(*surrounding_box(truth), (_N_ERRORS, 3)),
    }
    found = {}
    for part, points in parts.items():
        error = network.distance(points) - signed_distance(truth, points)
        found[f"error_{part}"] = float(np.abs(error).mean())
        found[f"slope_{part}"] = float(network.slopes(points).mean())
    return found


def _cnls(points, sizes, random_state):
    network = reconstruct(points, random_state, sizes.effort)
    return network.mesh(sizes.resolution, random_state), network


def _regression(points, sizes, random_state):
    effort = sizes.effort._replace(warm_steps=sizes.regression_steps)
    frame = frame_cloud(points)
    model = fc_2(3, 1, width=effort.width, seed=random_state)
    queries, distances = draw_queries(frame, effort.n_queries, random_state)
    steps = range(effort.warm_steps)
    regress(model, queries, distances, steps, effort, random_state, power=2)
    network = frame.wrap(model)
    return network.mesh(sizes.resolution, random_state), network


def _lipschitz(points, sizes, random_state):
    """Train by HKR (OCSDF Eq. 2) on queries that keep clear of the surface by the margin."""
    frame = frame_cloud(points)
    queries, distances = clear_queries(
        frame.surface.points, frame.scaled_box(), _MARGIN, sizes.effort.n_queries,
        frame.surface.signed_distance, random_state, _SPREADS,
    )  # fmt: skip
    seed, loss = int(random_state.integers(2**31)), separate(_MARGIN, _HINGE_WEIGHT)
    fitted = fit_field(queries, distances, loss, sizes.lipschitz_steps, seed, sizes.lipschitz_width)
    network = frame.wrap(fitted.model)
    box = network.lower, network.upper
    mesh = extract_surface(network.distance, *box, sizes.resolution, 0.0, 1.0)
    return frame.drop_far_parts(mesh), network


def _start(points, sizes, random_state):
    return reconstruct_scan(points).mesh, None


def _from_points(points, sizes, random_state):
    """Train by Eq. 13 with no exact start: from the distance to a ball."""
    frame, effort = frame_cloud(points), sizes.effort
    model = fc_2(3, 1, width=effort.width, seed=random_state)
    queries = random_state.uniform(*frame.scaled_box(), (effort.n_queries, 3))
    distances = _BALL - np.linalg.norm(queries, axis=1)
    warm = effort._replace(warm_steps=effort.warm_steps // 8)
    regress(model, queries, distances, range(warm.warm_steps), warm, random_state)
    raw = effort._replace(steps=sizes.alone_steps)
    fit_level_sets(model, frame.to_scaled(points), range(raw.steps), raw, random_state)
    network = frame.wrap(model)
    return network.mesh(sizes.resolution, random_state), network


def _poisson(points, sizes, random_state):
    return by_meshlab(points, None, _SCREENED_POISSON, threads=1), None


def _poisson_smoothed(points, sizes, random_state):
    surface = frame_cloud(points)
    smooth = surface.center + surface.scale * surface.surface.points
    normals = surface.surface.normals
    return by_meshlab(smooth, normals, _SCREENED_POISSON, threads=1), None


def _pivoting(points, sizes, random_state):
    return by_meshlab(points, None, _BALL_PIVOTING), None


_METHODS = {
    CNLS: _cnls,
    LIPSCHITZ: _lipschitz,
    REGRESSION: _regression,
    POISSON: _poisson,
    SMOOTHED: _poisson_smoothed,
    PIVOTING: _pivoting,
    START: _start,
    ALONE: _from_points,
}


def main():
    """Do the cells that have no row yet, then write the tables and the picture."""
    parser = make_parser(__doc__, PRESETS, work="surfaces")
    parser.add_argument("--seed", type=int, default=0, help="of points, weights and batches")
    arguments = parser.parse_args()
    keep_committed(parser, arguments, "seed")
    sizes, key = PRESETS[arguments.preset], {"preset": arguments.preset, "seed": arguments.seed}
    plan = [(shape, method, sizes.n_points) for method in METHODS for shape in sizes.shapes]
    plan += [(sizes.shapes[-1], method, sizes.many) for method in METHODS]
    cells = [{"shape": s, "method": m, "n_points": n, **key} for s, m, n in plan]
    arguments.work.mkdir(parents=True, exist_ok=True)
    work = partial(run_cell, work=arguments.work)
    name = file_name("surfaces", arguments.preset)
    rows = do_cells(cells, work, arguments, name)
    write_text(describe(rows, METHODS, sizes), arguments.output, name)
    files = partial(mesh_file, arguments.work, arguments.preset, arguments.seed)
    drawn = (CNLS, LIPSCHITZ, POISSON)
    if not all_there(files(s, m, sizes.n_points) for s in sizes.shapes for m in drawn):
        return
    clouds = {
        shape: draw_cloud(
            load_shape(shape), sizes.n_points, np.random.default_rng([arguments.seed, 0])
        )
        for shape in sizes.shapes
    }
    draw(clouds, files, drawn, arguments.output / f"{name}.png")


if __name__ == "__main__":
    main()
