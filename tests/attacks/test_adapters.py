"""Attacks of others, random search, and every attack on a detector as it is, in the units of X."""

import importlib.util
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError

from ocsdf import OCSDF
from ocsdf.attacks import attacked_auroc, random_search, steepest_pairs
from ocsdf.attacks.adapters import art_attack, foolbox_attack
from ocsdf.attacks.gradient_descent import pgd
from ocsdf.attacks.search import evaluate_candidates
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.sklearn_compat import OCSDFDetector
from ocsdf.sklearn_compat.distance_detectors import SubsampleDistanceDetector
from tests.samples import affine_network

ATTACKS = {"foolbox": foolbox_attack, "art": art_attack}
ROWS = np.random.default_rng(0).normal(scale=2.0, size=(40, 3))
SIGNS = np.where(np.arange(40) % 2, 1, -1)
WEIGHTS = np.array([0.6, -0.64, 0.48])


@pytest.fixture(params=ATTACKS)
def attack(request):
    pytest.importorskip(request.param)
    return ATTACKS[request.param]


@pytest.fixture(scope="module")
def affine():
    return affine_network(WEIGHTS, 0.2)


@pytest.fixture(scope="module")
def learned():
    return CertifiedNetwork.from_keras(condense(build_mlp(3, (16, 16), seed=1)))


def test_reaches_the_optimum_of_an_affine_score(attack, affine):
    found = attack(affine, ROWS, SIGNS, 0.3)
    clean = affine.score(ROWS)
    np.testing.assert_allclose(found.scores, clean + 0.3 * SIGNS, atol=1e-5)


def test_far_rows_have_a_gradient_left(attack, affine):
    # Logits of +-1000 would leave none: their cross-entropy is 0 in float32.
    rows = ROWS + 1000.0 * WEIGHTS
    found = attack(affine, rows, -1, 0.3)
    np.testing.assert_allclose(found.scores, affine.score(rows) - 0.3, atol=1e-3)


def test_stays_in_the_ball_and_within_the_bound(attack, learned):
    found = attack(learned, ROWS, SIGNS, 0.4)
    clean = learned.score(ROWS)
    assert (np.linalg.norm(found.points - ROWS, axis=1) <= 0.4).all()
    np.testing.assert_array_equal(found.scores, learned.score(found.points))
    assert (SIGNS * (found.scores - clean) >= 0.0).all()
    assert (found.excess <= 1e-10).all()


def test_agrees_with_our_own_attack(attack, learned):
    clean = learned.score(ROWS)
    theirs = np.abs(attack(learned, ROWS, SIGNS, 0.4).scores - clean).mean()
    ours = np.abs(pgd(learned, ROWS, SIGNS, 0.4).scores - clean).mean()
    assert ours >= 0.98 * theirs
    assert theirs >= 0.9 * ours


def test_radius_zero_gives_the_rows_back(attack, learned):
    found = attack(learned, ROWS, SIGNS, 0.0)
    np.testing.assert_array_equal(found.points, ROWS)


def test_checks_what_comes_in(attack, learned):
    with pytest.raises(ValueError, match="direction must be 1"):
        attack(learned, ROWS, 2, 0.4)
    with pytest.raises(ValueError, match="radius must be a finite number >= 0"):
        attack(learned, ROWS, 1, -1.0)


def test_an_excess_shows_a_bound_that_does_not_hold(attack, affine):
    found = attack(affine, ROWS, SIGNS, 0.3, lipschitz=0.99)
    np.testing.assert_allclose(found.excess, 0.003, atol=1e-5)


def test_foolbox_takes_another_attack(learned):
    foolbox = pytest.importorskip("foolbox")
    fast = foolbox.attacks.L2FastGradientAttack(random_start=False)
    found = foolbox_attack(learned, ROWS, SIGNS, 0.4, attack=fast)
    assert (np.abs(found.scores - learned.score(ROWS)) > 0.05).mean() > 0.5
    assert (found.excess <= 1e-10).all()


def test_foolbox_minimal_attack_crosses_the_threshold_it_is_given(affine):
    foolbox = pytest.importorskip("foolbox")
    clean = affine.score(ROWS)
    rows = ROWS[(clean > 0.5) & (clean < 1.5)]
    deep = foolbox.attacks.L2DeepFoolAttack()
    found = foolbox_attack(affine, rows, -1, 20.0, attack=deep, offset=0.5)
    # asinh bends: what is linear for the attack leads a little beyond.
    assert (found.scores < 0.5).all()
    assert (found.scores > 0.1).all()


