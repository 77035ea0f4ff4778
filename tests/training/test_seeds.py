"""Clear seeds keep their distance from all rows, and lie in B."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ocsdf.training.domain import Ball, Box
from ocsdf.training.seeds import ClearSeeds
from ocsdf.utils import threads


@pytest.mark.parametrize("n_features", [2, 12])
@pytest.mark.parametrize("domain", [Box, Ball])
def test_seeds_are_clear_of_all_rows_and_in_b(n_features, domain):
    rows = np.random.default_rng(0).normal(size=(300, n_features))
    domain = domain.from_data(rows)
    seeds = ClearSeeds(rows, 0.1, domain)(2000, np.random.default_rng(1))
    assert seeds.shape == (2000, n_features) and seeds.dtype == np.float32
    assert np.all(domain.contains(seeds))
    assert cdist(seeds.astype(float), rows).min() > 0.2 * (1.0 - 1e-5)


def test_most_lie_around_rows_and_some_anywhere():
    rows = np.random.default_rng(0).normal(size=(300, 2))
    seeds = ClearSeeds(rows, 0.01, Box.from_data(rows))(4000, np.random.default_rng(1))
    nearest = cdist(seeds, rows).min(axis=1)
    assert 0.5 < np.mean(nearest <= 0.2) < 0.95
    assert np.mean(nearest > 0.5) > 0.1


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
