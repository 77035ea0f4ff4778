"""Try to break the certificate: attacks on ten fitted models, every point tried held to the bound.

For each point x' that an attacker tries from a row x,

    |f(x') - f(x)| <= L ||x' - x||

must hold, with L as certified and what rounding may add. The attackers are our own l2 PGD (every
iterate counts), foolbox's and ART's (their results; with `pip install 'ocsdf[attacks]'`), and a
search for the pair of points of largest |f(x) - f(y)| / ||x - y||.

`python -m experiments.attack_audit` audits the models that attack_audit.csv lacks, and writes that
and .md. It goes on where it was stopped; a model takes some minutes on two cores.
"""

import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning

from experiments.common.command import as_table, make_parser, page, run_experiment
from ocsdf import OCSDF, load_table
from ocsdf.attacks.adapters import art_attack, foolbox_attack
from ocsdf.attacks.gradient_descent import pgd
from ocsdf.attacks.pairs import steepest_pairs

RADII = (0.05, 0.2, 1.0)
# Data, method, orthogonality, width of four layers, activation.
MODELS = (
    ("breast_cancer", "anchored", "projection", 128, "fullsort"),
    ("breast_cancer", "paper", "projection", 512, "fullsort"),
    ("breast_cancer", "anchored", "reparametrization", 64, "fullsort"),
    ("breast_cancer", "paper", "reparametrization", 32, "groupsort2"),
    ("wine", "anchored", "projection", 512, "groupsort2"),
    ("wine", "paper", "projection", 64, "fullsort"),
    ("wine", "paper", "reparametrization", 128, "fullsort"),
    ("moons", "anchored", "projection", 256, "fullsort"),
    ("moons", "paper", "projection", 32, "fullsort"),
    ("moons", "anchored", "reparametrization", 32, "groupsort2"),
)
_POINTS_A_ROW = 3 * 51


def audit(data, method, orthogonality, width, activation, n_rows, n_others, n_starts):
    """Fit one model and attack it."""
    rows = _rows_of(data)
    detector = OCSDF(
        method,
        orthogonality=orthogonality,
        hidden_layer_sizes=(width,) * 4,
        activation=activation,
        max_steps=100,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        detector.fit(rows)
    network, domain = detector._network, detector.domain_
    points = detector._checked_points(rows)[:]
    random_state = np.random.default_rng(1)
    bound = {"lipschitz": network.lipschitz_bound}
    found = {"lipschitz_bound": network.lipschitz_bound}
    parts = []
    for radius in RADII:
        start, direction = _draw(points, n_rows, random_state)
        attack = pgd(network, start, direction, radius, random_state=random_state, **bound)
        parts.append(_excess(network, start, radius, attack))
    found |= _count("pgd", parts, _POINTS_A_ROW)
    for name, module, attacker in (
        ("foolbox", "foolbox", foolbox_attack),
        ("art", "art", art_attack),
    ):
        if n_others and find_spec(module):
            start, direction = _draw(points, n_others, random_state)
            attack = attacker(network, start, direction, RADII[1], domain=domain, **bound)
            found |= _count(name, [_excess(network, start, RADII[1], attack)], 1)
    start, _ = _draw(points, n_starts, random_state)
    pairs = steepest_pairs(network, start, random_state=random_state)
    shorter = np.linalg.norm(pairs.first - pairs.second, axis=1)
    rounding = network.rounding_error(pairs.first) + network.rounding_error(pairs.second)
    beyond = pairs.ratios > network.lipschitz_bound + rounding / shorter
    return found | {
        "starts": len(start),
        "pairs_beyond": int(beyond.sum()),
        "steepest": float(pairs.ratios.max()),
    }


def _rows_of(data):
    if data == "moons":
        return make_moons(500, noise=0.05, random_state=0)[0]
    table = load_table(data)
    return table.X if table.y is None else table.X[table.y == 0]


def _draw(points, n_drawn, random_state):
    """Draw rows beside the training points, and a direction for each."""
    rows = points[random_state.integers(len(points), size=n_drawn)]
    rows = rows + 0.5 * random_state.normal(size=rows.shape)
    return rows, random_state.choice([-1, 1], size=n_drawn)


def _excess(network, rows, radius, attack):
    """Each row's largest excess over the bound, as a share of what rounding may add."""
    rounding = network.slack(rows, radius)
    return attack.excess / rounding


def _count(name, parts, points_a_row):
    excess = np.concatenate(parts)
    return {
        f"{name}_points": len(excess) * points_a_row,
        f"{name}_rows_beyond": int(np.sum(excess > 1.0)),
        f"{name}_worst": float(excess.max()),
    }


def describe(rows):
    """Write the models' rows as Markdown."""
    tried = sum(rows.get(f"{name}_points", pd.Series([0])).sum() for name in _ATTACKERS)
    beyond = sum(rows.get(f"{name}_rows_beyond", pd.Series([0])).sum() for name in _ATTACKERS)
    columns = ["data", "method", "orthogonality", "width", "activation", "lipschitz_bound"]
    columns += [f"{name}_points" for name in _ATTACKERS if f"{name}_points" in rows]
    columns += ["starts", "steepest", "pairs_beyond"]
    return page(
        "Attacks on the certificate",
        f"{tried:,.0f} points tried on {len(rows)} models, each against |f(x') - f(x)| <= "
        f"L ||x' - x|| (l2, standardized units): {beyond:,.0f} rows with a point beyond the "
        f"bound. {rows['starts'].sum():,} searches for the steepest pair of points: "
        f"{rows['pairs_beyond'].sum():,} beyond the bound.\n",
        as_table(rows[columns], ".6g"),
    )


_ATTACKERS = ("pgd", "foolbox", "art")


def main():
    """Audit the models that have no row yet, and write the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=200, help="rows a radius for PGD")
    parser.add_argument("--others", type=int, default=5000, help="rows for foolbox and for ART")
    parser.add_argument("--starts", type=int, default=1000, help="starts for the steepest pair")
    parser.add_argument("--models", type=int, default=len(MODELS), help="the first ones")
    arguments = parser.parse_args()
    names = ("data", "method", "orthogonality", "width", "activation")
    sizes = {"n_rows": arguments.rows, "n_others": arguments.others, "n_starts": arguments.starts}
    cells = [
        {**dict(zip(names, model, strict=True)), **sizes} for model in MODELS[: arguments.models]
    ]
    run_experiment(cells, audit, arguments, "attack_audit", describe)


if __name__ == "__main__":
    main()
