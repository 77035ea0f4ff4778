"""What the tests of each engine share: a detector, and rows in uneven parts, one of them empty."""

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF, ConformalDetector
from ocsdf.sklearn_compat import score_frame

SIZES = (150, 0, 1, 49)


@pytest.fixture(scope="session")
def detector():
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=list("abc"))
    estimator = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0)
    return ConformalDetector(estimator, alpha=0.1, random_state=0).fit(rows)


@pytest.fixture(scope="session")
def parts():
    """Frames with a key, features that some are far away of, and no rows in one of them."""
    rng, start, frames = np.random.default_rng(1), 0, []
    for size in SIZES:
        rows = pd.DataFrame(3.0 * rng.normal(size=(size, 3)), columns=list("abc"))
        rows.insert(0, "key", np.arange(start, start + size))
        frames.append(rows)
        start += size
    return frames


@pytest.fixture(scope="session")
def agrees(detector, parts):
    """Checks that an engine's scores are those of one process, row by row, to the float slack."""
    rows = pd.concat(parts, ignore_index=True)
    expected = score_frame(detector, rows, keep=["key"], reasons=1)
    slack = detector.estimator_.float_slack(rows[list("abc")])

    def check(scores):
        assert list(scores) == list(expected)
        np.testing.assert_array_equal(scores["key"], expected["key"])
        for name in ("score", "certified_radius"):
            difference = np.abs(scores[name].to_numpy() - expected[name].to_numpy())
            assert np.all(difference <= 4.0 * slack)
        clear = expected["certified_radius"].to_numpy() > 4.0 * slack
        assert clear.mean() > 0.9
        assert (scores["verdict"].to_numpy() == expected["verdict"].to_numpy())[clear].all()
        assert (scores["reasons"] != "").sum() == (expected["verdict"] == "anomaly").sum() > 20

    return check
