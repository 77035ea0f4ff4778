"""A surface from raw points: a network whose level sets keep their distance (CNLS Sec. 5.3)."""

from itertools import islice
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

from ocsdf.levelsets.architectures import fc_2
from ocsdf.levelsets.losses import reconstruction
from ocsdf.levelsets.projection import project
from ocsdf.levelsets.sample_network import SampleNetwork
from ocsdf.surfaces.neural import draw_queries, frame_cloud

_ROWS = tf.TensorSpec((None, 3), tf.float32)


class Effort(NamedTuple):
    """How much is spent on a surface.

    Attributes
    ----------
    width : int
        Width of FC-2; 256 is half of the paper's.
    n_queries : int
        Points with a signed distance, to begin with.
    warm_steps, steps : int
        Steps of regression on that distance; then steps of Eq. 13.
    batch_size : int
    rate, last_rate : float
        Learning rate of Adam with which the regression, and Eq. 13, begin; both fall linearly.
    noise : float
        Standard deviation around the points of what is projected (0.1 in App. B.4).

    Examples
    --------
    >>> from ocsdf.surfaces import Effort
    >>> quick = Effort(width=64, n_queries=5_000, warm_steps=200, steps=20)
    >>> quick.batch_size
    1024
    """

    width: int = 256
    n_queries: int = 80_000
    warm_steps: int = 2_400
    steps: int = 60
    batch_size: int = 1_024
    rate: float = 2e-3
    last_rate: float = 3e-4
    noise: float = 0.05


def reconstruct(points, random_state, effort=None, track=iter):
    r"""Fit FC-2 to a cloud: regression on an estimated distance, then Eq. 13.

    The loss of CNLS (Eq. 13, p = 1) moves the zero level set through the points, and each level
    set :math:`S_t` to the distance :math:`|t|` from them, by the sample network. It knows no
    sides, so the network first learns the signed distance of
    :class:`ocsdf.surfaces.local_fit.LocalSurface`; the points are those that its quadrics
    smoothed. As in App. B.4, samples start with Gaussian noise around the points; half of them are
    projected to the level 0 by at most 10 Newton steps, half keep the level they have; lambda
    grows from 1 to 5.

    Parameters
    ----------
    points : ndarray of shape (n_points, 3)
        Raw, with no normals.
    random_state : numpy.random.Generator
    effort : Effort or None, default=None
    track : callable, default=iter
        Wraps the sequence of steps, for instance in a progress bar.

    Returns
    -------
    NeuralSurface

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.surfaces import Effort, reconstruct
    >>> rng = np.random.default_rng(0)
    >>> directions = rng.normal(size=(300, 3))
    >>> sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    >>> quick = Effort(width=16, n_queries=500, warm_steps=5, steps=1, batch_size=64)
    >>> type(reconstruct(sphere, rng, quick)).__name__
    'NeuralSurface'
    """
    effort = effort or Effort()
    frame = frame_cloud(points)
    network = fc_2(3, 1, width=effort.width, seed=random_state)
    queries, distances = draw_queries(frame, effort.n_queries, random_state)
    steps = iter(track(range(effort.warm_steps + effort.steps)))
    regress(network, queries, distances, islice(steps, effort.warm_steps), effort, random_state)
    fit_level_sets(network, frame.surface.points, steps, effort, random_state)
    return frame.wrap(network)


def regress(network, queries, distances, steps, effort, random_state, power=1):
    """Train a network on signed distances: in l1, or in squares as DeepSDF (OCSDF Table 4)."""
    optimizer = keras.optimizers.Adam(effort.rate)
    optimizer.build(network.trainable_variables)
    queries, distances = queries.astype(np.float32), distances.astype(np.float32)

    @tf.function
    def train(rows, targets):
        with tf.GradientTape() as tape:
            errors = tf.abs(network(rows)[:, 0] - targets)
            loss = tf.reduce_mean(errors**power)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)

    for step, _ in enumerate(steps):
        optimizer.learning_rate.assign(effort.rate * (1.0 - step / effort.warm_steps))
        rows = random_state.integers(len(queries), size=effort.batch_size)
        train(tf.constant(queries[rows]), tf.constant(distances[rows]))


def fit_level_sets(network, points, steps, effort, random_state):
    """Train a network by Eq. 13."""
    optimizer = keras.optimizers.Adam(effort.last_rate)
    optimizer.build(network.trainable_variables)
    tree, points = cKDTree(points), points.astype(np.float32)

    @tf.function(input_signature=[_ROWS])
    def move(starts):
        moved = project(network, starts, max_iter=10, tol=1e-4)
        return moved.points, moved.converged

    @tf.function(input_signature=[_ROWS, _ROWS, _ROWS, _ROWS, _ROWS, tf.TensorSpec(())])
    def train(zero, near_zero, others, near_others, batch, weight):
        sample = SampleNetwork(network, tf.concat([zero, others], axis=0))
        n_zero = tf.shape(zero)[0]
        levels = [0.0, sample.values[n_zero:, 0]]
        with tf.GradientTape() as tape:
            moved = sample()
            samples = [moved[:n_zero], moved[n_zero:]]
            nearest = [near_zero, near_others]
            loss = reconstruction(samples, nearest, levels, network(batch), weight)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)

    for step, _ in enumerate(steps):
        share = step / effort.steps
        optimizer.learning_rate.assign(effort.last_rate * (1.0 - share))
        batch = points[random_state.integers(len(points), size=effort.batch_size)]
        noise = random_state.standard_normal(batch.shape, dtype=np.float32)
        first, others = np.array_split(batch + effort.noise * noise, 2)
        zero, reached = (part.numpy() for part in move(tf.constant(first)))
        # What did not reach the level 0 would be told a distance that is not its own.
        zero = zero[reached]
        nearest = [points[tree.query(part)[1]] for part in (zero, others)]
        train(zero, nearest[0], others, nearest[1], batch, 1.0 + 4.0 * share)
