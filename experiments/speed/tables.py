"""The protocol of the benchmarks on real tables: train and score on all rows, standardized."""

import math
import time
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from experiments.speed.reference import ReferenceProcess
from ocsdf import OCSDF
from ocsdf.data.tables import load_table
from ocsdf.training.domain import Box

# The paper's settings (OCSDF App. G), the same for the reference and for method="paper".
MARGIN, BATCH, NEWTON_STEPS, EPOCHS, UNIFORM_EPOCHS = 0.05, 128, 4, 40, 5


class Problem(NamedTuple):
    """A table that detectors are trained and judged on; y is 1 for an anomaly."""

    X: np.ndarray
    y: np.ndarray

    @classmethod
    def load(cls, name):
        table = load_table(name)
        return cls(table.X, table.y)

    def steps_per_epoch(self, max_steps=None):
        """Count the batches of an epoch; with ``max_steps``, its equal share of those at most."""
        steps = math.ceil(len(self.X) / BATCH)
        return steps if max_steps is None else min(steps, max_steps // EPOCHS)

    def points(self):
        """Return the rows as the reference takes them: standardized, float32."""
        return StandardScaler().fit_transform(self.X).astype(np.float32)

    def reference(self, width, form, seed):
        """Start the reference on the table, in a process of its own."""
        points = self.points()
        box = Box.from_data(points)
        settings = {"batch_size": BATCH, "newton_steps": NEWTON_STEPS, "seed": seed}
        return ReferenceProcess(
            points, box.lower, box.upper, margin=MARGIN, width=width, form=form, **settings
        )

    def auroc(self, scores):
        """Judge scores, higher for more normal rows, in points: 100 is perfect."""
        return 100.0 * float(roc_auc_score(self.y, -np.asarray(scores)))

    def fit_and_judge(self, **parameters):
        """Fit OCSDF; return its AUROC and the seconds of ``fit``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = time.perf_counter()
            detector = OCSDF(**parameters).fit(self.X)
            seconds = time.perf_counter() - start
        return {"auroc": self.auroc(detector.score_samples(self.X)), "seconds": seconds}
