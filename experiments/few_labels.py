"""Generalization from few labels: geometric SVM, cross-entropy and hinge (CNLS Sec. 5.1, Figure 2).

MNIST and Fashion-MNIST, their labels merged into even against odd; ConvNet-2b, trained on a small
fraction of the 60,000 rows, judged on the 10,000 of the test set. A tenth of the rows drawn is held
out, for every loss: over the first seeds together, it chooses the learning rate, and the other
seeds are run with that alone. A second table has the rates that test rows would have chosen. The
geometric SVM's rate is the paper's, its distances are in l2.

`python -m experiments.few_labels` does the cells that few_labels.csv lacks, and writes that, .md
and .png. It goes on where it was stopped. Presets: `smoke` takes a minute; `cpu`, at half width,
about an hour on two cores with `--jobs 2`; `printed` and `cifar10` have what App. B.2 prints, at
reduced width and epochs: distances in l-inf, lambda, each set's own schedule of rates, and no
setting that rows have chosen; `paper` has the widths, epochs and iterations of App.
B.2 and 100 seeds (Sec. 5.1; the paper has 20 on Fashion-MNIST), in batches of 32, for a GPU. A part
of the cells, by `--images`, `--fractions` or `--seeds`, needs another `--output`.
"""

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
from experiments.common.results import do_cells, read_rows
from experiments.few_label_training import (
    ENTROPY,
    GEOMETRIC,
    GEOMETRIC_LINF,
    HINGE,
    LOSSES,
    NORMS,
    train_and_judge,
)

SETS = ("mnist", "fashion_mnist")
RATES = (0.001, 0.005, 0.01, 0.02)


class Preset(NamedTuple):
    """What a run costs."""

    fractions: dict  # of the rows: how many seeds
    settings: dict  # of each loss: pairs of a learning rate and a lambda
    width: float
    epochs: int
    iterations: int
    batch_size: int
    tuning_seeds: int
    n_test: int
    sets: tuple = SETS
    course: str | None = None


_KEY = ["images", "fraction", "loss"]
# What all cells of a preset have in common.
_SHARED = ("width", "epochs", "iterations", "batch_size", "n_test")
_BASELINES = dict.fromkeys((ENTROPY, HINGE), tuple((rate, 0.0) for rate in RATES))
_FEW = {ENTROPY: ((0.01, 0.0),), HINGE: ((0.005, 0.0), (0.01, 0.0)), GEOMETRIC: ((0.01, 0.2),)}
# The paper's rate. In l-inf, as the paper has it, lambda 0.2 lost up to ten points on Fashion-MNIST
# with these few rows and epochs, and 0.02 and 0.005 half a point against l2. Found on other draws
# (seeds 100 to 104), judged by 10,000 training rows that these had not drawn.
_GEOMETRIC = {GEOMETRIC: ((0.02, 0.05),)}
# The paper's, and a tenth of its lambda.
_PAPERS_GEOMETRIC = {GEOMETRIC_LINF: ((0.02, 0.2), (0.02, 0.02))}
_PLAIN = {ENTROPY: ((0.01, 0.0),), HINGE: ((0.01, 0.0),)}
PRESETS = {
    "printed": Preset(
        {0.001: 3, 0.005: 1},
        {GEOMETRIC: ((0.02, 0.05),), GEOMETRIC_LINF: ((0.02, 0.2),)} | _PLAIN,
        0.5, 60, 5, 32, 1, 10_000, SETS, "own",
    ),
    "cifar10": Preset(
        {0.001: 3, 0.005: 1},
        {GEOMETRIC: ((0.01, 0.01),), GEOMETRIC_LINF: ((0.01, 0.01),)} | _PLAIN,
        0.25, 50, 5, 32, 1, 10_000, ("cifar10",), "own",
    ),
    "smoke": Preset({0.001: 2}, _FEW, 0.125, 4, 5, 32, 1, 1_000),
    "cpu": Preset(
        # Of 60 rows, it is the draw that decides: more of them.
        {0.001: 20, 0.005: 5, 0.01: 5},
        _GEOMETRIC | _BASELINES,
        0.5, 60, 5, 32, 5, 10_000,
    ),
    "paper": Preset(
        dict.fromkeys((0.001, 0.002, 0.003, 0.005, 0.01), 100),
        _GEOMETRIC | _PAPERS_GEOMETRIC | _BASELINES,
        1.0, 200, 20, 32, 5, 10_000,
    ),
}  # fmt: skip


