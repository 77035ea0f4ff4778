"""Robustness to l-inf attacks: CNLS Eq. 12 beside Madry, TRADES and standard training (Table 1).

MNIST, ConvNet-4a. Madry and TRADES train against PGD-7 of radius 0.3; ours with epsilon 0.4, by
false position between an image and an attacked one, and by cross-entropy where no boundary is
within reach. All forward and backward passes of images in training are counted and printed. Then
three attacks of radius 0.3: PGD on the cross-entropy, PGD on the margin min F^j, and APGD of ART
(left out, with a line that says so, where ART is missing: `pip install 'ocsdf[attacks]'`). Each is
made against one model and tried on all (Tables A3, A4).

`python -m experiments.robustness` does the cells that robustness_training.csv and robustness.csv
lack, and writes those, .md and .png; models go into ``--work`` after each epoch. It goes on where
it was stopped. Presets: `smoke` takes a minute; `cpu`, five seeds, under
an hour on two cores with `--jobs 2`; `half`, one seed at half width and half the epochs. For a
GPU: `paper` has all 60,000 images, 200 epochs and App. B.3's 40 iterations; `paper_cifar10` and
`paper_resnet18` are the table's other parts, CIFAR-10 with ConvNet-4b and ResNet-18. A part of the
cells, by `--methods`, `--attacks` or `--seeds`, needs another `--output`.
"""

import functools
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.common.command import (
    count,
    file_name,
    keep_committed,
    make_parser,
    write_text,
)
from experiments.common.results import do_cells
from experiments.robust_attacks import APGD, ATTACKS, attack
from experiments.robust_problems import PROBLEMS
from experiments.robust_training import METHODS, train

# What is said of one seed, and of several.
_SEEDS = "One seed.", "Mean and standard deviation over {} seeds, of images, weights and noise."
BASELINES, OURS = ("Madry", "TRADES"), "ours"


class Preset(NamedTuple):
    """What a run costs; ``iterations`` are of false position, ``apgd_steps`` of APGD."""

    seeds: int
    network: str
    width: float
    n_train: int
    epochs: int
    iterations: int
    n_test: int
    steps: int
    apgd_steps: int


PRESETS = {
    "smoke": Preset(1, "ConvNet-4a", 0.25, 512, 1, 10, 64, 5, 5),
    "half": Preset(1, "ConvNet-4a", 0.5, 12_000, 5, 10, 1_000, 40, 40),
    "cpu": Preset(5, "ConvNet-4a", 1.0, 12_000, 10, 10, 1_000, 40, 40),
    "paper": Preset(1, "ConvNet-4a", 1.0, 60_000, 200, 40, 10_000, 40, 100),
    "paper_cifar10": Preset(1, "ConvNet-4b", 1.0, 50_000, 200, 40, 10_000, 20, 100),
    "paper_resnet18": Preset(1, "ResNet-18", 1.0, 50_000, 200, 40, 10_000, 20, 100),
}


def training_cell(method, preset, seed):
    """Return the key of the cell that trains a method's model."""
    names = ("network", "width", "n_train", "epochs", "iterations")
    return {"method": method, "seed": seed} | {name: getattr(preset, name) for name in names}


def attack_cells(methods, attacks, preset, seed):
    """Return the keys of the cells that attack the models, and the models they are tried on."""
    cells = []
    for method in methods:
        training = training_cell(method, preset, seed)
        key = {"source": training.pop("method"), "targets": ", ".join(methods), **training}
        key["n_test"] = preset.n_test
        steps = {name: preset.apgd_steps if name == APGD else preset.steps for name in attacks}
        cells += [{"attack": name, **key, "steps": steps[name]} for name in attacks]
    return cells


def table_of(rows):
    """Turn the attacks' rows into a row for each attack, seed, source and target.

    Returned are ``attack``, ``seed``, ``source``, ``target``, ``accuracy`` in percent, and
    ``right``, for each image whether it was still classified correctly.
    """
    return pd.DataFrame(
        [
            {"attack": row["attack"], "seed": row["seed"]}
            | {"source": row["source"], "target": target}
            | {"accuracy": row[f"accuracy_{target}"], "right": _bits(row, target)}
            for _, row in rows.iterrows()
            for target in row["targets"].split(", ")
        ]
    )


def white_box(trained, attacked):
    """Make Table 1: a row a method and seed.

    Returned are passes an image and epoch, accuracy without attack and under each attack against
    the model itself, the least of these (``strongest``), and of images that withstood them all.
    """
    own = attacked[attacked["source"] == attacked["target"]].rename(columns={"target": "method"})
    accuracy = own.pivot_table("accuracy", ["method", "seed"], "attack", sort=False)
    lines = trained.set_index(["method", "seed"])[["forward", "backward", "clean"]].join(accuracy)
    lines["strongest"] = accuracy.min(axis=1)
    lines["all attacks"] = own.groupby(["method", "seed"])["right"].agg(_survived)
    return lines


def _bits(row, target):
    packed = np.frombuffer(bytes.fromhex(row[f"right_{target}"][1:]), dtype=np.uint8)
    return np.unpackbits(packed, count=row["n_test"]).astype(bool)


def _survived(kept):
    return 100.0 * float(np.mean(np.all(list(kept), axis=0)))


