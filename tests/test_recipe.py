"""Choices from the data alone, on data whose answer is known."""

import numpy as np
import pytest

from ocsdf.recipe import boundary_level, linear_decay, nearest_neighbor_margin


def rng(seed=0):
    return np.random.default_rng(seed)


def grid(spacing, n=5, n_features=2):
    axes = [spacing * np.arange(n)] * n_features
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, n_features)


class TestMargin:
    @pytest.mark.parametrize("spacing", [0.25, 1.0, 8.0])
    @pytest.mark.parametrize("n_features", [1, 2, 3])
    def test_half_the_spacing_of_a_grid(self, spacing, n_features):
        assert nearest_neighbor_margin(grid(spacing, 5, n_features), rng()) == spacing / 2

    def test_repeated_rows_do_not_count(self):
        rows = grid(1.0)
        repeated = np.vstack([rows, rows, np.repeat(rows[:3], 200, axis=0)])
        assert nearest_neighbor_margin(repeated, rng()) == 0.5

    def test_is_the_median_over_rows(self):
        # Nearest neighbours at distances 1, 1, 4, 10, 10.
        assert nearest_neighbor_margin(np.array([[0.0], [1.0], [5.0], [25.0], [35.0]]), rng()) == 2
        assert nearest_neighbor_margin(np.array([[0.0, 0.0], [3.0, 4.0]]), rng()) == 2.5

    def test_scales_with_the_data(self):
        rows = rng(1).normal(size=(300, 4))
        margin = nearest_neighbor_margin(rows, rng())
        assert nearest_neighbor_margin(8.0 * rows + 3.0, rng()) == pytest.approx(8.0 * margin)
        order = rng(2).permutation(300)
        assert nearest_neighbor_margin(rows[order], rng()) == margin

    def test_large_data_are_sampled_but_neighbours_are_not(self):
        # 3,000 rows in distinct places: were neighbours sampled too, they would be 3 times as far.
        rows = np.arange(3000.0)[:, np.newaxis]
        assert nearest_neighbor_margin(rows, rng()) == 0.5
        rows = rng(1).normal(size=(3000, 2))
        margins = [nearest_neighbor_margin(rows, rng(seed)) for seed in (0, 0, 1)]
        assert margins[0] == margins[1] != margins[2]
        assert margins[2] == pytest.approx(margins[0], rel=0.2)

    @pytest.mark.parametrize("rows", [np.ones((1, 2)), np.ones((5, 2))])
    def test_one_distinct_row_has_no_distance(self, rows):
        message = "margin='auto' needs at least two distinct rows .* give a margin > 0"
        with pytest.raises(ValueError, match=message):
            nearest_neighbor_margin(rows, rng())


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
