"""Attacks find what closed forms say, stay in their balls, and never cross a bound that holds."""

import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score

from ocsdf import OCSDF, certified_auroc
from ocsdf.attacks.gradient_descent import attacked_auroc, pgd
from ocsdf.attacks.pairs import steepest_pairs
from ocsdf.attacks.search import evaluate_candidates
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.networks.gradients import input_gradient
from ocsdf.training.domain import Ball, Box
from tests.samples import affine_network, build_distance

WEIGHTS = np.array([0.75, -1.0, 0.5])
NORM = np.linalg.norm(np.float32(WEIGHTS).astype(float))
ROWS = np.random.default_rng(0).normal(scale=2.0, size=(60, 3))
SIGNS = np.where(np.arange(60) % 2, 1.0, -1.0)


@pytest.fixture(scope="module")
def affine():
    return affine_network(WEIGHTS, 0.25)


@pytest.fixture(scope="module")
def cone():
    """Minus the distance to (1, 0, 0)."""
    return CertifiedNetwork.from_keras(build_distance(np.array([[1.0, 0.0, 0.0]]), (1,), norm="l2"))


@pytest.fixture(scope="module")
def learned():
    return CertifiedNetwork.from_keras(condense(build_mlp(3, (16, 16), seed=1)))


@pytest.fixture(scope="module")
def fitted():
    """A small detector of each method, with rows and labels to judge it on."""
    rng = np.random.default_rng(0)
    train = rng.normal(size=(300, 4))
    X = np.vstack([rng.normal(size=(20, 4)), rng.normal(loc=1.5, scale=1.5, size=(20, 4))])
    settings = {"margin": 0.3, "hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}
    with warnings.catch_warnings():
        # Two epochs are too few to train well, and fit says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        detectors = {
            method: OCSDF(method=method, **settings).fit(train) for method in ("anchored", "paper")
        }
    return detectors, X, np.repeat([0, 1], 20)


@pytest.fixture(params=["anchored", "paper"])
def method(request):
    return request.param


def tolerance(network, points, radius):
    """What rounding may add to |f(x') - f(x)| - L |x' - x|, x' in the ball."""
    at_rows = 2.0 * network.rounding_error(points)
    return at_rows + network.rounding_slope * radius + 1e-14 * radius


def distances(found, points=ROWS):
    return np.linalg.norm(found.points - points, axis=1)


class Recorder:
    """A network that remembers the points it was asked to score."""

    def __init__(self, network):
        self.model, self._score, self.asked = network.model, network.score, []

    def score(self, points):
        self.asked.append(np.array(points))
        return self._score(points)


@pytest.mark.parametrize("radius", [1e-3, 0.3, 7.0])
def test_affine_score_moves_by_the_radius_times_the_gradient_norm(affine, radius):
    found = pgd(affine, ROWS, SIGNS, radius)
    change = found.scores - affine.score(ROWS)
    np.testing.assert_allclose(change, SIGNS * radius * NORM, atol=1e-6 * radius)
    expected = ROWS + radius * SIGNS[:, None] * np.float32(WEIGHTS) / NORM
    np.testing.assert_allclose(found.points, expected, atol=2e-3 * radius)


def test_distance_to_a_point(cone):
    rows = np.vstack([ROWS[:30], [1.0, 0.0, 0.0] + 0.2 * ROWS[30:]])
    far = np.linalg.norm(rows - [1.0, 0.0, 0.0], axis=1)
    down = pgd(cone, rows, -1, 0.8).scores
    np.testing.assert_allclose(down, -far - 0.8, atol=1e-6)
    up = pgd(cone, rows, 1, 0.8).scores
    outside = far > 0.8
    np.testing.assert_allclose(up[outside], -far[outside] + 0.8, atol=1e-6)
    # Around a tip within reach steps of 0.02 go to and fro.
    assert (~outside).sum() > 10
    assert (np.abs(up[~outside]) < 0.02).all()


