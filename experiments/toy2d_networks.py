"""The networks of the plane: ours with seeds kept clear of the data, and a conventional one."""

import math
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning

from experiments.clear_seeds import clear_seeds
from ocsdf import OCSDF
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp
from ocsdf.networks.gradients import input_gradient
from ocsdf.training.domain import Ball
from ocsdf.training.keras_state import KerasState
from ocsdf.training.negatives import attract
from ocsdf.training.trainer import Settings, Trainer

# App. E.
HINGE_WEIGHT, NEWTON_STEPS, BATCH_SIZE = 100.0, 4, 256
# Of fit_clear: the rates with which its runs begin, each with its share of the steps, and the
# share of a run's steps with T = 0 before T = 4.
CLEAR_RUNS, CLEAR_WARM_START = {2e-2: 1.0 / 6.0, 2e-3: 1.0}, 0.8
_N_FRESH = 20_000


def fit_printed(rows, width, n_steps, margin, seed):
    """Fit ours with the settings that App. E prints, but for the width and the steps."""
    detector = OCSDF(
        "paper",
        margin=margin,
        hinge_weight=HINGE_WEIGHT,
        hidden_layer_sizes=(width,) * 4,
        newton_steps=NEWTON_STEPS,
        epochs=_epochs(n_steps, len(rows)),
        max_steps=n_steps,
        uniform_epochs=0,
        batch_size=BATCH_SIZE,
        domain="ball",
        standardize=False,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return detector.fit(rows)


def fit_clear(rows, width, n_steps, margin, seed):
    """Train 1-Lipschitz networks on seeds kept 2 m from the rows; keep that of the least risk.

    As :func:`fit_printed` but for the seeds, for a learning rate that begins higher and decays
    linearly, so that training ends where it has settled, and for a warm start with T = 0 (App.
    H.2), whose steps take a third of the time. Where a run ends depends much on its rate: of a
    short fast and a long slow one that with the lower HKR risk (Eq. 2) is kept, measured on the
    rows and on fresh seeds. The exact signed distance, which minimizes it, is not asked.
    """
    domain = Ball.from_data(rows)
    sample_seeds = clear_seeds(domain, rows, 2.0 * margin)
    fresh = sample_seeds(_N_FRESH, np.random.default_rng(seed))
    runs = []
    for rate, share in CLEAR_RUNS.items():
        n_shared = round(share * n_steps)
        network = run_clear(rows, domain, sample_seeds, width, n_shared, margin, rate, seed)
        data, negatives = network.score(rows), -network.score(fresh)
        risk = sum(
            np.mean(HINGE_WEIGHT * np.maximum(0.0, margin - part) - part)
            for part in (data, negatives)
        )
        runs.append((network, rate, float(risk)))
    return min(runs, key=lambda run: run[-1])


def run_clear(
    rows, domain, sample_seeds, width, n_steps, margin, rate, seed, updates_per_batch=1
):  # fmt: skip
    random_state = np.random.default_rng(seed)
    epochs = _epochs(n_steps, len(rows))
    settings = Settings(
        margin=margin,
        hinge_weight=HINGE_WEIGHT,
        newton_steps=NEWTON_STEPS,
        epochs=epochs,
        max_steps=n_steps,
        uniform_epochs=round(CLEAR_WARM_START * epochs),
        batch_size=BATCH_SIZE,
        decaying_rate=rate,
        updates_per_batch=updates_per_batch,
    )
    model = build_mlp(2, (width,) * 4, seed=random_state.integers(2**31))
    state = KerasState(model, keras.optimizers.RMSprop(rate))
    points = rows.astype(np.float32)
    trainer = Trainer(state, points, domain, settings, random_state, sample_seeds=sample_seeds)
    trainer.run()
    return CertifiedNetwork(state.certified())


def fit_conventional(
    rows, domain, width, n_steps, margin, seed, *, newton_steps=NEWTON_STEPS, rate=1e-3,
    initializer="GlorotUniform",
):  # fmt: skip
    """Train an unconstrained network by binary cross-entropy against its own negatives (App.
    E).

    ReLU in place of sorting, and Adam. Negatives are made as ours are: by Algorithm 1, from
    uniform seeds in B towards the level -m of the network itself; with T = 0 they stay uniform.
    """
    random_state = np.random.default_rng(seed)
    layers = [keras.Input((2,))]
    for units, activation in [(width, "relu")] * 4 + [(1, None)]:
        drawn = getattr(keras.initializers, initializer)(seed=int(random_state.integers(2**31)))
        layers.append(keras.layers.Dense(units, activation, kernel_initializer=drawn))
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train(data, seeds, eta):
        negatives = attract(model, seeds, domain, level=-margin, eta=eta, steps=newton_steps)
        points = tf.concat([data, negatives], axis=0)
        labels = tf.concat([tf.ones(len(data)), tf.zeros(len(data))], axis=0)
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, model(points)[:, 0])
            loss = tf.reduce_mean(losses)
        gradient = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradient, model.trainable_variables)

    rows = rows.astype(np.float32)
    for _ in range(n_steps):
        data = rows[random_state.integers(len(rows), size=BATCH_SIZE)]
        seeds = domain.sample(BATCH_SIZE, random_state)
        eta = random_state.random(BATCH_SIZE, dtype=np.float32)
        train(tf.constant(data), tf.constant(seeds), tf.constant(eta))
    return model


def slope_of(model):
    """Make the function that gives the norm of a model's gradient: its local Lipschitz
    constant.
    """
    gradient = input_gradient(SimpleNamespace(model=model))
    return lambda points: np.linalg.norm(gradient(points), axis=1)


def _epochs(n_steps, n_rows):
    return max(1, n_steps // math.ceil(n_rows / BATCH_SIZE))
