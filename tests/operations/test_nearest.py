"""Nearest rows, nearest values and solids, against loops, closed forms, the bound of rounding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.translation import translate
from ocsdf.operations.base import from_description
from ocsdf.operations.chain import Chain
from ocsdf.operations.nearest import NearestRow, NearestRows, NearestValues
from ocsdf.operations.piecewise import Piecewise, contraction
from ocsdf.operations.solids import SolidDistance


def nearest_row(n_references, n_features, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    references = scale * rng.normal(size=(n_references, n_features))
    return NearestRow(references.astype(np.float32), np.float32(rng.random(n_references)))


def nearest_values(n_features, seed=0):
    rng = np.random.default_rng(seed)
    parts = [np.unique(np.float32(rng.normal(size=size))) for size in 1 + np.arange(n_features)]
    return NearestValues(np.concatenate(parts), np.array([len(part) for part in parts]))


def maps(n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    counts = 1 + np.arange(n_features)
    knots = np.concatenate([np.unique(np.float32(rng.normal(size=size))) for size in counts])
    slopes = np.float32(rng.uniform(1.0, 5.0, size=len(knots) + n_features))
    return Piecewise(knots, slopes, counts, np.float32(rng.normal(size=n_features)))


def rows(n_features, seed=1):
    return 2.0 * np.random.default_rng(seed).normal(size=(50, n_features))


@pytest.mark.parametrize("n_references, n_features", [(1, 1), (7, 3), (33, 5), (300, 20)])
def test_nearest_row_is_the_formula(n_references, n_features):
    head, points = nearest_row(n_references, n_features), rows(n_features)
    distances = np.linalg.norm(points[:, None] - head.references, axis=2) + head.setbacks
    assert -head.evaluate(points)[:, 0] == pytest.approx(distances.min(axis=1), abs=1e-12)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    n_references=st.integers(1, 200),
    n_features=st.integers(1, 12),
    scale=st.sampled_from([1e-30, 1e-12, 1.0, 1e6, 1e14, 1e25]),
    offset=st.sampled_from([0.0, 1.0, 1e8]),
    setback=st.sampled_from([0.0, 1e-3, 1.0, 100.0]),
    copies=st.booleans(),
)
def test_what_float32_leaves_out_is_never_the_nearest(
    seed, n_references, n_features, scale, offset, setback, copies
):
    rng = np.random.default_rng(seed)
    references = scale * (offset + rng.normal(size=(n_references, n_features)))
    if copies:
        references[::2] = references[0]
    points = np.concatenate(
        [
            scale * (offset + 3.0 * rng.normal(size=(20, n_features))),
            references[:5] * (1.0 + 1e-9),
            # As one stray row among others.
            1e20 * rng.normal(size=(1, n_features)),
        ]
    )
    head = NearestRow(references, setback * scale * rng.random(n_references))
    distances = np.linalg.norm(points[:, None] - references, axis=2) + head.setbacks
    expected, found = distances.min(axis=1), -head.evaluate(points)[:, 0]
    # What differences, squares, their sum, root and the last sum round, in either order.
    assert np.all(np.abs(found - expected) <= (n_features + 8) * 2.0**-52 * expected)


def test_rows_of_several_passes_have_the_same_bits(monkeypatch):
    head, points = nearest_row(70, 6), rows(6)
    in_one = head.evaluate(points)
    # Seven rows a pass, the last of them one.
    monkeypatch.setattr("ocsdf.operations.nearest._CELLS", 7 * 70)
    assert np.array_equal(head.evaluate(points), in_one)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31), n_values=st.integers(1, 40))
def test_searches_of_a_column_find_what_a_sorted_search_finds(seed, n_values):
    rng = np.random.default_rng(seed)
    knots = np.unique(rng.integers(-20, 20, n_values).astype(float))
    slopes = rng.uniform(0.5, 2.0, len(knots) + 1)
    map_ = Piecewise(knots, slopes, [len(knots)], [0.0])
    # Knots themselves, what lies a rounding beside them, and beyond them all.
    points = np.concatenate([knots, np.nextafter(knots, -np.inf), rng.normal(0.0, 30.0, 20)])
    pieces = np.searchsorted(knots, points, side="right")
    assert np.array_equal(map_.slopes_at(points[:, None])[:, 0], map_.slopes[pieces])


def test_a_reference_without_setback_has_the_value_zero_exactly():
    references = np.float32(1e3 + np.random.default_rng(0).normal(size=(40, 9)))
    head = NearestRow(references, np.zeros(40))
    assert np.all(head.evaluate(head.references) == 0.0)


def test_setbacks_that_are_1_lipschitz_are_kept_at_the_references():
    references = np.random.default_rng(0).normal(size=(40, 4))
    setbacks = 0.5 * np.linalg.norm(references, axis=1)
    head = NearestRow(references, setbacks)
    assert -head.evaluate(references)[:, 0] == pytest.approx(setbacks, abs=1e-12)


def test_nearest_values_is_the_distance_to_the_grid():
    head = NearestValues(np.array([0.0, 1.0, -2.0, 5.0]), np.array([2, 2]))
    points = np.array([[0.4, 5.0], [1.0, -2.0], [4.0, 9.0], [0.0, 0.0]])
    assert -head.evaluate(points)[:, 0] == pytest.approx([0.4, 0.0, 5.0, 2.0])


def test_nearest_rows_are_the_root_mean_square():
    references, points = rows(3), rows(3, seed=2)
    head = NearestRows(references, 5)
    distances = np.sort(np.linalg.norm(points[:, None] - references, axis=2), axis=1)[:, :5]
    expected = np.sqrt(np.mean(distances**2, axis=1))
    assert -head.evaluate(points)[:, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "head", [nearest_row(30, 3), nearest_values(3), maps(), NearestRows(rows(3, 5), 5)]
)
def test_gradients_are_finite_differences(head):
    points, step = rows(3), 1e-6
    values, pull_back = head.linearize(points)
    assert np.array_equal(values, head.evaluate(points))
    gradient = pull_back(np.ones_like(values))
    for j in range(3):
        moved = points + step * np.eye(3)[j]
        differences = (head.evaluate(moved) - values).sum(axis=1) / step
        # A kink may lie in between.
        assert np.mean(np.abs(differences - gradient[:, j]) < 1e-4) > 0.95


@pytest.mark.parametrize(
    "head", [nearest_row(30, 3), nearest_values(3), NearestRows(rows(3, 5), 5)]
)
def test_scores_change_no_more_than_rows(head):
    first, second = rows(3), rows(3, seed=2)
    change = np.abs(head.evaluate(first) - head.evaluate(second))[:, 0]
    assert np.all(change <= np.linalg.norm(first - second, axis=1) * (1.0 + 1e-12))
    assert head.bound((3,)) == 1.0


@pytest.mark.parametrize("head", [nearest_row(30, 3), nearest_values(3)])
def test_rounding_covers_float128(head):
    chain = Chain((head,), (3,))
    points = 1e3 + rows(3)
    wide = points.astype(np.longdouble)
    if isinstance(head, NearestRow):
        offsets = wide[:, None] - head.references
        exact = (np.sqrt(np.square(offsets).sum(axis=2)) + head.setbacks).min(axis=1)
    else:
        parts = np.split(head.seen, np.cumsum(head.counts.astype(int))[:-1])
        gaps = [np.abs(wide[:, [j]] - part).min(axis=1) for j, part in enumerate(parts)]
        exact = np.sqrt(np.square(gaps).sum(axis=0))
    constant, slope = chain.float_error()
    error = np.abs(-head.evaluate(points)[:, 0] - exact)
    bound = constant + slope * np.linalg.norm(points, axis=1)
    assert np.all(error <= bound) and np.all(bound < 1e-2)


@pytest.mark.parametrize("head", [nearest_row(30, 3), nearest_values(3), maps()])
def test_keras_computes_the_same_and_translates_back(head):
    parts = (head,) if head.output_shape((3,)) == (1,) else (head, nearest_values(3))
    chain = Chain(parts, (3,))
    model, points = chain.to_keras(), rows(3).astype(np.float32)
    expected = chain.evaluate(points.astype(float))
    assert np.asarray(model(points)) == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(translate(model).evaluate(points.astype(float)), expected)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_maps_increase_and_are_inverted(seed):
    map_ = maps(seed=seed)
    points = np.sort(rows(3, seed), axis=0)
    images = map_.evaluate(points)
    assert np.all(np.diff(images, axis=0) >= np.diff(points, axis=0) * (1.0 - 1e-6) - 1e-12)
    assert np.all(np.diff(images, axis=0) <= map_.bound((3,)) * np.diff(points, axis=0) + 1e-12)
    assert map_.inverse(images) == pytest.approx(points, abs=1e-9)


def test_maps_go_through_their_knots():
    map_ = Piecewise([0.0, 1.0, 3.0], [1.0, 2.0, 0.5, 4.0], [3], [10.0])
    points = np.array([[-1.0], [0.0], [0.5], [1.0], [2.0], [3.0], [4.0]])
    assert map_.evaluate(points)[:, 0] == pytest.approx([9.0, 10.0, 11.0, 12.0, 12.5, 13.0, 17.0])
    assert map_.slopes_at(points)[:, 0] == pytest.approx([1.0, 2.0, 2.0, 0.5, 0.5, 4.0, 4.0])
    assert map_.steepest.tolist() == [4.0]


def test_a_contraction_leads_to_the_other_map_and_lengthens_nothing():
    map_ = maps()
    smaller = np.float32(0.5 + 0.5 * map_.slopes)
    other = Piecewise(map_.knots, smaller, map_.counts, map_.origins)
    between = contraction(map_, smaller, map_.origins)
    points = rows(3)
    assert between.evaluate(map_.evaluate(points)) == pytest.approx(other.evaluate(points))
    assert between.bound((3,)) <= 1.0


def test_a_chain_of_them_is_certified():
    map_ = maps()
    chain = Chain((contraction(map_, np.ones(len(map_.slopes)), map_.origins),
                   nearest_row(20, 3)), (3,))  # fmt: skip
    network = CertifiedNetwork(chain)
    assert network.lipschitz_bound <= 1.0
    assert np.all(network.rounding_error(rows(3)) < 1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: NearestRow(np.ones((2, 3)), [-1.0, 0.0]), "setbacks must be 2 numbers"),
        (lambda: NearestValues([1.0, 0.0], [2]), "seen must increase"),
        (lambda: NearestValues([1.0, 0.0], [3]), "counts must be integers"),
        (lambda: Piecewise([1.0, 0.0], [1.0, 1.0, 1.0], [2], [0.0]), "knots must increase"),
        (lambda: Piecewise([0.0, 1.0], [1.0, 0.0, 1.0], [2], [0.0]), "slopes be positive"),
        (lambda: Piecewise([0.0], [1.0], [1], [0.0]), "must fit"),
        (lambda: Piecewise([0.0], [1.0, 1.0], [1.5], [0.0]), "integers >= 1"),
    ],
)
def test_what_fits_no_proof_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


CORNERS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def exact(points):
    """The distance to a tetrahedron's planes, which inside is the distance to its surface."""
    return np.minimum(points.min(axis=1), (1.0 - points.sum(axis=1)) / np.sqrt(3.0))