def describe(trained, attacked):
    """Write Table 1 and the black-box tables as Markdown."""
    first, seeds = trained.iloc[0], sorted(trained["seed"].unique())
    each = white_box(trained, attacked)
    means = each.groupby("method", sort=False).mean()
    shown = means.map("{:.1f}".format)
    if len(seeds) > 1:
        shown += each.groupby("method", sort=False).std().map(" +- {:.1f}".format)
    problem = PROBLEMS[first["network"]]
    lines = [
        f"# Robustness to l-inf attacks of radius {problem.attack_radius:.3g} on "
        f"{problem.images.upper()}\n",
        f"CNLS Table 1: {first['network']} at {first['width']:g} of its width, "
        f"{first['n_train']:,} training images, {first['epochs']} epochs in batches of 128. "
        "Ours: Eq. 12, and cross-entropy for misclassified images with no boundary within reach. "
        "Forward and backward: passes of images through the network in training, for each image "
        "and epoch. Accuracy in percent on test images: without attack (clean), and "
        f"under attacks against the model itself. {_SEEDS[len(seeds) > 1].format(len(seeds))}\n",
        shown.reset_index().to_markdown(index=False, disable_numparse=True),
        f"\n{verdict(trained, attacked)}\n",
        "## Attacks made against one model, tried on another\n",
        "Accuracy in percent, mean over seeds; rows are the models attacked, columns those that "
        "the attacks were made against (as CNLS Tables A3, A4). On the diagonal, both are the "
        "same.\n",
    ]
    for name, part in attacked.groupby("attack", sort=False):
        matrix = part.pivot_table("accuracy", "target", "source", sort=False)
        order = [method for method in METHODS if method in matrix.index]
        matrix = matrix.loc[order, order].rename_axis("attacked \\ made against")
        lines += [
            f"### {name}\n",
            matrix.reset_index().to_markdown(index=False, floatfmt=".1f"),
            "",
        ]
    return "\n".join(lines)


def verdict(trained, attacked):
    """Say how ours stands against the better of Madry and TRADES, and to attacks on the margin."""
    lines = white_box(trained, attacked)
    strongest = lines["strongest"].unstack("method")
    others = [method for method in BASELINES if method in strongest]
    if OURS not in strongest or not others:
        return "Not all models are there yet."
    means = strongest.mean()
    ahead = strongest[OURS] - strongest[others].max(axis=1)
    told = ", ".join(f"{method} {means[method]:.1f} %" for method in others)
    ours = lines.xs(OURS, level="method").mean()
    each = ", ".join(f"{name} {ours[name]:.1f} %" for name in ATTACKS if name in ours)
    by_seed = ", ".join(f"{points:+.1f}" for points in ahead)
    return (
        f"Under the strongest attack on each, ours keeps {means[OURS]:.1f} %, {told}. Ours less "
        f"the better of the others, in points, seed by seed: {by_seed}. Ours under each attack: "
        f"{each}. Attacks on the margin are what the paper reports as a weakness of such models."
    )


def draw(trained, attacked, path):
    """Draw accuracy without attack and under each, bars for each method."""
    from matplotlib.figure import Figure

    each = white_box(trained, attacked).drop(columns=["forward", "backward", "strongest"])
    by_method = each.groupby("method", sort=False)
    lines, spread = by_method.mean(), by_method.std().fillna(0.0)
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    ax = figure.subplots()
    share = 0.8 / len(lines)
    for i, (method, row) in enumerate(lines.iterrows()):
        places = np.arange(len(row)) + (i - (len(lines) - 1) / 2) * share
        bounds = spread.loc[method] if spread.to_numpy().any() else None
        ax.bar(places, row, share, yerr=bounds, label=method)
    ax.set_xticks(range(lines.shape[1]), lines.columns)
    ax.set(ylabel="accuracy (%)", ylim=(0, 105))
    ax.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(lines))
    figure.savefig(path, dpi=90)


def main():
    """Train and attack what has no row yet, and write the tables and the figure."""
    parser = make_parser(__doc__, PRESETS, work="robustness")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--attacks", nargs="+", default=ATTACKS, choices=ATTACKS)
    parser.add_argument("--seeds", type=count, help="0, 1, ..., in place of the preset's")
    arguments = parser.parse_args()
    keep_committed(parser, arguments, "methods", "attacks", "seeds")
    preset = PRESETS[arguments.preset]
    name = file_name("robustness", arguments.preset)
    models = arguments.work / name
    attacks = list(arguments.attacks)
    if APGD in attacks and find_spec("art") is None:
        attacks.remove(APGD)
        print(f"{APGD} is left out: it needs ART, pip install 'ocsdf[attacks]'")
    if not attacks:
        raise SystemExit("No attack is left: choose another one.")
    seeds = range(arguments.seeds or preset.seeds)
    cells = [training_cell(method, preset, seed) for seed in seeds for method in arguments.methods]
    work = functools.partial(train, folder=models)
    trained = do_cells(cells, work, arguments, f"{name}_training")
    cells = [
        cell for seed in seeds for cell in attack_cells(arguments.methods, attacks, preset, seed)
    ]
    work = functools.partial(attack, folder=models)
    attacked = table_of(do_cells(cells, work, arguments, name))
    write_text(describe(trained, attacked), arguments.output, name)
    draw(trained, attacked, arguments.output / f"{name}.png")


if __name__ == "__main__":
    main()
