"""How well projected points cover a level set, and level sets at equal steps (CNLS App. A).

The table in Figure A1: networks FC-1 of the plane, trained with cross-entropy; 1,000 starts,
uniform in [-0.35, 0.35]^2 or points of the level set with Gaussian noise added; their projections
by Newton's method beside the whole level set, which marching squares trace on a fine grid. The
paper does not say what data its network has seen. Here it is the 16 points of Figure 1, half of
them positive; and 100 points with 10 positive ones amid the others.

Figure A2: level sets of a network FC-2, trained on a noisy cloud of a capsule with Eq. 13, along a
cut; and how far from the capsule they are, on average, which should be the level. The network
starts as the signed distance to a ball: the unsigned distance has no loss either, and is what a
random start may lead to.

- ``--preset paper``: FC-1 of width 512, FC-2 of width 512;
- ``--preset cpu``: width 128, the grid of 2,000 x 2,000 all the same: the committed results;
- ``--preset smoke``: seconds, to see it run.

`python -m experiments.level_set_sampling` goes on where it was stopped; it writes
level_set_sampling.csv and .md, and two pictures beside them (_a1.png, _a2.png), from its cells'
rows and arrays, which are kept in ``--work``.
"""

import time
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from experiments import level_set_control
from experiments.common.command import all_there, file_name, make_parser, run_experiment
from experiments.level_set_data import (
    CAPSULE,
    DATA,
    EVEN,
    FARTHER,
    HIGH,
    LEVELS,
    MAX_ITER,
    N_CLOUD,
    N_SAMPLES,
    NEAR,
    NOISE,
    REACH,
    SIGMAS,
    UNIFORM,
    capsule_distance,
    draw_capsule,
    draw_data,
)
from experiments.level_set_fits import fit_cloud
from experiments.level_set_geometry import along, both_ways, evaluate, level_set, on_grid
from experiments.level_set_tables import describe, draw_coverage, draw_levels
from ocsdf.levelsets import project
from ocsdf.levelsets.architectures import fc_2

# Projections may leave the square of the starts: the level set is known in one twice as large.
BEYOND = 0.7
_N_TRUE, _TOLERANCE = 20_000, 1e-4
_N_BALL_STEPS = 300
_SPREAD, _ZERO_SHARE = 0.1, 0.5
# App. B.4: lambda grows from 1 to 5, here over the first fifth of the steps.
_WEIGHTS = (1.0, 5.0, 0.2)


class Preset(NamedTuple):
    """How much is spent; `resolution` points are along each side of the grid of the true level set.

    There are `n_networks` classifiers of each data, trained for `n_epochs`; `n_steps` and
    `batch_size` are those of the network of the capsule.
    """

    width: int
    n_epochs: int
    resolution: int
    n_networks: int
    n_steps: int
    batch_size: int


PRESETS = {
    # With fewer epochs the network of 100 points gives one class everywhere.
    "smoke": Preset(128, 300, 100, 1, 10, 32),
    "cpu": Preset(128, 1_000, 2_000, 5, 2_000, 128),
    "paper": Preset(512, 1_000, 2_000, 5, 50_000, 512),
}


def cover(name, seed, sizes):
    """Train a classifier and see how its boundary is covered by projections.

    Returned are, by kind of starts, ``chamfer``, half the sum of the mean distances both ways, and
    ``hausdorff``, the largest distance: from projections to the level set, and to projections from
    the level set within the square of the starts. ``reached``, the share that Newton's method
    brought to the level set; the others count as well. ``away``, the share that left even the
    larger square, and is left out. ``length`` of the level set within the square.
    """
    points, labels = draw_data(name, seed)
    batch_size = 4 if name == EVEN else 10
    training = level_set_control.Preset(sizes.width, batch_size, sizes.n_epochs, 0, 0)
    network = level_set_control.train(
        level_set_control.CROSS_ENTROPY, points, labels, training, seed
    )

    def lead(places):
        logits = network(places)
        return logits[:, 1:] - logits[:, :1]

    def trace(high, resolution):
        grid = on_grid(lambda places: evaluate(lead, places), -high, high, resolution)
        return level_set(grid, -high, high)

    # The larger square serves those few projections that end outside the other.
    segments, wide = trace(HIGH, sizes.resolution), trace(BEYOND, sizes.resolution // 2)
    if not len(segments):
        raise ValueError(f"network {seed} has no boundary in the square; choose another seed")
    evenly = np.linspace(0.0, 1.0, _N_TRUE)
    true = along(segments, evenly)
    wide = along(wide, evenly)
    everywhere = np.vstack([true, wide[np.abs(wide).max(axis=1) > HIGH]])
    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).sum()
    row, arrays = {"length": float(length)}, {"true": true, "points": points, "labels": labels}
    for kind, starts in _draw_starts(segments, np.random.default_rng([seed, 4])).items():
        found = _solve(lead, tf.constant(starts, tf.float32))
        samples = found.points.numpy().astype(np.float64)
        kept = samples[np.abs(samples).max(axis=1) <= BEYOND]
        to_true, from_true = both_ways(kept, everywhere)[0], both_ways(kept, true)[1]
        row |= {
            f"chamfer {kind}": 0.5 * float(to_true.mean() + from_true.mean()),
            f"hausdorff {kind}": float(max(to_true.max(), from_true.max())),
            f"reached {kind}": float(found.converged.numpy().mean()),
            f"away {kind}": 1.0 - len(kept) / len(samples),
        }
        arrays |= {f"starts {kind}": starts, f"samples {kind}": samples}
        arrays[f"failed {kind}"] = ~found.converged.numpy()
    return row, arrays


