"""
AUROC that no attack undercuts
==============================

The certified AUROC at a radius is a lower bound under any l2 attack of that size on normal rows and
anomalies alike. It costs no more than the AUROC.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer

from ocsdf import OCSDF, CertifiedAUROCDisplay

X, y = load_breast_cancer(return_X_y=True)
normal = np.flatnonzero(y == 1)
train, test = normal[::2], np.concatenate([normal[1::2], np.flatnonzero(y == 0)])
detector = OCSDF(random_state=0).fit(X[train])

radii = np.linspace(0.0, 0.5, 11)
CertifiedAUROCDisplay.from_estimator(detector, X[test], y[test], radii=radii, pos_label=0)

# %%
certified = detector.certified_auroc(X[test], y[test], radii, pos_label=0)
print(dict(zip(radii.round(2).tolist(), (100 * certified).round(1).tolist(), strict=True)))
assert np.all(np.diff(certified) <= 0) and certified[0] > 0.9
