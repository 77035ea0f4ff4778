"""Choices from the data alone, on data whose answer is known."""

from fractions import Fraction

import numpy as np
import pytest

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.chain import Chain
from ocsdf.operations.linear import Dense
from ocsdf.recipes.exact_distances import (
    isolation_setbacks,
    nearest_trusted_row,
    nearest_values,
    neighbor_setbacks,
)
from ocsdf.recipes.feature_maps import fit_feature_maps
from ocsdf.recipes.tables import (
    NETWORK_SHARES,
    SHARES,
    anchored_network,
    boundary_level,
    core_rows,
    draw_rows,
    nearest_neighbor_margin,
)


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


class TestDrawnRows:
    def test_each_row_comes_once_before_any_twice(self):
        counts = np.bincount(draw_rows(7, 17, rng()), minlength=7)
        assert counts.sum() == 17 and counts.max() - counts.min() <= 1

    def test_rows_without_weight_are_never_drawn(self):
        weight = np.array([0.0, 3.0, 1.0, 0.0])
        assert set(draw_rows(4, 200, rng(), weight)) == {1, 2}


def cloud(n_rows=300, n_features=3, seed=0):
    points = np.random.default_rng(seed).normal(size=(n_rows, n_features))
    return points.astype(np.float32).astype(np.float64)


def no_network(rows, references):
    """Stand for a trained network: 0 everywhere."""
    kernel = np.zeros((rows.shape[1], 1))
    return Chain((Dense(kernel, np.zeros(1)),), (rows.shape[1],))


