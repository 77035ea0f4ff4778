"""
Score where the rows are: Dask
==============================

A fitted detector is small; ``score_frame`` is the one function that an engine maps over its parts.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import make_blobs

from ocsdf import OCSDF
from ocsdf.sklearn_compat import score_frame

X, _ = make_blobs(2_000, centers=2, n_features=3, random_state=0)
frame = pd.DataFrame(X, columns=["a", "b", "c"])
detector = OCSDF(random_state=0).fit(frame[:500])

try:
    import dask.dataframe as dd
except ImportError:  # an extra of its own
    scores = score_frame(detector, frame)
else:
    parts = dd.from_pandas(frame, npartitions=4)
    meta = score_frame(detector, frame[:1]).iloc[:0]
    scores = parts.map_partitions(lambda part: score_frame(detector, part), meta=meta).compute()

print(scores.head())
assert len(scores) == len(frame)
difference = np.abs(scores["score"] - detector.score_samples(frame))
assert np.all(difference <= detector.float_slack(frame))
