"""Distances and unions of cones as Keras layers: loops, closed forms, 1-Lipschitz, float64."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import average
from ocsdf.networks.cones import Cones
from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.layers import Centered
from ocsdf.networks.lipschitz import float_error, layer_bound, network_bound
from ocsdf.operations.distances import SubsampleDistance as Distance

CASES = [(24, (2, 4, 12)), (24, (24,)), (24, (1, 8)), (8, (8,)), (6, (1,))]
# A forward pass takes these in several parts, of some rows of each group or of one.
CASES += [(300, (150,)), (256, (2, 64)), (1024, (128,)), (257, (257,))]


def make(references, group_sizes, norm="l1"):
    layer = SubsampleDistance(len(references), group_sizes, norm)
    layer.build((None, references.shape[1]))
    layer.references.assign(references)
    return layer


def by_loops(points, references, group_sizes, norm):
    """The docstring's formula, one number at a time."""
    values = []
    for x in points:
        means = []
        for size in group_sizes:
            groups = [references[i : i + size] for i in range(0, len(references), size)]
            if norm == "l1":
                nearest = [min(np.abs(x - r).sum() / np.sqrt(len(x)) for r in g) for g in groups]
            else:
                nearest = [min(np.linalg.norm(x - r) for r in g) for g in groups]
            means.append(np.mean(nearest))
        values.append(-np.mean(means))
    return np.array(values)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("n_references, group_sizes", CASES)
def test_it_is_the_formula(n_references, group_sizes, norm):
    random_state = np.random.default_rng(0)
    references = random_state.normal(size=(n_references, 3)).astype(np.float32)
    points = random_state.normal(size=(5, 3)).astype(np.float32)
    layer = make(references, group_sizes, norm)
    expected = by_loops(points.astype(float), references.astype(float), group_sizes, norm)
    exact = Distance(references, group_sizes, norm).evaluate(points.astype(float))
    assert exact[:, 0] == pytest.approx(expected, abs=1e-13)
    assert np.asarray(layer(points))[:, 0] == pytest.approx(expected, abs=1e-6)


def test_one_group_of_all_rows_is_the_nearest_neighbour():
    references = np.array([[0.0, 0.0], [3.0, 4.0]])
    layer = make(references, (2,), "l2")
    assert np.asarray(layer(np.array([[0.0, 1.0], [3.0, 4.0]])))[:, 0] == pytest.approx([-1.0, 0.0])


@settings(max_examples=40)
@given(
    st.integers(1, 6),
    st.sampled_from(["l1", "l2"]),
    st.integers(0, 2**16),
    st.floats(1e-3, 1e3),
)
def test_it_is_one_lipschitz_in_l2(n_features, norm, seed, reach):
    random_state = np.random.default_rng(seed)
    distance = Distance(random_state.normal(size=(16, n_features)), (2, 8), norm)
    points = random_state.normal(size=(20, n_features))
    others = points + reach * random_state.normal(size=points.shape)
    difference = np.abs(distance.evaluate(points) - distance.evaluate(others))
    apart = np.linalg.norm(points - others, axis=1)
    assert np.all(difference[:, 0] <= apart * (1 + 1e-12) + 1e-12)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_it_is_saved_whole(tmp_path, norm):
    references = np.random.default_rng(0).normal(size=(16, 3))
    model = keras.Sequential([keras.Input((3,)), make(references, (4, 8), norm)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    points = np.random.default_rng(1).normal(size=(5, 3))
    assert np.array_equal(loaded(points), model(points))


@pytest.mark.parametrize("n_references, group_sizes", [(24, (8, 12)), (20, (8,)), (8, (0, 8))])
def test_sizes_that_do_not_divide_are_refused(n_references, group_sizes):
    with pytest.raises(ValueError, match="must divide the next"):
        SubsampleDistance(n_references, group_sizes)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="norm must be one of 'l1', 'l2'; got 'l3'"):
        SubsampleDistance(8, (8,), norm="l3")


# A float32 hair below 1: no longer than a unit vector, rounding included.
SHORT = np.float32(1.0) - np.float32(2.0**-23)


def network_of(bases, angle, floor=0.0, centered=False):
    n_features, rank = bases[0].shape
    cones = Cones(len(bases), rank, angle, floor)
    layers = [keras.Input((n_features,)), cones]
    if centered:
        layers.insert(1, Centered())
    model = keras.Sequential(layers)
    cones.bases.assign(np.concatenate(bases, axis=1))
    return model


def orthonormal(n_features, rank, seed):
    drawn = np.random.default_rng(seed).normal(size=(n_features, rank))
    return (np.linalg.qr(drawn)[0] * (1.0 - 1e-6)).astype(np.float32)


def test_signed_distance_to_a_ray_s_cone_in_the_plane():
    # The cone of half-angle 30 degrees around the first axis: what lies at an angle phi to it is
    # r sin(30 - phi) from its edge, or r where the tip is nearest.
    model = network_of([SHORT * np.eye(2)[:, [0]]], np.pi / 6)
    phi = np.deg2rad([0.0, 30.0, 60.0, 119.0, 121.0, 180.0])
    points = 2.0 * np.stack([np.cos(phi), np.sin(phi)], axis=1)
    # The floor cuts off what lies behind the tip at p: min(s, p).
    expected = 2.0 * np.array([0.5, 0.0, -0.5, -np.sin(np.deg2rad(89.0)), -1.0, -1.0])
    expected = np.minimum(expected, points[:, 0])
    found = CertifiedNetwork.from_keras(average([model], [1.0])).score(points)
    # The hair, 1.2e-7, is one of 5e-4 across: the root of twice that.
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(model(points.astype(np.float32))[:, 0], found, atol=1e-3)


def test_signed_distance_to_a_plane_s_cone():
    # Around the plane x3 = 0 in R^3: p and q are the distances along and across it.
    basis = SHORT * np.eye(3)[:, :2]
    points = np.array([[3.0, 4.0, 0.0], [3.0, 4.0, -5.0], [0.0, 0.0, 2.0]])
    p, q = np.array([5.0, 5.0, 0.0]), np.array([0.0, 5.0, 2.0])
    angle = 0.4
    expected = np.minimum(p * np.sin(angle) - q * np.cos(angle), p - 0.5)
    network = CertifiedNetwork.from_keras(average([network_of([basis], angle, floor=0.5)], [1.0]))
    np.testing.assert_allclose(network.score(points), expected, atol=3e-3)


def test_the_nearest_cone_counts():
    bases = [SHORT * np.eye(3)[:, [k]] for k in range(3)]
    network = CertifiedNetwork.from_keras(average([network_of(bases, 0.3)], [1.0]))
    alone = [CertifiedNetwork.from_keras(average([network_of([b], 0.3)], [1.0])) for b in bases]
    points = np.abs(np.random.default_rng(0).normal(size=(50, 3)))
    expected = np.max([a.score(points) for a in alone], axis=0)
    np.testing.assert_array_equal(network.score(points), expected)


@settings(max_examples=40)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.floats(0.01, 1.5),
    st.floats(0.0, 2.0),
    st.booleans(),
    st.integers(0, 2**31 - 1),
)
def test_one_lipschitz(n_cones, rank, angle, floor, centered, seed):
    random_state = np.random.default_rng(seed)
    bases = [orthonormal(6, rank, seed + k) for k in range(n_cones)]
    model = average([network_of(bases, angle, floor, centered)], [1.0])
    assert network_bound(model) == 1.0
    network = CertifiedNetwork.from_keras(model)
    first = random_state.normal(size=(200, 6)) * 3.0
    second = first + random_state.normal(size=(200, 6)) * 10.0 ** random_state.uniform(-2, 1)
    moved = np.linalg.norm(first - second, axis=1)
    changed = np.abs(network.score(first) - network.score(second))
    slack = network.rounding_error(first) + network.rounding_error(second)
    assert np.all(changed <= moved + slack)