def test_random_starts_leave_a_point_without_gradient(cone):
    # At its tip the distance has no gradient; float32 makes it NaN.
    tip = np.array([[1.0, 0.0, 0.0]])
    stays = pgd(cone, tip, -1, 0.5, n_restarts=1)
    np.testing.assert_array_equal(stays.points, tip)
    leaves = pgd(cone, tip, -1, 0.5)
    np.testing.assert_allclose(leaves.scores, -0.5, atol=1e-6)


def test_a_constant_score_stays_finite():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    network = CertifiedNetwork.from_keras(model)
    found = pgd(network, ROWS, SIGNS, 0.5)
    np.testing.assert_array_equal(found.points, ROWS)
    np.testing.assert_array_equal(found.scores, 0.0)
    np.testing.assert_array_equal(found.excess, 0.0)
    assert np.isfinite(steepest_pairs(network, ROWS, n_steps=5).ratios).all()


def test_gradients_that_are_not_finite_count_as_zero():
    def broken(rows):
        return rows[:, 0], np.array([np.nan, np.inf, -np.inf]) + 0.0 * rows

    network = SimpleNamespace(score=lambda rows: rows[:, 0], value_and_gradient=broken)
    np.testing.assert_array_equal(input_gradient(network)(ROWS), 0.0)
    assert np.isfinite(pgd(network, ROWS, 1, 0.5).points).all()


def test_gradients_larger_than_floats_square_have_a_direction():
    network = SimpleNamespace(
        score=lambda rows: rows[:, 0],
        value_and_gradient=lambda rows: (rows[:, 0], [1e250, 0.0, 0.0] + 0.0 * rows),
    )
    found = pgd(network, ROWS, 1, 0.5)
    np.testing.assert_allclose(found.scores - ROWS[:, 0], 0.5, atol=1e-9)


def test_a_network_may_bring_its_own_gradient(affine):
    own = SimpleNamespace(
        score=affine.score,
        value_and_gradient=lambda rows: (affine.score(rows), WEIGHTS + 0.0 * rows),
    )
    np.testing.assert_allclose(
        pgd(own, ROWS, SIGNS, 0.3).scores, pgd(affine, ROWS, SIGNS, 0.3).scores, atol=1e-9
    )


def test_gradient_equals_central_differences(learned):
    step = 1e-6
    shifted = ROWS[:, None, :] + step * np.vstack([np.eye(3), -np.eye(3)])
    scores = learned.score(shifted.reshape(-1, 3)).reshape(60, 2, 3)
    expected = (scores[:, 0] - scores[:, 1]) / (2.0 * step)
    np.testing.assert_allclose(input_gradient(learned)(ROWS), expected, atol=1e-5)


def test_a_box_that_blocks_one_feature(affine):
    # Feature 1, which falls, may not move: the others share the radius.
    rows = np.random.default_rng(1).uniform(-1.0, 1.0, (40, 3)).astype(np.float32).astype(float)
    rows[:, 1] = -1.0
    box = Box([-9.0, -1.0, -9.0], [9.0, 1.0, 9.0])
    # A part of each step is lost to the box, so that 50 of them need not reach the optimum.
    found = pgd(affine, rows, 1, 0.5, domain=box, n_steps=100)
    change = found.scores - affine.score(rows)
    np.testing.assert_allclose(change, 0.5 * np.hypot(WEIGHTS[0], WEIGHTS[2]), rtol=1e-3)
    assert box.contains(found.points).all()
    assert (distances(found, rows) <= 0.5).all()


def test_a_corner_that_blocks_all(affine):
    corner = np.array([[1.0, -1.0, 1.0]])
    found = pgd(affine, corner, 1, 0.5, domain=Box([-1.0] * 3, [1.0] * 3))
    np.testing.assert_array_equal(found.points, corner)


