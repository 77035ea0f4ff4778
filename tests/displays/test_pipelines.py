"""C3: displays look through pipelines and searches at the detector at their end."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler

from ocsdf import (
    CertifiedAUROCDisplay,
    CertifiedROCDisplay,
    ScoreHistogramDisplay,
    SignedDistanceDisplay,
)
from ocsdf.sklearn_compat.distance_detectors import SubsampleDistanceDetector

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)) + np.repeat([0.0, 3.0], [45, 15])[:, None]
Y = np.repeat([0, 1], [45, 15])


class Search:
    """What a search is, to a display."""

    def __init__(self, best):
        self.best_estimator_ = best


def fit(*steps, rows=X):
    return make_pipeline(*steps, SubsampleDistanceDetector(random_state=0)).fit(rows[:40])


FRAME = pd.DataFrame(X, columns=["a", "b"])
PIPELINES = {
    "a scaler": lambda: (fit(RobustScaler()), X),
    "two steps before": lambda: (fit(RobustScaler(), PCA(2)), X),
    "no step before": lambda: (fit(), X),
    "a pipeline within": lambda: (fit(Pipeline([("scale", RobustScaler())])), X),
    "a data frame": lambda: (fit(RobustScaler(), rows=FRAME), FRAME),
    "a search": lambda: (Search(fit(RobustScaler())), X),
}


@pytest.mark.parametrize("make", PIPELINES.values(), ids=PIPELINES)
def test_C3_displays_of_pipelines(make):
    pipeline, rows = make()
    whole = getattr(pipeline, "best_estimator_", pipeline)
    detector, seen = whole[-1], whole[:-1].transform(rows) if len(whole) > 1 else rows
    curve = CertifiedAUROCDisplay.from_estimator(pipeline, rows, Y, radii=[0.0, 0.2])
    expected = detector.certified_auroc(seen, Y, [0.0, 0.2])
    np.testing.assert_array_equal(curve.certified_auroc, expected)
    roc = CertifiedROCDisplay.from_estimator(pipeline, rows, Y, radii=[0.2])
    direct = CertifiedROCDisplay.from_estimator(detector, seen, Y, radii=[0.2])
    np.testing.assert_array_equal(roc.tpr, direct.tpr)
    histogram = ScoreHistogramDisplay.from_estimator(pipeline, rows, Y)
    assert histogram.offset == detector.offset_
    np.testing.assert_allclose(
        histogram.scores_by_group["anomaly"], detector.score_samples(seen)[Y == 1]
    )
    if whole is pipeline:
        shown = SignedDistanceDisplay.from_estimator(pipeline, rows, Y, grid_resolution=5)
        assert shown.offset == detector.offset_ and np.isfinite(shown.response).all()
