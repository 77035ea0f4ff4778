"""The paper's own network on images: one-versus-rest, certified AUROC (OCSDF Sec. 5.3, App. H).

The network of Table 6, trained by Algorithm 3 with the settings of App. H.1 (MNIST) and H.2
(CIFAR-10): RMSprop with a linear learning-rate decay, one seventh (ninth) of the epochs with
uniform negatives. Beside it, trained alike, a network whose gradient has norm 1: space-to-depth and
orthogonal mixing (`downsampling`). Every bound is made sound when training ends, each layer being
divided by its float64 bound, and scores are computed in float64, where rounding is negligible.

The preset `cpu` is not the paper's: channels / 4, batches of 32, 300 steps, T = 2 with negatives
that persist, 5 % of them drawn anew at each step. Radii are l2 in [0,1] pixel units; the paper,
which scales MNIST to [-1,1], does not say which units its radii have, so both readings are given.
Newton steps are as printed, so that they may cross their level where f bends (see
ocsdf.training.newton).

`python -m experiments.paper_images` does the cells that paper_images_PRESET.csv lacks, and writes
that, .md and .png. It goes on where it was stopped.
"""

import math
import time
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from experiments.common.command import make_parser, run_experiment
from experiments.image_data import load_images
from ocsdf.certificate.metrics import certified_auroc
from ocsdf.networks.builders import condense
from ocsdf.networks.convnets import build_convnet, build_downsampling_net, condense_convnet
from ocsdf.networks.gradients import input_gradient
from ocsdf.networks.lipschitz import float_error, network_bound
from ocsdf.training.domain import Box
from ocsdf.training.losses import hkr
from ocsdf.training.negatives import attract

# 255ths of the range of a pixel.
RADII = (0, 8, 16, 36, 72)
# Table 3: mean of the ten digits, of the ten classes.
PAPER = {"mnist": (95.5, 93.2, 89.9, 78.4, 57.5), "cifar10": (57.4, 53.1, 48.8, 38.4, 22.5)}
NETWORKS = ("table 6", "downsampling")
_ROWS, _GRADIENT_ROWS = 250, 256


class Settings(NamedTuple):
    """How a network is trained on the images of one class; m is in the units of the scaled image.

    Learning rates are those at the first step and at the last, linear in between; the first
    `uniform_epochs` have T = 0, and `n_steps` stands in the place of what the epochs make.
    `centered_half` scales pixels to [-1, 1]; else each channel has mean 0 and standard deviation 1
    over all training images, of every class (App. H.2). `width` is a factor of the channels of
    Table 6, and `restarted` the share of the negatives' seeds drawn anew at each step, 1 being the
    paper's.
    """

    dataset: str
    margin: float
    hinge_weight: float
    newton_steps: int
    epochs: int
    uniform_epochs: int
    learning_rates: tuple
    centered_half: bool
    width: float = 1.0
    batch_size: int = 128
    restarted: float = 1.0
    n_steps: int | None = None


_H1 = Settings("mnist", 0.79, 200.0, 16, 70, 10, (1e-3, 1e-6), True)
_H2 = Settings("cifar10", 0.11, 1000.0, 32, 90, 10, (2.5e-4, 2.5e-7), False)
_PERSISTENT = {"newton_steps": 2, "restarted": 0.05}
PRESETS = {
    "smoke": _H1._replace(width=1 / 16, batch_size=8, n_steps=7, **_PERSISTENT),
    "cpu": _H1._replace(width=1 / 4, batch_size=32, n_steps=300, **_PERSISTENT),
    "paper": _H1,
    "paper_cifar10": _H2,
}
CLASSES = {"smoke": (0,), "cpu": (0, 2, 8), "paper": range(10), "paper_cifar10": range(10)}


