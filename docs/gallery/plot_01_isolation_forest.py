"""
In place of IsolationForest
===========================

The same pipeline with another last step, and a radius for every row.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ocsdf import OCSDF

X, y = load_breast_cancer(return_X_y=True)  # y == 1: benign, the normal class
normal = np.flatnonzero(y == 1)
train, test = normal[::2], np.concatenate([normal[1::2], np.flatnonzero(y == 0)])

for detector in (IsolationForest(random_state=0), OCSDF(random_state=0)):
    pipeline = make_pipeline(FunctionTransformer(np.log1p), detector).fit(X[train])
    auroc = roc_auc_score(y[test], pipeline.score_samples(X[test]))
    print(f"{type(detector).__name__}: AUROC {100 * auroc:.1f}")
    assert auroc > 0.9

# %%
# What IsolationForest has not: no change of a row below its radius flips its verdict.
radii = pipeline[-1].certified_radius(np.log1p(X[test]))
print(f"half of the verdicts stand up to radius {np.median(radii):.2f}")
assert np.median(radii) > 0
