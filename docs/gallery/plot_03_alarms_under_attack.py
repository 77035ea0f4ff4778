"""
p-values and false discoveries under attack
===========================================

Calibration rows turn scores into p-values. Because f is 1-Lipschitz, they stay valid when every row
is moved by an attacker, up to a radius.
"""

import numpy as np
from sklearn.datasets import make_blobs

from ocsdf import OCSDF, ConformalDetector

rng = np.random.default_rng(0)
X, _ = make_blobs(1_500, centers=3, n_features=4, random_state=0)
detector = ConformalDetector(OCSDF(random_state=0), alpha=0.05, random_state=0).fit(X[:1_000])

test = np.concatenate([X[1_000:], rng.uniform(-30, 30, (100, 4))])
is_anomaly = np.repeat([False, True], [500, 100])

for radius in (0.0, 0.1, 0.3):
    called = detector.discoveries(test, fdr=0.1, radius=radius)
    wrong = called[~is_anomaly].sum() / max(1, called.sum())
    print(f"radius {radius}: {called.sum()} called, {100 * wrong:.0f} % of them normal")

# %%
# A p-value at a radius is never below that of the row before the attack.
p_values, attacked = detector.p_values(test), detector.p_values(test, radius=0.3)
assert np.all(attacked >= p_values)
print(f"alarms on normal rows: {100 * np.mean(p_values[~is_anomaly] <= 0.05):.1f} %")
held = detector.no_masking(test, radius=0.3)[is_anomaly]
print(f"anomalies that no attack can hide: {100 * held.mean():.0f} %")