def run_cell(preset, network, digit, seed):
    """Train on the training images of one class, and judge on all test images.

    Returned are ``certified_R``, in percent, at R / 255 in [0,1] pixel units, and ``printed_R``, in
    the units of the scaled image; ``gradient_norm``, mean over training images, per unit of the
    scaled image, of a network whose bound is at most 1; ``bound``, Lipschitz constant per [0,1]
    pixel unit; ``slack``, bound of a score's rounding error; ``inside``, share of the class's test
    images with f > 0, in percent; ``seconds`` of training.
    """
    settings = PRESETS[preset]
    train, test = load_images(settings.dataset)
    images = train.images[train.labels == digit]
    shape = images.shape[1:]
    mean, scale = _scaling(train.images, settings.centered_half)
    points, judged = (_rows(part, mean, scale) for part in (images, test.images))
    corners = [_rows(np.full((1, *shape), end), mean, scale)[0] for end in (0.0, 1.0)]
    model = _build(network, shape, settings.width, seed)
    begun = time.perf_counter()
    train_network(model, points, Box(*corners), settings, seed)
    seconds = time.perf_counter() - begun
    model = (condense_convnet if network == NETWORKS[0] else condense)(model)
    constant, slope = float_error(model)
    slack = constant + slope * np.linalg.norm(judged, axis=1).max()
    scores, is_normal = scores_in_float64(model, judged), test.labels == digit
    per_unit = network_bound(model)
    row = {}
    for name, bound in (("certified", per_unit / scale.min()), ("printed", per_unit)):
        radii = np.array(RADII) / 255.0
        found = certified_auroc(scores[is_normal], scores[~is_normal], radii, bound, slack=slack)
        row |= {f"{name}_{r}": 100.0 * float(v) for r, v in zip(RADII, found, strict=True)}
    gradients = input_gradient(_Network(model))(points[:_GRADIENT_ROWS])
    return row | {
        "gradient_norm": float(np.linalg.norm(gradients, axis=1).mean()),
        "bound": float(per_unit / scale.min()),
        "slack": float(slack),
        "inside": 100.0 * float(np.mean(scores[is_normal] > 0.0)),
        "seconds": seconds,
    }


def train_network(model, points, domain, settings, seed):
    """Train in place by Algorithm 3, with negatives that may persist."""
    random_state = np.random.default_rng(seed)
    size = min(settings.batch_size, len(points))
    n_steps = settings.n_steps or settings.epochs * math.ceil(len(points) / size)
    n_uniform = round(n_steps * settings.uniform_epochs / settings.epochs)
    update = _updating(model, domain, settings, n_steps)
    losses, order = np.empty(n_steps), np.empty(0, dtype=int)
    negatives = domain.sample(size, random_state)
    for step in range(n_steps):
        if len(order) < size:
            order = random_state.permutation(len(points))
        rows, order = order[:size], order[size:]
        # Where T = 0 nothing moves: what is kept would be the same points again.
        share = settings.restarted if step >= n_uniform else 1.0
        anew = random_state.random((size, 1)) < share
        seeds = np.where(anew, domain.sample(size, random_state), negatives)
        eta = random_state.random(size, dtype=np.float32)
        newton_steps = settings.newton_steps if step >= n_uniform else 0
        loss, moved = update(
            *map(tf.constant, (points[rows], seeds, eta)), tf.constant(newton_steps)
        )
        losses[step], negatives = float(loss), moved.numpy()
    return losses


def _updating(model, domain, settings, n_steps):
    """Trace one step of training."""
    decay = keras.optimizers.schedules.PolynomialDecay(
        settings.learning_rates[0], n_steps, settings.learning_rates[1]
    )
    optimizer = keras.optimizers.RMSprop(decay)
    optimizer.build(model.trainable_variables)
    variables = model.trainable_variables

    @tf.function
    def update(data, seeds, eta, newton_steps):
        # Without a guard, as printed: where f is flat, one for slopes of 1 lets nothing move.
        negatives = attract(
            model,
            seeds,
            domain,
            level=-settings.margin,
            eta=eta,
            steps=newton_steps,
            lipschitz=None,
        )
        inside = tf.ones(tf.shape(data)[0])
        labels = tf.concat([inside, -inside], axis=0)
        with tf.GradientTape() as tape:
            scores = model(tf.concat([data, negatives], axis=0), training=True)[:, 0]
            losses = hkr(labels, scores, settings.margin, settings.hinge_weight)
            loss = 2.0 * tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, negatives

    return update


