"""Robust training of classifiers of images, with a checkpoint after each epoch."""

import io
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from experiments.image_data import load_images
from experiments.robust_losses import PREPARE, Counted
from experiments.robust_problems import PROBLEMS
from ocsdf.utils.files import write_whole

METHODS = tuple(PREPARE)
BATCH_SIZE, RATE = 128, 1e-3
# Pixels, of augmented images.
_SHIFT = 4


def train(method, network, seed, width, n_train, epochs, iterations, folder):
    """Train a model, going on from its checkpoint if there is one.

    Returned are ``forward`` and ``backward``, passes of images through the network, for each image
    and epoch; ``loss``, the last epoch's mean; ``train`` and ``clean``, accuracy in percent on the
    training and on the 10,000 test images; ``seconds``.
    """
    problem = PROBLEMS[network]
    data, test = load_images(problem.images)
    data = data.take(np.random.default_rng(seed).permutation(len(data.labels))[:n_train])
    file = checkpoint(folder, method, network, seed, width, n_train, epochs, iterations)
    network = Counted(problem.build(width=width, seed=seed))
    n_batches = n_train // BATCH_SIZE
    schedule = keras.optimizers.schedules.CosineDecay(RATE, n_batches * epochs)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(network.model.trainable_variables)
    state = [*network.model.variables, *optimizer.variables, network.forward, network.backward]
    done = _restore(file, state)
    step = _make_step(network, method, problem, iterations, optimizer)
    for epoch in range(done["epochs"], epochs):
        started, losses = time.perf_counter(), []
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(n_train)
        for batch in order[: n_batches * BATCH_SIZE].reshape(n_batches, BATCH_SIZE):
            noise = tf.constant(rng.integers(2**31, size=2))
            images, labels = data.take(batch)
            if problem.augmented:
                images = augment(images, rng)
            losses.append(step(tf.constant(images), tf.constant(labels), noise))
        seconds = done["seconds"] + time.perf_counter() - started
        done = {"epochs": epoch + 1, "loss": float(np.mean(losses)), "seconds": seconds}
        _keep(file, state, done)
    n_passed = epochs * n_batches * BATCH_SIZE
    return {
        "forward": int(network.forward.numpy()) / n_passed,
        "backward": int(network.backward.numpy()) / n_passed,
        "train": 100.0 * float(np.mean(right(network.model, data))),
        "clean": 100.0 * float(np.mean(right(network.model, test))),
        "loss": done["loss"],
        "seconds": done["seconds"],
    }


def right(model, data):
    """Tell which images a model classifies correctly: booleans of shape (n,)."""
    logits = model.predict(data.images, batch_size=500, verbose=0)
    return logits.argmax(axis=1) == data.labels


def augment(images, rng):
    """Mirror every second image, on average, and shift each by up to four pixels, black
    outside.
    """
    n_images, height, width, _ = images.shape
    mirrored = rng.random(n_images) < 0.5
    images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    padded = np.pad(images, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)))
    top, left = rng.integers(2 * _SHIFT + 1, size=(2, n_images))
    rows = (top[:, None] + np.arange(height))[:, :, None]
    columns = (left[:, None] + np.arange(width))[:, None, :]
    return padded[np.arange(n_images)[:, None, None], rows, columns]


def checkpoint(folder, method, network, seed, width, n_train, epochs, iterations):
    """Return the file that a cell of training keeps its model in."""
    name = f"{method}-{network}-{seed}-{width:g}-{n_train}-{epochs}-{iterations}.npz"
    return Path(folder) / name


def load_model(folder, **cell):
    """Load the model that :func:`train` has kept."""
    model = PROBLEMS[cell["network"]].build(width=cell["width"])
    file = checkpoint(folder, **cell)
    if not file.exists():
        raise FileNotFoundError(
            f"there is no {file}: remove the row of this training, and the model is trained again"
        )
    _restore(file, model.variables)
    return model


def _make_step(network, method, problem, iterations, optimizer):
    """Make the function that trains on a batch, and returns the loss."""
    variables = network.model.trainable_variables

    @tf.function
    def step(images, labels, noise):
        mean = PREPARE[method](network, images, labels, noise, iterations, problem)
        with tf.GradientTape() as tape:
            loss = mean()
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step


def _keep(file, state, done):
    file.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, *(np.asarray(variable) for variable in state), done=json.dumps(done))
    write_whole(file, buffer.getvalue())


def _restore(file, state):
    """Fill the first variables of a checkpoint, and return how far it has got."""
    if not file.exists():
        return {"epochs": 0, "loss": np.nan, "seconds": 0.0}
    with np.load(file) as kept:
        for i, variable in enumerate(state):
            variable.assign(kept[f"arr_{i}"])
        return json.loads(str(kept["done"]))
