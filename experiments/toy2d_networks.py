"""The networks of the plane: ours, as printed and with clear seeds, and a conventional one."""

import math
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning

from ocsdf import OCSDF
from ocsdf.networks.gradients import input_gradient
from ocsdf.training.callbacks import Callback
from ocsdf.training.negatives import attract

# App. E.
HINGE_WEIGHT, NEWTON_STEPS, BATCH_SIZE = 100.0, 4, 256
# Of fit_clear: lambda, the rate with which it begins, and the share of its steps with T = 0.
CLEAR_HINGE_WEIGHT, CLEAR_RATE, CLEAR_WARM_START = 10.0, 1e-2, 0.95


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


class _DecayingRate(Callback):
    """Let the learning rate fall linearly: training ends where it has settled."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.set_learning_rate(CLEAR_RATE * (1.0 - epoch / self.params["epochs"]))


def fit_clear(rows, width, n_steps, margin, seed, updates_per_batch=1):
    """Fit ours with seeds for negatives kept 2 m from the rows (OCSDF Def. 1).

    Beside the seeds, as :func:`fit_printed` but for pairs that are sorted in place of layers, a
    smaller lambda, a learning rate that begins higher and decays, and a start with T = 0 (App.
    H.2). Chosen by trial on a square and a ring of radii 0.3 and 0.8, which are not shown.
    """
    epochs = _epochs(n_steps, len(rows))
    detector = OCSDF(
        "paper",
        seeds="clear",
        margin=margin,
        hinge_weight=CLEAR_HINGE_WEIGHT,
        hidden_layer_sizes=(width,) * 4,
        activation="groupsort2",
        newton_steps=NEWTON_STEPS,
        updates_per_batch=updates_per_batch,
        epochs=epochs,
        max_steps=n_steps,
        uniform_epochs=round(CLEAR_WARM_START * epochs),
        batch_size=BATCH_SIZE,
        learning_rate=CLEAR_RATE,
        domain="ball",
        standardize=False,
        callbacks=[_DecayingRate()],
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return detector.fit(rows)


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
