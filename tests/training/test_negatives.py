"""Algorithm 1: closed forms; nothing crosses the level or leaves B; clear seeds are clear."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from ocsdf.networks.builders import build_mlp, condense
from ocsdf.networks.lipschitz import float_error
from ocsdf.training.domain import Ball, Box
from ocsdf.training.negatives import SCHEDULES, attract
from ocsdf.training.seeds import ClearSeeds
from ocsdf.utils import threads
from tests.reference import forward, input_gradient

DOMAINS = {"box": Box([-4.0, -2.0], [3.0, 5.0]), "ball": Ball([0.5, -0.5], 4.0)}
WIDE = Box([-100.0] * 3, [100.0] * 3)
ETA = np.linspace(0, 1, 21, dtype=np.float32)
DIRECTION = np.float32([2.0, -1.0, 2.0]) / 3.0
RADIUS = 0.5


def affine(points):
    return tf.linalg.matvec(points, tf.constant(DIRECTION))[:, tf.newaxis] + 0.3


def ball_distance(points):
    return RADIUS - tf.norm(points, axis=1, keepdims=True)


def seeds(n_seeds=21, spread=3.0):
    """Seeds at distances 1 to 7 from the origin."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(n_seeds, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    distance = 1.0 + 2.0 * spread * rng.uniform(size=(n_seeds, 1))
    return tf.constant(distance * directions, tf.float32)


@functools.cache
def random_weights(activation, seed):
    """Weights of a condensed net: wide layers and narrow ones, so its gradient is below 1."""
    model = build_mlp(2, (8, 4, 6), activation, seed=seed)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(rng.normal(scale=0.5, size=layer.units))
    return condense(model).get_weights()


@functools.cache
def attract_in_graph(activation, name, schedule):
    """Return a net, a set B, and Algorithm 1 on both, traced once for all weights and levels."""
    net, domain = condense(build_mlp(2, (8, 4, 6), activation)), DOMAINS[name]

    @tf.function
    def run(start, level, eta, steps):
        return attract(net, start, domain, level=level, eta=eta, steps=steps, schedule=schedule)

    return net, domain, run


