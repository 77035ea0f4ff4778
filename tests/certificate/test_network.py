"""Any two evaluations of a row differ by less than the slack that is taken off its radius."""

import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import keras
import numpy as np
import pytest
from deel.lip.layers.activations import GroupSort
from threadpoolctl import threadpool_info, threadpool_limits

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.builders import build_mlp, condense
from ocsdf.networks.lipschitz import float_error, network_bound
from tests.reference import forward, input_gradient


@pytest.fixture(scope="module")
def model():
    return condense(build_mlp(3, (32, 32), seed=1))


@pytest.fixture(scope="module")
def network(model):
    return CertifiedNetwork.from_keras(model)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(scale=5.0, size=(8193, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def scores(network, rows):
    return network.score(rows)


def agree(network, rows, first, second):
    """Whether two evaluations of rows differ by no more than a certificate has taken off."""
    return (np.abs(first - second) <= network.slack(rows, 0.0)).all()


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 1000, 1023, 1025, 8192, 8193])
def test_number_of_rows_changes_less_than_the_slack(network, rows, scores, n_rows):
    found = network.score(rows[:n_rows])
    assert found.dtype == np.float64
    assert found.shape == (n_rows,)
    assert agree(network, rows[:n_rows], found, scores[:n_rows])


@pytest.mark.parametrize("start", [0, 1, 7, 63, 64, 100, 1023, 4095, 8191])
@pytest.mark.parametrize("n_rows", [1, 3, 130])
def test_batches_at_odd_places(network, averaged, rows, start, n_rows):
    part = rows[start : start + n_rows]
    for judged in (network, averaged):
        whole = judged.score(rows)[start : start + n_rows]
        assert agree(judged, part, judged.score(part), whole)


def test_the_same_call_gives_the_same_bits(network, averaged, rows):
    for judged in (network, averaged):
        np.testing.assert_array_equal(judged.score(rows), judged.score(rows.copy()))


def layers_of(widths, sort=None, seed=0):
    """A network of dense layers with a sort between them, weights drawn with a scale of its own."""
    rng = np.random.default_rng(seed)
    layers = []
    for n_out in widths[1:]:
        layers += [keras.layers.Dense(n_out)] + ([sort()] if n_out > 1 else [])
    model = keras.Sequential([keras.Input((widths[0],)), *layers])
    model.set_weights([rng.normal(size=w.shape) / np.sqrt(len(w)) for w in model.get_weights()])
    return model


def sorted_by_group(model, points, size, coefficient):
    """The oracle for any group size: sort each group, then scale."""
    values = np.float64(points)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            kernel, bias = (np.float64(weight) for weight in layer.get_weights())
            values = values @ kernel + bias
        else:
            groups = np.split(values, values.shape[1] // (size or values.shape[1]), axis=1)
            values = coefficient * np.hstack([np.sort(group, axis=1) for group in groups])
    return values[:, 0]


@pytest.mark.parametrize("size", [None, 2, 3, 4, 12])
@pytest.mark.parametrize("coefficient", [1.0, 0.5])
def test_groups_of_any_size_and_coefficient(rows, size, coefficient):
    model = layers_of((3, 12, 24, 1), lambda: GroupSort(n=size, k_coef_lip=coefficient))
    network = CertifiedNetwork.from_keras(model)
    found, expected = network.score(rows), sorted_by_group(model, rows, size, coefficient)
    assert (np.abs(found - expected) <= 2.0 * network.rounding_error(rows)).all()


@pytest.fixture(scope="module")
def averaged(anchored):
    return CertifiedNetwork.from_keras(anchored)


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 511, 513, 4097])
def test_company_and_order_change_less_than_the_slack_of_a_mean(averaged, rows, n_rows):
    rows = np.float64(rows[:n_rows])
    scores = averaged.score(rows)
    order = np.random.default_rng(n_rows).permutation(n_rows)
    assert agree(averaged, rows[order], averaged.score(rows[order]), scores[order])
    far = np.full((11, 3), 1e30)
    among = averaged.score(np.vstack([far, rows, -far]))
    assert agree(averaged, rows, among[11:-11], scores)