def scores_in_float64(model, points):
    """Evaluate a network with its weights in float64, in batches of one size."""
    layers = [keras.Input(model.input_shape[1:], dtype="float64")]
    layers += [
        type(layer).from_config(layer.get_config() | {"dtype": "float64"}) for layer in model.layers
    ]
    exact = keras.Sequential(layers)
    exact.set_weights(model.get_weights())
    padded = np.zeros((-(-len(points) // _ROWS) * _ROWS, points.shape[1]))
    padded[: len(points)] = points
    return exact.predict(padded, batch_size=_ROWS, verbose=0)[: len(points), 0]


class _Network:
    """A model as what gradients are taken of."""

    def __init__(self, model):
        self.model = model


def _build(network, shape, width, seed):
    if network == NETWORKS[0]:
        return build_convnet(shape, width=width, seed=seed)
    return build_downsampling_net(shape, seed=seed)


def _scaling(images, centered_half):
    """Return what is taken from each channel, and what it is then divided by."""
    if centered_half:
        return np.full(images.shape[-1], 0.5), np.full(images.shape[-1], 0.5)
    pixels = images.reshape(-1, images.shape[-1]).astype(np.float64)
    return pixels.mean(axis=0), pixels.std(axis=0)


def _rows(images, mean, scale):
    return ((images - mean) / scale).reshape(len(images), -1).astype(np.float32)


def describe(rows, preset):
    """Write the results as Markdown."""
    settings = PRESETS[preset]
    lines = [
        f"# Certified AUROC on {settings.dataset}, preset `{preset}`\n",
        f"In percent, at l2 radii of R / 255; one class against the rest, {rows['seed'].nunique()} "
        "seed(s), all test images. `gradient_norm`: mean over training images, where 1 is the most "
        "that the certificate allows. Scores in float64.\n",
    ]
    for name, units in (("certified", "[0,1] pixel units"), ("printed", "the scaled image")):
        columns = {f"{name}_{r}": f"{r}" for r in RADII}
        if name == "certified":
            columns |= {"gradient_norm": "gradient norm", "inside": "inside", "seconds": "s"}
        found = rows.groupby(["network", "digit"], sort=False)[list(columns)].mean()
        means = found.groupby("network", sort=False).mean()
        means.index = pd.MultiIndex.from_product([means.index, ["mean"]], names=found.index.names)
        shown = pd.concat([found, means]).rename(columns=columns).reset_index()
        lines += [f"## Radii in units of {units}\n", shown.to_markdown(index=False, floatfmt=".3g")]
        lines.append("")
    ran = set(zip(rows["network"], rows["digit"], strict=True))
    missing = {
        network: [str(digit) for digit in CLASSES[preset] if (network, digit) not in ran]
        for network in NETWORKS
    }
    lines += [
        f"Not run: the network `{network}` on the classes {', '.join(digits)}."
        for network, digits in missing.items()
        if digits
    ]
    if settings.dataset in PAPER:
        printed = ", ".join(f"{value:g}" for value in PAPER[settings.dataset])
        lines.append(f"OCSDF Table 3, mean of all ten classes, at the same R: {printed}.")
    return "\n".join([*lines, ""])


def draw(rows, preset, path):
    """Draw certified AUROC against the radius, a panel a network."""
    from matplotlib.figure import Figure

    networks = list(rows["network"].unique())
    figure = Figure(figsize=(4.6 * len(networks), 3.8), layout="constrained")
    axes = figure.subplots(1, len(networks), squeeze=False)[0]
    for ax, network in zip(axes, networks, strict=True):
        found = rows[rows["network"] == network].groupby("digit").mean(numeric_only=True)
        for index, (digit, row) in enumerate(found.iterrows()):
            curve = [row[f"certified_{r}"] for r in RADII]
            ax.plot(RADII, curve, "o-", color=f"C{index}", markersize=3, label=f"class {digit}")
        if PRESETS[preset].dataset in PAPER:
            printed = PAPER[PRESETS[preset].dataset]
            ax.plot(RADII, printed, "k--", label="OCSDF Table 3, ten classes")
        ax.set(title=network, ylim=(0.0, 102.0), xlabel="l2 radius, 255ths of a pixel's range")
        ax.set_ylabel("certified AUROC (%)")
        ax.grid(alpha=0.3)
        ax.legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=80)


def main():
    """Train what has no row yet, and write the table and the figure."""
    parser = make_parser(__doc__, PRESETS)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    arguments = parser.parse_args()
    cells = [
        {"preset": arguments.preset, "network": network, "digit": digit, "seed": seed}
        for seed in range(arguments.seeds)
        for network in arguments.networks
        for digit in CLASSES[arguments.preset]
    ]
    name = f"paper_images_{arguments.preset}"
    rows = run_experiment(cells, run_cell, arguments, name, describe, arguments.preset)
    draw(rows, arguments.preset, arguments.output / f"{name}.png")


if __name__ == "__main__":
    main()
