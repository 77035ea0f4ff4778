"""The plane, once more: Algorithm 2 beside Algorithm 3, and what a conventional network does.

- *fix points* (OCSDF Properties 3 and 4): with the exact minimizer f = S + m of the unit disc,
  Algorithm 1 is applied ten times to its own negatives, from uniform seeds clear of the disc; how
  near the nearest comes, where a complementary distribution has d >= 2 m.
- *algorithms*: f - m against the exact signed distance S, with the inner loop run until its loss
  settles (Algorithm 2) and with one update a batch (Algorithm 3), alike in all else: seeds clear of
  the data, 4 x 64, 6,000 updates, as `toy2d` has them. And how many of the trained network's
  negatives lie nearer to the shape than 2 m, or in it.
- *conventional*: OCSDF Sec. 5.1 says that |f| of an unconstrained network exceeds 10^3 on B, and
  Table 8 has local Lipschitz constants of up to 1,421; here both are smaller. One departure at a
  time: uniform negatives (T = 0), a rate of 1e-2, He's weights, twice the width.

`python -m experiments.toy_variants` does the cells that toy_variants.csv lacks and writes that and
.md; it goes on where it was stopped. ``--preset smoke`` takes seconds.
"""

import time
from typing import NamedTuple

import numpy as np

from experiments.common.command import run_presets
from experiments.toy2d_data import SHAPES, TOY_SETS, clear_seeds, draw_ring, draw_toy_set
from experiments.toy2d_networks import fit_clear, fit_conventional, slope_of
from experiments.toy2d_tables import PAPER_SLOPES
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.training.domain import Ball
from ocsdf.training.negatives import attract

FIX_POINTS, ALGORITHMS, CONVENTIONAL = "fix points", "algorithms", "conventional"
UPDATES = {"Algorithm 2": "converged", "Algorithm 3": 1}
BASE = "as in toy2d"
VARIANTS = {
    BASE: {},
    "uniform negatives": {"newton_steps": 0},
    "rate 1e-2": {"rate": 1e-2},
    "He's weights": {"initializer": "HeNormal"},
    "width 128": {"width": 128},
}
_MARGIN, _ROUNDS, _N_POINTS = 0.05, 10, 20_000


class Preset(NamedTuple):
    """How much is spent."""

    width: int
    n_updates: int
    n_rows: int
    n_steps: int
    sets: tuple
    shapes: tuple


PRESETS = {
    "smoke": Preset(8, 40, 300, 20, ("two moons",), ("disc",)),
    "cpu": Preset(64, 6_000, 10_000, 10_000, ("two blobs",), tuple(SHAPES)),
}


def run_cell(part, name, variant, seed, preset):
    """Do one cell; see :func:`fix_points`, :func:`compare_algorithms`, :func:`conventional`."""
    sizes, begun = PRESETS[preset], time.perf_counter()
    found = {
        FIX_POINTS: lambda: fix_points(sizes, seed),
        ALGORITHMS: lambda: compare_algorithms(name, variant, sizes, seed),
        CONVENTIONAL: lambda: conventional(name, variant, sizes, seed),
    }[part]()
    return found | {"seconds": time.perf_counter() - begun}


class ExactDisc:
    """The HKR minimizer of the unit disc (OCSDF Theorem 1): f(z) = 1 - ||z|| + m."""

    def value_and_gradient(self, points):
        length = np.linalg.norm(points, axis=1)
        return 1.0 + _MARGIN - length, -points / length[:, np.newaxis]


def fix_points(sizes, seed):
    """Apply Algorithm 1 to its own negatives.

    Returned are ``nearest``, the least distance of a negative to the disc in any round, in units of
    2 m; ``moved``, the mean length of a move in the first round.
    """
    random_state, domain = np.random.default_rng(seed), Ball(np.zeros(2), 2.5)
    seeds = domain.sample(_N_POINTS, random_state).astype(np.float64)
    points = seeds[np.linalg.norm(seeds, axis=1) > 1.0 + 2.0 * _MARGIN]
    nearest, moved = np.inf, None
    for _ in range(_ROUNDS):
        eta, before = random_state.random(len(points)), points
        points = attract(ExactDisc(), points, domain, level=-_MARGIN, eta=eta, steps=4)
        moved = moved or float(np.linalg.norm(points - before, axis=1).mean())
        nearest = min(nearest, float(np.linalg.norm(points, axis=1).min()) - 1.0)
    return {"nearest": nearest / (2.0 * _MARGIN), "moved": moved}