_AS_PRINTED = """# Generalization from few labels, as printed

CNLS Figure 2 with what App. B.2 prints: the geometric SVM in l-inf with its lambda and rate, each
set's own schedule of rates, lambda growing linearly; cross-entropy and hinge at a rate of 0.01. No
setting was chosen by rows here, of ours or of theirs. Scaled down: width and epochs as in the CSV
(paper: full width; 200 epochs, 100 on CIFAR-10), 5 Newton iterations (20), seeds as told (100, 20).
CIFAR-10 has ConvNet-4b, read from JPEG copies where its own file is not there. In l2 the geometric
SVM has the lambda of `few_labels.md` (CIFAR-10: the printed one).

"""


def choose(rows, judge="held_out"):
    """Choose the learning rate and lambda for each set, fraction and loss.

    Returned are ``images``, ``fraction``, ``loss``, and the ``rate`` and ``weight`` with the best
    mean accuracy on these rows; of equal ones, those with the least mean loss on held-out rows.
    """
    means = rows.groupby([*_KEY, "rate", "weight"])[[judge, "held_out_loss"]].mean()
    ranked = means.round(6).reset_index()
    by = [*_KEY, judge, "held_out_loss"]
    ranked = ranked.sort_values(by, ascending=[True] * 3 + [False, True])
    return ranked.drop_duplicates(_KEY)[[*_KEY, "rate", "weight"]]


def describe(rows, tried):
    """Write the comparison as Markdown."""
    first = rows.iloc[0]
    lines = [
        "# Generalization from few labels\n",
        "CNLS Figure 2: accuracy in percent on the test set, even against odd classes; mean and "
        "standard deviation over seeds, which draw the rows and the initial weights. "
        f"ConvNet-2b at {first['width']:g} of its width, {first['epochs']} epochs of SGD; the "
        f"geometric SVM by at most {first['iterations']} Newton iterations a projection. A tenth "
        "of the rows is held out, and over the first seeds chooses the learning rate. The "
        "geometric SVM has distances in l2; the paper's, in l-inf, would be a column of its own. "
        "Its rate at half width is the paper's; lambda, tolerance and a bound on the gradient were "
        "found on other draws, judged by training rows that these had not drawn. There, in l-inf, "
        "the paper's lambda 0.2 lost up to ten points on Fashion-MNIST, and 0.02 and 0.005 half a "
        "point against l2: this is why the geometric SVM here has another norm than the paper's.\n",
    ]
    losses = [loss for loss in LOSSES if (rows["loss"] == loss).any()]
    for images in rows["images"].unique():
        body = [
            [f"{100 * fraction:g} %", *_line(part, losses)]
            for fraction, part in rows[rows["images"] == images].groupby("fraction")
        ]
        header = ["fraction", "seeds", *losses, "best", "levels found (%)"]
        table = pd.DataFrame(body, columns=header)
        lines += [f"## {images}\n", table.to_markdown(index=False, disable_numparse=True), ""]
    told = rows.drop_duplicates(_KEY)[[*_KEY, "rate", "weight"]]
    told = told.rename(columns={"rate": "learning rate", "weight": "lambda"})
    lines += ["## Settings chosen\n", told.to_markdown(index=False), ""]
    best = tried.merge(choose(tried, judge="test"))
    body = [
        [images, f"{100 * fraction:g} %", *_line(part, losses)[:-2]]
        for (images, fraction), part in best.groupby(["images", "fraction"])
    ]
    header = ["images", "fraction", "seeds", *losses]
    table = pd.DataFrame(body, columns=header)
    lines += [
        "## Settings that test rows would have chosen (oracle)\n",
        "On the seeds that chose: how much of the difference is the choice from few held-out rows, "
        "and how much the loss. The geometric SVM in l2 has one setting.\n",
        table.to_markdown(index=False, disable_numparse=True),
        "",
    ]
    return "\n".join(lines)


