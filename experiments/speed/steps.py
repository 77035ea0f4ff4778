"""Seconds of a training step: ours, the reference's two forms, and the bare matrix products.

All take turns in one run; what counts are the ratios within a round. The reference's step is that
of deel-lip's layers, see ``experiments.speed.reference``.
"""

import time

import keras
import numpy as np
from rich.progress import track

from experiments.speed.products import bare_seconds, flops, products
from experiments.speed.reference import FORMS, ReferenceProcess
from experiments.speed.suite import REFERENCE, figure_of, judge, spans, spread
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.training.domain import Box
from ocsdf.training.keras_state import KerasState
from ocsdf.training.trainer import Settings, Trainer

NAME, ROUNDS, REQUIRES = "steps", 5, (REFERENCE,)
N_FEATURES, DEPTH, BATCH, NEWTON_STEPS, MARGIN = 20, 4, 128, 4, 0.05
# The paper's width, which is judged, and the default one.
WIDTHS = (512, 128)
ACTIVATIONS = ("fullsort", "groupsort2")
OURS, BARE = "ours", "bare products"
SECONDS, DEVIATION = "seconds a step", "largest |sigma - 1|"
TRAINING, CONDENSED = "in training", "condensed"


def run(rounds, folder, widths=WIDTHS, our_steps=20, reference_steps=6, watched_steps=30):
    """Time the steps in turn, and watch the kernels' singular values."""
    rows = []
    for width in widths:
        for activation in ACTIVATIONS:
            rows += _timed_in_turn(width, activation, rounds, our_steps, reference_steps)
            rows += _watched(width, activation, watched_steps)
    return rows


def _timed_in_turn(width, activation, rounds, our_steps, reference_steps):
    points = np.random.default_rng(0).normal(size=(our_steps * BATCH, N_FEATURES))
    points = points.astype(np.float32)
    box = Box.from_data(points)
    trainer = _trainer(points, width, activation, Settings(margin=MARGIN, epochs=1))
    counts = products([N_FEATURES, *[width] * DEPTH, 1], BATCH, NEWTON_STEPS)
    settings = {"margin": MARGIN, "width": width, "activation": activation}
    rows = []
    with (
        ReferenceProcess(points, box.lower, box.upper, form=FORMS[0], **settings) as authors,
        ReferenceProcess(points, box.lower, box.upper, form=FORMS[1], **settings) as kindest,
    ):
        forms = {FORMS[0]: authors, FORMS[1]: kindest}
        trainer.run()
        for turn in track(range(rounds), description=f"steps: {width} {activation}, rounds"):
            seconds = {OURS: _seconds_a_step(trainer)}
            for form, process in forms.items():
                seconds[form] = process.train(reference_steps, NEWTON_STEPS) / reference_steps
            seconds[BARE] = bare_seconds(counts)
            at = {"quantity": SECONDS, "width": width, "activation": activation, "round": turn}
            rows += [{**at, "method": name, "value": value} for name, value in seconds.items()]
    return rows


def _seconds_a_step(trainer):
    start = time.perf_counter()
    trainer.run()
    return (time.perf_counter() - start) / trainer.steps_per_epoch


def _trainer(points, width, activation, settings):
    """Make our trainer with the settings of method="paper", and no uniform epochs."""
    settings = settings._replace(uniform_epochs=0, batch_size=BATCH, newton_steps=NEWTON_STEPS)
    model = build_mlp(N_FEATURES, (width,) * DEPTH, activation, seed=0)
    domain, random_state = Box.from_data(points), np.random.default_rng(0)
    state = KerasState(model, keras.optimizers.RMSprop(1e-3))
    return Trainer(state, points, domain, settings, random_state)


