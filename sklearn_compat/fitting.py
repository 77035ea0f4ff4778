"""From checked points to a trained network: the part of ``fit`` that loads TensorFlow."""

from typing import NamedTuple

import keras
import numpy as np

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.networks.precision import keras_in_float32
from ocsdf.networks.translation import translate
from ocsdf.recipes.tables import (
    anchored_network,
    linear_decay,
    nearest_neighbor_margin,
)
from ocsdf.training.diagnosis import diagnose
from ocsdf.training.domain import DOMAINS
from ocsdf.training.seeds import ClearSeeds
from ocsdf.training.trainer import Settings, Trainer

_SCHEDULES = {"paper": "printed", "anchored": "even"}
_SEEDS = {"paper": "uniform", "anchored": "clear"}
_HINGE_WEIGHT = {"paper": 100.0, "anchored": 1.0}
_HIDDEN_LAYER_SIZES = {"paper": (128,) * 4, "anchored": (64,) * 3}
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
    left_out : ndarray of shape (n,)
        Scores of training points that each was left out of what it is compared with, where the
        method compares with any.
    outcome : Outcome
    messages : list of str
        What went wrong, and what to change.
    """

    network: CertifiedNetwork
    domain: object
    margin: float
    scores: object
    left_out: object
    outcome: object
    messages: list


@keras_in_float32()
def fit_network(estimator, points, views, rounding, sample_weight, random_state):
    """Train a network as an estimator's parameters say.

    Parameters
    ----------
    estimator : OCSDF
        Only its parameters are read.
    points : ndarray of shape (n_samples, n_features), float64
        Rows in the units of the certificate.
    views : Views or None
        See :func:`ocsdf.recipes.tables.anchored_network`; None where `method` is "paper".
    rounding : tuple of float
        How far points may be rounded, see :class:`ocsdf.certificate.network.CertifiedNetwork`.
    sample_weight : ndarray of shape (n_samples,) or None
    random_state : numpy.random.Generator

    Returns
    -------
    Fit
    """
    if estimator.method == "paper":
        learned = _train(estimator, points, points, sample_weight, random_state)
        network = CertifiedNetwork(learned.network, *rounding)
        scores = network.score(points)
        return Fit(network, *learned[1:3], scores, scores, *learned[3:])
    learned = []

    def train(rows, references):
        learned.append(_train(estimator, rows, references, sample_weight, random_state))
        return learned[0].network

    network, left_out = anchored_network(
        points, views, train, random_state, sample_weight, estimator.emphasis
    )
    network = CertifiedNetwork(network, *rounding)
    domain = DOMAINS[estimator.domain].from_data(points)
    _, _, margin, *outcome = learned[0]
    return Fit(network, domain, margin, network.score(points), left_out, *outcome)


class _Learned(NamedTuple):
    """A trained network as a chain of operations, and what training it took and did."""

    network: object
    domain: object
    margin: float
    outcome: object
    messages: list


def _train(estimator, points, references, sample_weight, random_state):
    """Train a network on rows; clear seeds keep their distance from some of them."""
    domain = DOMAINS[estimator.domain].from_data(points)
    margin = (
        nearest_neighbor_margin(points, _MARGIN_SHARE[estimator.method], random_state)
        if estimator.margin == "auto"
        else float(estimator.margin)
    )
    model = build_mlp(
        points.shape[1],
        _chosen(estimator, "hidden_layer_sizes", _HIDDEN_LAYER_SIZES),
        estimator.activation,
        estimator.orthogonality,
        seed=random_state.integers(2**31),
    )
    rate = _chosen(estimator, "learning_rate", _LEARNING_RATE)
    optimizer = keras.optimizers.get(
        {"class_name": estimator.optimizer, "config": {"learning_rate": rate}}
    )
    is_clear = _chosen(estimator, "seeds", _SEEDS) == "clear"
    trainer = Trainer(
        model,
        points.astype(np.float32),
        domain,
        _settings(estimator, margin),
        optimizer,
        random_state,
        sample_weight,
        ClearSeeds(references, margin, domain) if is_clear else None,
    )
    callbacks = list(estimator.callbacks or ())
    if estimator.method == "anchored":
        # Training ends where it has settled, not where the last batch threw it. First, so that a
        # callback of the user's has the last word.
        callbacks.insert(0, linear_decay(rate, trainer.epochs))
    outcome = trainer.run(callbacks, estimator.verbose)
    network = CertifiedNetwork(translate(condense(model)))
    negative_scores = network.score(trainer.uniform_negatives())
    messages = diagnose(network.score(references), negative_scores, outcome.diverged)
    return _Learned(network.network, domain, margin, outcome, messages)


def _chosen(estimator, name, automatic):
    """Return a parameter, or what the method takes where it is "auto"."""
    value = getattr(estimator, name)
    return automatic[estimator.method] if isinstance(value, str) and value == "auto" else value


def _settings(estimator, margin):
    return Settings(
        margin=margin,
        hinge_weight=float(_chosen(estimator, "hinge_weight", _HINGE_WEIGHT)),
        newton_steps=estimator.newton_steps,
        schedule=_SCHEDULES[estimator.method],
        updates_per_batch=estimator.updates_per_batch,
        epochs=estimator.epochs,
        max_steps=_chosen(estimator, "max_steps", _MAX_STEPS),
        uniform_epochs=estimator.uniform_epochs,
        batch_size=estimator.batch_size,
        min_steps_per_epoch=_MIN_STEPS_PER_EPOCH[estimator.method],
    )
