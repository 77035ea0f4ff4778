"""Networks whose level sets follow a cloud of points (CNLS Eq. 13, App. B.4)."""

from functools import partial

import keras
import numpy as np
import tensorflow as tf

from ocsdf.levelsets import SampleNetwork, project, reconstruction
from ocsdf.training.jacobians import value_and_jacobian

# In App. B.4 the rate is 1e-3 and halves three times; these runs are shorter, so that it starts
# higher and falls to 0.
_RATE = 3e-3
_MAX_ITER, _TOLERANCE = 10, 1e-5


def fit_cloud(network, cloud, n_steps, batch_size, spread, zero_share, weights, power, seed):
    r"""Train a network to vanish on a cloud, and to have no zeros elsewhere near it.

    Each step draws a batch of the cloud and adds Gaussian noise. A share of it is projected on
    S_0, by at most 10 Newton steps; the others stay on the levels where they are. Then one step of
    Adam on CNLS Eq. 13. A point that does not reach S_0 counts at the level where it
    ends; of several outputs, it does not count. Of several outputs, whose scale no other level
    fixes, each is divided by its mean slope at the batch after every step.
    """
    random_state = np.random.default_rng([seed, 2])
    first, last, until = weights
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, n_steps))
    optimizer.build(network.trainable_variables)
    whole = tf.constant(cloud, tf.float32)
    n_zero = round(zero_share * batch_size)
    step = tf.function(partial(_step, network, optimizer, whole, n_zero, power), autograph=False)
    for k in range(n_steps):
        rows = random_state.choice(len(cloud), batch_size, replace=batch_size > len(cloud))
        noise = random_state.normal(0.0, spread, (batch_size, cloud.shape[1]))
        weight = np.interp(k / n_steps, (0.0, until), (first, last))
        batch = cloud[rows].astype(np.float32)
        step(
            tf.constant(batch),
            tf.constant(batch + noise, tf.float32),
            tf.constant(weight, tf.float32),
        )


def _step(network, optimizer, cloud, n_zero, power, batch, starts, weight):
    zero = project(network, starts[:n_zero], max_iter=_MAX_ITER, tol=_TOLERANCE)
    samples = [SampleNetwork(network, zero.points)]
    nearest = [_nearest(zero.points, cloud)]
    if network.output_shape[1] > 1:
        # At its own place, a point's distance is 0, and so is the gradient.
        reached = zero.converged[:, tf.newaxis]
        nearest, levels = [tf.where(reached, nearest[0], zero.points)], [0.0]
    else:
        levels = [zero.values[:, 0]]
    if n_zero < starts.shape[0]:
        samples.append(SampleNetwork(network, starts[n_zero:]))
        nearest.append(_nearest(starts[n_zero:], cloud))
        levels.append(samples[1].values[:, 0])
    variables = network.trainable_variables
    with tf.GradientTape() as tape:
        places = [sample() for sample in samples]
        loss = reconstruction(places, nearest, levels, network(batch), weight, power)
    optimizer.apply(tape.gradient(loss, variables), variables)
    if network.output_shape[1] > 1:
        _scale(network, batch)


def _scale(network, points):
    """Bring each output's gradient to length 1 at points, in the root mean square.

    The set F = 0 does not depend on it, and lambda's term alone would drive F to 0 everywhere.
    """
    _, jacobian = value_and_jacobian(network, points)
    slope = tf.sqrt(tf.reduce_mean(tf.reduce_sum(jacobian**2, axis=2), axis=0))
    last = network.layers[-1]
    for weight in (last.kernel, last.bias):
        weight.assign(weight / tf.maximum(slope, 1e-6))


def _nearest(points, cloud):
    """Return the cloud's point nearest to each point."""
    squares = tf.reduce_sum(cloud**2, axis=1) - 2.0 * tf.matmul(points, cloud, transpose_b=True)
    return tf.gather(cloud, tf.argmin(squares, axis=1))
