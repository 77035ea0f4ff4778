"""The traced computation of training: one for each architecture, whatever table it trains on."""

import functools
import json
import threading

import keras
import numpy as np
import tensorflow as tf

from ocsdf.training.engine import Batches
from ocsdf.training.losses import hkr, measure
from ocsdf.training.negatives import attract
from ocsdf.utils.forks import check_not_stuck

_MOST_GRAPHS = 16


def training_graph(model, optimizer, domain_class, schedule, updates_per_batch):
    """Find the graph that trains networks like this one, or trace it."""
    check_not_stuck("Training by TensorFlow")
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
    """An :class:`ocsdf.training.engine.Engine` that is traced once.

    The model's weights and the optimizer's state are overwritten. The graph works on variables of
    its own, so fits in several threads take turns.
    """

    def __init__(self, model, optimizer, domain_class, schedule, updates_per_batch):
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
        """Train on batches; see :meth:`ocsdf.training.engine.Engine.run`."""
        arrays = [tf.constant(array) for array in domain.arrays().values()]
        with self._lock:
            values, scores = self._run(
                [tf.constant(value) for value in values],
                [tf.constant(value) for value in attractor],
                arrays,
                Batches(*(tf.constant(array) for array in batches)),
                tf.constant(newton_steps),
                tf.constant(margin, tf.float32),
                tf.constant(hinge_weight, tf.float32),
            )
        labels = np.repeat(np.float32([1.0, -1.0]), batches.data.shape[1])
        return values, measure(scores.numpy(), labels, margin, hinge_weight)

    def gradient_norm(self, values, points):
        """See :meth:`ocsdf.training.engine.Engine.gradient_norm`."""
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
        n_steps = tf.shape(batches.data)[0]
        scores = tf.TensorArray(tf.float32, n_steps)
        for step in tf.range(n_steps):
            negatives = attract(
                self._attractor,
                batches.seeds[step],
                domain,
                level=-margin,
                eta=batches.eta[step],
                steps=newton_steps,
                schedule=self._schedule,
            )
            found = self._train_on_batch(batches.data[step], negatives, margin, hinge_weight)
            scores = scores.write(step, found)
        return [variable.value for variable in self._variables], scores.stack()

    def _train_on_batch(self, data, negatives, margin, hinge_weight):
        """Make K updates on one batch; return f at the data and the negatives before the last."""
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
        return scores

    def _mean_gradient_norm(self, values, points):
        _assign(self._variables, values)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            scores = self._model(points)
        return tf.reduce_mean(tf.norm(tape.gradient(scores, points), axis=1))


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
