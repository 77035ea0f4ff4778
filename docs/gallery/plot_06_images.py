"""
One class of images
===================

Small digits: fitted on zeros, judged on all. Radii are l2 norms in pixels of [0, 1].
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from ocsdf import ImageOCSDF

digits = load_digits()
images, is_zero = digits.images / 16.0, digits.target == 0
train = np.flatnonzero(is_zero)[::2]
test = np.setdiff1d(np.arange(len(images)), train)
detector = ImageOCSDF(random_state=0).fit(images[train])

auroc = roc_auc_score(is_zero[test], detector.score_samples(images[test]))
certified = detector.certified_auroc(
    images[test], ~is_zero[test], radii=[8 / 255, 72 / 255], pos_label=True
)
print(f"AUROC {100 * auroc:.1f}; certified at 8/255 and 72/255: {np.floor(1000 * certified) / 10}")
assert auroc > 0.95 and np.all(certified <= auroc)
