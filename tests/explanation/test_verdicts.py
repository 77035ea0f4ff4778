"""Boundary points bound the distance from above, where the certificate bounds it from below."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from ocsdf import OCSDF
from ocsdf.certificate.metrics import certified_radius
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.explanation.boundary import boundary_points
from ocsdf.explanation.shares import feature_radii, gradient_shares
from ocsdf.explanation.sparse import sparse_boundary_points
from ocsdf.explanation.verdicts import explain, verdict_counts
from ocsdf.training.domain import Ball, Box
from tests.reference import input_gradient
from tests.samples import build_distance

WEIGHTS = np.array([0.5, -0.3, 0.1, 0.0])
BIAS = 0.25
TOLERANCE = 1e-6
BOX = Box([-6.0, -6.0], [6.0, 6.0])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def distance_to(references):
    """Minus the l2 distance to the nearest of some references."""
    references = np.asarray(references, dtype=np.float32)
    return CertifiedNetwork.from_keras(build_distance(references, (len(references),), norm="l2"))


@pytest.fixture(scope="module")
def affine():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.set_weights([WEIGHTS[:, None], np.array([BIAS])])
    return CertifiedNetwork.from_keras(model)


@pytest.fixture(scope="module")
def explained(judged):
    """The small detector, some rows, and their explanation."""
    estimator, X, *_ = judged
    X = X[::5]
    return estimator, X, explanation_of(estimator, X)


def explanation_of(estimator, X):
    return explain(
        estimator._network,
        estimator._checked_points(X)[:],
        estimator.certified_radius(X),
        level=estimator.offset_,
        mean=estimator.mean_,
        scale=estimator.scale_,
        stretched=estimator.stretch_,
        domain=estimator.domain_,
    )


@pytest.mark.parametrize("level", [0.0, -1.3])
def test_affine_boundary_is_a_hyperplane(affine, level):
    rows = np.random.default_rng(0).normal(scale=3.0, size=(50, 4))
    gap = rows @ WEIGHTS + BIAS - level
    norm = np.linalg.norm(WEIGHTS)
    found = boundary_points(affine, rows, level)
    assert found.converged.all()
    np.testing.assert_allclose(found.distance, np.abs(gap) / norm, atol=1e-5)
    nearest = rows - gap[:, None] / norm**2 * WEIGHTS
    np.testing.assert_allclose(found.points, nearest, atol=1e-4)


def test_affine_shares_are_those_of_the_weights(affine):
    rows = np.random.default_rng(1).normal(size=(200, 4))
    shares = gradient_shares(affine, rows)
    expected = np.tile(WEIGHTS**2 / np.sum(WEIGHTS**2), (200, 1))
    np.testing.assert_allclose(shares, expected, atol=1e-6)


def test_sparse_flips_of_an_affine_network_are_the_fewest_of_the_largest_weights(affine):
    rows = np.random.default_rng(0).normal(scale=3.0, size=(50, 4))
    gap = np.abs(rows @ WEIGHTS + BIAS)
    nearest = boundary_points(affine, rows)
    found = sparse_boundary_points(affine, rows, nearest)
    order = np.argsort(-np.abs(WEIGHTS))
    norms = np.sqrt(np.cumsum(np.square(WEIGHTS[order])))
    # Along k features the boundary is gap / norm of their weights away.
    count = 1 + np.argmax(norms >= np.linalg.norm(WEIGHTS) / 2.0)
    moved = found.points != rows
    expected = np.isin(np.arange(4), order[:count])
    assert np.array_equal(moved, np.tile(expected, (50, 1)))
    np.testing.assert_allclose(found.distance, gap / norms[count - 1], atol=1e-5)


def test_sparse_flips_of_a_sphere_stay_on_the_line(affine):
    # From (3, 0.1) at a sphere of radius 2 around 0, the first feature alone is enough.
    network = distance_to([np.zeros(2)])
    rows = np.array([[3.0, 0.1], [2.0, 2.0]])
    found = sparse_boundary_points(network, rows, boundary_points(network, rows, -2.0), -2.0)
    np.testing.assert_allclose(found.points[0], [np.sqrt(4.0 - 0.01), 0.1], atol=1e-4)
    # Along one axis only (2, 0) would do, which is more than twice as far as the nearest point.
    assert np.all(found.points[1] < 2.0)


def around(center, lengths):
    """Rows at given distances from a centre, in random directions."""
    offsets = np.random.default_rng(2).normal(size=(len(lengths), len(center)))
    return center + offsets * (lengths / np.linalg.norm(offsets, axis=1))[:, None]


def test_distance_to_one_reference_has_a_sphere_for_boundary():
    center, radius = np.array([1.0, -2.0, 0.5]), 2.0
    lengths = np.linspace(0.1, 8.0, 60)
    rows = around(center, lengths)
    network = distance_to([center])
    found = boundary_points(network, rows, level=-radius)
    assert found.converged.all()
    np.testing.assert_allclose(found.distance, np.abs(lengths - radius), atol=1e-4)
    directions = (rows - center) / lengths[:, None]
    np.testing.assert_allclose(found.points, center + radius * directions, atol=1e-4)
    np.testing.assert_allclose(gradient_shares(network, rows), directions**2, atol=1e-4)


def test_segments_turn_to_the_nearest_point_of_an_ellipse():
    """Minus the mean distance to two foci, whose level sets are ellipses, has curved paths."""
    foci = np.array([[-1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    network = CertifiedNetwork.from_keras(build_distance(foci, (1,), norm="l2"))
    rows = np.random.default_rng(0).uniform(-4.0, 4.0, size=(200, 2))
    angle = np.linspace(0.0, 2.0 * np.pi, 200_001)
    ellipse = np.column_stack([1.5 * np.cos(angle), np.sqrt(1.25) * np.sin(angle)])
    nearest = cKDTree(ellipse).query(rows)[0]
    found = boundary_points(network, rows, level=-1.5)
    assert found.converged.all()
    excess = found.distance - nearest
    assert (excess > 0.0).all()
    assert np.quantile(excess, 0.9) < 1e-4
    assert excess.max() < 5e-3


def test_far_rows_find_their_boundary_too():
    center, radius = np.array([1.0, -2.0, 0.5]), 2.0
    lengths = np.geomspace(1e3, 1e9, 40)
    network = distance_to([center])
    found = boundary_points(network, around(center, lengths), level=-radius)
    assert found.converged.all()
    # The gradient's direction is known to float32 digits.
    np.testing.assert_allclose(found.distance, lengths - radius, rtol=1e-6)
    assert (found.distance >= (lengths - radius) * (1.0 - 1e-14)).all()


def test_points_lie_beyond_the_level_by_no_more_than_the_tolerance(anchored):
    network = CertifiedNetwork.from_keras(anchored)
    rows = np.random.default_rng(3).normal(scale=2.0, size=(150, 3))
    level = float(np.median(network.score(rows)))
    found = boundary_points(network, rows, level, Ball([0.0, 0.0, 0.0], 8.0))
    assert found.converged.all()
    side = np.where(network.score(rows) >= level, -1.0, 1.0)
    beyond = side * (network.score(found.points) - level)
    assert (beyond > TOLERANCE / 2).all()
    assert (beyond < TOLERANCE * 1.001).all()


def test_a_row_on_the_level_is_inside_and_finds_a_point_outside(affine):
    row = np.zeros((1, 4))
    found = boundary_points(affine, row, level=float(affine.score(row)[0]))
    assert 0.0 < found.distance[0] < 2 * TOLERANCE / np.linalg.norm(WEIGHTS)


def test_level_out_of_reach_does_not_converge():
    network = distance_to([[0.0, 0.0]])
    rows = [[3.0, 1.0], [0.2, 0.0]]
    for domain in (None, BOX):
        found = boundary_points(network, rows, level=0.5, domain=domain)
        assert not found.converged.any()
        assert np.isinf(found.distance).all()
        assert np.isnan(found.points).all()


def test_null_gradient_has_no_shares_and_no_path_but_seeds_in_b_help():
    network = distance_to([[0.0, 0.0]])
    row = [[0.0, 0.0]]
    np.testing.assert_array_equal(gradient_shares(network, row), [[0.0, 0.0]])
    assert not boundary_points(network, row, level=-2.0).converged.any()
    found = boundary_points(network, row, level=-2.0, domain=BOX)
    np.testing.assert_allclose(found.distance, 2.0, atol=1e-4)


def test_valley_between_two_references_is_left_by_seeds_in_b():
    network = distance_to([[-1.0, 0.0], [1.0, 0.0]])
    row = np.array([[0.3, 0.0]])
    found = boundary_points(network, row, level=-1.5, domain=BOX)
    # Where the two circles meet.
    nearest = np.hypot(0.3, np.sqrt(1.5**2 - 1.0))
    assert nearest - 1e-4 <= found.distance[0] <= nearest + 0.05


def test_distance_is_that_of_a_grid_searched_everywhere():
    rng = np.random.default_rng(4)
    references = rng.normal(scale=1.5, size=(12, 2))
    network, level = distance_to(references), -0.9
    rows = rng.uniform(-4.0, 4.0, size=(100, 2))
    step = 0.01
    grid = np.stack(np.meshgrid(*[np.arange(-6.0, 6.0, step)] * 2), axis=-1).reshape(-1, 2)
    inside = cKDTree(references).query(grid)[0] <= -level
    row_inside = cKDTree(references).query(rows)[0] <= -level
    to_inside, to_outside = (cKDTree(grid[part]).query(rows)[0] for part in (inside, ~inside))
    truth = np.where(row_inside, to_outside, to_inside)
    found = boundary_points(network, rows, level, BOX)
    assert 10 < row_inside.sum() < 90
    assert found.converged.all()
    assert (found.distance >= truth - 2 * step).all()
    assert np.quantile(found.distance - truth, 0.9) < step
    assert (found.distance - truth).max() < 0.2


def test_certified_radius_is_never_above_the_distance(explained):
    estimator, X, explanation = explained
    radius = estimator.certified_radius(X)
    np.testing.assert_array_equal(explanation.radius, radius)
    assert (radius > 0.0).any()
    assert explanation.converged.any()
    assert (explanation.radius <= explanation.distance).all()


def test_boundary_points_have_the_other_verdict_in_raw_units(explained):
    estimator, X, explanation = explained
    rows = explanation.converged
    boundary = explanation.boundary[rows]
    np.testing.assert_array_equal(estimator.predict(boundary), -estimator.predict(X)[rows])
    moved = estimator._points_of(boundary) - estimator._points_of(X[rows])
    distance = explanation.distance[rows]
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), distance, rtol=1e-6)
    assert np.isnan(explanation.boundary[~rows]).all()


def test_shares_are_those_of_the_float64_gradient(anchored):
    rows = np.random.default_rng(5).normal(size=(300, 3))
    shares = gradient_shares(CertifiedNetwork.from_keras(anchored), rows)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    gradient = input_gradient(anchored, rows)
    expected = gradient**2 / np.sum(gradient**2, axis=1, keepdims=True)
    # On the edges of its pieces float32 may take the other piece.
    assert np.quantile(np.abs(shares - expected), 0.98) < 1e-4


def test_a_row_is_explained_as_if_it_were_alone(explained):
    estimator, X, explanation = explained
    alone = explanation_of(estimator, X[5:6])
    np.testing.assert_array_equal(alone.radius, explanation.radius[5:6])
    np.testing.assert_array_equal(alone.feature_radii, explanation.feature_radii[5:6])
    # Gradients differ in the last float32 digits.
    np.testing.assert_allclose(alone.shares, explanation.shares[5:6], atol=1e-5)
    np.testing.assert_allclose(alone.distance, explanation.distance[5:6], rtol=1e-4)


def test_no_row_gives_empty_arrays(affine):
    found = boundary_points(affine, np.empty((0, 4)))
    assert found.points.shape == (0, 4)
    assert found.distance.shape == found.converged.shape == (0,)


def test_no_change_within_the_raw_ellipsoid_flips_a_verdict(explained):
    estimator, X, explanation = explained
    certified = explanation.radius > 0.0
    rows, axes = X[certified], explanation.feature_radii[certified]
    verdicts = estimator.predict(rows)
    rng = np.random.default_rng(6)
    for _ in range(20):
        direction = rng.normal(size=rows.shape)
        direction *= 0.999 / np.linalg.norm(direction, axis=1, keepdims=True)
        np.testing.assert_array_equal(estimator.predict(rows + direction * axes), verdicts)
    for j in range(rows.shape[1]):
        alone = np.zeros_like(rows)
        alone[:, j] = 0.999 * axes[:, j]
        np.testing.assert_array_equal(estimator.predict(rows + alone), verdicts)


def test_a_constant_feature_has_the_radius_itself():
    X = np.random.default_rng(7).normal(size=(60, 2)) * [1.0, 50.0]
    X = np.column_stack([X, np.full(60, 7.0)])
    detector = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, random_state=0).fit(X)
    explanation = explanation_of(detector, X[:5])
    assert detector.scale_[2] == 1.0
    np.testing.assert_allclose(explanation.feature_radii[:, 2], explanation.radius, atol=2.0**-39)
    # No feature is squeezed: none may move farther than in standard deviations.
    assert np.all(explanation.feature_radii[:, 1] <= detector.scale_[1] * explanation.radius)


@given(
    st.lists(st.floats(0.0, 1e300), min_size=1, max_size=5),
    st.lists(st.floats(1e-300, 1e3), min_size=1, max_size=5),
)
def test_feature_radii_are_rounded_down(radius, scale):
    from fractions import Fraction

    found = feature_radii(radius, scale)
    assert found.shape == (len(radius), len(scale))
    for r, row in zip(radius, found, strict=True):
        for s, value in zip(scale, row, strict=True):
            assert 0 <= Fraction(value) <= Fraction(r) * Fraction(s)
            np.testing.assert_allclose(value, r * s, rtol=1e-15, atol=1e-320)


@given(st.integers(0, 2**31), st.integers(1, 40))
def test_verdict_counts_are_those_of_a_loop(seed, n_rows):
    rng = np.random.default_rng(seed)
    radius = rng.integers(0, 5, n_rows) / 4.0
    verdicts = rng.choice([-1, 1], n_rows)
    eps = [0.0, 0.25, 0.6, 1.0]
    counts = verdict_counts(radius, verdicts, eps)
    for k, bound in enumerate(eps):
        certified = [v for r, v in zip(radius, verdicts, strict=True) if r > bound]
        assert counts.normal[k] == certified.count(1)
        assert counts.anomalous[k] == certified.count(-1)
        assert counts.uncertified[k] == n_rows - len(certified)
    np.testing.assert_array_equal(counts.radii, eps)


def test_counts_hold_for_the_affine_network(affine):
    """Rows certified at eps keep their verdict at the worst change of that norm."""
    rows = np.random.default_rng(8).normal(size=(400, 4))
    scores = affine.score(rows)
    radius = certified_radius(scores, lipschitz=affine.lipschitz_bound)
    verdicts = np.where(scores >= 0.0, 1, -1)
    eps = 0.5
    counts = verdict_counts(radius, verdicts, eps)
    worst = rows - eps * verdicts[:, None] * WEIGHTS / np.linalg.norm(WEIGHTS)
    kept = np.where(affine.score(worst) >= 0.0, 1, -1) == verdicts
    assert counts.normal[0] == np.sum(kept & (verdicts == 1))
    assert counts.anomalous[0] == np.sum(kept & (verdicts == -1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: boundary_points(f, np.ones((2, 3))), r"of shape \(n, 4\); got shape \(2, 3\)"),
        (lambda f: boundary_points(f, [[0, 0, np.nan, 0]]), "1 NaN or infinite"),
        (lambda f: boundary_points(f, np.ones((1, 4)), level=np.nan), "level must be a finite"),
        (lambda f: boundary_points(f, np.ones((1, 4)), tolerance=0.0), "tolerance must be pos"),
        (lambda f: gradient_shares(f, np.ones(4)), r"got shape \(4,\)"),
        (lambda f: explain(f, np.ones((2, 4)), [1.0]), r"radius must hold 2 numbers, one a row"),
        (lambda f: explain(f, np.ones((1, 4)), [1.0], scale=0.0), "scale must be a vector of pos"),
        (lambda f: feature_radii([-1.0], [1.0]), "radius must be 0 or more, got -1"),
        (lambda f: verdict_counts([1.0], [1], [np.nan]), "eps must be finite"),
        (lambda f: verdict_counts([1.0], [0], 0.1), r"\+1 or -1, one for each of 1 radii"),
        (lambda f: verdict_counts([1.0, 2.0], [1], 0.1), r"got shape \(1,\)"),
    ],
)
def test_what_does_not_fit_is_refused(affine, call, message):
    with pytest.raises(ValueError, match=message):
        call(affine)
