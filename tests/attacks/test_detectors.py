"""P9: every attack takes a detector as it is, in the units of X, with certificates beside."""

import importlib.util
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError

from ocsdf import OCSDF
from ocsdf.attacks import art_attack, attacked_auroc, foolbox_attack, pgd, steepest_pairs
from ocsdf.attacks.search import evaluate_candidates
from ocsdf.sklearn_compat import OCSDFDetector
from ocsdf.sklearn_compat.distance_detectors import SubsampleDistanceDetector

RADIUS = 0.3
BLOBS = make_blobs(90, 3, centers=1, random_state=0)[0] * [1.0, 1000.0, 1e-3] + [0.0, 1e6, 0.0]
ROWS, NEW = BLOBS[:80], BLOBS[80:]
TINY = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}


@pytest.fixture(scope="module", params=["OCSDF", "with names", "PyOD's", "distances"])
def detector(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if request.param == "PyOD's":
            return OCSDFDetector(OCSDF(**TINY), contamination=0.3).fit(ROWS)
        if request.param == "distances":
            return SubsampleDistanceDetector(random_state=0).fit(ROWS)
        rows = pd.DataFrame(ROWS, columns=list("abc")) if request.param == "with names" else ROWS
        return OCSDF(**TINY, contamination=0.3).fit(rows)


def few_steps(attack):
    def foolbox(detector, rows, direction, radius):
        import foolbox

        quick = foolbox.attacks.L2ProjectedGradientDescentAttack(rel_stepsize=0.25, steps=4)
        return attack(detector, rows, direction, radius, attack=quick)

    return foolbox


ATTACKS = {
    "pgd": lambda *given: pgd(*given, n_steps=4, step=0.25),
    "candidates": lambda detector, rows, *given: evaluate_candidates(
        detector, rows, rows + [0.1, 100.0, 1e-4], *given
    ),
}
if importlib.util.find_spec("foolbox"):
    ATTACKS["foolbox"] = few_steps(foolbox_attack)
if importlib.util.find_spec("art"):
    ATTACKS["art"] = art_attack


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_P9_attacks_take_a_detector_and_rows_in_its_units(detector, attack):
    fitted = getattr(detector, "detector_", detector)
    names = getattr(fitted, "feature_names_in_", None)
    X = NEW if names is None else pd.DataFrame(NEW, columns=names)
    found = attack(detector, X, None, RADIUS)
    moved = found.points if names is None else pd.DataFrame(found.points, columns=names)
    np.testing.assert_allclose(fitted.score_samples(moved), found.scores, atol=1e-9)
    assert np.linalg.norm((found.points - NEW) / fitted.scale_, axis=1).max() <= 1.001 * RADIUS
    np.testing.assert_array_equal(found.certified, fitted.certified_radius(X))
    flipped = fitted.predict(moved) != fitted.predict(X)
    assert not flipped[found.certified > RADIUS].any()
    assert found.excess.max() <= 1e-6
    worse = (found.scores - fitted.score_samples(X)) * np.where(fitted.predict(X) > 0, -1, 1)
    assert worse.min() >= -1e-9 and worse.max() > 0.0


def test_P9_the_other_attacks_take_a_detector(detector):
    fitted = getattr(detector, "detector_", detector)
    names = getattr(fitted, "feature_names_in_", None)
    X = ROWS if names is None else pd.DataFrame(ROWS, columns=names)
    pairs = steepest_pairs(detector, X[:6], n_steps=3)
    assert pairs.ratios.max() <= fitted.lipschitz_bound_ + 1e-3
    y = np.arange(80) % 2
    clean, attacked = attacked_auroc(detector, X, y, [0.0, 0.1], n_steps=2, n_restarts=1)
    proved = fitted.certified_auroc(X, y, [0.0, 0.1])
    assert clean == proved[0] and proved[1] <= attacked <= clean


def test_P9_what_is_no_detector_of_ours_says_so():
    with pytest.raises(TypeError, match="IsolationForest is no detector of this package"):
        pgd(IsolationForest().fit(ROWS), ROWS, 1, 0.1)
    with pytest.raises(TypeError, match=r"fitted detector, or have score\(points\); a str has"):
        pgd("OCSDF", ROWS, 1, 0.1)
    with pytest.raises(NotFittedError):
        pgd(OCSDF(), ROWS, 1, 0.1)
