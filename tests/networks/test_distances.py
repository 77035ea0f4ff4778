"""Distances to subsamples, against loops and closed forms."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.distances import SubsampleDistance
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
