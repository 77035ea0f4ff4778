"""
Bound and certify a network of your own
=======================================

Any sequential Keras network of known layers has an upper bound of its Lipschitz constant, computed
in float64 and rounded up. With it, its scores are certificates. A layer without a rule is refused
by its name; ``ocsdf.networks.register`` adds one.
"""

import keras
import numpy as np

from ocsdf import certified_radius
from ocsdf.certificate import CertifiedNetwork
from ocsdf.networks import network_bound

keras.utils.set_random_seed(0)
network = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1),
    ]
)
bound = network_bound(network)
print(f"no two images have outputs farther apart than {bound:.2f} times their distance")

rng = np.random.default_rng(0)
x = rng.uniform(size=(200, 28, 28, 1)).astype(np.float32)
step = rng.normal(scale=1e-2, size=x.shape).astype(np.float32)
change = np.abs(network.predict(x + step, verbose=0) - network.predict(x, verbose=0))[:, 0]
assert np.all(change <= bound * np.linalg.norm(step.reshape(200, -1), axis=1) + 1e-5)

# %%
# A network of rows is scored in float64, with what rounding may take off: no change of a row below
# its radius changes the sign of the network.
scorer = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)]
)
certified = CertifiedNetwork.from_keras(scorer)
rows = rng.normal(size=(5, 4))
scores = certified.score(rows)
slack = certified.slack(rows, np.abs(scores) / certified.lipschitz_bound)
radii = certified_radius(scores, lipschitz=certified.lipschitz_bound, slack=slack)
for score, radius in zip(scores, radii, strict=True):
    print(f"score {score:+.3f}: no change below {radius:.4f} turns its sign")
pushed = rows - (0.99 * radii * np.sign(scores))[:, np.newaxis] * np.eye(4)[0]
assert np.all(np.sign(certified.score(pushed)) == np.sign(scores))