def test_threads_change_no_bit_of_a_mean(averaged, many):
    scores = averaged.score(many)
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            np.testing.assert_array_equal(averaged.score(many), scores)


def test_a_mean_is_within_its_rounding_error(anchored, averaged, rows):
    points = np.float64(rows[:3000])
    exact = averaged.score(points)
    # The oracle rounds too, by no more than scores do.
    error = np.abs(exact - forward(anchored, points))
    assert (error <= 2.0 * averaged.rounding_error(points)).all()
    constant, slope = float_error(anchored, 2.0**-24)
    in_float32 = np.abs(anchored(rows[:3000]).numpy()[:, 0] - exact)
    assert in_float32.max() > 0.0
    allowed = constant + slope * np.linalg.norm(points, axis=1)
    assert (in_float32 <= allowed + averaged.rounding_error(points)).all()


def test_a_score_leaves_the_rows_of_a_mean_as_they_are(averaged, rows):
    points = np.float64(rows[:64])
    before = points.copy()
    averaged.score(points)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("widths", [(1, 7, 1), (5, 33, 128, 1), (20, 300, 300, 1), (2, 1, 9, 1)])
def test_any_width_keeps_the_promise_and_threads_change_no_bit(widths):
    network = CertifiedNetwork.from_keras(layers_of(widths, GroupSort))
    points = np.random.default_rng(3).normal(size=(4500, widths[0]))
    scores = network.score(points)
    for i in (0, 37, 4095, 4096, 4499):
        assert agree(network, points[i : i + 1], network.score(points[i : i + 1]), scores[i])
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            np.testing.assert_array_equal(network.score(points), scores)
            found = network.score(points[7:300])
            assert agree(network, points[7:300], found, scores[7:300])


def test_float32_rows_score_as_their_float64_value(network, rows, scores):
    np.testing.assert_array_equal(network.score(rows.astype(np.float64)), scores)


class Spy:
    """Points that note from which threads they are taken, and how many BLAS has there."""

    def __init__(self, points):
        self.shape, self.points = points.shape, points
        self.threads, self.blas, self.taken = set(), set(), []

    def __len__(self):
        return len(self.points)

    def __getitem__(self, rows):
        self.threads.add(threading.get_ident())
        self.blas |= set(blas_threads())
        self.taken.append(self.points[rows])
        return self.taken[-1]


def blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


@pytest.fixture
def many():
    return Spy(np.random.default_rng(4).normal(size=(30_000, 3)))


@pytest.mark.parametrize("allowed", [1, 2, 64])
def test_threads_are_as_many_as_blas_may_use_and_processors(network, many, allowed):
    with threadpool_limits(allowed, user_api="blas"):
        before = blas_threads()
        network.score(many)
        assert blas_threads() == before
    assert 1 <= len(many.threads) <= min(*before, joblib.cpu_count())
    assert many.blas == {1}
    if allowed == 1:
        assert many.threads == {threading.get_ident()}


def test_few_rows_start_no_thread(network, many):
    few = Spy(many.points[:4096])
    network.score(few)
    assert few.threads == {threading.get_ident()}
    assert few.blas == {1}


def test_every_row_is_taken_once_in_pieces(network, many):
    network.score(many)
    assert max(len(taken) for taken in many.taken) <= 4096
    assert sum(len(taken) for taken in many.taken) == len(many)


def test_calls_side_by_side_agree_and_leave_blas_as_it_was(network, many):
    before, expected = blas_threads(), network.score(many)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(network.score, [many] * 8):
            np.testing.assert_array_equal(found, expected)
    assert blas_threads() == before


def test_an_error_in_a_thread_is_raised_and_leaves_blas_as_it_was(network, many):
    before = blas_threads()
    many.points = many.points[:, :2]
    with pytest.raises(ValueError, match="matmul"):
        network.score(many)
    assert blas_threads() == before


@pytest.mark.parametrize("activation", ["fullsort", "groupsort2"])
def test_sorts_as_the_layer_of_the_model_does(activation, rows):
    model = condense(build_mlp(3, (32, 16, 32), activation, seed=4))
    np.testing.assert_allclose(
        CertifiedNetwork.from_keras(model).score(rows), model(rows)[:, 0], atol=2e-5
    )


