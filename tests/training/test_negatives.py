"""Algorithm 1: its closed forms, and that nothing crosses the level or leaves B."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.builders import build_mlp, condense
from ocsdf.networks.lipschitz import float_error
from ocsdf.training.domain import Ball, Box
from ocsdf.training.negatives import SCHEDULES, attract
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
