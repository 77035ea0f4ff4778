"""1-Lipschitz networks that tell the inside of a surface from its outside, in space."""

import keras
import numpy as np
import tensorflow as tf

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.training.losses import hkr

_N_LAYERS, _RATE, _BATCH_SIZE = 4, 5e-3, 1_024


def fit_field(queries, distances, loss, n_steps, seed, width=128):
    """Train a network of four hidden layers on queries, and make it certified.

    Distances are signed, positive inside; ``loss(distances, values)`` takes tensors of shape
    (n_batch,); the rate of Adam decays linearly to 0 in n_steps.
    """
    random_state = np.random.default_rng(seed)
    model = build_mlp(3, (width,) * _N_LAYERS, "groupsort2", seed=seed)
    optimizer = keras.optimizers.Adam(_RATE)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train(rows, targets):
        with tf.GradientTape() as tape:
            risk = tf.reduce_mean(loss(targets, model(rows)[:, 0]))
        gradients = tape.gradient(risk, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    queries, distances = queries.astype(np.float32), distances.astype(np.float32)
    for step in range(n_steps):
        optimizer.learning_rate.assign(_RATE * (1.0 - step / n_steps))
        rows = random_state.integers(len(queries), size=_BATCH_SIZE)
        train(tf.constant(queries[rows]), tf.constant(distances[rows]))
    return CertifiedNetwork.from_keras(condense(model))


def separate(margin, hinge_weight):
    """Return the HKR loss (OCSDF Eq. 2) of inside against outside, for :func:`fit_field`."""

    def loss(distances, values):
        return hkr(tf.sign(distances), values, margin, hinge_weight)

    return loss


def reach(margin, hinge_weight):
    r"""Return a loss by which a network reaches the size of the distance, with its sign.

    .. math:: \max(0, |S| - s f) + \lambda \max(0, \min(|S|, m) - s f), \qquad s = \mathrm{sign} S

    What is larger than the distance costs nothing: there max(-d, min(d, f)) takes d.
    """

    def loss(distances, values):
        sizes, agreement = tf.abs(distances), tf.sign(distances) * values
        near = tf.nn.relu(tf.minimum(sizes, margin) - agreement)
        return tf.nn.relu(sizes - agreement) + hinge_weight * near

    return loss


def clear_queries(points, box, margin, n_queries, sides, random_state, spreads):
    """Draw queries around points and in a box that keep clear of the surface by a margin.

    Def. 1 of OCSDF asks for a gap of two margins between the classes: nearer than that to noisy
    points nobody knows the side, and a 1-Lipschitz f cannot be m and -m. Of those drawn, two thirds
    lie around points, with normal deviations picked from `spreads`; ``sides`` measures the signed
    distance. What is clear is returned, with its distances.
    """
    n_near = 2 * n_queries // 3
    near = points[random_state.integers(len(points), size=n_near)]
    moves = random_state.standard_normal((n_near, 3))
    near = near + random_state.choice(spreads, (n_near, 1)) * moves
    queries = np.concatenate([near, random_state.uniform(*box, (n_queries - n_near, 3))])
    distances = sides(queries)
    clear = np.abs(distances) >= margin
    return queries[clear], distances[clear]