def test_art_takes_another_attack(learned):
    evasion = pytest.importorskip("art.attacks.evasion")

    def fast(classifier, radius):
        return evasion.FastGradientMethod(classifier, norm=2, eps=radius)

    found = art_attack(learned, ROWS, SIGNS, 0.4, make_attack=fast)
    assert (np.abs(found.scores - learned.score(ROWS)) > 0.05).mean() > 0.5
    assert (found.excess <= 1e-10).all()


@pytest.mark.parametrize(
    ("module", "attack"),
    [("foolbox", foolbox_attack), ("art.estimators.classification", art_attack)],
)
def test_a_missing_library_is_named_in_one_line(monkeypatch, learned, module, attack):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"^This attack needs .*pip install 'ocsdf\[attacks\]'"):
        attack(learned, ROWS, SIGNS, 0.4)


SLOPE = np.array([0.75, -1.0, 0.5])
POINTS = np.random.default_rng(0).normal(scale=2.0, size=(60, 3))
PUSHES = np.where(np.arange(60) % 2, 1.0, -1.0)
AFFINE = SimpleNamespace(score=lambda points: points @ SLOPE)
CENTER = np.array([1.0, 0.0, 0.0])
CONE = SimpleNamespace(score=lambda points: -np.linalg.norm(points - CENTER, axis=1))


@pytest.mark.parametrize("radius", [0.1, 2.0])
def test_affine_scores_move_almost_as_far_as_they_can(radius):
    found = random_search(AFFINE, POINTS, PUSHES, radius, lipschitz=np.linalg.norm(SLOPE))
    gain = PUSHES * (found.scores - AFFINE.score(POINTS))
    assert np.all(gain >= 0.95 * radius * np.linalg.norm(SLOPE))
    assert np.all(np.linalg.norm(found.points - POINTS, axis=1) <= radius)
    assert np.array_equal(found.scores, AFFINE.score(found.points))
    assert found.excess.max() <= 1e-12
    again = random_search(AFFINE, POINTS, PUSHES, radius)
    assert np.array_equal(again.points, found.points)


def test_a_known_row_leads_straight_to_the_answer():
    found = random_search(CONE, POINTS, PUSHES, 0.5, landmarks=[CENTER], n_queries=1)
    distance = np.linalg.norm(POINTS - CENTER, axis=1)
    expected = np.where(PUSHES > 0, -np.maximum(distance - 0.5, 0.0), -distance - 0.5)
    np.testing.assert_allclose(found.scores, expected, atol=1e-9)


def test_steps_of_one_feature_find_what_trees_look_at():
    stump = SimpleNamespace(score=lambda points: (points[:, 3] > 0.9).astype(float))
    rows = np.zeros((40, 5))
    found = random_search(stump, rows, 1, 1.0, n_queries=400)
    assert found.scores.mean() > 0.5


def test_so_many_scores_are_asked_for_and_no_more():
    asked = []
    network = SimpleNamespace(score=lambda points: asked.append(len(points)) or points[:, 0])
    random_search(network, POINTS, 1, 0.3, n_queries=10)
    # The rows themselves come first.
    assert sum(asked) == 11 * len(POINTS)
    asked.clear()
    clean = random_search(network, POINTS, 1, 0.0)
    assert sum(asked) == len(POINTS) and np.array_equal(clean.points, POINTS)


def test_a_detector_is_attacked_in_the_units_of_x(judged):
    detector, X, _, _, _ = judged
    rows = X[:20]
    found = random_search(detector, rows, -1, 0.2, landmarks=X[20:], n_queries=40)
    moved = detector._points_of(found.points) - detector._points_of(rows)
    assert np.all(np.linalg.norm(moved, axis=1) <= 0.2)
    assert np.all(found.scores <= detector.score_samples(rows))
    np.testing.assert_allclose(found.scores, detector.score_samples(found.points), atol=1e-12)
    assert np.all(found.scores >= detector.score_samples(rows) - 0.2 * 1.000001)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"landmarks": np.zeros((2, 4))}, "landmarks must have 3 features"),
        ({"n_queries": 0}, "n_queries"),
        ({"radius": -1.0}, "radius"),
    ],
)
def test_bad_input(options, message):
    arguments = {"radius": 0.1} | options
    with pytest.raises(ValueError, match=message):
        random_search(AFFINE, POINTS, 1, **arguments)


