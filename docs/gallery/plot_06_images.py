"""
One class of images, and what it takes for that class
=====================================================

Small digits: fitted on zeros, judged on all. Radii are l2 norms in pixels of [0, 1]. Points of the
boundary show what the detector just takes for a zero.
"""

import matplotlib.pyplot as plt
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

# %%
# Synthesis: the boundary point of an image of another digit is an image that the detector takes for
# a zero, by a hair. No image nearer than the certified radius is one.
others = np.flatnonzero(~is_zero)[:6]
explanation = detector.explain(images[others])
assert np.all(explanation.converged)
made = explanation.boundary.reshape(-1, 8, 8)
assert np.all(detector.predict(made) == 1) and made.min() >= 0 and made.max() <= 1

figure, axes = plt.subplots(2, len(others), figsize=(8, 3), layout="constrained")
for column, (before, after) in enumerate(zip(images[others], made, strict=True)):
    for ax, image in zip(axes[:, column], (before, after), strict=True):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set_axis_off()
    axes[1, column].set_title(f"{explanation.distance[column]:.2f} away", fontsize=9)
axes[0, 0].set_title("seen", fontsize=9)
plt.show()
