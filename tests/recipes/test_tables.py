"""Choices from the data alone, on data whose answer is known."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.lipschitz import network_bound
from ocsdf.recipes.tables import (
    SHARES,
    SOFTENING,
    boundary_level,
    distance_network,
    distance_part,
    linear_decay,
    nearest_neighbor_margin,
    trusted_rows,
)
from tests.reference import forward


def rng(seed=0):
    return np.random.default_rng(seed)


def grid(spacing, n=5, n_features=2):
    axes = [spacing * np.arange(n)] * n_features
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, n_features)


class TestMargin:
    @pytest.mark.parametrize("spacing", [0.25, 1.0, 8.0])
    @pytest.mark.parametrize("n_features", [1, 2, 3])
    def test_half_the_spacing_of_a_grid(self, spacing, n_features):
        assert nearest_neighbor_margin(grid(spacing, 5, n_features), 0.5, rng()) == spacing / 2

    def test_share(self):
        assert nearest_neighbor_margin(grid(2.0), 0.25, rng()) == 0.5

    def test_repeated_rows_do_not_count(self):
        rows = grid(1.0)
        repeated = np.vstack([rows, rows, np.repeat(rows[:3], 200, axis=0)])
        assert nearest_neighbor_margin(repeated, 0.5, rng()) == 0.5

    def test_is_the_median_over_rows(self):
        # Nearest neighbours at distances 1, 1, 4, 10, 10.
        rows = np.array([[0.0], [1.0], [5.0], [25.0], [35.0]])
        assert nearest_neighbor_margin(rows, 0.5, rng()) == 2
        assert nearest_neighbor_margin(np.array([[0.0, 0.0], [3.0, 4.0]]), 0.5, rng()) == 2.5

    def test_scales_with_the_data(self):
        rows = rng(1).normal(size=(300, 4))
        margin = nearest_neighbor_margin(rows, 0.5, rng())
        assert nearest_neighbor_margin(8.0 * rows + 3.0, 0.5, rng()) == pytest.approx(8.0 * margin)
        order = rng(2).permutation(300)
        assert nearest_neighbor_margin(rows[order], 0.5, rng()) == margin

    def test_large_data_are_sampled_but_neighbours_are_not(self):
        # 3,000 rows in distinct places: were neighbours sampled too, they would be 3 times as far.
        rows = np.arange(3000.0)[:, np.newaxis]
        assert nearest_neighbor_margin(rows, 0.5, rng()) == 0.5
        rows = rng(1).normal(size=(3000, 2))
        margins = [nearest_neighbor_margin(rows, 0.5, rng(seed)) for seed in (0, 0, 1)]
        assert margins[0] == margins[1] != margins[2]
        assert margins[2] == pytest.approx(margins[0], rel=0.2)

    @pytest.mark.parametrize("rows", [np.ones((1, 2)), np.ones((5, 2))])
    def test_one_distinct_row_has_no_distance(self, rows):
        message = "margin='auto' needs at least two distinct rows .* give a margin > 0"
        with pytest.raises(ValueError, match=message):
            nearest_neighbor_margin(rows, 0.5, rng())


def test_boundary_leaves_one_row_in_a_hundred_outside():
    scores = rng().permutation(np.arange(101.0))
    assert boundary_level(scores) == 1.0
    scores = rng().normal(size=10_000)
    level = boundary_level(scores)
    assert np.sum(scores < level) == 100
    assert boundary_level(scores + 5.0) == pytest.approx(level + 5.0)


def test_linear_decay_ends_at_the_last_share():
    rates = [linear_decay(0.5, 4).schedule(epoch) for epoch in range(4)]
    assert rates == [0.5, 0.375, 0.25, 0.125]


def references_of(network):
    """The references in the rows' own units, of one feature."""
    return np.round(2.0 * np.sinh(network.layers[-1].references.numpy()[:, 0] / 2.0)).astype(int)


def column(n_rows):
    """Distinct whole numbers, which softening and float32 leave apart."""
    return np.arange(float(n_rows))[:, np.newaxis]


