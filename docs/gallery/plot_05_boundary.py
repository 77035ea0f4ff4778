"""
A boundary you can see
======================

Two moons in the plane, by the papers' method: the level sets of f are distances to the data's edge.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from ocsdf import OCSDF, SignedDistanceDisplay

X, _ = make_moons(500, noise=0.05, random_state=0)
detector = OCSDF(method="paper", margin=0.05, epochs=60, random_state=0).fit(X)
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
SignedDistanceDisplay.from_estimator(detector, X, ax=ax)
plt.show()

# %%
# No two points have scores that differ by more than their distance.
scores = detector.score_samples(X)
print(f"Lipschitz bound, computed in float64: {detector.lipschitz_bound_:.9f}")
assert detector.lipschitz_bound_ <= 1