class TestTheDefault:
    def test_shares_sum_to_one(self):
        for shares in SHARES.values():
            assert sum(map(Fraction, map(str, shares))) == 1 and min(shares) >= 0.0
        assert set(NETWORK_SHARES) == set(SHARES)
        assert all(0.0 < share < 1.0 for share in NETWORK_SHARES.values())

    @pytest.mark.parametrize("emphasis", ["accuracy", "certificate"])
    @pytest.mark.parametrize("train", [None, no_network])
    def test_it_is_the_formula_of_its_docstring(self, train, emphasis):
        points = cloud()
        network, left_out = anchored_network(points, None, train, rng(), emphasis=emphasis)
        (mean,) = network.operations
        trusted, *others = (member.operations[-1] for member in mean.members)
        if train is not None:
            trusted, zero = (member.operations[-1] for member in trusted.members)
        # All rows but those that lie outside.
        inside = points[rng().permutation(300)][left_out >= 0.0]
        assert len(inside) == 297
        queries = cloud(40, seed=1)
        distances = []
        for part in (trusted, *others[: 1 if emphasis == "certificate" else 2]):
            # Each row exactly once.
            found = np.sort(part.references, axis=0)
            np.testing.assert_array_equal(found, np.sort(inside, axis=0))
            gaps = np.linalg.norm(queries[:, None] - part.references, axis=-1) + part.setbacks
            distances.append(gaps.min(axis=1))
        if emphasis == "accuracy":
            assert np.all(others[1].setbacks == 0.0)
            alone = np.abs(queries[:, None] - inside).min(axis=1)
            distances.append(np.linalg.norm(alone, axis=1))
        shares = {"accuracy": [0.4, 0.1, 0.3, 0.2], "certificate": [0.2, 0.8]}[emphasis]
        shares[0] *= 1.0 if train is None else {"accuracy": 0.5, "certificate": 0.9}[emphasis]
        found = network.evaluate(queries)[:, 0] - mean.bias[0]
        assert found == pytest.approx(-np.array(shares) @ distances, abs=1e-12)

    def test_with_emphasis_on_contamination_only_the_core_is_compared_with(self):
        # A fifth of the rows lies in one cluster far outside.
        points = np.vstack([cloud(200), [9.0, 9.0, 9.0] + 0.1 * cloud(50)])
        is_core = core_rows(points)
        assert is_core.sum() == 175 and not is_core[200:].any()
        f, left_out = anchored_network(
            points, None, None, rng(), emphasis="contamination", is_core=is_core
        )
        (mean,) = f.operations
        *compared, _, center = (member.operations[-1] for member in mean.members)
        core = points[is_core]
        for part in compared:
            np.testing.assert_array_equal(np.sort(part.references, 0), np.sort(core, 0))
        assert center.references == pytest.approx(np.median(core, axis=0)[np.newaxis])
        assert f.evaluate(points[200:]).max() < f.evaluate(points[:200]).min()
        # 1 % of all rows lie outside, the core's left out of what they are compared with.
        assert len(left_out) == 250 and np.sum(left_out < 0.0) == 3
        drawn = rng().permutation(250)
        inside, scores = is_core[drawn], f.evaluate(points[drawn])[:, 0]
        assert left_out[~inside] == pytest.approx(scores[~inside])
        assert np.all(left_out[inside] < scores[inside])

    @pytest.mark.parametrize("contamination", [None, 0.1, 0.5])
    @pytest.mark.parametrize("n_rows", [2, 3, 5])
    def test_few_weighted_rows_have_a_core_to_compare_with(self, n_rows, contamination):
        for seed in range(12):
            points, weight = rng(seed).normal(size=(n_rows, 2)), rng(seed).random(n_rows) ** 3
            for weights in (None, weight):
                is_core = core_rows(points, weights)
                assert is_core.sum() >= 2
                f, left_out = anchored_network(
                    *(points, None, None, rng(seed), weights, "contamination", contamination),
                    is_core,
                )
                assert np.all(np.isfinite(left_out)) and np.all(np.isfinite(f.evaluate(points)))

    def test_the_core_lies_where_the_weight_does(self):
        # Far from most rows, of which each counts a millionth.
        points = np.vstack([cloud(15) + 30.0, cloud(45, seed=1)])
        weight = np.where(np.arange(60) < 15, 1.0, 1e-6)
        assert not core_rows(points)[:15].any()
        core = core_rows(points, weight)
        assert core[:15].sum() == 11 and not core[15:].any()

    def test_rows_are_set_back_by_their_neighbours(self):
        points = np.vstack([cloud(), [[30.0, 0.0, 0.0]]])
        distances = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)
        expected = 0.5 * np.sqrt(np.mean(distances[:, 1:17] ** 2, axis=1))
        assert neighbor_setbacks(points) == pytest.approx(expected)

    def test_rows_are_set_back_by_their_isolation_beyond_the_median(self):
        # A cluster of 20 in 320 rows: draws of 32 hold two of them, draws of 2 hardly any.
        points = np.vstack([cloud(), [30.0, 0.0, 0.0] + 0.01 * cloud(20)])
        setbacks = isolation_setbacks(points, rng())
        assert np.all(setbacks >= 0.0) and np.mean(setbacks[:300] == 0.0) > 0.25
        assert np.min(setbacks[300:]) > 4.0 * np.quantile(setbacks[:300], 0.99)
        # At most the distance to the farthest row, 0.15 of it for each of two scales.
        assert np.max(setbacks) <= 0.3 * 40.0

    def test_a_rare_category_counts_as_never_seen(self):
        # Of 1,000 rows 2 have the second category, 998 the first; 3 have the third of another one.
        codes = np.zeros((1_000, 4))
        codes[:, 0] = codes[:, 2] = 1.0
        codes[:2, :2] = [0.0, 1.0]
        codes[2:5, 2:] = [0.0, 1.0]
        operation, scores = nearest_values(codes, codes, 1_000, np.ones(4, bool))
        expected = np.zeros(1_000)
        expected[:2] = -np.sqrt(2.0)
        np.testing.assert_array_equal(operation.evaluate(codes)[:, 0], expected)
        np.testing.assert_array_equal(scores, expected)
        operation, _ = nearest_values(codes, codes, 1_000, np.array([False, True, True, True]))
        assert operation.evaluate(codes[:1]) == -1.0
        operation, _ = nearest_values(codes, codes)
        assert np.all(operation.evaluate(codes) == 0.0)

    def test_scores_leave_a_row_out_of_what_it_is_compared_with(self):
        points, setbacks = cloud(60), rng().random(60)
        distances = np.linalg.norm(points[:, None] - points, axis=2) + setbacks
        np.fill_diagonal(distances, np.inf)
        nearest = nearest_trusted_row(points, setbacks)
        assert -nearest.scores == pytest.approx(distances.min(axis=1))
        gaps = np.abs(points[:, None] - points)
        gaps[np.arange(60), np.arange(60)] = np.inf
        values = nearest_values(points, points)
        assert -values.scores == pytest.approx(np.linalg.norm(gaps.min(axis=1), axis=1))

    def test_copies_of_a_row_are_at_distance_zero(self):
        points = np.repeat(cloud(30), 2, axis=0)
        values = nearest_values(points, points)
        assert np.all(values.scores == 0.0)
        assert np.all(nearest_trusted_row(points, np.zeros(60)).scores == 0.0)

    def test_one_percent_of_left_out_rows_lie_outside(self):
        network, left_out = anchored_network(cloud(1000), None, None, rng())
        outside = np.mean(network.evaluate(cloud(1000, seed=1)) < 0.0)
        assert 0.001 < outside < 0.04
        assert np.mean(left_out < 0.0) == pytest.approx(0.01, abs=0.002)

    @pytest.mark.parametrize("train", [None, no_network])
    def test_it_is_certified(self, train):
        points = cloud()
        stretched, views = fit_feature_maps(points)
        network = anchored_network(stretched.evaluate(points), views, train, rng()).operation
        certified = CertifiedNetwork(network)
        assert certified.lipschitz_bound <= 1.0
        first, second = cloud(200, seed=2), cloud(200, seed=3)
        change = np.abs(certified.score(first) - certified.score(second))
        assert np.all(change <= np.linalg.norm(first - second, axis=1) + 1e-9)

    @pytest.mark.parametrize("n_rows", [2, 3, 20])
    def test_few_rows_will_do(self, n_rows):
        points = cloud(n_rows)
        network = anchored_network(points, None, None, rng()).operation
        assert np.all(np.isfinite(network.evaluate(points)))

    def test_the_network_sees_rows_and_references_halfway(self):
        points, seen = cloud(), []
        stretched, views = fit_feature_maps(points)

        def train(rows, references):
            seen.extend([rows, references])
            return no_network(rows, references)

        anchored_network(stretched.evaluate(points), views, train, rng())
        expected = views.halfway.evaluate(stretched.evaluate(points))
        for found in seen:
            np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0))

    def test_rows_of_weight_zero_are_no_references(self):
        points = cloud()
        weight = (np.arange(len(points)) < 100).astype(float)
        (mean,) = anchored_network(points, None, None, rng(), weight).operation.operations
        drawn = mean.members[1].operations[-1].references
        assert {tuple(row) for row in drawn} <= {tuple(row) for row in points[:100]}
