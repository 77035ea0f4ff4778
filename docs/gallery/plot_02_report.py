"""
A certified report for an auditor
=================================

What ``ocsdf report breast_cancer`` does, step by step: rows are scored once, certified, and written
as one page without scripts that anyone can keep.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np

from ocsdf import OCSDF, CertifiedAUROCDisplay, load_table
from ocsdf.data import split_one_class
from ocsdf.report import Setting, evaluate, ranked_examples, render_html, summarize

table = load_table("breast_cancer")  # y == 1: malignant, the anomaly
train, test = split_one_class(table.y, random_state=0)
detector = OCSDF(random_state=0).fit(table.X[train])

evaluation = evaluate(detector, table.X[test], table.y[test], radii=[0.1, 0.3], n_resamples=200)
setting = Setting(table.name, "oc", 0, len(train), test, tuple(table.feature_names))
examples = ranked_examples(detector, table.X[test], evaluation)
facts = summarize(evaluation, detector, setting, examples)

print(f"AUROC {facts['auroc']['value']:.3f}")
for row in facts["radii"]:
    certified = row["certified_auroc"]
    print(
        f"no attack of radius {row['radius']} pushes it below {certified['value']:.3f} "
        f"(95 % interval {certified['lower']:.3f} to {certified['upper']:.3f})"
    )

# %%
# The same as one page, with curves, alarms, costs, a model card and lines to sign.
with TemporaryDirectory() as folder:
    page = Path(folder) / "report.html"
    page.write_text(render_html(facts), encoding="utf-8")
    print(f"{page.name}: {page.stat().st_size / 1e6:.1f} MB, no scripts, nothing from elsewhere")
    assert "<script" not in page.read_text(encoding="utf-8")

# %%
# The certified AUROC at a radius is a lower bound under any l2 attack of that size on normal rows
# and anomalies alike. It costs no more than the AUROC.
radii = np.linspace(0.0, 0.5, 11)
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
CertifiedAUROCDisplay.from_estimator(
    detector, table.X[test], table.y[test], radii=radii, pos_label=1, ax=ax
)
plt.show()
certified = detector.certified_auroc(table.X[test], table.y[test], radii)
assert np.all(np.diff(certified) <= 0) and certified[0] > 0.9