def test_a_ball_as_domain(cone):
    # Up is towards (1, 0, 0), which lies outside the ball of radius 1/2 at the origin.
    found = pgd(cone, np.array([[0.0, 0.0, 0.0]]), 1, 0.8, domain=Ball(np.zeros(3), 0.5))
    np.testing.assert_allclose(found.scores, -0.5, atol=1e-6)


@pytest.mark.parametrize("domain", [Box([-2.0] * 3, [2.0] * 3), Ball(np.zeros(3), 3.0)])
def test_every_iterate_stays_in_the_ball_and_in_the_domain_if_the_row_is(learned, domain):
    inside = domain.contains(ROWS)
    assert 5 < inside.sum() < 55
    recorder = Recorder(learned)
    pgd(recorder, ROWS, SIGNS, 0.4, domain=domain)
    tried = np.stack([points.reshape(60, -1, 3) for points in recorder.asked[1:]])
    assert tried.shape == (51, 60, 3, 3)
    assert (np.linalg.norm(tried - ROWS[:, None], axis=3) <= 0.4).all()
    assert domain.contains(tried[:, inside].reshape(-1, 3)).all()


@pytest.mark.parametrize("radius", [1e-12, 1e-3, 0.1, 3.0])
@pytest.mark.parametrize("scale", [1.0, 1e4, 1e13, 1e30])
def test_points_are_within_the_radius_as_float64_computes_it(affine, radius, scale):
    rows = scale * ROWS
    found = pgd(affine, rows, SIGNS, radius, n_steps=3, step=0.5)
    offset = found.points - rows
    assert (np.linalg.norm(offset, axis=1) <= radius).all()
    assert all(np.sqrt(row @ row) <= radius for row in offset)


def test_the_best_of_all_iterates_and_the_row_is_kept(learned):
    recorder = Recorder(learned)
    found = pgd(recorder, ROWS, SIGNS, 0.4)
    # The rows alone, then three iterates of each, as many times as there are steps, and once more.
    assert [len(points) for points in recorder.asked] == [60] + 51 * [180]
    tried = [learned.score(points).reshape(60, -1) for points in recorder.asked]
    best = (SIGNS[:, None] * np.hstack(tried)).max(axis=1)
    np.testing.assert_array_equal(SIGNS * found.scores, best)
    np.testing.assert_array_equal(learned.score(found.points), found.scores)


def test_a_step_that_overshoots_never_makes_it_worse(cone):
    near = np.array([[1.05, 0.0, 0.0]])
    found = pgd(cone, near, 1, 1.0, step=1.0, n_steps=3, n_restarts=1)
    np.testing.assert_array_equal(found.points, near)


def test_beats_noise(learned):
    clean, radius = learned.score(ROWS), 0.4
    noise = np.random.default_rng(2).normal(size=(153, 60, 3))
    noise *= radius / np.linalg.norm(noise, axis=2, keepdims=True)
    luck = max((np.abs(learned.score(ROWS + draw) - clean)).mean() for draw in noise)
    assert np.abs(pgd(learned, ROWS, SIGNS, radius).scores - clean).mean() > 1.1 * luck


def test_more_restarts_never_find_less(learned):
    one = pgd(learned, ROWS, SIGNS, 0.4, n_restarts=1)
    three = pgd(learned, ROWS, SIGNS, 0.4, n_restarts=3)
    assert (SIGNS * (three.scores - one.scores) >= 0.0).all()


