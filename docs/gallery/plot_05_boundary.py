"""
A boundary you can see
======================

Two moons in the plane, by the default. The black line is the boundary, f = 0; f grows inside of it,
and falls outside with the distance from the rows.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from ocsdf import OCSDF, SignedDistanceDisplay

X, _ = make_moons(500, noise=0.05, random_state=0)
detector = OCSDF(random_state=0).fit(X)
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
SignedDistanceDisplay.from_estimator(detector, X, ax=ax)
plt.show()

# %%
# No two points have scores that differ by more than their distance, in the unit of the certificate.
# All rows but about one in a hundred are inside; below the one moon and above the other is outside.
print(f"Lipschitz bound, computed in float64: {detector.lipschitz_bound_:.9f}")
assert detector.lipschitz_bound_ <= 1
assert (detector.predict(X) == 1).mean() > 0.97
assert (detector.predict([[0.0, -0.5], [1.0, 1.0]]) == -1).all()