def test_inside_a_tetrahedron_it_is_the_least_distance_to_a_plane():
    rng = np.random.default_rng(0)
    points = rng.dirichlet(np.ones(4), 500)[:, :3]
    values = SolidDistance(CORNERS, FACES).evaluate(points)[:, 0]
    assert np.abs(values - exact(points)).max() < 1e-14


def test_the_slope_is_that_of_finite_differences_and_of_norm_one():
    points = np.random.default_rng(1).uniform(-1.0, 2.0, (300, 3))
    network = CertifiedNetwork(Chain((SolidDistance(CORNERS, FACES),), (3,)))
    values, slopes = network.value_and_gradient(points)
    step = 1e-6
    differences = np.stack(
        [(network.score(points + s) - network.score(points - s)) / 2.0 / step
         for s in step * np.eye(3)], axis=1
    )  # fmt: skip
    # Where two points of the surface are equally near there is no slope: those are few.
    assert np.mean(np.abs(differences - slopes).max(axis=1) < 1e-4) > 0.99
    assert np.abs(np.linalg.norm(slopes, axis=1) - 1.0).max() < 1e-9
    # A step of f along the slope ends on the surface.
    assert np.abs(network.score(points - values[:, np.newaxis] * slopes)).max() < 1e-12
    assert network.lipschitz_bound == 1.0 and network.rounding_error(points).max() < 1e-12


def test_it_is_described_and_made_again_and_checked():
    solid = SolidDistance(CORNERS, FACES)
    points = np.random.default_rng(2).uniform(-1.0, 2.0, (50, 3))
    again = from_description(*solid.describe())
    assert np.array_equal(again.evaluate(points), solid.evaluate(points))
    for faces, message in (
        (FACES[1:], "3 of its 6 edges do not have two faces"),
        (FACES + 1, "faces must be places of 4 vertices"),
        (FACES + 0.5, "faces must be places"),
        (FACES[:, :2], "must have 3 columns"),
    ):
        with pytest.raises(ValueError, match=message):
            SolidDistance(CORNERS, faces)
    with pytest.raises(ValueError, match="takes 3 features"):
        Chain((solid,), (2,))
    with pytest.raises(TypeError, match="no Keras form"):
        solid.to_keras((3,))