def test_a_seed_decides(learned):
    first, again = (pgd(learned, ROWS, SIGNS, 0.4, random_state=3) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other = pgd(learned, ROWS, SIGNS, 0.4, random_state=4)
    assert (first.points != other.points).any()


def test_rows_that_follow_change_no_more_than_rounding(learned):
    found = pgd(learned, ROWS, -1, 0.4, n_steps=5)
    few = pgd(learned, ROWS[:7], -1, 0.4, n_steps=5)
    for a, b in zip(found[:3], few[:3], strict=True):
        np.testing.assert_allclose(a[:7], b, atol=1e-12)


def test_rows_are_attacked_in_chunks_that_change_no_bit(learned, monkeypatch):
    whole = pgd(learned, ROWS, SIGNS, 0.4, n_steps=5, n_restarts=2)
    monkeypatch.setattr("ocsdf.networks.gradients.BLOCK", 4)
    at_once = pgd(learned, ROWS, SIGNS, 0.4, n_steps=5, n_restarts=2)
    monkeypatch.setattr("ocsdf.attacks.gradient_descent._CHUNK", 16)
    in_chunks = pgd(learned, ROWS, SIGNS, 0.4, n_steps=5, n_restarts=2)
    np.testing.assert_array_equal(in_chunks.points, at_once.points)
    np.testing.assert_allclose(in_chunks.scores, whole.scores, atol=1e-3)


def test_never_crosses_the_certificate_of_a_fitted_detector(fitted, method):
    detectors, X, _ = fitted
    detector = detectors[method]
    network, points = detector._network, detector._checked_points(X)[:]
    radius = 0.5
    assert network.lipschitz_bound <= 1.0
    for direction in (-1, 1):
        found = pgd(network, points, direction, radius, lipschitz=network.lipschitz_bound)
        assert (found.excess <= tolerance(network, points, radius)).all()
        # It did move scores: the bound had something to hold.
        assert np.abs(found.scores - network.score(points)).mean() > 0.2 * radius


def test_no_verdict_flips_within_its_certified_radius(fitted, method):
    detectors, X, _ = fitted
    detector = detectors[method]
    certified = detector.certified_radius(X)
    row = np.argsort(certified)[len(X) // 4]
    points = detector._checked_points(X)[:][row : row + 1]
    sign = 1.0 if detector.decision_function(X)[row] >= 0.0 else -1.0
    assert certified[row] > 0.0
    found = pgd(detector._network, points, -sign, certified[row])
    assert (sign * (found.scores - detector.offset_) >= 0.0).all()


def test_excess_counts_iterates_of_every_restart(learned):
    recorder = Recorder(learned)
    found = pgd(recorder, ROWS, SIGNS, 0.4, lipschitz=0.2)
    tried = np.hstack([points.reshape(60, -1, 3) for points in recorder.asked])
    change = np.abs(
        learned.score(tried.reshape(-1, 3)).reshape(60, -1) - learned.score(ROWS)[:, None]
    )
    excess = change - 0.2 * np.linalg.norm(tried - ROWS[:, None], axis=2)
    np.testing.assert_array_equal(found.excess, excess.max(axis=1))


def test_excess_of_an_affine_score(affine):
    found = pgd(affine, ROWS, SIGNS, 0.3, lipschitz=0.9 * NORM)
    np.testing.assert_allclose(found.excess, 0.1 * NORM * 0.3, rtol=1e-6)
    sound = pgd(affine, ROWS, SIGNS, 0.3, lipschitz=affine.lipschitz_bound)
    assert (sound.excess <= tolerance(affine, ROWS, 0.3)).all()


def test_candidates_are_pulled_into_the_ball_and_judged(affine):
    candidates = ROWS + 10.0 * SIGNS[:, None] * WEIGHTS
    candidates[3] = np.nan
    found = evaluate_candidates(affine, ROWS, candidates, SIGNS, 0.3)
    expected = SIGNS * 0.3 * NORM
    expected[3] = 0.0
    np.testing.assert_allclose(found.scores - affine.score(ROWS), expected, atol=1e-6)
    assert (distances(found) <= 0.3).all()
    worse = evaluate_candidates(affine, ROWS, ROWS - 0.1 * SIGNS[:, None] * WEIGHTS, SIGNS, 0.3)
    np.testing.assert_array_equal(worse.points, ROWS)


def test_radius_zero_gives_the_rows_back(learned):
    found = pgd(learned, ROWS, SIGNS, 0.0)
    np.testing.assert_array_equal(found.points, ROWS)
    np.testing.assert_array_equal(found.scores, learned.score(ROWS))


# --- AUROC under attack -----------------------------------------------------------------------


def labelled():
    """Rows, and which of them are anomalies, of overlapping classes."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(80, 3)), (np.arange(80) < 30).astype(int)


@pytest.mark.parametrize("attacked", ["both", "anomalies", "normals"])
def test_affine_auroc_under_attack_is_the_guaranteed_one(affine, attacked):
    # The optimum shifts all scores by eps |w|, as the certificate assumes.
    X, y = labelled()
    scores, radii = affine.score(X), [0.2, 0.0, 0.05]
    found = attacked_auroc(affine, X, y, radii, attacked=attacked)
    expected = certified_auroc(
        scores[y == 0], scores[y == 1], radii, lipschitz=NORM, attacked=attacked
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[1] == pytest.approx(roc_auc_score(y, -scores), abs=1e-12)


def test_between_the_guarantee_and_the_auroc(fitted, method):
    detectors, X, y = fitted
    detector, radii = detectors[method], np.array([0.0, 0.2, 0.5])
    found = attacked_auroc(detector, X, y, radii, domain=detector.domain_)
    assert found[0] == pytest.approx(roc_auc_score(y, -detector.score_samples(X)), abs=1e-12)
    assert (detector.certified_auroc(X, y, radii) <= found).all()
    assert (np.diff(found) <= 0.0).all()
    assert found[-1] < found[0]


def test_a_larger_radius_counts_what_a_smaller_one_found(cone):
    # One step of the whole radius overshoots the tip at 1, and finds less than the row has.
    X, y = np.array([[1.3, 0.0, 0.0], [1.2, 0.0, 0.0]]), [1, 0]
    found = attacked_auroc(
        cone, X, y, [3.0, 0.25], attacked="anomalies", n_restarts=1, step=1.0, n_steps=1
    )
    np.testing.assert_array_equal(found, [0.0, 0.0])


def test_labels_of_any_kind(affine):
    X, y = labelled()
    names = np.where(y == 1, "fraud", "fine")
    found = attacked_auroc(affine, X, names, 0.1, pos_label="fraud")
    np.testing.assert_array_equal(found, attacked_auroc(affine, X, y, [0.1]))


# --- Steepest pairs ---------------------------------------------------------------------------


def test_steepest_pair_of_an_affine_score(affine):
    found = steepest_pairs(affine, ROWS)
    np.testing.assert_allclose(found.ratios, NORM, rtol=1e-9)
    length = np.linalg.norm(found.first - found.second, axis=1)
    ratios = np.abs(affine.score(found.first) - affine.score(found.second)) / length
    np.testing.assert_allclose(found.ratios, ratios, rtol=1e-12)
    assert (length >= 0.9e-3).all()


def test_pairs_climb_to_where_the_score_is_steep():
    # f = log(1 + exp(x)): R grows with x, and is 0.0025 at the start of x = -6.
    network = SimpleNamespace(
        score=lambda rows: np.logaddexp(0.0, rows[:, 0]),
        value_and_gradient=lambda rows: (
            None,
            np.stack([1.0 / (1.0 + np.exp(-rows[:, 0])), 0.0 * rows[:, 1]], axis=1),
        ),
    )
    starts = np.tile([-6.0, 0.0], (20, 1))
    near = steepest_pairs(network, starts, longest=0.01, shortest=0.01)
    far = steepest_pairs(network, starts, longest=8.0)
    assert (near.ratios < 0.01).all()
    assert (far.ratios > 0.5).all()


def claimed(model):
    """A network whose bound is said to be 1."""
    return SimpleNamespace(model=model, score=CertifiedNetwork.from_keras(model).score)


@pytest.mark.parametrize("broken", [0, 2])
def test_a_layer_scaled_by_one_hundredth_is_caught(broken):
    model = condense(build_mlp(8, (8, 8), seed=0))
    starts = np.random.default_rng(0).normal(size=(50, 8))
    assert (steepest_pairs(claimed(model), starts).ratios <= 1.0 + 1e-9).all()
    kernel = model.layers[broken].kernel
    kernel.assign(1.01 * kernel)
    caught = steepest_pairs(claimed(model), starts)
    assert caught.ratios.max() == pytest.approx(1.01, abs=1e-5)
    assert pgd(claimed(model), starts, 1, 0.3).excess.max() > 0.005 * 0.3


def test_steepest_pairs_of_a_fitted_detector_are_within_its_bound(fitted, method):
    detectors, X, _ = fitted
    network = detectors[method]._network
    found = steepest_pairs(network, detectors[method]._checked_points(X)[:])
    length = np.linalg.norm(found.first - found.second, axis=1)
    errors = network.rounding_error(found.first) + network.rounding_error(found.second)
    assert (found.ratios <= network.lipschitz_bound + errors / length + 1e-12).all()
    assert found.ratios.max() > 0.4


def test_a_seed_decides_the_pairs(learned):
    first, again = (steepest_pairs(learned, ROWS, n_steps=5, random_state=2) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


# --- Errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"points": ROWS[0]}, r"points must be finite rows .* got shape \(3,\)"),
        ({"points": np.full((2, 3), np.nan)}, "points must be finite rows .* with NaN or infinity"),
        ({"direction": 0}, "direction must be 1"),
        ({"direction": [1, -1]}, "direction must be 1 .* or 60 of these"),
        ({"radius": -0.1}, "radius must be a finite number >= 0; got -0.1"),
        ({"radius": "far"}, "radius must be a finite number; got 'far'"),
        ({"n_restarts": 0}, "n_restarts must be an integer >= 1; got 0"),
        ({"n_steps": 2.5}, "n_steps must be an integer >= 1; got 2.5"),
        ({"step": 0.0}, "step must be a finite number > 0; got 0"),
        ({"lipschitz": np.inf}, "lipschitz must be a finite number; got inf"),
    ],
)
def test_bad_arguments_of_pgd(affine, changed, message):
    arguments = {"points": ROWS, "direction": 1, "radius": 0.1} | changed
    with pytest.raises(ValueError, match=message):
        pgd(affine, **arguments)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": [0, 1]}, r"y must have 80 labels, one a row; got shape \(2,\)"),
        ({"y": np.zeros(80)}, r"y needs both anomalies \(label 1\) .* got only normal rows"),
        ({"y": np.arange(80)}, "y holds 0, 1, 2, 3, 4 and 75 more: say with pos_label"),
        ({"radii": [0.1, -1.0]}, "radii must be 0 or more, got -1"),
        (
            {"attacked": "none"},
            "attacked must be one of 'both', 'anomalies', 'normals'; got 'none'",
        ),
    ],
)
def test_bad_arguments_of_attacked_auroc(affine, changed, message):
    X, y = labelled()
    arguments = {"X": X, "y": y, "radii": [0.1]} | changed
    with pytest.raises(ValueError, match=message):
        attacked_auroc(affine, **arguments)


def test_bad_arguments_of_the_others(affine):
    with pytest.raises(
        ValueError, match=r"candidates must have the shape of the points, \(60, 3\)"
    ):
        evaluate_candidates(affine, ROWS, ROWS[:2], 1, 0.1)
    with pytest.raises(ValueError, match="lengths must be 0 < shortest <= longest"):
        steepest_pairs(affine, ROWS, longest=0.1, shortest=0.2)
    with pytest.raises(ValueError, match="starts must be finite rows"):
        steepest_pairs(affine, [])
    with pytest.raises(TypeError, match="network must have a Keras model .* SimpleNamespace has"):
        pgd(SimpleNamespace(score=affine.score), ROWS, 1, 0.1)
