"""B: it contains the data, its projection is the nearest point, its samples are uniform."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from ocsdf.training.domain import DOMAINS, Ball, Box
from tests.reference import nearest_in_ball, nearest_in_box

BOX = Box([-1.0, 0.0, 2.0], [1.0, 0.5, 2.0 + 1e-3])
BALL = Ball([1.0, -2.0, 0.5], 1.5)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def tables(draw):
    """Float32 rows as they come: heavy tails, two rows, a constant column, any scale."""
    rng = np.random.default_rng(draw(seeds))
    shape = draw(st.integers(2, 20)), draw(st.integers(1, 6))
    rows = rng.standard_t(draw(st.sampled_from([1.0, 2.0, 30.0])), size=shape)
    # Two rows at least this far apart: rows all alike have a test of their own.
    rows[0] += 1.0 + np.ptp(rows, axis=0)
    if shape[1] > 1 and draw(st.booleans()):
        rows[:, 0] = rows[0, 0]
    scale, shift = 10.0 ** draw(st.floats(-3, 3)), draw(st.sampled_from([0.0, 1.0]))
    return (scale * (rows + shift)).astype(np.float32)


def sample(domain, n_samples=4000, seed=0):
    points = domain.sample(n_samples, np.random.default_rng(seed))
    assert points.dtype == np.float32
    return points


class TestFromData:
    @given(tables(), st.sampled_from(sorted(DOMAINS)))
    @settings(max_examples=60)
    def test_contains_every_row(self, rows, name):
        domain = DOMAINS[name].from_data(rows)
        assert domain.contains(rows).all()
        # Projecting moves no row of the data, but for float32 rounding.
        moved = np.abs(domain.project(tf.constant(rows)).numpy() - rows)
        assert (moved <= 1e-6 * np.abs(rows).max()).all()

    def test_box_is_mean_and_five_deviations(self):
        rows = np.random.default_rng(0).normal([1.0, -3.0], [2.0, 0.1], size=(500, 2))
        box = Box.from_data(rows)
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        np.testing.assert_allclose(box.lower, mean - 5 * deviation, rtol=1e-6)
        np.testing.assert_allclose(box.upper, mean + 5 * deviation, rtol=1e-6)

    def test_box_reaches_to_a_row_far_out(self):
        rows = np.zeros((101, 1))
        rows[0] = 100.0
        # mean 100/101 and five deviations of 9.9 end at 50.3.
        assert Box.from_data(rows).upper == 100.0
        assert Box.from_data(-rows).lower == -100.0

    @pytest.mark.parametrize("n_rows", [2, 3, 7, 50])
    @pytest.mark.parametrize("value", [0.0, 0.1, 1e3])
    def test_constant_column_is_given_a_deviation_of_one(self, n_rows, value):
        for dtype in (np.float32, np.float64):
            rows = np.column_stack([np.full(n_rows, value), np.arange(n_rows)]).astype(dtype)
            box = Box.from_data(rows)
            np.testing.assert_allclose(box.lower[0], value - 5.0, rtol=1e-6)
            np.testing.assert_allclose(box.upper[0], value + 5.0, rtol=1e-6)

    def test_ball_has_five_deviations_around_the_mean(self):
        rows = np.random.default_rng(0).normal([1.0, -3.0], [2.0, 1.0], size=(500, 2))
        ball = Ball.from_data(rows)
        np.testing.assert_allclose(ball.center, rows.mean(axis=0), rtol=1e-6)
        assert ball.radius == pytest.approx(5 * np.sqrt(rows.var(axis=0).mean()), rel=1e-6)

    def test_ball_reaches_to_a_row_far_out(self):
        rows = np.zeros((101, 2))
        rows[0] = 60.0, 80.0
        ball = Ball.from_data(rows)
        assert ball.radius == pytest.approx(100.0 * 100 / 101, rel=1e-4)

    @pytest.mark.parametrize("name", DOMAINS)
    def test_rows_all_alike(self, name):
        rows = np.full((2, 3), 0.5, np.float32)
        domain = DOMAINS[name].from_data(rows)
        np.testing.assert_array_equal(domain.project(tf.constant(rows)), rows)


class TestProject:
    @given(seeds, st.floats(-2, 3))
    @settings(max_examples=50)
    def test_is_the_nearest_point(self, seed, exponent):
        points = (10.0**exponent * np.random.default_rng(seed).normal(size=(20, 3))).astype("f4")
        found = BOX.project(tf.constant(points)).numpy()
        np.testing.assert_array_equal(found, nearest_in_box(points, BOX.lower, BOX.upper))
        found = BALL.project(tf.constant(points)).numpy()
        expected = nearest_in_ball(points, BALL.center, BALL.radius)
        np.testing.assert_allclose(found, expected, atol=2e-6)

    @pytest.mark.parametrize("domain", [BOX, BALL])
    def test_no_other_point_of_the_set_is_nearer(self, domain):
        points = np.random.default_rng(0).normal(scale=5.0, size=(100, 3)).astype(np.float32)
        found = np.float64(domain.project(tf.constant(points)))
        others = np.float64(sample(domain, 500))
        # Of a convex set: the angle at the nearest point is not acute.
        inner = np.einsum("ik,ijk->ij", points - found, others[np.newaxis] - found[:, np.newaxis])
        assert inner.max() <= 1e-4

    @given(tables(), st.sampled_from(sorted(DOMAINS)), seeds)
    @settings(max_examples=40)
    def test_ends_inside_and_stays(self, rows, name, seed):
        domain = DOMAINS[name].from_data(rows)
        rng = np.random.default_rng(seed)
        far = rows[:1] + 30 * (np.ptp(rows) + 1) * rng.normal(size=(20, rows.shape[1]))
        once = domain.project(tf.constant(far, tf.float32))
        assert domain.contains(once).all()
        twice = domain.project(once).numpy()
        np.testing.assert_allclose(twice, once, rtol=1e-6, atol=1e-6 * np.abs(once).max())

    def test_ball_far_from_the_origin(self):
        ball = Ball([300.0, 300.0], 5.0)
        around = 300.0 + 50.0 * np.random.default_rng(0).normal(size=(500, 2))
        assert ball.contains(ball.project(tf.constant(around, tf.float32))).all()


class TestSample:
    def test_box_is_uniform(self):
        box = Box([-1.0, 0.0, 2.0], [1.0, 0.5, 7.0])
        points = sample(box)
        assert box.contains(points).all()
        share = (points - box.lower) / (box.upper - box.lower)
        for column in share.T:
            assert kstest(column, "uniform").pvalue > 1e-3
        # Independent columns: covariance I/12.
        np.testing.assert_allclose(np.cov(share.T), np.eye(3) / 12, atol=6e-3)

    @pytest.mark.parametrize("n_features", [1, 2, 5])
    def test_ball_is_uniform(self, n_features):
        ball = Ball(np.arange(n_features), 2.5)
        points = sample(ball)
        assert ball.contains(points).all()
        offset = (points - ball.center) / ball.radius
        distance = np.linalg.norm(offset, axis=1)
        assert kstest(distance**n_features, "uniform").pvalue > 1e-3
        # Second moments of the uniform law on the unit ball: I / (d + 2).
        np.testing.assert_allclose(offset.mean(axis=0), 0.0, atol=0.04)
        moments = offset.T @ offset / len(offset)
        np.testing.assert_allclose(moments, np.eye(n_features) / (n_features + 2), atol=0.02)

    @pytest.mark.parametrize("domain", [BOX, BALL])
    def test_the_seed_decides(self, domain):
        np.testing.assert_array_equal(sample(domain, 5, seed=1), sample(domain, 5, seed=1))
        assert (sample(domain, 5, seed=1) != sample(domain, 5, seed=2)).any()


@pytest.mark.parametrize(
    ("domain", "inside"),
    [
        (BOX, [[0.0, 0.2, 2.0], [-1.0, 0.5, 2.0], [1.0, 0.0, 2.0]]),
        (BALL, [[1.0, -2.0, 0.5], [2.5, -2.0, 0.5], [1.0, -2.0, -1.0]]),
    ],
)
def test_contains_its_edge_and_nothing_beyond(domain, inside):
    outside = [[2.6, -2.0, 0.5], [1.0, -0.4, 0.5], [np.inf, 0.0, 2.0], [np.nan, 0.2, 2.0]]
    np.testing.assert_array_equal(domain.contains(inside + outside), [True] * 3 + [False] * 4)


@pytest.mark.parametrize("name", DOMAINS)
def test_is_rebuilt_from_its_arrays(name):
    rows = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    domain = DOMAINS[name].from_data(rows)
    again = DOMAINS[name](**domain.arrays())
    np.testing.assert_array_equal(sample(again, 50), sample(domain, 50))
    far = tf.constant(40.0 * rows)
    np.testing.assert_array_equal(again.project(far), domain.project(far))
