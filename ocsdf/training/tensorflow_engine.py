"""The traced computation of training: one for each architecture, whatever table it trains on."""

import functools
import json
import threading
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ocsdf.training.losses import hkr, measure
from ocsdf.training.negatives import attract
from ocsdf.utils.forks import check_not_stuck

_MOST_GRAPHS = 16


class Batches(NamedTuple):
    """What a number of training steps work on.

    Attributes
    ----------
    data : ndarray of shape (n_steps, batch_size, n_features), float32
        Training rows.
    seeds : ndarray of shape (n_steps, batch_size, n_features), float32
        Where negatives start, in B.
    eta : ndarray of shape (n_steps, batch_size), float32
        Their learning rates, see :func:`ocsdf.training.negatives.attract`.
    """

    data: np.ndarray
    seeds: np.ndarray
    eta: np.ndarray


def training_graph(model, optimizer, domain_class, schedule, updates_per_batch):
    """Find the graph that trains networks like this one, or trace it."""
    layers = [keras.layers.serialize(layer) for layer in model.layers]
    for index, layer in enumerate(layers):
        # What does not change the computation must not change the key.
        layer["config"]["name"] = f"layer_{index}"
        if "kernel_initializer" in layer["config"]:
            layer["config"]["kernel_initializer"] = "zeros"
    description = keras.optimizers.serialize(optimizer)
    description["config"]["name"] = "optimizer"
    if isinstance(description["config"]["learning_rate"], float):
        description["config"]["learning_rate"] = 0.0
    return _cached_graph(
        model.input_shape[1],
        json.dumps(layers),
        json.dumps(description),
        domain_class,
        schedule,
        updates_per_batch,
    )


@functools.lru_cache(_MOST_GRAPHS)
def _cached_graph(n_features, layers, optimizer, domain_class, schedule, updates_per_batch):
    layers = [keras.layers.deserialize(layer) for layer in json.loads(layers)]
    model = keras.Sequential([keras.Input((n_features,)), *layers])
    optimizer = keras.optimizers.deserialize(json.loads(optimizer))
    return TrainingGraph(model, optimizer, domain_class, schedule, updates_per_batch)


def variables_of(model, optimizer):
    """List the variables that training changes, in the order that a graph takes them."""
    return [*model.variables, *optimizer.variables]


class TrainingGraph:
    """Trains on any batches, from given values of the variables to new ones.

    A call depends on its arguments alone. The graph works on variables of its own, so fits in
    several threads take turns.

    Parameters
    ----------
    model : keras.Sequential
        Its weights are overwritten.
    optimizer : keras.optimizers.Optimizer
        Its state is overwritten.
    domain_class : {Box, Ball}
    schedule : {"printed", "even"}
    updates_per_batch : int or "converged"
    """

    def __init__(self, model, optimizer, domain_class, schedule, updates_per_batch):
        check_not_stuck("Training by TensorFlow")
        # Algorithm 2 attracts negatives with the network of the last outer step.
        alternating = updates_per_batch == "converged"
        optimizer.build(model.trainable_variables)
        self._model = model
        self._attractor = keras.models.clone_model(model) if alternating else model
        self._optimizer = optimizer
        self._domain_class = domain_class
        self._schedule = schedule
        self._n_updates = 1 if alternating else updates_per_batch
        self._variables = variables_of(model, optimizer)
        self._attractor_variables = self._attractor.variables if alternating else []
        example = domain_class.from_data(np.zeros((2, model.input_shape[1])))
        self._domain_names = list(example.arrays())
        n_features = model.input_shape[1]
        # A concrete function is not traced again, whatever else TensorFlow runs.
        self._run = tf.function(self._train).get_concrete_function(
            [tf.TensorSpec(v.shape, v.dtype) for v in self._variables],
            [tf.TensorSpec(v.shape, v.dtype) for v in self._attractor_variables],
            [tf.TensorSpec(np.shape(array)) for array in example.arrays().values()],
            Batches(
                tf.TensorSpec((None, None, n_features)),
                tf.TensorSpec((None, None, n_features)),
                tf.TensorSpec((None, None)),
            ),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec(()),
            tf.TensorSpec(()),
        )
        self._gradient_norm = tf.function(self._mean_gradient_norm).get_concrete_function(
            [tf.TensorSpec(v.shape, v.dtype) for v in self._variables],
            tf.TensorSpec((None, n_features)),
        )
        self._lock = threading.Lock()

    def run(self, values, attractor, domain, batches, newton_steps, margin, hinge_weight):
        """Train on batches.

        Parameters
        ----------
        values : list of ndarray
            Of the variables in :func:`variables_of` the fit's model and optimizer.
        attractor : list of ndarray
            Weights of the network that attracts negatives under Algorithm 2; else empty.
        domain : Box or Ball
            B.
        batches : Batches
        newton_steps : int
            T; 0 leaves negatives where they are drawn.
        margin, hinge_weight : float
            m and lambda.

        Returns
        -------
        values : list of array or tensor
            After the last batch.
        sums : ndarray of shape (3,)
            See :func:`ocsdf.training.losses.measure`; where a batch has several updates, of the
            last.
        """
        arrays = [tf.constant(array) for array in domain.arrays().values()]
        with self._lock:
            values, sums = self._run(
                [tf.constant(value) for value in values],
                [tf.constant(value) for value in attractor],
                arrays,
                Batches(*(tf.constant(array) for array in batches)),
                tf.constant(newton_steps),
                tf.constant(margin, tf.float32),
                tf.constant(hinge_weight, tf.float32),
            )
        return values, sums.numpy()

    def gradient_norm(self, values, points):
        """Average the norm of f's gradient.

        Parameters
        ----------
        values : list of ndarray
            As for :meth:`run`.
        points : ndarray of shape (n, n_features), float32

        Returns
        -------
        float
        """
        with self._lock:
            norm = self._gradient_norm(
                [tf.constant(value) for value in values], tf.constant(points)
            )
        return float(norm)

    def _train(self, values, attractor, arrays, batches, newton_steps, margin, hinge_weight):
        """Trace the computation of :meth:`run`."""
        _assign(self._variables, values)
        _assign(self._attractor_variables, attractor)
        domain = self._domain_class(**dict(zip(self._domain_names, arrays, strict=True)))
        sums = tf.zeros(3)
        for step in tf.range(tf.shape(batches.data)[0]):
            negatives = attract(
                self._attractor,
                batches.seeds[step],
                domain,
                level=-margin,
                eta=batches.eta[step],
                steps=newton_steps,
                schedule=self._schedule,
            )
            sums += self._train_on_batch(batches.data[step], negatives, margin, hinge_weight)
        return [variable.value for variable in self._variables], sums

    def _train_on_batch(self, data, negatives, margin, hinge_weight):
        """Make K updates on one batch; measure the last."""
        points = tf.concat([data, negatives], axis=0)
        inside = tf.ones(tf.shape(data)[0])
        labels = tf.concat([inside, -inside], axis=0)
        variables = self._model.trainable_variables
        for _ in range(self._n_updates):
            with tf.GradientTape() as tape:
                scores = self._model(points, training=True)[:, 0]
                # The mean of Eq. 2 over data plus that over negatives.
                loss = 2.0 * tf.reduce_mean(hkr(labels, scores, margin, hinge_weight))
            self._optimizer.apply(tape.gradient(loss, variables), variables)
        return measure(scores[tf.newaxis], labels, margin, hinge_weight)

    def _mean_gradient_norm(self, values, points):
        _assign(self._variables, values)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            scores = self._model(points)
        return tf.reduce_mean(tf.norm(tape.gradient(scores, points), axis=1))


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