def test_equals_the_model(model, rows, scores):
    np.testing.assert_allclose(scores, model(rows)[:, 0], atol=1e-5)
    np.testing.assert_allclose(scores, forward(model, rows), atol=1e-5)


def test_no_rows_no_scores(network):
    found = network.score(np.empty((0, 3), np.float32))
    assert found.shape == (0,)
    assert found.dtype == np.float64


def test_rows_need_not_be_contiguous(network, rows, scores):
    found = network.score(np.asfortranarray(rows)[:65][::-1])[::-1]
    assert agree(network, rows[:65], found, scores[:65])


def test_carries_the_bounds_of_the_model(model, network, rows):
    assert network.lipschitz_bound == network_bound(model)
    constant, slope = float_error(model)
    norms = np.linalg.norm(np.float64(rows), axis=1)
    np.testing.assert_allclose(network.rounding_error(rows), constant + slope * norms, rtol=1e-12)


def test_scores_are_within_their_rounding_error(model, network, rows, scores):
    assert (np.abs(scores - forward(model, rows)) <= network.rounding_error(rows)).all()


@pytest.mark.parametrize("make", [lambda: condense(build_mlp(3, (8,), seed=2)), None])
def test_shifted_adds_a_constant_and_bounds_anew(make, anchored):
    network = CertifiedNetwork.from_keras(make() if make else anchored)
    points, constant = np.random.default_rng(2).normal(size=(70, 3)), 0.75
    shifted = network.shifted(constant)
    np.testing.assert_allclose(shifted.score(points), network.score(points) + 0.75, atol=1e-6)
    assert shifted.lipschitz_bound == network.lipschitz_bound
    assert shifted.rounding_constant > network.rounding_constant
    # What it was made of stays, and the Keras model is that of the new one.
    assert network.shifted(0.0).score(points) == pytest.approx(network.score(points), abs=1e-15)
    np.testing.assert_allclose(shifted.model(points)[:, 0], shifted.score(points), atol=1e-5)


def test_layers_that_only_compare_or_rearrange_are_scored(rows):
    layers = [keras.layers.Dense(4, activation="relu"), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    network = CertifiedNetwork.from_keras(model)
    error = np.abs(network.score(rows) - model(rows).numpy()[:, 0])
    assert error.max() <= float_error(model, 2.0**-24)[0] + 1e-4


def test_a_layer_of_unknown_rounding_is_refused():
    layers = [keras.layers.Dense(4, activation="tanh", name="mine"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    assert network_bound(model) > 0.0
    with pytest.raises(TypeError, match="No bound of rounding errors is known for layer 'mine'"):
        CertifiedNetwork.from_keras(model)


@pytest.mark.parametrize(("shape", "units"), [((4, 3), 1), ((3,), 2)])
def test_what_does_not_map_rows_to_one_number_is_refused(shape, units):
    model = keras.Sequential([keras.Input(shape), keras.layers.Dense(units)])
    with pytest.raises(TypeError, match=r"Expected a network of rows, \(n, n_features\), with one"):
        CertifiedNetwork.from_keras(model)


def test_the_slack_covers_both_ends_of_an_attack(network, rows):
    points, radius = np.float64(rows[:50]), np.linspace(0.0, 3.0, 50)
    moved = points + radius[:, None] * np.full(3, 3.0**-0.5)
    needed = network.rounding_error(points) + network.rounding_error(moved)
    assert (needed <= network.slack(points, radius) * (1 + 1e-12)).all()
    largest = network.largest_slack(points, np.array([0.0, 3.0]))
    assert largest[0] == network.slack(points, 0.0).max()
    assert (network.slack(points, radius) <= largest[1]).all()


def test_gradients_are_those_of_the_oracle(anchored, averaged):
    points = np.random.default_rng(5).normal(size=(300, 3))
    values, gradient = averaged.value_and_gradient(points)
    assert agree(averaged, points, values, averaged.score(points))
    np.testing.assert_allclose(gradient, input_gradient(anchored, points), atol=1e-12)