class TestClosedForms:
    @pytest.mark.parametrize("f", [affine, ball_distance])
    @pytest.mark.parametrize("steps", [1, 4, 16])
    def test_printed_schedule(self, f, steps):
        start, level = seeds(), -0.2
        end = attract(f, start, WIDE, level=level, eta=ETA, steps=steps)
        first, last = level - f(start)[:, 0], level - f(end)[:, 0]
        left = (1.0 - np.float64(ETA) / steps) ** steps
        np.testing.assert_allclose(last, left * first, atol=1e-5)

    @pytest.mark.parametrize("f", [affine, ball_distance])
    @pytest.mark.parametrize("steps", [1, 4, 16])
    def test_even_schedule(self, f, steps):
        start, level = seeds(), -0.2
        end = attract(f, start, WIDE, level=level, eta=ETA, steps=steps, schedule="even")
        first, last = level - f(start)[:, 0], level - f(end)[:, 0]
        np.testing.assert_allclose(last, (1.0 - ETA) * first, atol=2e-5)

    def test_moves_along_the_ray_to_the_ball(self):
        start = seeds()
        end = attract(ball_distance, start, WIDE, level=0.0, eta=tf.ones(21), steps=1)
        nearest = RADIUS * start / np.linalg.norm(start, axis=1, keepdims=True)
        np.testing.assert_allclose(end, nearest, atol=1e-5)

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_number_of_steps_may_be_a_tensor_in_a_graph(self, schedule):
        @tf.function
        def in_graph(start, steps):
            return attract(affine, start, WIDE, level=-0.2, eta=ETA, steps=steps, schedule=schedule)

        for steps in (0, 1, 5):
            eager = attract(
                affine, seeds(), WIDE, level=-0.2, eta=ETA, steps=steps, schedule=schedule
            )
            np.testing.assert_allclose(in_graph(seeds(), tf.constant(steps)), eager, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_steps_give_the_seeds_back(schedule):
    end = attract(affine, seeds(), WIDE, level=-0.2, eta=ETA, steps=0, schedule=schedule)
    np.testing.assert_array_equal(end, seeds())


def test_each_step_projects_on_the_set():
    # Level 0 of x - 5 lies outside B: samples stop at its face.
    box = Box([-1.0, -1.0], [1.0, 1.0])
    start = tf.constant([[0.0, 0.5], [0.9, -0.5]])
    end = attract(
        lambda z: z[:, :1] - 5.0, start, box, level=0.0, eta=tf.ones(2), steps=4, schedule="even"
    )
    np.testing.assert_array_equal(end, [[1.0, 0.5], [1.0, -0.5]])


def test_seeds_without_gradient_stay():
    start = seeds()
    end = attract(lambda z: 0.0 * z[:, :1], start, WIDE, level=-0.2, eta=ETA, steps=4)
    np.testing.assert_array_equal(end, start)


@given(
    st.sampled_from(["fullsort", "groupsort2"]),
    st.sampled_from(sorted(DOMAINS)),
    st.sampled_from(SCHEDULES),
    st.integers(1, 8),
    st.floats(-3.0, 3.0),
    st.integers(0, 3),
    st.integers(0, 2**31 - 1),
)
@settings(max_examples=30)
def test_nothing_crosses_the_level_or_leaves_the_set(
    activation, name, schedule, steps, level, net_seed, seed
):
    net, domain, run = attract_in_graph(activation, name, schedule)
    net.set_weights(random_weights(activation, net_seed))
    rng = np.random.default_rng(seed)
    start = domain.sample(64, rng)
    eta = tf.constant(rng.random(64, dtype=np.float32))
    end = run(tf.constant(start), tf.constant(level), eta, tf.constant(steps))
    # All that float32 can do: to the score a step starts from, and to the points themselves.
    constant, slope = float_error(net, 2.0**-24)
    tolerance = 2 * (constant + (slope + 2.0**-20) * np.linalg.norm(start, axis=1).max())
    assert tolerance < 2e-4
    side = np.sign(level - forward(net, start))
    assert (side * (level - forward(net, end)) >= -tolerance).all()
    assert domain.contains(end).all()


@pytest.mark.parametrize("activation", ["fullsort", "groupsort2"])
def test_random_nets_are_flat_in_places(activation):
    # Otherwise the test above would never see the guard at work.
    net, domain, _ = attract_in_graph(activation, "box", "even")
    points = domain.sample(500, np.random.default_rng(0))
    norms = []
    for seed in range(4):
        net.set_weights(random_weights(activation, seed))
        norms.append(np.linalg.norm(input_gradient(net, points), axis=1))
    assert np.min(norms) < 0.5
    assert np.max(norms) <= 1.0 + 1e-6


@pytest.mark.parametrize("swapped", [0.0, 0.9])
@pytest.mark.parametrize("n_features", [2, 12])
@pytest.mark.parametrize("domain", [Box, Ball])
def test_seeds_are_clear_of_all_rows_and_in_b(n_features, domain, swapped):
    rows = np.random.default_rng(0).normal(size=(300, n_features))
    # Far out along one axis each: a mix of them lies in no ball that just holds the rows.
    rows[:n_features] = 30.0 * np.eye(n_features)
    domain = domain.from_data(rows)
    seeds = ClearSeeds(rows, 0.1, domain, swapped)(2000, np.random.default_rng(1))
    assert seeds.shape == (2000, n_features) and seeds.dtype == np.float32
    assert np.all(domain.contains(seeds))
    assert cdist(seeds.astype(float), rows).min() > 0.2 * (1.0 - 1e-5)


def test_most_lie_around_rows_and_some_anywhere():
    rows = np.random.default_rng(0).normal(size=(300, 2))
    seeds = ClearSeeds(rows, 0.01, Box.from_data(rows))(4000, np.random.default_rng(1))
    nearest = cdist(seeds, rows).min(axis=1)
    assert 0.5 < np.mean(nearest <= 0.2) < 0.95
    assert np.mean(nearest > 0.5) > 0.1


def test_swapped_seeds_have_features_of_rows_and_no_row():
    rows = np.random.default_rng(0).normal(size=(40, 1)) * np.ones(6)
    domain = Box.from_data(rows)
    seeds = ClearSeeds(rows, 0.01, domain, swapped=1.0)(2000, np.random.default_rng(1))
    assert np.isin(seeds, rows.astype(np.float32)).all()
    # Each mixes two rows: one has the first feature, the other is told by any that differs.
    n_values = np.array([len(np.unique(seed)) for seed in seeds])
    assert np.all(n_values == 2)
    # Any share of the features may be another row's.
    shares = (seeds == seeds[:, :1]).mean(axis=1)
    assert np.allclose(np.unique(shares), np.arange(1, 6) / 6.0)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_share_of_the_candidates_is_swapped(share):
    rows = np.random.default_rng(0).normal(size=(500, 8))
    seeds = ClearSeeds(rows, 1e-3, Box.from_data(rows), swapped=share)(
        20_000, np.random.default_rng(1)
    )
    found = np.isin(seeds, rows.astype(np.float32)).all(axis=1).mean()
    # Of 8 features all are one row's with probability 2 / 9: such seeds are no clear ones.
    expected = share * 7 / 9 / (1.0 - share * 2 / 9)
    assert abs(found - expected) < 0.02


def test_the_same_generator_gives_the_same_seeds():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    draws = [
        ClearSeeds(rows, 0.1, Box.from_data(rows))(100, np.random.default_rng(s)) for s in (0, 0, 1)
    ]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


def test_a_margin_that_leaves_no_room_is_named():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ValueError, match="choose a smaller margin"):
        ClearSeeds(rows, 100.0, Box.from_data(rows))(10, np.random.default_rng(0))


@pytest.mark.parametrize("margin, there", [(0.1, True), (1.5, True), (100.0, False)])
def test_room_is_found_where_a_seed_is(margin, there):
    rows = np.random.default_rng(0).normal(size=(50, 2))
    seeds = ClearSeeds(rows, margin, Box.from_data(rows))
    assert seeds.has_room(np.random.default_rng(0)) == there


@pytest.mark.parametrize("margin", [0.01, 0.8])
def test_as_many_are_drawn_as_are_wanted(margin):
    rows = np.random.default_rng(0).normal(size=(300, 3))
    seeds = ClearSeeds(rows, margin, Box.from_data(rows))
    seeds(1, np.random.default_rng(1))
    # A round more than was needed draws a share of them only.
    assert 2**13 <= len(seeds._pool) < 1.5 * 2**13
    assert cdist(seeds._pool, rows).min() > 2.0 * margin * (1.0 - 1e-5)


def test_the_number_of_threads_changes_no_seed(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(300, 12))
    pools = []
    for n_threads in (1, 3):
        monkeypatch.setattr(threads, "_n_allowed", lambda n_threads=n_threads: n_threads)
        pools.append(ClearSeeds(rows, 0.1, Box.from_data(rows))(500, np.random.default_rng(1)))
    np.testing.assert_array_equal(*pools)
