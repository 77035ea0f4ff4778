"""DeepSVDD on images (OCSDF App. H.1, Tables 3, 7, 10 and 12): four configurations, and attacks.

- `article`: LeNet without batch normalization, the distance to the centre (Ruff et al., 2018);
- `repository`: LeNet with batch normalization, as in the authors' repository, with its soft
  boundary, whose radius stays at 0 for the first half of the epochs;
- `PyOD`: PyOD's dense network with its own settings, but for the epochs;
- `PyOD, 4 x 512`: the same with the unconstrained dense layers of OCSDF Table 6.

`repository` is attacked, too: l2 PGD, 50 steps, three restarts, in the box of pixels, on 100 normal
and 100 other test images a class.

- ``--preset paper``: all training images, 150 + 150 epochs at 1e-4, as in the repository;
- ``--preset cpu``: 2,000 images a class, 20 + 20 epochs at 1e-3: the committed results. CIFAR-10
  has `repository` and both dense networks only;
- ``--preset smoke``: seconds, on scikit-learn's digits.

`python -m experiments.deep_svdd` does the cells that deep_svdd.csv lacks and writes that and .md;
it goes on where it was stopped. It needs `pip install 'ocsdf[experiments]'`.
"""

import time
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from experiments.common.command import file_name, keep_committed, make_parser, run_experiment
from experiments.deep_svdd_training import DeepSVDD, Effort
from experiments.image_attacks import PAPER_ATTACKED
from experiments.image_data import load_images
from experiments.images import ATTACK_RADII, digits
from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.training.domain import Box

ARTICLE, REPOSITORY, PYOD, WIDE = "article", "repository", "PyOD", "PyOD, 4 x 512"
CONFIGURATIONS = (ARTICLE, REPOSITORY, PYOD, WIDE)
_HIDDEN = {PYOD: [64, 32], WIDE: [512] * 4}
# Table 7, means; its third column is the best of ten runs of `repository`, chosen by AUROC.
PAPER = {ARTICLE: 79.8, REPOSITORY: 88.6, PYOD: 85.0}
PAPER_BEST, PAPER_CIFAR10 = 94.0, 64.8
_RADII = tuple(round(255 * radius) for radius in ATTACK_RADII)


class Preset(NamedTuple):
    """How much is spent: images a class, epochs, attacked test images of a kind, and the cells."""

    n_images: int
    effort: Effort
    n_attacked: int
    sets: dict
    classes: tuple = tuple(range(10))


PRESETS = {
    "smoke": Preset(100, Effort(2, 4, 50, 1e-3), 5, {"digits": CONFIGURATIONS}, (0,)),
    "cpu": Preset(
        2_000, Effort(20, 20, 100, 1e-3), 100,
        {"mnist": CONFIGURATIONS, "cifar10": (REPOSITORY, PYOD, WIDE)},
    ),
    "paper": Preset(
        10**9, Effort(150, 150, 200, 1e-4), 1_000,
        {"mnist": CONFIGURATIONS, "cifar10": CONFIGURATIONS},
    ),
}  # fmt: skip


class _Dense:
    """PyOD's DeepSVDD, with what an attack needs."""

    def __init__(self, hidden, n_epochs, seed):
        self._settings = {"hidden_neurons": hidden, "epochs": n_epochs, "random_state": seed}

    def fit(self, rows):
        from pyod.models.deep_svdd import DeepSVDD as PyODs

        self._detector = PyODs(n_features=rows.shape[1], verbose=0, **self._settings).fit(rows)
        return self

    def score(self, points):
        return -np.asarray(self._detector.decision_function(points), dtype=np.float64)


