"""From checked points to a trained network; Keras is loaded where NumPy does not do alone."""

from contextlib import nullcontext
from copy import deepcopy
from typing import NamedTuple

import numpy as np

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.recipes.tables import MOST_REFERENCES, anchored_network, nearest_neighbor_margin
from ocsdf.training.callbacks import diagnose, is_of_keras
from ocsdf.training.domain import DOMAINS
from ocsdf.training.numpy_state import NumpyState, initial_weights
from ocsdf.training.seeds import ClearSeeds
from ocsdf.training.trainer import Settings, Trainer

_SCHEDULES = {"paper": "printed", "anchored": "even"}
_SEEDS = {"paper": "uniform", "anchored": "clear"}
# Seeds that break dependencies between features, as rows that swap some with another row.
_SHARE_SWAPPED = {"paper": 0.0, "anchored": 0.3}
_HINGE_WEIGHT = {"paper": 100.0, "anchored": 3.0}
_HIDDEN_LAYER_SIZES = {"paper": (128,) * 4, "anchored": (64,) * 3}
_ACTIVATION = {"paper": "fullsort", "anchored": "groupsort2"}
# Two batches an epoch, as a table of 200 rows has, are too few updates to learn its boundary.
_LEARNING_RATE = {"paper": 1e-3, "anchored": 1e-2}
# Of the typical distance between neighbours. In the forty epochs of "paper" a large margin lets
# anomalies among the rows turn f upside down: at 1/2 the AUROC is below 10 % on some tables.
_MARGIN_SHARE = {"paper": 0.05, "anchored": 1.0}
# Seconds, whatever the number of rows.
_MAX_STEPS = {"paper": None, "anchored": 300}
_MIN_STEPS_PER_EPOCH = {"paper": 1, "anchored": 10}


class Fit(NamedTuple):
    """What fitting found.

    `scores` are those of the training points, None where `contamination` is "auto", which asks for
    none; `left_out` those of points that each was left out of what it is compared with, where the
    method compares. `messages` say what went wrong, and what to change.
    """

    network: CertifiedNetwork
    domain: object
    margin: float
    scores: object
    left_out: object
    outcome: object
    messages: list


def fit_network(estimator, points, views, rounding, sample_weight, random_state, is_core, is_code):
    """Train a network as an estimator's parameters say; only these are read.

    `points` are float64 rows in the units of the certificate, and `rounding` how far they may be
    rounded (:class:`ocsdf.certificate.network.CertifiedNetwork`); for `views`, None under "paper",
    and `is_core` see :func:`ocsdf.recipes.tables.anchored_network` and
    :func:`ocsdf.recipes.tables.core_rows`. `is_code` marks codes of categories.
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

    contamination = estimator.contamination
    share = None if isinstance(contamination, str) else contamination
    network, left_out = anchored_network(
        points,
        views,
        train,
        random_state,
        sample_weight,
        estimator.emphasis,
        share,
        is_core,
        is_code,
    )
    network = CertifiedNetwork(network, *rounding)
    domain = DOMAINS[estimator.domain].from_data(points)
    _, _, margin, *outcome = learned[0]
    if share is not None or len(points) > MOST_REFERENCES:
        # Rows that are no references score lower than those that are, and do not lie apart.
        scores = left_out
    else:
        scores = None if contamination == "auto" else network.score(points)
    return Fit(network, domain, margin, scores, left_out, *outcome)


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
    is_clear = _chosen(estimator, "seeds", _SEEDS) == "clear"

    def clear_seeds():
        return ClearSeeds(references, margin, domain, _SHARE_SWAPPED[estimator.method])

    if is_clear and estimator.margin == "auto":
        # Of few distinct rows, all of B may be near; a copy, so that seeds are drawn as ever.
        while not clear_seeds().has_room(deepcopy(random_state)):
            margin /= 2.0
    with _precision(estimator):
        trainer = Trainer(
            _state(estimator, points.shape[1], random_state.integers(2**31)),
            points.astype(np.float32),
            domain,
            _settings(estimator, margin),
            random_state,
            sample_weight,
            clear_seeds() if is_clear else None,
        )
        outcome = trainer.run(estimator.callbacks or (), estimator.verbose)
        network = CertifiedNetwork(trainer.state.certified())
    negative_scores = network.score(trainer.uniform_negatives())
    messages = diagnose(network.score(references), negative_scores, outcome.diverged)
    return _Learned(network.network, domain, margin, outcome, messages)


def _precision(estimator):
    """Have Keras compute in float32, where it does."""
    if not _needs_model(estimator):
        return nullcontext()
    from ocsdf.networks.precision import keras_in_float32

    return keras_in_float32()


def _needs_model(estimator):
    """Tell whether a Keras model is trained: NumPy cannot, or a GPU can train the paper's."""
    if (
        estimator.optimizer.lower() != "rmsprop"
        or estimator.orthogonality != "projection"
        or any(map(is_of_keras, estimator.callbacks or ()))
    ):
        return True
    if estimator.method != "paper":
        return False
    from ocsdf.training.keras_state import has_gpu

    return has_gpu()


def _state(estimator, n_features, seed):
    """Make the network to train, and its optimizer; initial weights are the same either way."""
    sizes = _chosen(estimator, "hidden_layer_sizes", _HIDDEN_LAYER_SIZES)
    rate = _chosen(estimator, "learning_rate", _LEARNING_RATE)
    activation = _chosen(estimator, "activation", _ACTIVATION)
    if estimator.activation == "auto" and any(size % 2 for size in sizes):
        activation = "fullsort"
    if estimator.method == "paper":
        # Keras draws them, as it did for the tables of the papers' reproduction.
        from ocsdf.networks.builders import initial_weights as draw
    else:
        draw = initial_weights
    weights = draw(n_features, sizes, seed)
    if not _needs_model(estimator):
        return NumpyState(weights, activation, rate)
    import keras

    from ocsdf.networks.builders import build_mlp
    from ocsdf.training.keras_state import KerasState

    model = build_mlp(n_features, sizes, activation, estimator.orthogonality, seed)
    if estimator.orthogonality == "projection":
        model.set_weights(weights)
    optimizer = keras.optimizers.get(
        {"class_name": estimator.optimizer, "config": {"learning_rate": rate}}
    )
    return KerasState(model, optimizer)


def _chosen(estimator, name, automatic):
    """Return a parameter, or what the method takes where it is "auto"."""
    value = getattr(estimator, name)
    return automatic[estimator.method] if isinstance(value, str) and value == "auto" else value


def _settings(estimator, margin):
    rate = _chosen(estimator, "learning_rate", _LEARNING_RATE)
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
        # Training ends where it has settled, not where the last batch threw it.
        decaying_rate=rate if estimator.method == "anchored" else None,
    )
