"""Scores, verdicts and certificates in one frame, from one evaluation (P3)."""

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.sklearn_compat import score_frame
from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance

X = np.random.default_rng(0).normal(size=(80, 3))


@pytest.fixture(scope="module", params=[0.1, "auto"])
def detector(request):
    settings = {"epochs": 2, "contamination": request.param, "random_state": 0}
    return OCSDF(hidden_layer_sizes=(8, 8), **settings).fit(X)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, pd.DataFrame])
def test_P3_a_frame_agrees_with_the_methods_and_evaluates_once(detector, kind, monkeypatch):
    rows = kind(X)
    expected = detector.score_samples(rows), detector.certified_radius(rows), detector.predict(rows)
    calls, score = [], CertifiedNetwork.score
    monkeypatch.setattr(
        CertifiedNetwork, "score", lambda self, points: calls.append(1) or score(self, points)
    )
    frame = score_frame(detector, rows)
    assert calls == [1]
    np.testing.assert_array_equal(frame["score"], expected[0])
    np.testing.assert_array_equal(frame["certified_radius"], expected[1])
    np.testing.assert_array_equal(frame["verdict"] == "normal", expected[2] == 1)


def test_P3_verdict_counts_evaluate_once(detector, monkeypatch):
    calls, score = [], CertifiedNetwork.score
    monkeypatch.setattr(
        CertifiedNetwork, "score", lambda self, points: calls.append(1) or score(self, points)
    )
    detector.verdict_counts(X, [0.1, 0.2])
    assert calls == [1]


def test_the_index_stays_and_distance_detectors_have_frames_too():
    index = pd.Index(list("pqrs"))
    frame = pd.DataFrame(X[:4], index=index, columns=list("abc"))
    scores = score_frame(NearestNeighborDistance().fit(X), frame.to_numpy())
    assert list(scores.index) == [0, 1, 2, 3]
    scores = score_frame(NearestNeighborDistance().fit(frame), frame)
    assert list(scores.index) == list("pqrs")