def run_cell(images, configuration, label, seed, preset):
    """Fit one configuration to one class, and judge it on all test images.

    Returned are ``auroc`` against all other classes; ``train_auroc``, the same of the training
    images; ``score_std``, over normal test images, as a share of the mean size: 0 is a network that
    has become constant; ``first_loss`` and ``last_loss``, by epochs (LeNet); ``attacked_R`` at R /
    255 (`repository`); ``seconds`` of the fit.
    """
    sizes = PRESETS[preset]
    train, test = digits() if images == "digits" else load_images(images)
    random_state = np.random.default_rng([seed, 1])
    normal = train.images[train.labels == label]
    normal = normal[random_state.permutation(len(normal))[: sizes.n_images]]
    rows, judged = (part.reshape(len(part), -1) for part in (normal, test.images))
    detector = _make(configuration, normal.shape[1:], sizes.effort, seed)
    begun = time.perf_counter()
    detector.fit(rows)
    seconds = time.perf_counter() - begun
    scores, other = detector.score(judged), test.labels != label
    own = detector.score(rows)
    row = {
        "auroc": 100.0 * roc_auc_score(other, -scores),
        "train_auroc": 100.0 * roc_auc_score(
            np.repeat([False, True], [len(own), other.sum()]), -np.append(own, scores[other])
        ),
        "score_std": float(scores[~other].std() / np.abs(scores[~other]).mean()),
        "seconds": seconds,
    }  # fmt: skip
    if configuration in (ARTICLE, REPOSITORY):
        row |= {"first_loss": detector.losses[0], "last_loss": detector.losses[-1]}
    if configuration == REPOSITORY:
        kinds = (np.flatnonzero(other == kind) for kind in (False, True))
        drawn = [random_state.permutation(kind)[: sizes.n_attacked] for kind in kinds]
        drawn, box = np.concatenate(drawn), Box(np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
        left = attacked_auroc(
            detector, judged[drawn], other[drawn].astype(int), (0.0, *ATTACK_RADII), domain=box,
            random_state=seed,
        )  # fmt: skip
        values = zip((0, *_RADII), left, strict=True)
        row |= {f"attacked_{radius}": 100.0 * float(value) for radius, value in values}
    return row


def _make(configuration, shape, effort, seed):
    if configuration in _HIDDEN:
        n_epochs = effort.pretrain_epochs + effort.epochs
        return _Dense(_HIDDEN[configuration], n_epochs, seed)
    in_repository = configuration == REPOSITORY
    return DeepSVDD(shape, in_repository, in_repository, effort, seed)


def describe(rows, sizes):
    """Write the tables in Markdown."""
    effort = sizes.effort
    lines = [
        "# DeepSVDD on images (OCSDF Tables 3, 7, 10 and 12)\n",
        f"One class against the rest, on all test images; AUROC in percent, "
        f"{rows['seed'].nunique()} seed(s). At most {sizes.n_images:,} training images a class, "
        f"{effort.pretrain_epochs} + "
        f"{effort.epochs} epochs in batches of {effort.batch_size} at a rate of {effort.rate:g} "
        "(the repository: all, 150 + 150 in batches of 200 at 1e-4). PyOD has as many epochs in "
        "one "
        "part, in its own batches of 32. No certificate: DeepSVDD has none.\n",
    ]
    for images, part in rows.groupby("images", sort=False):
        table = part.pivot_table("auroc", "label", "configuration", sort=False).round(1)
        table.loc["mean"] = table.mean().round(1)
        if images == "mnist":
            table.loc["paper, mean of 10 runs"] = [PAPER.get(name) for name in table.columns]
        lines += [f"## {images}\n", table.astype(str).replace("nan", "-").to_markdown(), ""]
        if images == "mnist":
            lines.append(
                f"The paper's best of ten runs of `{REPOSITORY}`, chosen by AUROC, has "
                f"{PAPER_BEST:g}; its Table 7 has no column for 4 x 512.\n"
            )
        if images == "cifar10":
            lines.append(f"The paper's best configuration has {PAPER_CIFAR10:g} in Table 3.\n")
    told = rows.groupby(["images", "configuration"], sort=False)[
        ["auroc", "train_auroc", "score_std", "first_loss", "last_loss", "seconds"]
    ].mean()
    lines += [
        "## Whether they were trained\n",
        "Means over classes. Train AUROC: of the training images against the other classes' test "
        "images. Score std: over normal test images, as a share of the mean size.\n",
        told.reset_index().to_markdown(index=False, floatfmt=".3g"),
        "",
    ]
    attacked = rows.dropna(subset=["attacked_0"]) if "attacked_0" in rows else rows[:0]
    body = []
    for images, part in attacked.groupby("images", sort=False):
        for label, row in part.groupby("label"):
            body.append([images, label, *(row[f"attacked_{r}"].mean() for r in (0, *_RADII))])
        body.append([images, "mean", *(part[f"attacked_{r}"].mean() for r in (0, *_RADII))])
        if images in PAPER_ATTACKED:
            body.append([images, "paper, mean", None, *PAPER_ATTACKED[images]])
    if body:
        table = pd.DataFrame(body, columns=["images", "class", *map(str, (0, *_RADII))])
        lines += [
            "## Under attack\n",
            f"`{REPOSITORY}`: AUROC that l2 PGD leaves (50 steps, three restarts) at radii of R / "
            f"255 in [0,1] pixel units, {sizes.n_attacked} normal and as many other test images a "
            "class.\n",
            table.to_markdown(index=False, floatfmt=".1f"),
            "",
        ]
    return "\n".join(lines)


def main():
    """Do the cells that have no row yet, then write the tables."""
    parser = make_parser(__doc__, PRESETS)
    parser.add_argument("--images", nargs="*", choices=("mnist", "cifar10"), help="only these")
    arguments = parser.parse_args()
    keep_committed(parser, arguments, "images")
    sizes = PRESETS[arguments.preset]
    cells = [
        {"images": images, "configuration": configuration, "label": label, "seed": 0}
        | {"preset": arguments.preset}
        for images, configurations in sizes.sets.items()
        if images in (arguments.images or sizes.sets)
        for configuration in configurations
        for label in sizes.classes
    ]
    name = file_name("deep_svdd", arguments.preset)
    run_experiment(cells, run_cell, arguments, name, describe, sizes)


if __name__ == "__main__":
    main()
