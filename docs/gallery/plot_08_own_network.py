"""
Bound a network of your own
===========================

Any sequential Keras network of known layers has an upper bound of its Lipschitz constant, computed
in float64 and rounded up. A layer without a rule is refused by its name.
"""

import keras
import numpy as np

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

# %%
rng = np.random.default_rng(0)
x = rng.uniform(size=(200, 28, 28, 1)).astype(np.float32)
step = rng.normal(scale=1e-2, size=x.shape).astype(np.float32)
change = np.abs(network.predict(x + step, verbose=0) - network.predict(x, verbose=0))[:, 0]
assert np.all(change <= bound * np.linalg.norm(step.reshape(200, -1), axis=1) + 1e-5)
