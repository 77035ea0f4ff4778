"""One graph an architecture: what shares it, what does not, and that calls do not mix."""

import threading

import keras
import numpy as np

from ocsdf.networks.builders import build_mlp
from ocsdf.training.domain import Ball, Box
from ocsdf.training.tensorflow_engine import training_graph, variables_of
from tests.training.test_numpy_engine import batches_for, setting, trained


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