def compare_algorithms(name, variant, sizes, seed):
    """Train by one algorithm on a shape, and hold f - m against S.

    Returned are ``distance`` (mean |f - m - S|) and ``slope`` on the ball of radius 2; ``near`` and
    ``within``, shares of the negatives nearer than 2 m to the shape and in it, in percent.
    """
    shape, random_state = SHAPES[name], np.random.default_rng(seed)
    rows = shape.draw(sizes.n_rows, random_state)
    detector = fit_clear(rows, sizes.width, sizes.n_updates, _MARGIN, seed, UPDATES[variant])
    network, domain = CertifiedNetwork.from_keras(detector.model_), detector.domain_
    sample_seeds = clear_seeds(domain, rows, 2.0 * _MARGIN)
    points = draw_ring(0.0, 2.0, _N_POINTS, random_state)
    error = network.score(points) - _MARGIN - shape.signed_distance(points)
    seeds = sample_seeds(_N_POINTS, random_state).astype(np.float64)
    eta = random_state.random(len(seeds))
    negatives = attract(network, seeds, domain, level=-_MARGIN, eta=eta, steps=4)
    distance = -shape.signed_distance(negatives)
    return {
        "distance": float(np.abs(error).mean()),
        "slope": float(slope_of(network.model)(points).mean()),
        "near": 100.0 * float(np.mean(distance < 2.0 * _MARGIN)),
        "within": 100.0 * float(np.mean(distance < 0.0)),
    }


def conventional(name, variant, sizes, seed):
    """Train a conventional network in one way.

    Returned are ``slope``, the largest gradient norm on the training rows; ``largest``, |f| on
    uniform points of B.
    """
    rows, settings = draw_toy_set(name, 1_000, seed), dict(VARIANTS[variant])
    width, domain = settings.pop("width", sizes.width), Ball.from_data(rows)
    margin = TOY_SETS[name].margin
    model = fit_conventional(rows, domain, width, sizes.n_steps, margin, seed, **settings)
    uniform = domain.sample(5_000, np.random.default_rng(seed))
    return {
        "slope": float(slope_of(model)(rows).max()),
        "largest": float(np.abs(model.predict(uniform, verbose=0)).max()),
    }


def describe(rows, sizes):
    """Write the tables in Markdown."""
    fix, algorithms, nets = (
        rows[rows["part"] == p] for p in (FIX_POINTS, ALGORITHMS, CONVENTIONAL)
    )
    paper = [PAPER_SLOPES[name] for name in nets["name"]]
    nets = nets[["name", "variant", "slope", "largest", "seconds"]].assign(paper=paper)
    ten = algorithms[["name", "variant", "distance", "slope", "near", "within", "seconds"]]
    names = {"near": "nearer than 2 m (%)", "within": "inside (%)", "largest": "largest |f| on B"}
    return "\n".join(
        [
            "# Variants on the plane\n",
            "## Complementary distributions are fix points (Properties 3, 4)\n",
            "The nearest of 20,000 seeds' negatives in ten rounds of Algorithm 1 with the exact "
            f"minimizer of the unit disc lies {fix['nearest'].min():.6f} times 2 m away; 1 is what "
            f"the property allows. Seeds moved by {fix['moved'].mean():.2f} in the first round.\n",
            "## Algorithm 2 beside Algorithm 3\n",
            f"4 x {sizes.width}, {sizes.n_updates:,} updates of the weights, seeds clear of the "
            "rows, m = 0.05. Distance: mean |f - m - S| on the ball of radius 2. "
            "Negatives are drawn "
            "anew, and pulled by the trained network.\n",
            ten.rename(columns=names).to_markdown(index=False, floatfmt=".3g") + "\n",
            "## The conventional network\n",
            f"4 x {sizes.width} (paper: 512), {sizes.n_steps:,} steps as printed; slope: the "
            "largest gradient norm on the training rows. The paper has |f| above 10^3 on B.\n",
            nets.rename(columns=names | {"paper": "paper's slope"}).to_markdown(
                index=False, floatfmt=".4g"
            ),
            "",
        ]
    )


def cells_of(sizes):
    """List the variants: of points, of both algorithms, of conventional training."""
    keys = [(FIX_POINTS, "disc", "exact")]
    keys += [(ALGORITHMS, name, variant) for name in sizes.shapes for variant in UPDATES]
    keys += [(CONVENTIONAL, name, variant) for name in sizes.sets for variant in VARIANTS]
    return [dict(zip(("part", "name", "variant"), key, strict=True)) | {"seed": 0} for key in keys]


def main():
    """Do the cells that have no row yet, then write the tables."""
    run_presets(__doc__, PRESETS, cells_of, run_cell, "toy_variants", describe)


if __name__ == "__main__":
    main()