def _watched(width, activation, n_steps):
    """Note after each step, and after condensing, how far the kernels are from orthogonal."""
    points = np.random.default_rng(0).normal(size=(10 * BATCH, N_FEATURES)).astype(np.float32)
    settings = Settings(margin=MARGIN, epochs=n_steps, max_steps=n_steps)
    trainer = _trainer(points, width, activation, settings)
    values = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: values.append(deviation(trainer.state.model))
    )
    trainer.run([watch])
    at = {"quantity": DEVIATION, "width": width, "activation": activation}
    rows = [
        {**at, "round": step, "method": TRAINING, "value": value}
        for step, value in enumerate(values)
    ]
    polished = deviation(condense(trainer.state.model))
    return [*rows, {**at, "round": n_steps, "method": CONDENSED, "value": polished}]


def deviation(model):
    """Return the largest abs(sigma - 1) over the kernels' singular values, in float64."""
    kernels = [
        keras.ops.convert_to_numpy(layer.kernel).astype(np.float64)
        for layer in model.layers
        if isinstance(layer, keras.layers.Dense)
    ]
    return max(np.abs(np.linalg.svd(k, compute_uv=False) - 1.0).max() for k in kernels)


def verdicts(table):
    """Judge the targets at the paper's width."""
    found = []
    for activation, least in zip(ACTIVATIONS, (10.0, 13.0), strict=True):
        seconds = _seconds(table, WIDTHS[0], activation)
        kindest = spread(seconds["kindest"] / seconds[OURS])
        name = f"{activation} steps a second / the authors' form"
        ratios = seconds["authors"] / seconds[OURS]
        found.append(judge(name, ratios, least=least, note=f"/ the kindest form: {kindest}"))
    found.append(
        judge("groupsort2, share of the bare-matmul rate", seconds[BARE] / seconds[OURS], least=0.7)
    )
    wide = table[(table["quantity"] == DEVIATION) & (table["width"] == WIDTHS[0])]
    for method, most in ((TRAINING, 2e-2), (CONDENSED, 1e-6)):
        values = wide[wide["method"] == method].groupby("activation")["value"].max()
        # The worst of all steps is what is bounded, not the typical one.
        found.append(judge(f"orthogonality {method}, worst", [values.max()], most=most))
    return found


def describe(table):
    """Tell seconds, rates and ratios of each width and activation."""
    lines = []
    for width, activation in _settings(table):
        seconds = _seconds(table, width, activation)
        gigaflop = flops(products([N_FEATURES, *[width] * DEPTH, 1], BATCH, NEWTON_STEPS)) / 1e9
        times = ", ".join(f"{name} {spread(1e3 * seconds[name])}" for name in seconds)
        ratios = ", ".join(f"{name} {spread(seconds[name] / seconds[OURS])}" for name in FORMS)
        rate, share = gigaflop / seconds[BARE], seconds[BARE] / seconds[OURS]
        lines += [
            f"4x{width} {activation}, milliseconds a step: {times}",
            f"  times ours: {ratios}; {gigaflop:.3g} GFLOP, bare GFLOP/s {spread(rate)}, "
            f"our share of it {spread(share)}",
        ]
    watched = table[table["quantity"] == DEVIATION].groupby(["width", "activation", "method"])
    worst = watched["value"].max().unstack().map("{:.1e}".format)
    return "\n".join([*lines, "Worst |sigma - 1|:", worst.to_string()])


def draw(table):
    """Draw a step's seconds by width and activation."""
    settings = _settings(table)
    figure, axes = figure_of(len(settings) // len(ACTIVATIONS), len(ACTIVATIONS))
    for ax, (width, activation) in zip(axes, settings, strict=True):
        seconds = _seconds(table, width, activation)
        spans(ax, {name: seconds[name] for name in seconds}, "seconds a step")
        ax.set_title(f"4x{width}, {activation}")
    return figure


def _settings(table):
    columns = table[["width", "activation"]].drop_duplicates()
    return list(columns.itertuples(index=False, name=None))


def _seconds(table, width, activation):
    """Seconds a step: a row a round, a column a method."""
    chosen = (table["width"] == width) & (table["activation"] == activation)
    chosen &= table["quantity"] == SECONDS
    return table[chosen].pivot(index="round", columns="method", values="value")
