"""Means and minima of networks, against the formula and in exact fractions."""

from fractions import Fraction

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import average
from ocsdf.networks.ensembles import ScaledMinimum, WeightedMean
from ocsdf.networks.layers import FullSort
from ocsdf.networks.lipschitz import float_error, layer_bound, network_bound
from tests.reference import forward
from tests.samples import build_distance, least

UNIT = 2.0**-24


def affine(slope, bias=0.0):
    """x -> slope x + bias, of one feature."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.set_weights([np.float32([[slope]]), np.float32([bias])])
    return model


def dense_net(seed, scale=1.0):
    """A network from 3 features, with random weights."""
    rng = np.random.default_rng(seed)
    layers = [keras.layers.Dense(8), FullSort(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.set_weights([scale * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def distance(seed, softening=2.0):
    references = np.random.default_rng(seed).normal(size=(16, 3))
    return build_distance(references, (4, 8), softening=softening)


def nested():
    """A mean of a network and of a mean, with a constant at each level."""
    inner = average([dense_net(0), distance(1)], [0.25, 0.75])
    outer = average([dense_net(2), inner, distance(3, None)], [0.5, 0.125, 0.375])
    inner.layers[-1].bias.assign([0.5])
    outer.layers[-1].bias.assign([-3.0])
    return outer


def rows(n_rows, scale=1.0, seed=9):
    return scale * np.random.default_rng(seed).normal(size=(n_rows, 3))


def test_it_is_the_formula():
    model = average([affine(2.0, 1.0), affine(-1.0), affine(0.5)], [0.5, 0.25, 0.25])
    points = np.array([[0.0], [1.0], [-4.0]])
    expected = 0.5 * (2.0 * points + 1.0) + 0.25 * -points + 0.25 * 0.5 * points
    np.testing.assert_allclose(model(points), expected, rtol=1e-6)
    model.layers[-1].bias.assign([8.0])
    np.testing.assert_allclose(model(points), expected + 8.0, rtol=1e-6)


def test_means_of_means_are_the_formula():
    points = rows(20)
    np.testing.assert_allclose(nested()(points)[:, 0], forward(nested(), points), atol=1e-5)


def test_a_member_with_several_outputs_is_refused():
    wide = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"members must have one output each; got \[1, 2\]"):
        average([affine(1.0), wide], [0.5, 0.5])


def test_members_keep_their_function_and_are_not_copied():
    members = [dense_net(0), distance(1)]
    points = rows(5)
    before = [member(points).numpy() for member in members]
    model = average(members, [0.25, 0.75])
    for member, values in zip(model.layers[-1].members, before, strict=True):
        np.testing.assert_array_equal(member(points), values)
    # The member's weights are the mean's: a change of one moves the other.
    members[0].layers[-1].bias.assign([100.0])
    moved = model(points) - (0.25 * before[0] + 0.75 * before[1])
    np.testing.assert_allclose(moved, 0.25 * (members[0](points) - before[0]), atol=1e-4)


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.25, 0.25], [], [1.5, -0.5], [1.0, 0.0]])
def test_weights_must_be_positive_and_one_a_member(weights):
    with pytest.raises(ValueError, match=r"weights must be positive, one for each of 2 members"):
        WeightedMean([affine(1.0), affine(2.0)], weights)


@pytest.mark.parametrize(
    "weights", [[0.5, 0.4], [0.5, 0.6], [0.25, 0.25], [np.nan, 0.5], [np.inf, 1.0]]
)
def test_weights_must_sum_to_one(weights):
    message = f"weights must sum to 1; got {sum(weights)!r}"
    with pytest.raises(ValueError, match=message):
        WeightedMean([affine(1.0), affine(2.0)], weights)


def test_no_member_no_mean():
    with pytest.raises(ValueError, match="one for each of 0 members"):
        WeightedMean([], [])


def saved_and_loaded(model, folder):
    """The model as its file gives it back: the same values, bound and rounding."""
    points = rows(50)
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(points), model(points))
    assert network_bound(loaded) == network_bound(model)
    assert float_error(loaded) == float_error(model)
    return loaded


def test_it_is_saved_whole(tmp_path):
    model = nested()
    loaded = saved_and_loaded(model, tmp_path)
    assert [w.shape for w in loaded.get_weights()] == [w.shape for w in model.get_weights()]
    for after, before in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)
    inner = loaded.layers[-1].members[1].layers[-1]
    assert inner.shares == [0.25, 0.75] and inner.bias.numpy() == [0.5]


@given(
    st.lists(st.floats(2.0**-20, 2.0**20), min_size=1, max_size=5),
    st.lists(st.integers(1, 2**10), min_size=5, max_size=5),
)
@settings(max_examples=25)
def test_bound_is_the_mean_of_the_bounds_rounded_up(slopes, parts):
    # Parts of 2^20: floats whose sum is 1 exactly, so that fractions can tell.
    parts = parts[: len(slopes) - 1]
    shares = [*(part * 2.0**-20 for part in parts), 1.0 - sum(parts) * 2.0**-20]
    members = [affine(slope) for slope in slopes]
    bounds = [network_bound(member) for member in members]
    bound = layer_bound(WeightedMean(members, shares))
    exact = sum(Fraction(w) * Fraction(b) for w, b in zip(shares, bounds, strict=True))
    assert exact <= Fraction(bound) <= exact * (1 + Fraction(1, 2**48))
    assert bound <= max(bounds)


@pytest.mark.parametrize("shares", [[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1]])
def test_members_of_bound_one_have_a_mean_of_bound_one(shares):
    assert layer_bound(WeightedMean([distance(seed) for seed in range(3)], shares)) == 1.0


def test_bound_of_a_nested_mean_goes_through_all_levels():
    inner = average([affine(4.0), affine(1.0)], [0.5, 0.5])
    outer = average([inner, affine(-0.5)], [0.75, 0.25])
    assert 2.0 <= network_bound(outer) <= 2.0 * (1 + 1e-6)
    assert network_bound(inner) <= network_bound(affine(4.0))


def test_a_member_without_a_bound_is_named():
    unknown = keras.Sequential([keras.Input((1,)), keras.layers.UnitNormalization(name="mine")])
    model = average([affine(1.0), unknown], [0.5, 0.5])
    for function in (network_bound, float_error):
        with pytest.raises(TypeError, match="No Lipschitz bound is known for layer 'mine'"):
            function(model)


@pytest.mark.parametrize(
    "make",
    [
        nested,
        lambda: average([dense_net(4, 3.0), distance(5)], [0.25, 0.75]),
        lambda: average([distance(6), distance(7, None), dense_net(8)], [0.1, 0.2, 0.7]),
    ],
    ids=["nested", "of the default's kind", "shares that float32 rounds"],
)
def test_float_error_covers_the_rounding_of_the_forward_pass(make):
    model = make()
    constant, slope = float_error(model, UNIT)
    rng = np.random.default_rng(0)
    points = rows(2000)
    norm = 10.0 ** rng.uniform(-2, 3, size=2000)
    points *= (norm / np.linalg.norm(points, axis=1))[:, np.newaxis]
    error = np.abs(model(points.astype(np.float32)).numpy()[:, 0] - forward(model, points))
    assert error.max() > 0.0
    assert (error <= constant + slope * norm).all()
    # In float64, which scores are computed in, nothing to speak of.
    assert max(float_error(model)) < 1e-11


def test_float_error_counts_the_constant():
    model = average([affine(1.0), affine(1.0)], [0.5, 0.5])
    before, slope = float_error(model, UNIT)
    model.layers[-1].bias.assign([1000.0])
    after, same_slope = float_error(model, UNIT)
    # gamma_4 of the constant: two members, their sum with it, and a share's rounding.
    assert after - before == pytest.approx(1000.0 * 4 * UNIT, rel=1e-5)
    assert same_slope == slope


def deep_minimum():
    """A minimum of a network, a mean and a minimum, each counted from a level of its own."""
    inner = least([dense_net(5), distance(6)], [0.5, 1.0], [0.25, -2.0], softening=1.0)
    return least([dense_net(4), nested(), inner], [0.75, 2.0, 1.0], [1.0, -6.0, 2.0])


def test_a_minimum_is_the_formula():
    model = least([affine(2.0, 1.0), affine(-1.0), affine(0.5)], [1.0, 3.0, 0.5], [0.5, 0.0, -2.0])
    x = np.array([[0.0], [1.0], [-4.0], [9.0]])
    expected = np.minimum(np.minimum(2.0 * x + 1.0 - 0.5, 3.0 * -x), 0.5 * (0.5 * x + 2.0))
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)
    np.testing.assert_allclose(
        CertifiedNetwork.from_keras(model).score(x), expected[:, 0], rtol=1e-15
    )
    points = rows(200)
    member_is_least = np.argmin(
        [
            scale * (forward(member, points) - level)
            for scale, member, level in zip(
                [0.75, 2.0, 1.0], deep_minimum().layers[-1].members, [1.0, -6.0, 2.0], strict=True
            )
        ],
        axis=0,
    )
    assert set(member_is_least) == {0, 1, 2}
    found = CertifiedNetwork.from_keras(deep_minimum()).score(points)
    np.testing.assert_allclose(found, forward(deep_minimum(), points), atol=1e-12)


@pytest.mark.parametrize("scales", [[1.0], [0.5, 0.25, 0.25], [], [1.5, -0.5], [1.0, np.inf]])
def test_scales_must_be_positive_and_one_a_member(scales):
    with pytest.raises(ValueError, match=r"scales must be finite and positive, one for each of 2"):
        ScaledMinimum([affine(1.0), affine(2.0)], scales)


def test_a_minimum_is_saved_whole(tmp_path):
    saved_and_loaded(deep_minimum(), tmp_path)


@given(st.lists(st.tuples(st.floats(2.0**-20, 2.0**20), st.floats(2.0**-9, 2.0**9)), min_size=1))
@settings(max_examples=25)
def test_bound_of_a_minimum_is_the_largest_scaled_bound(pairs):
    pairs = pairs[:5]
    members, scales = [affine(slope) for slope, _ in pairs], [scale for _, scale in pairs]
    exact = max(
        Fraction(s) * Fraction(network_bound(m)) for s, m in zip(scales, members, strict=True)
    )
    bound = Fraction(layer_bound(ScaledMinimum(members, scales)))
    assert exact <= bound <= exact * (1 + Fraction(1, 2**50))


def test_float_error_covers_a_minimum():
    model = deep_minimum()
    constant, slope = float_error(model, UNIT)
    points = rows(1000) * 10.0 ** np.random.default_rng(3).uniform(-2, 3, size=(1000, 1))
    error = np.abs(model(points.astype(np.float32)).numpy()[:, 0] - forward(model, points))
    assert error.max() > 0.0
    assert (error <= constant + slope * np.linalg.norm(points, axis=1)).all()