REACH = 0.3
BLOBS = make_blobs(90, 3, centers=1, random_state=0)[0] * [1.0, 1000.0, 1e-3] + [0.0, 1e6, 0.0]
FITTED, NEW = BLOBS[:80], BLOBS[80:]
TINY = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}


@pytest.fixture(scope="module", params=["OCSDF", "with names", "PyOD's", "distances"])
def detector(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if request.param == "PyOD's":
            return OCSDFDetector(OCSDF(**TINY), contamination=0.3).fit(FITTED)
        if request.param == "distances":
            return SubsampleDistanceDetector(random_state=0).fit(FITTED)
        rows = (
            pd.DataFrame(FITTED, columns=list("abc")) if request.param == "with names" else FITTED
        )
        return OCSDF(**TINY, contamination=0.3).fit(rows)


def few_steps(attack):
    def foolbox(detector, rows, direction, radius):
        import foolbox

        quick = foolbox.attacks.L2ProjectedGradientDescentAttack(rel_stepsize=0.25, steps=4)
        return attack(detector, rows, direction, radius, attack=quick)

    return foolbox


ON_DETECTORS = {
    "pgd": lambda *given: pgd(*given, n_steps=4, step=0.25),
    "candidates": lambda detector, rows, *given: evaluate_candidates(
        detector, rows, rows + [0.1, 100.0, 1e-4], *given
    ),
}
if importlib.util.find_spec("foolbox"):
    ON_DETECTORS["foolbox"] = few_steps(foolbox_attack)
if importlib.util.find_spec("art"):
    ON_DETECTORS["art"] = art_attack


@pytest.mark.parametrize("attack", ON_DETECTORS.values(), ids=ON_DETECTORS)
def test_P9_attacks_take_a_detector_and_rows_in_its_units(detector, attack):
    fitted = getattr(detector, "detector_", detector)
    names = getattr(fitted, "feature_names_in_", None)
    X = NEW if names is None else pd.DataFrame(NEW, columns=names)
    found = attack(detector, X, None, REACH)
    moved = found.points if names is None else pd.DataFrame(found.points, columns=names)
    np.testing.assert_allclose(fitted.score_samples(moved), found.scores, atol=1e-9)
    assert np.linalg.norm((found.points - NEW) / fitted.scale_, axis=1).max() <= 1.001 * REACH
    np.testing.assert_array_equal(found.certified, fitted.certified_radius(X))
    flipped = fitted.predict(moved) != fitted.predict(X)
    assert not flipped[found.certified > REACH].any()
    assert found.excess.max() <= 1e-6
    worse = (found.scores - fitted.score_samples(X)) * np.where(fitted.predict(X) > 0, -1, 1)
    assert worse.min() >= -1e-9 and worse.max() > 0.0


def test_P9_the_other_attacks_take_a_detector(detector):
    fitted = getattr(detector, "detector_", detector)
    names = getattr(fitted, "feature_names_in_", None)
    X = FITTED if names is None else pd.DataFrame(FITTED, columns=names)
    pairs = steepest_pairs(detector, X[:6], n_steps=3)
    assert pairs.ratios.max() <= fitted.lipschitz_bound_ + 1e-3
    y = np.arange(80) % 2
    clean, attacked = attacked_auroc(detector, X, y, [0.0, 0.1], n_steps=2, n_restarts=1)
    proved = fitted.certified_auroc(X, y, [0.0, 0.1])
    assert clean == proved[0] and proved[1] <= attacked <= clean


def test_P9_what_is_no_detector_of_ours_says_so():
    with pytest.raises(TypeError, match="IsolationForest is no detector of this package"):
        pgd(IsolationForest().fit(FITTED), FITTED, 1, 0.1)
    with pytest.raises(TypeError, match=r"fitted detector, or have score\(points\); a str has"):
        pgd("OCSDF", FITTED, 1, 0.1)
    with pytest.raises(NotFittedError):
        pgd(OCSDF(), FITTED, 1, 0.1)