def test_gradient_has_norm_one_off_the_tip_and_ties():
    basis = orthonormal(5, 2, 1)
    network = CertifiedNetwork.from_keras(average([network_of([basis], 0.7)], [1.0]))
    point = np.random.default_rng(2).normal(size=(1, 5))
    steps = 1e-5 * np.eye(5)
    gradient = (network.score(point + steps) - network.score(point - steps)) / 2e-5
    assert np.linalg.norm(gradient) == pytest.approx(1.0, abs=1e-5)


def test_scores_far_in_the_cone_stay_within_the_rounding_bound():
    # q is a small difference of large squares there.
    basis = orthonormal(300, 3, 4)
    model = average([network_of([basis], 0.2)], [1.0])
    network = CertifiedNetwork.from_keras(model)
    rows = np.random.default_rng(5).normal(size=(20, 3)) @ basis.T.astype(np.float64)
    wide = rows.astype(np.longdouble)
    p = np.sqrt(np.square(wide @ basis.astype(np.longdouble)).sum(axis=1))
    q = np.sqrt(np.maximum(np.square(wide).sum(axis=1) - p * p, 0))
    exact = np.minimum(np.sin(0.2) * p - np.cos(0.2) * q, p)
    assert np.all(np.abs(network.score(rows) - exact) <= network.rounding_error(rows))
    constant, slope = float_error(model)
    assert constant >= 0.0
    assert slope < 1e-5


def test_a_basis_longer_than_one_is_refused():
    layer = network_of([1.01 * np.eye(3)[:, :2]], 0.5).layers[-1]
    with pytest.raises(ValueError, match="bases of norm at most 1"):
        layer_bound(layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_cones": 0}, "at least 1"),
        ({"angle": 0.0}, "between 0 and pi / 2"),
        ({"angle": np.pi}, "between 0 and pi / 2"),
        ({"floor": -1.0}, "finite and >= 0"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        Cones(**{"n_cones": 1, "rank": 2, "angle": 0.5, "floor": 0.0} | change)


def test_saves_and_loads(tmp_path):
    model = average([network_of([orthonormal(4, 2, 7)], 0.3, 0.1, centered=True)], [1.0])
    model.save(tmp_path / "cones.keras")
    loaded = keras.models.load_model(tmp_path / "cones.keras", safe_mode=True)
    rows = np.random.default_rng(8).normal(size=(5, 4))
    np.testing.assert_array_equal(
        CertifiedNetwork.from_keras(model).score(rows),
        CertifiedNetwork.from_keras(loaded).score(rows),
    )


def test_batches_change_a_score_by_less_than_the_slack():
    model = average([network_of([orthonormal(30, 4, 9)] * 3, 0.4, centered=True)], [1.0])
    network = CertifiedNetwork.from_keras(model)
    rows = np.random.default_rng(10).normal(size=(400, 30))
    alone = np.concatenate([network.score(rows[i : i + 1]) for i in range(0, 400, 37)])
    error = np.abs(network.score(rows)[::37] - alone)
    assert (error <= network.slack(rows[::37], 0.0)).all()
