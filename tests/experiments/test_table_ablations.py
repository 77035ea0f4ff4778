"""What the default has without a part of it."""

import numpy as np
import pytest

from experiments import table_ablations
from ocsdf import OCSDF

X = np.random.default_rng(0).normal(size=(150, 3))


def fitted(kind):
    return getattr(table_ablations, kind)(random_state=0).fit(X)


@pytest.fixture(scope="module")
def default():
    return OCSDF(random_state=0).fit(X)


def test_parts_make_the_whole(default):
    without, alone = fitted("WithoutNetwork"), fitted("NetworkAlone")
    points = default._checked_points(X)[:]
    (mean,) = default._network.network.operations
    first = mean.members[0].operations[1].members[0]
    halfway = mean.members[0].operations[0].evaluate(points)
    # f differs from that without the network by 0.04 of what the network and the distance differ.
    change = 0.04 * (alone.score_samples(X) - first.evaluate(halfway)[:, 0])
    found = default.score_samples(X) - without.score_samples(X)
    np.testing.assert_allclose(found, change, atol=1e-9)


@pytest.mark.parametrize("kind", ["WithoutNetwork", "NetworkAlone", "NearestInUnit"])
def test_parts_are_certified(kind):
    detector = fitted(kind)
    assert detector.lipschitz_bound_ <= 1.0
    scores = detector.score_samples(X)
    points = detector._checked_points(X)[:]
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    assert np.all(np.abs(scores[:, None] - scores) <= gaps + 1e-9)


def test_the_nearest_row_is_at_distance_zero_of_itself():
    detector = fitted("NearestInUnit")
    assert np.median(detector.score_samples(X)) == 0.0


def test_emphasis():
    assert table_ablations.EmphasisOnCertificate(random_state=0).emphasis == "certificate"