class TestDistanceNetwork:
    @pytest.mark.parametrize("n_rows", [1, 2, 9, 60, 191, 192, 193, 600])
    def test_each_row_is_drawn_once_before_any_twice(self, n_rows):
        drawn = references_of(distance_network(column(n_rows), 8, 24, SOFTENING, rng()))
        assert len(drawn) == 192
        counts = Counter(drawn)
        assert set(counts) <= set(range(n_rows))
        assert len(counts) == min(n_rows, 192)
        assert set(counts.values()) <= {192 // n_rows, 192 // n_rows + 1}
        # In each pass through the rows too.
        for start in range(0, 192, n_rows):
            one_pass = drawn[start : start + n_rows]
            assert len(set(one_pass)) == len(one_pass)

    def test_draws_are_the_random_states(self):
        first, same, other = (
            references_of(distance_network(column(50), 8, 24, SOFTENING, rng(seed)))
            for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first, same)
        assert (first != other).any()
        # Passes do not repeat an order: groups of one subsample are not those of the next.
        assert (first[:50] != first[50:100]).any()

    def test_rows_are_drawn_in_proportion_to_their_weight(self):
        weight = np.array([0.0, 1.0, 2.0, 5.0])
        for scale in (1.0, 2.0**-30):
            drawn = references_of(
                distance_network(column(4), 8, 128, SOFTENING, rng(), scale * weight)
            )
            shares = np.bincount(drawn, minlength=4) / 1024
            assert shares[0] == 0.0
            # Five standard deviations of a share among 1,024 draws.
            np.testing.assert_allclose(shares, weight / 8.0, atol=5.0 * 0.5 / 32.0)

    @pytest.mark.parametrize(("group_size", "n_groups"), [(8, 24), (64, 3)])
    def test_it_is_minus_the_mean_of_softened_distances(self, group_size, n_groups):
        rows, points = rng(1).normal(size=(192, 2)), rng(2).normal(scale=4.0, size=(30, 2))
        network = distance_network(rows, group_size, n_groups, SOFTENING, rng(3))
        drawn = 2.0 * np.arcsinh(rows[rng(3).permutation(192)] / 2.0)
        apart = np.abs(2.0 * np.arcsinh(points / 2.0)[:, np.newaxis] - drawn).sum(axis=2)
        nearest = apart.reshape(30, n_groups, group_size).min(axis=2)
        expected = -nearest.mean(axis=1) / np.sqrt(2.0)
        np.testing.assert_allclose(forward(network, points), expected, atol=1e-6)
        assert network_bound(network) == 1.0

    def test_without_softening_it_is_the_plain_distance(self):
        rows, points = 1e3 + rng(1).normal(size=(16, 2)), 1e3 + rng(2).normal(size=(5, 2))
        network = distance_network(rows, 16, 1, None, rng(3))
        apart = np.abs(points[:, np.newaxis] - rows.astype(np.float32)).sum(axis=2) / np.sqrt(2.0)
        np.testing.assert_allclose(forward(network, points), -apart.min(axis=1), atol=1e-9)


def soft(rows):
    return SOFTENING * np.arcsinh(rows / SOFTENING)


class TestDistancePart:
    def test_few_trusted_rows_and_many_of_all(self):
        rows = column(200)
        rows[:20] += 10_000.0
        few, many = distance_part(rows, SOFTENING, rng()).layers[-1].members
        assert few.layers[-1].group_sizes == (8,) and few.layers[-1].n_references == 256
        assert many.layers[-1].group_sizes == (32,) and many.layers[-1].n_references == 768
        assert set(references_of(few)) <= set(range(20, 200)) and len(set(references_of(few))) > 150
        assert set(references_of(many)) == set(rows[:, 0].astype(int))

    @pytest.mark.parametrize("softening", [None, SOFTENING])
    def test_it_is_the_larger_distance_beyond_what_is_typical(self, softening):
        rows, points = rng(1).normal(size=(300, 2)), rng(2).normal(scale=3.0, size=(50, 2))
        network = distance_part(rows, softening, rng(3))
        minimum = network.layers[-1]
        here, there = (points, rows) if softening is None else (soft(points), soft(rows))
        beyond = [
            scale * (level - forward(member, here))
            for scale, member, level in zip(
                (2.0 / 3.0, 1.0), minimum.members, minimum.levels.numpy(), strict=True
            )
        ]
        np.testing.assert_allclose(forward(network, points), -np.max(beyond, axis=0), atol=1e-9)
        # Each of the two is the larger somewhere.
        assert 5 < np.sum(beyond[0] > beyond[1]) < 45
        for member, level in zip(minimum.members, minimum.levels.numpy(), strict=True):
            # 30 % of the training rows are farther off.
            assert np.mean(forward(member, there) < level) == pytest.approx(0.3, abs=0.01)
        assert network_bound(network) == 1.0

    def test_shares_of_the_mean_are_positive_and_sum_to_one_exactly(self):
        assert sum(map(Fraction, SHARES)) == 1 and min(SHARES) > 0.0

    def test_rows_without_weight_are_no_references(self):
        weight = np.repeat([1.0, 1e-300], 20)
        for member in distance_part(column(40), SOFTENING, rng(), weight).layers[-1].members:
            assert set(references_of(member)) <= set(range(20))


def with_far_cluster(n_rows, n_far, distance=8.0):
    """Normal rows, and a tight cluster far from them: the last rows."""
    rows = rng(4).normal(size=(n_rows, 3))
    rows[n_rows - n_far :] = distance + 0.05 * rows[n_rows - n_far :]
    return rows


class TestTrustedRows:
    @pytest.mark.parametrize("n_rows", [50, 200, 1000, 3000])
    def test_a_far_cluster_of_a_tenth_is_set_aside(self, n_rows):
        trusted = trusted_rows(with_far_cluster(n_rows, n_rows // 10), SOFTENING, rng())
        assert trusted.shape == (n_rows,) and trusted.dtype == bool
        assert not trusted[-n_rows // 10 :].any()
        assert trusted[: -n_rows // 10].mean() > 0.8

    def test_of_clean_rows_few_are_set_aside(self):
        rows = rng(5).normal(size=(2000, 4))
        aside = ~trusted_rows(rows, SOFTENING, rng())
        assert 0.01 < aside.mean() < 0.15
        # Those farthest out.
        norms = np.linalg.norm(rows, axis=1)
        assert norms[aside].mean() > np.quantile(norms, 0.9)

    @given(st.integers(2, 90), st.integers(0, 2**32 - 1), st.floats(0.0, 4.0))
    @settings(max_examples=12, deadline=None)
    def test_never_more_than_a_quarter_is_set_aside(self, n_rows, seed, tail):
        rows = rng(seed).lognormal(sigma=tail, size=(n_rows, 2))
        aside = ~trusted_rows(rows, SOFTENING, rng(seed))
        assert 4 * np.sum(aside) <= n_rows

    @pytest.mark.parametrize("n_rows", [8, 9, 10, 11, 40, 101, 102, 103])
    def test_where_a_third_is_far_a_quarter_is_set_aside(self, n_rows):
        # One place and, all far from it and from each other, a third of the rows.
        rows = np.zeros((n_rows, 1))
        rows[: n_rows // 3, 0] = 10.0 ** np.arange(1, n_rows // 3 + 1)
        aside = ~trusted_rows(rows, SOFTENING, rng())
        assert np.sum(aside) == n_rows // 4
        assert not aside[n_rows // 3 :].any()

    def test_copies_of_one_row_are_trusted(self):
        assert trusted_rows(np.ones((50, 2)), SOFTENING, rng()).all()
        rows = np.vstack([np.ones((40, 2)), rng(6).normal(scale=5.0, size=(10, 2))])
        with np.errstate(all="raise"):
            trusted = trusted_rows(rows, SOFTENING, rng())
        assert trusted[:40].all()
        assert not trusted[40:].any()

    def test_two_rows_are_trusted(self):
        assert trusted_rows(np.array([[0.0], [1.0]]), SOFTENING, rng()).all()

    def test_a_far_row_of_any_size_is_finite(self):
        rows = rng(7).normal(size=(100, 2))
        rows[0] = [1e30, -1e30]
        trusted = trusted_rows(rows, SOFTENING, rng())
        assert not trusted[0] and trusted.mean() > 0.8

    def test_weight_says_which_rows_are_the_crowd(self):
        rows = with_far_cluster(100, 10)
        aside = ~trusted_rows(rows, SOFTENING, rng())
        assert aside[90:].all()
        # The cluster has all the weight: it is what is trusted, and the rest what is far.
        weight = np.repeat([1e-9, 1.0], [90, 10])
        aside = ~trusted_rows(rows, SOFTENING, rng(), weight)
        assert not aside[90:].any() and aside[:90].any()
        np.testing.assert_array_equal(aside, ~trusted_rows(rows, SOFTENING, rng(), 0.25 * weight))

    def test_the_random_state_decides(self):
        rows = rng(8).normal(size=(2000, 2))
        first, same, other = (trusted_rows(rows, SOFTENING, rng(seed)) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, same)
        assert (first != other).any()
        # Not by much.
        assert np.mean(first != other) < 0.05
