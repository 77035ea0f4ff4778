"""From rows of pixels to a network: the part of ``ImageOCSDF.fit`` that loads TensorFlow."""

from typing import NamedTuple

import keras
import numpy as np

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import average, build_mlp
from ocsdf.networks.precision import keras_in_float32
from ocsdf.recipes.image_negatives import shuffled_images
from ocsdf.recipes.images import SHARES, are_seen, cone_part
from ocsdf.recipes.tables import boundary_level
from ocsdf.training.callbacks import diagnose
from ocsdf.training.domain import Box
from ocsdf.training.keras_state import KerasState
from ocsdf.training.trainer import Settings, Trainer

_EPOCHS = 20
# Shuffled images to draw seeds from: making them anew for each batch takes longer than the batch.
# Fewer, where that many would take more than these numbers.
_N_SHUFFLED, _MOST_NUMBERS = 20_000, 2**26
# Of the images, and how many at most: no cone is around them, and they tell where others lie.
_SHARE_HELD_OUT, _MOST_HELD_OUT = 0.1, 1000


class ImageFit(NamedTuple):
    """What fitting found: the network is the mean of the trained one and the cones.

    `scores` and `left_out` are both those of the images that no cone is around; `messages` say what
    went wrong, and what to change.
    """

    network: CertifiedNetwork
    domain: Box
    margin: float
    scores: np.ndarray
    left_out: np.ndarray
    outcome: object
    messages: list


@keras_in_float32()
def fit_image_network(estimator, rows, image_shape, random_state):
    """Train a network as an estimator's parameters say, and average it with the cones.

    Rows are images in [0, 1], flat and float64; a ValueError tells, before any work, that too few
    images show anything.
    """
    n_features, n_held_out = rows.shape[1], _held_out_size(len(rows))
    n_seen = int(np.count_nonzero(are_seen(rows)))
    if n_seen <= n_held_out:
        raise ValueError(
            f"{len(rows) - n_seen} of {len(rows)} images are of one brightness, within half a grey "
            f"level: nothing is to be seen on them. Give more than {n_held_out} others."
        )
    domain = Box(np.zeros(n_features), np.ones(n_features))
    points = rows.astype(np.float32)
    images = points.reshape(-1, *image_shape)
    n_shuffled = max(1, min(_N_SHUFFLED, _MOST_NUMBERS // n_features))
    shuffled = shuffled_images(images, n_shuffled, random_state).reshape(-1, n_features)
    model = build_mlp(
        n_features,
        estimator.hidden_layer_sizes,
        "groupsort2",
        seed=random_state.integers(2**31),
    )
    trainer = Trainer(
        KerasState(model, keras.optimizers.RMSprop(estimator.learning_rate)),
        points,
        domain,
        Settings(
            margin=estimator.margin,
            hinge_weight=estimator.hinge_weight,
            newton_steps=0,
            epochs=_EPOCHS,
            max_steps=estimator.max_steps,
            uniform_epochs=0,
            batch_size=estimator.batch_size,
            min_steps_per_epoch=-(-estimator.max_steps // _EPOCHS),
            decaying_rate=estimator.learning_rate,
        ),
        random_state,
        sample_seeds=lambda n, generator: shuffled[generator.integers(len(shuffled), size=n)],
    )
    outcome = trainer.run(estimator.callbacks or (), estimator.verbose)
    learned = CertifiedNetwork(trainer.state.certified())
    messages = diagnose(learned.score(points), learned.score(shuffled[:1000]), outcome.diverged)
    drawn = random_state.permutation(len(rows))
    held_out, others = rows[drawn[:n_held_out]], rows[drawn[n_held_out:]]
    cones = cone_part(others, image_shape[2], random_state)
    network = CertifiedNetwork.from_keras(average([learned.model, cones], SHARES))
    # An image in the middle of its own cone is no measure of where others lie.
    network = network.shifted(-boundary_level(network.score(held_out)))
    scores = network.score(held_out)
    return ImageFit(network, domain, float(estimator.margin), scores, scores, outcome, messages)


def _held_out_size(n_images):
    """How many images no cone is put around."""
    return min(_MOST_HELD_OUT, max(1, int(_SHARE_HELD_OUT * n_images)))
