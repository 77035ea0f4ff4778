"""The share of anomalies among training rows, estimated without labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from ocsdf import OCSDF
from ocsdf.decisions.contamination import estimated_threshold
from ocsdf.recipes.tables import MOST_REFERENCES


def test_normal_scores_lose_what_the_formula_says():
    scores = norm.ppf((np.arange(100_001) + 0.5) / 100_001)
    threshold = estimated_threshold(scores)
    assert threshold == pytest.approx(-2.5, abs=1e-3)
    assert np.mean(scores < threshold) == pytest.approx(norm.cdf(-2.5), abs=1e-4)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_anomalies_are_found_up_to_a_third(share):
    rng = np.random.default_rng(0)
    n_anomalies = int(2000 * share)
    scores = np.append(rng.normal(size=2000 - n_anomalies), rng.normal(-12.0, size=n_anomalies))
    flagged = scores < estimated_threshold(scores)
    assert flagged[-n_anomalies:].mean() > 0.99 and flagged[:-n_anomalies].mean() < 0.02


@given(
    scores=st.lists(st.integers(-1000, 1000), min_size=1, max_size=50),
    scale=st.sampled_from([0.125, 1.0, 8.0]),
)
def test_at_most_half_and_no_unit_of_its_own(scores, scale):
    scores = np.array(scores, dtype=float)
    threshold = estimated_threshold(scores)
    assert np.mean(scores < threshold) <= 0.5
    moved = estimated_threshold(scale * scores + 3.0)
    assert moved == pytest.approx(scale * threshold + 3.0, rel=1e-6, abs=1e-6 * (1 + scale))


def test_equal_scores_and_none():
    assert estimated_threshold(np.append(np.ones(99), 0.0)) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="scores must be a non-empty 1-d array"):
        estimated_threshold([])


def test_detector_flags_what_lies_apart():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(300, 3)), rng.normal(8.0, size=(30, 3))])
    settings = {"hidden_layer_sizes": (16, 16), "epochs": 3, "random_state": 0}
    estimated = OCSDF(contamination="estimate", **settings).fit(X)
    assert estimated.offset_ == pytest.approx(
        estimated_threshold(estimated.score_samples(X)), abs=1e-9
    )
    flagged = estimated.predict(X) == -1
    assert flagged[300:].mean() > 0.9 > 0.2 > flagged[:300].mean()
    auto = OCSDF(**settings).fit(X)
    assert (auto.predict(X) == -1).sum() < flagged.sum()
    with pytest.raises(ValueError, match="'auto', 'estimate' or a number in"):
        OCSDF(contamination="guess").fit(X)


def test_rows_that_are_no_references_do_not_lie_apart():
    # Of more rows than there are references, the others have nobody at distance 0: the threshold
    # is that of rows which are left out of what they are compared with, all alike.
    X = np.random.default_rng(0).normal(size=(MOST_REFERENCES + 1500, 2))
    detector = OCSDF(contamination="estimate", max_steps=5, random_state=0).fit(X)
    assert detector.offset_ == pytest.approx(estimated_threshold(detector.training_scores_))
    assert detector.offset_ < estimated_threshold(detector.score_samples(X))
