"""From checked points to a trained network: the part of ``fit`` that loads TensorFlow."""

from typing import NamedTuple

import keras
import numpy as np

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import average, build_mlp, condense
from ocsdf.networks.precision import keras_in_float32
from ocsdf.recipes.tables import (
    SHARES,
    SOFTENING,
    boundary_level,
    distance_part,
    linear_decay,
    nearest_neighbor_margin,
)
from ocsdf.training.diagnosis import diagnose
from ocsdf.training.domain import DOMAINS
from ocsdf.training.trainer import Settings, Trainer

_SCHEDULES = {"paper": "printed", "anchored": "even"}
# Two batches an epoch, as a table of 200 rows has, are too few updates to learn its boundary.
_LEARNING_RATE = {"paper": 1e-3, "anchored": 1e-2}
# Of the typical distance between neighbours. In forty epochs a large margin lets anomalies among
# the rows turn f upside down: at 1/2 the AUROC falls below 10 % on some tables, for some seeds.
_MARGIN_SHARE = {"paper": 0.05, "anchored": 0.5}
# Seconds, whatever the number of rows.
_MAX_STEPS = {"paper": None, "anchored": 300}
_MIN_STEPS_PER_EPOCH = {"paper": 1, "anchored": 10}


class Fit(NamedTuple):
    """What fitting found.

    Attributes
    ----------
    network : CertifiedNetwork
    domain : Box or Ball
    margin : float
    scores : ndarray of shape (n_samples,)
        Of the training points.
    outcome : Outcome
    messages : list of str
        What went wrong, and what to change.
    """

    network: CertifiedNetwork
    domain: object
    margin: float
    scores: object
    outcome: object
    messages: list


@keras_in_float32()
def fit_network(estimator, points, sample_weight, random_state):
    """Train a network as an estimator's parameters say.

    Parameters
    ----------
    estimator : OCSDF
        Only its parameters are read.
    points : ndarray of shape (n_samples, n_features), float64
        Standardized rows.
    sample_weight : ndarray of shape (n_samples,) or None
    random_state : numpy.random.Generator

    Returns
    -------
    Fit
    """
    domain = DOMAINS[estimator.domain].from_data(points)
    margin = (
        nearest_neighbor_margin(points, _MARGIN_SHARE[estimator.method], random_state)
        if estimator.margin == "auto"
        else float(estimator.margin)
    )
    model = build_mlp(
        points.shape[1],
        estimator.hidden_layer_sizes,
        estimator.activation,
        estimator.orthogonality,
        seed=random_state.integers(2**31),
    )
    rate = estimator.learning_rate
    rate = _LEARNING_RATE[estimator.method] if rate == "auto" else rate
    optimizer = keras.optimizers.get(
        {"class_name": estimator.optimizer, "config": {"learning_rate": rate}}
    )
    settings = _settings(estimator, margin)
    trainer = Trainer(
        model,
        points.astype(np.float32),
        domain,
        settings,
        optimizer,
        random_state,
        sample_weight,
    )
    callbacks = list(estimator.callbacks or ())
    if estimator.method == "anchored":
        # Training ends where it has settled, not where the last batch threw it. First, so that a
        # callback of the user's has the last word.
        callbacks.insert(0, linear_decay(rate, trainer.epochs))
    outcome = trainer.run(callbacks, estimator.verbose)
    network = CertifiedNetwork.from_keras(condense(model))
    scores = network.score(points)
    negative_scores = network.score(trainer.uniform_negatives())
    messages = diagnose(scores, negative_scores, outcome.diverged)
    if estimator.method == "anchored":
        softening = SOFTENING if estimator.standardize else None
        network = _anchored(network.model, points, softening, sample_weight, random_state)
        scores = network.score(points)
    return Fit(network, domain, margin, scores, outcome, messages)


def _anchored(learned, points, softening, sample_weight, random_state):
    """Average a trained network with exact distances to the rows, and set the zero."""
    distances = distance_part(points, softening, random_state, sample_weight)
    network = CertifiedNetwork.from_keras(average([learned, distances], SHARES))
    return network.shifted(-boundary_level(network.score(points)))


def _settings(estimator, margin):
    return Settings(
        margin=margin,
        hinge_weight=float(estimator.hinge_weight),
        newton_steps=estimator.newton_steps,
        schedule=_SCHEDULES[estimator.method],
        updates_per_batch=estimator.updates_per_batch,
        epochs=estimator.epochs,
        max_steps=(
            _MAX_STEPS[estimator.method] if estimator.max_steps == "auto" else estimator.max_steps
        ),
        uniform_epochs=estimator.uniform_epochs,
        batch_size=estimator.batch_size,
        min_steps_per_epoch=_MIN_STEPS_PER_EPOCH[estimator.method],
    )
