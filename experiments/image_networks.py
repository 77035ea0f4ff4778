"""A dense 1-Lipschitz network of images, trained alone: what several experiments have in common."""

from typing import NamedTuple

import keras
import numpy as np

from experiments.image_data import load_images
from ocsdf.certificate.metrics import certified_auroc
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp
from ocsdf.training.domain import Box
from ocsdf.training.keras_state import KerasState
from ocsdf.training.trainer import Settings, Trainer

# 255ths of the range of a pixel (OCSDF Table 3).
RADII = (0, 8, 16, 36, 72)
_EPOCHS = 20


class OneClass(NamedTuple):
    """Images of one class to train on, and all test images, as rows.

    `inside` tells which of those judged are of the class, and `pixel` how far a row moves at most,
    in l2, when an image of pixels in [0, 1] moves by 1.
    """

    rows: np.ndarray
    judged: np.ndarray
    inside: np.ndarray
    domain: Box
    shape: tuple
    pixel: float


def one_class(images, label, halved=False, standard="pixels"):
    """Load a class, and scale pixels.

    Halved: by means of 2 x 2 pixels. Standards: ``"pixels"`` in [0, 1]; ``"centered"`` in [-1, 1]
    (OCSDF App. H.1); ``"channels"`` of mean 0 and deviation 1 over all training images (H.2).
    """
    train, test = load_images(images)
    parts = [train.images[train.labels == label], test.images]
    mean, scale = _STANDARDS[standard](train.images)
    if halved:
        parts = [_halved(part) for part in parts]
    # A mean of four pixels has a row of norm 1/2.
    pixel = (0.5 if halved else 1.0) / float(np.min(scale)) * (1.0 + 2.0**-50)
    shape = parts[0].shape[1:]
    rows, judged = (
        ((part - mean) / scale).reshape(len(part), -1).astype(np.float64) for part in parts
    )
    corners = [((np.full(shape, end) - mean) / scale).ravel() for end in (0.0, 1.0)]
    return OneClass(rows, judged, test.labels == label, Box(*corners), shape, pixel)


def _channels(images):
    pixels = images.reshape(-1, images.shape[-1])
    # In float64, without a copy of all images.
    return pixels.mean(axis=0, dtype=np.float64), pixels.std(axis=0, dtype=np.float64)


_STANDARDS = {
    "pixels": lambda images: (np.zeros(images.shape[-1]), np.ones(images.shape[-1])),
    "centered": lambda images: (np.full(images.shape[-1], 0.5), np.full(images.shape[-1], 0.5)),
    "channels": _channels,
}


def _halved(images):
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def fit_network(
    data, settings, rate, sizes, seed, sample_seeds=None, activation="groupsort2", decay=True
):
    """Train by Algorithm 3, with a learning rate that falls linearly or stays.

    Returns the network, and the mean gradient norm on training rows.
    """
    settings = settings._replace(
        epochs=_EPOCHS,
        min_steps_per_epoch=-(-settings.max_steps // _EPOCHS),
        decaying_rate=rate if decay else None,
    )
    random_state = np.random.default_rng(seed)
    n_features = data.rows.shape[1]
    model = build_mlp(n_features, sizes, activation, seed=random_state.integers(2**31))
    state = KerasState(model, keras.optimizers.RMSprop(rate))
    points = data.rows.astype(np.float32)
    trainer = Trainer(state, points, data.domain, settings, random_state, sample_seeds=sample_seeds)
    history = trainer.run().history
    return CertifiedNetwork(state.certified()), history["gradient_norm"][-1]


def judge(network, data):
    """Return certified AUROC in percent at R / 255 in [0, 1] pixel units, as ``certified_R``."""
    scores, radii = network.score(data.judged), np.array(RADII) / 255.0
    bound = network.lipschitz_bound * data.pixel
    slack = network.largest_slack(data.judged, data.pixel * radii)
    found = certified_auroc(scores[data.inside], scores[~data.inside], radii, bound, slack=slack)
    return {f"certified_{r}": 100.0 * float(v) for r, v in zip(RADII, found, strict=True)}


def steps(n_steps, margin, hinge_weight, newton_steps, uniform_epochs=0, batch_size=128):
    """Make settings of that many batches; the first of the 20 parts may have T = 0."""
    return Settings(
        margin,
        hinge_weight,
        newton_steps=newton_steps,
        max_steps=n_steps,
        uniform_epochs=uniform_epochs,
        batch_size=batch_size,
    )
