"""Engines' passes: compiled ones are NumPy's bit for bit; one TensorFlow graph an architecture."""

import threading

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.builders import build_mlp
from ocsdf.training.compiled import (
    add_polynomial,
    pack_keys,
    rmsprop,
    sort_pairs,
    unpack_keys,
    unsort_pairs,
    unsort_rows,
)
from ocsdf.training.domain import Ball, Box
from ocsdf.training.tensorflow_engine import training_graph, variables_of
from tests.training.test_numpy_engine import batches_for, setting, trained

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("shape", [(1, 2), (3, 14), (64, 128), (7, 510)])
def test_pairs_are_sorted_and_unsorted(shape):
    rng = np.random.default_rng(0)
    values, upstream = rng.normal(size=(2, *shape)).astype(np.float32)
    bias = rng.normal(size=shape[1]).astype(np.float32)
    first, second = np.split(values + bias, 2, axis=1)
    swap = sort_pairs(values, bias)
    np.testing.assert_array_equal(swap, first > second)
    np.testing.assert_array_equal(
        values, np.hstack([np.minimum(first, second), np.maximum(first, second)])
    )
    lower, upper = np.split(upstream, 2, axis=1)
    np.testing.assert_array_equal(
        unsort_pairs(swap, upstream),
        np.hstack([np.where(swap, upper, lower), np.where(swap, lower, upper)]),
    )
    np.testing.assert_array_equal(unsort_pairs(swap, values), np.hstack([first, second]))


def test_equal_pairs_stay_and_nan_is_not_lost():
    values = np.float32([[1.0, np.nan, 0.0, 1.0, 2.0, np.nan]])
    swap = sort_pairs(values, np.zeros(6, np.float32))
    assert not swap.any()
    np.testing.assert_array_equal(values, np.float32([[1.0, np.nan, 0.0, 1.0, 2.0, np.nan]]))


@given(SEEDS, st.integers(1, 70), st.sampled_from([1e-20, 1e-3, 1.0, 1e15]))
@settings(max_examples=30)
def test_rmsprop_has_the_bits_of_numpy(seed, size, scale):
    rng = np.random.default_rng(seed)
    weight, gradient = rng.normal(size=(2, size)).astype(np.float32)
    gradient *= np.float32(scale)
    velocity = np.square(rng.normal(size=size).astype(np.float32) * np.float32(scale))
    rate, rho, epsilon = 1e-3, 0.9, 1e-7
    expected_velocity = velocity * rho
    expected_velocity += (1.0 - rho) * np.square(gradient)
    expected = weight - gradient * rate / np.sqrt(expected_velocity + epsilon)
    rmsprop(weight, velocity, gradient, *np.float32([rate, rho, 1.0 - rho, epsilon]))
    np.testing.assert_array_equal(velocity, expected_velocity)
    np.testing.assert_array_equal(weight, expected)


@given(SEEDS, st.integers(1, 40))
@settings(max_examples=30)
def test_polynomial_has_the_bits_of_numpy(seed, width):
    rng = np.random.default_rng(seed)
    squared, matrix = rng.normal(size=(2, width, width)).astype(np.float32)
    first, second, scale = rng.normal(size=3).astype(np.float32)
    expected = squared * second + matrix * first
    expected[np.diag_indices(width)] += 1.0
    expected *= scale
    add_polynomial(squared, matrix, first, second, scale)
    np.testing.assert_array_equal(squared, expected)


@given(SEEDS, st.integers(1, 40))
@settings(max_examples=30)
def test_keys_sort_as_rows_do_and_know_their_columns(seed, width):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(5, width)).astype(np.float32)
    bias = rng.integers(-2, 3, size=width).astype(np.float32)
    summed = values + bias
    keys = pack_keys(values, bias)
    keys.sort(axis=1)
    columns = unpack_keys(keys, values, (1 << (width - 1).bit_length()) - 1)
    np.testing.assert_array_equal(values, np.sort(summed, axis=1))
    np.testing.assert_array_equal(columns, np.argsort(summed, axis=1, kind="stable"))
    np.testing.assert_array_equal(unsort_rows(columns, values), summed)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_columns_stay_in_the_row_where_values_are_not_finite(value):
    values = np.full((3, 5), value, np.float32)
    keys = pack_keys(values, np.zeros(5, np.float32))
    keys.sort(axis=1)
    columns = unpack_keys(keys, values, 7)
    assert columns.min() >= 0 and columns.max() < 5
    assert not np.isfinite(values).any()


def graph_for(seed=0, sizes=(8, 6), optimizer=None, domain_class=Box, **network):
    model = build_mlp(3, sizes, seed=seed, **network)
    optimizer = keras.optimizers.Adam(1e-3) if optimizer is None else optimizer
    optimizer.build(model.trainable_variables)
    return training_graph(model, optimizer, domain_class, "even", 1)


def test_seeds_and_learning_rates_share_a_graph():
    graph = graph_for()
    assert graph_for(seed=7) is graph
    assert graph_for(optimizer=keras.optimizers.Adam(0.5)) is graph


def test_what_changes_the_computation_has_a_graph_of_its_own():
    graphs = {
        id(graph)
        for graph in (
            graph_for(),
            graph_for(sizes=(8, 4)),
            graph_for(activation="groupsort2"),
            graph_for(orthogonality="reparametrization"),
            graph_for(domain_class=Ball),
            graph_for(optimizer=keras.optimizers.RMSprop(1e-3)),
            graph_for(optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5)),
        )
    }
    assert len(graphs) == 7


def test_a_call_depends_on_its_arguments_alone():
    model, optimizer, domain, values = setting()
    graph = training_graph(model, optimizer, Box, "even", 1)
    batches = batches_for(domain)
    first, first_sums = trained(graph, values, domain, batches)
    trained(graph, first, domain, batches_for(domain, n_steps=5, batch_size=4))
    again, again_sums = trained(graph, values, domain, batches)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first_sums, again_sums)


def test_threads_take_turns():
    model, optimizer, domain, values = setting()
    graph = training_graph(model, optimizer, Box, "even", 1)
    batches = batches_for(domain, n_steps=20)
    expected, _ = trained(graph, values, domain, batches)
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(trained(graph, values, domain, batches)[0]))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for values in found:
        for one, other in zip(values, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_learning_rate_is_part_of_the_values():
    model, optimizer, domain, values = setting()
    graph = training_graph(model, optimizer, Box, "even", 1)
    place = [v.path for v in variables_of(model, optimizer)].index(optimizer.learning_rate.path)
    values[place] = np.float32(0.0)
    found, _ = trained(graph, values, domain, batches_for(domain))
    np.testing.assert_allclose(found[1], values[1])
