"""
Why is this row anomalous?
==========================

An explanation holds a point of the boundary near the row, and two bounds of the distance to it.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from ocsdf import OCSDF

table = load_wine(as_frame=True)
X = table.data[table.target == 0]
detector = OCSDF(random_state=0).fit(X)

others = table.data[table.target == 1].iloc[:5]
explanation = detector.explain(others)
print(explanation.sentences()[0])
for row in range(len(others)):
    most = np.argsort(-explanation.shares[row])[:3]
    names = ", ".join(f"{X.columns[j]} {100 * explanation.shares[row, j]:.0f} %" for j in most)
    print(
        f"row {row}: no change below {explanation.radius[row]:.2f} flips it, one of "
        f"{explanation.distance[row]:.2f} does; mostly {names}"
    )

# %%
# The boundary point has the other verdict.
found = explanation.converged
assert np.all(explanation.radius[found] <= explanation.distance[found])
flipped = detector.predict(pd.DataFrame(explanation.boundary[found], columns=X.columns))
assert np.all(flipped != detector.predict(others)[found])
