"""
Move the level set of a network
===============================

The sample network p(theta) follows a level set when the weights change, so that a loss on points of
the boundary trains the network: here its boundary is pushed away from a point (CNLS, Eq. 9).
"""

import keras
import numpy as np
import tensorflow as tf

from ocsdf.levelsets import SampleNetwork, project

keras.utils.set_random_seed(0)
network = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(32, "softplus"), keras.layers.Dense(1)]
)
seeds = np.random.default_rng(0).uniform(-1, 1, (64, 2)).astype(np.float32)
corner = np.array([[0.5, 0.5]], dtype=np.float32)
# At first the boundary passes through the point.
network.layers[-1].bias.assign(-network(corner)[0])


def nearest():
    found = project(network, seeds, max_iter=50)
    points = np.asarray(found.points)[np.asarray(found.converged)]
    return points, float(np.linalg.norm(points - corner, axis=1).min())


points, before = nearest()
optimizer = keras.optimizers.Adam(1e-3)
for _ in range(30):
    points, _ = nearest()
    sample = SampleNetwork(network, points)
    with tf.GradientTape() as tape:
        distances = tf.norm(sample() - corner, axis=1)
        loss = tf.reduce_mean(tf.nn.relu(0.5 - distances))
    weights = network.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
_, after = nearest()
print(f"the boundary was {before:.2f} from the point, and is {after:.2f}")
assert after > before