def describe_all(rows):
    """Write the mean test accuracy of every setting that was ever run as Markdown."""
    key = ["images", "fraction", "loss", "rate", "weight"]
    means = rows.groupby(key)["test"].agg(["mean", "std", "count"]).reset_index()
    shown = means.assign(
        fraction=[f"{100 * fraction:g} %" for fraction in means["fraction"]],
        mean=means["mean"].map("{:.2f}".format),
        std=means["std"].map("{:.2f}".format),
    )
    names = {"rate": "learning rate", "weight": "lambda", "mean": "test", "count": "seeds"}
    return "\n".join(
        [
            "## Every setting that was run\n",
            "Mean and standard deviation over its seeds, which are more where a rate was once "
            "chosen: no row of the record is left out.\n",
            shown.rename(columns=names).to_markdown(index=False, disable_numparse=True),
            "",
        ]
    )


def _line(part, losses):
    means = part.groupby("loss", observed=True)["test"].agg(["mean", "std", "count"])
    told = [
        f"{means['mean'][loss]:.2f} +- {means['std'][loss]:.2f}" if loss in means.index else ""
        for loss in losses
    ]
    reached = part.loc[part["loss"].isin(NORMS), "reached"].mean()
    return [str(means["count"].min()), *told, means["mean"].idxmax(), f"{reached:.1f}"]


def draw(rows, path):
    """Draw accuracy against the fraction of labels, a panel a set, as Figure 2."""
    from matplotlib.figure import Figure

    sets = list(rows["images"].unique())
    figure = Figure(figsize=(4.6 * len(sets), 3.6), layout="constrained")
    for ax, images in zip(np.ravel(figure.subplots(1, len(sets))), sets, strict=True):
        for i, loss in enumerate(LOSSES):
            part = rows[(rows["images"] == images) & (rows["loss"] == loss)]
            if part.empty:
                continue
            means = part.groupby("fraction")["test"].agg(["mean", "std"]).fillna(0.0)
            # Side by side, so that no bar hides another.
            places = 100.0 * means.index * 1.03 ** (i - 1)
            ax.errorbar(places, means["mean"], means["std"], label=loss, capsize=3, marker="o")
        ax.set(title=images, xlabel="labels used (% of the training rows)", xscale="log")
        ticks = sorted(100.0 * rows["fraction"].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    figure.axes[0].set_ylabel("test accuracy (%)")
    figure.axes[0].legend()
    figure.savefig(path, dpi=90)


def main():
    """Train what has no row yet, and write the tables and the figure."""
    parser = make_parser(__doc__, PRESETS)
    parser.add_argument("--images", nargs="+", choices=(*SETS, "cifar10"), help="of the preset's")
    parser.add_argument("--fractions", nargs="+", type=float, help="of the preset's (default: all)")
    parser.add_argument("--seeds", type=count, help="in place of the preset's")
    arguments = parser.parse_args()
    preset = PRESETS[arguments.preset]
    name = file_name("few_labels", arguments.preset)
    fractions, sets = arguments.fractions or list(preset.fractions), arguments.images or preset.sets
    if not set(fractions) <= set(preset.fractions):
        parser.error(f"fractions must be of {list(preset.fractions)}; got {fractions}")
    keep_committed(parser, arguments, "images", "fractions", "seeds")
    seeds = {part: range(arguments.seeds or preset.fractions[part]) for part in fractions}
    tuning = [
        _cell(images, fraction, loss, *setting, seed, preset)
        for fraction in fractions
        for images in sets
        for seed in seeds[fraction][: preset.tuning_seeds]
        for loss, settings in preset.settings.items()
        for setting in settings
    ]
    tried = do_cells(tuning, train_and_judge, arguments, name)
    chosen = choose(tried)
    cells = [
        _cell(*one, seed, preset)
        for one in chosen.itertuples(index=False)
        for seed in seeds[one.fraction]
    ]
    rows = do_cells(cells, train_and_judge, arguments, name)
    record = pd.DataFrame(read_rows(arguments.output / f"{name}.csv"))
    text = describe(rows, tried) + "\n"
    if preset.course:
        # In the place of the title and of what it says of settings.
        text = _AS_PRINTED + text.split("\n\n", 2)[2]
    text += describe_all(record)
    write_text(text, arguments.output, name)
    if not preset.course:
        draw(rows, arguments.output / f"{name}.png")


def _cell(images, fraction, loss, rate, weight, seed, preset):
    key = {"images": images, "fraction": fraction, "loss": loss, "rate": rate, "weight": weight}
    key |= {"seed": seed} | {name: getattr(preset, name) for name in _SHARED}
    return key | ({"course": preset.course} if preset.course else {})


if __name__ == "__main__":
    main()