def _draw_starts(segments, random_state):
    """Draw the starts of each kind."""
    starts = {UNIFORM: random_state.uniform(-HIGH, HIGH, (N_SAMPLES, 2))}
    for kind in (NEAR, FARTHER):
        base = along(segments, random_state.uniform(size=N_SAMPLES))
        starts[kind] = base + random_state.normal(0.0, SIGMAS[kind], base.shape)
    return starts


@partial(tf.function, autograph=False)
def _solve(network, starts, level=0.0):
    return project(network, starts, level, max_iter=MAX_ITER, tol=_TOLERANCE)


def start_as_ball(network, cloud, seed):
    r"""Train a network to be the signed distance :math:`R - \|x - c\|` to a ball."""
    random_state = np.random.default_rng([seed, 6])
    center = cloud.mean(axis=0)
    radius = np.linalg.norm(cloud - center, axis=1).mean()
    network.compile(keras.optimizers.Adam(1e-3), "mse")
    points = center + random_state.uniform(-1.0, 1.0, (_N_BALL_STEPS * 128, cloud.shape[1]))
    distance = radius - np.linalg.norm(points - center, axis=1)
    network.fit(points, distance, batch_size=128, shuffle=False, verbose=0)


def fit_capsule(seed, sizes):
    """Learn a capsule from a noisy cloud, and measure how far its level sets are from it.

    Returned are, by level t, ``mean`` and ``std`` of the signed distance of points of S_t, positive
    inside; ``slope``, the mean norm of the gradient at all of them; ``seconds``.
    """
    random_state = np.random.default_rng([seed, 5])
    cloud = draw_capsule(N_CLOUD, random_state)
    cloud += random_state.normal(0.0, NOISE, cloud.shape)
    network = fc_2(3, 1, sizes.width, seed=seed)
    started = time.perf_counter()
    start_as_ball(network, cloud, seed)
    effort = sizes.n_steps, sizes.batch_size
    fit_cloud(network, cloud, *effort, _SPREAD, _ZERO_SHARE, _WEIGHTS, 1, seed)
    row = {"seconds": time.perf_counter() - started}

    def score(points):
        return network(points)[:, 0]

    starts = cloud[:2_000] + random_state.normal(0.0, _SPREAD, (2_000, 3))
    slopes = []
    for level in LEVELS:
        start = tf.constant(starts, tf.float32)
        found = _solve(score, start, tf.constant(level, tf.float32))
        points = found.points.numpy()[found.converged.numpy()]
        distance = capsule_distance(points.astype(np.float64))
        distance = distance if len(distance) else np.zeros(1)
        row[f"mean {level:.2f}"] = float(distance.mean())
        row[f"std {level:.2f}"] = float(distance.std())
        with tf.GradientTape() as tape:
            tape.watch(points := tf.constant(points))
            values = score(points)
        slopes.append(tf.norm(tape.gradient(values, points), axis=1).numpy())
    row["slope"] = float(np.concatenate(slopes).mean())
    side = np.linspace(-REACH, REACH, 300)
    x, z = (axis.ravel() for axis in np.meshgrid(side, side))
    cut = np.stack([x, np.zeros_like(x), z], axis=1)
    values = evaluate(lambda part: score(part)[:, tf.newaxis], cut)
    return row, {"cut": values.reshape(300, 300)}


def run_cell(name, seed, preset, work):
    """Do one cell: a classifier, or the capsule."""
    sizes = PRESETS[preset]
    row, arrays = fit_capsule(seed, sizes) if name == CAPSULE else cover(name, seed, sizes)
    np.savez_compressed(_arrays_of(work, name, seed, preset), **arrays)
    return row


def _arrays_of(work, name, seed, preset):
    return work / f"{preset} {seed} {name}.npz".replace(",", "").replace(" ", "_")


def main():
    """Do the cells that have no row yet, then write the tables and the pictures."""
    arguments = make_parser(__doc__, PRESETS, work="level_set_sampling").parse_args()
    sizes = PRESETS[arguments.preset]
    keys = [(name, seed) for name in DATA for seed in range(sizes.n_networks)]
    cells = [
        {"name": name, "seed": seed, "preset": arguments.preset}
        for name, seed in [(CAPSULE, 0), *keys]
    ]
    name = file_name("level_set_sampling", arguments.preset)
    rows = run_experiment(cells, run_cell, arguments, name, describe, sizes)
    files = {
        name: _arrays_of(arguments.work, name, 0, arguments.preset) for name in (*DATA, CAPSULE)
    }
    if not all_there(files.values()):
        return
    arrays = {name: np.load(file) for name, file in files.items()}
    cut = arrays.pop(CAPSULE)["cut"]
    pictures = {"a1": draw_coverage(rows, arrays), "a2": draw_levels(rows.iloc[0], cut)}
    for figure_name, figure in pictures.items():
        figure.savefig(arguments.output / f"{name}_{figure_name}.png", dpi=80)


if __name__ == "__main__":
    main()
