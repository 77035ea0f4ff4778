"""A row's score is the same to the last bit, alone and among others."""

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
from tests.reference import forward


@pytest.fixture(scope="module")
def model():
    return condense(build_mlp(3, (32, 32), seed=1))


@pytest.fixture(scope="module")
def network(model):
    return CertifiedNetwork(model)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(scale=5.0, size=(8193, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def scores(network, rows):
    return network.score(rows)


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 1000, 8192, 8193])
def test_number_of_rows_changes_no_bit(network, rows, scores, n_rows):
    found = network.score(rows[:n_rows])
    assert found.dtype == np.float64
    assert found.shape == (n_rows,)
    np.testing.assert_array_equal(found, scores[:n_rows])


def test_a_row_alone(network, rows, scores):
    for i in (0, 1, 63, 64, 100, 8191, 8192):
        assert network.score(rows[i : i + 1])[0] == scores[i]


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
    network = CertifiedNetwork(model)
    found, expected = network.score(rows), sorted_by_group(model, rows, size, coefficient)
    assert (np.abs(found - expected) <= 2.0 * network.rounding_error(rows)).all()
    np.testing.assert_array_equal(found[4100:4101], network.score(rows[4100:4101]))


@pytest.fixture(scope="module")
def averaged(anchored):
    return CertifiedNetwork(anchored)


@pytest.mark.parametrize("n_rows", [1, 2, 63, 64, 65, 511, 513, 4097])
def test_company_changes_no_bit_of_a_mean(averaged, rows, n_rows):
    scores = averaged.score(rows)
    np.testing.assert_array_equal(averaged.score(rows[:n_rows]), scores[:n_rows])
    assert averaged.score(rows[n_rows - 1 : n_rows])[0] == scores[n_rows - 1]
    order = np.random.default_rng(n_rows).permutation(n_rows)
    np.testing.assert_array_equal(averaged.score(rows[order]), scores[order])
    far = np.full((10, 3), 1e30)
    among = averaged.score(np.vstack([far, rows[:n_rows], -far]))
    np.testing.assert_array_equal(among[10:-10], scores[:n_rows])


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
def test_no_width_lets_company_or_threads_change_a_bit(widths):
    network = CertifiedNetwork(layers_of(widths, GroupSort))
    points = np.random.default_rng(3).normal(size=(4500, widths[0]))
    scores = network.score(points)
    for i in (0, 37, 4095, 4096, 4499):
        assert network.score(points[i : i + 1])[0] == scores[i]
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            np.testing.assert_array_equal(network.score(points), scores)
            np.testing.assert_array_equal(network.score(points[7:300]), scores[7:300])


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
    np.testing.assert_allclose(CertifiedNetwork(model).score(rows), model(rows)[:, 0], atol=2e-5)


def test_order_changes_no_bit(network, rows, scores):
    order = np.random.default_rng(1).permutation(len(rows))
    np.testing.assert_array_equal(network.score(rows[order]), scores[order])


def test_company_changes_no_bit(network, rows, scores):
    others = np.full((10, 3), 1e30, np.float32)
    np.testing.assert_array_equal(
        network.score(np.vstack([others, rows[:70], others]))[10:80], scores[:70]
    )


def test_equals_the_model(model, rows, scores):
    np.testing.assert_allclose(scores, model(rows)[:, 0], atol=1e-5)
    np.testing.assert_allclose(scores, forward(model, rows), atol=1e-5)


def test_no_rows_no_scores(network):
    found = network.score(np.empty((0, 3), np.float32))
    assert found.shape == (0,)
    assert found.dtype == np.float64


def test_rows_need_not_be_contiguous(network, rows, scores):
    np.testing.assert_array_equal(
        network.score(np.asfortranarray(rows)[:65][::-1])[::-1], scores[:65]
    )


def test_carries_the_bounds_of_the_model(model, network, rows):
    assert network.lipschitz_bound == network_bound(model)
    constant, slope = float_error(model)
    norms = np.linalg.norm(np.float64(rows), axis=1)
    np.testing.assert_allclose(network.rounding_error(rows), constant + slope * norms, rtol=1e-12)


def test_scores_are_within_their_rounding_error(model, network, rows, scores):
    assert (np.abs(scores - forward(model, rows)) <= network.rounding_error(rows)).all()


def test_shift_adds_a_constant_and_bounds_anew():
    shifted = CertifiedNetwork(condense(build_mlp(3, (8,), seed=2)))
    points = np.random.default_rng(2).normal(size=(70, 3)).astype(np.float32)
    before, bound, constant = shifted.score(points), shifted.lipschitz_bound, 0.75
    rounding = shifted.rounding_constant
    shifted.shift(constant)
    np.testing.assert_allclose(shifted.score(points), before + constant, atol=1e-6)
    assert shifted.lipschitz_bound == bound
    assert shifted.rounding_constant > rounding


def test_shift_adds_a_constant_to_a_mean(anchored):
    points = np.random.default_rng(2).normal(size=(70, 3))
    shifted = CertifiedNetwork(keras.models.clone_model(anchored))
    shifted.model.set_weights(anchored.get_weights())
    shifted._take_weights()
    before, bound = shifted.score(points), shifted.lipschitz_bound
    shifted.shift(0.75)
    np.testing.assert_allclose(shifted.score(points), before + 0.75, atol=1e-6)
    assert shifted.lipschitz_bound == bound


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Dense(4, activation="relu", name="mine"), keras.layers.Dense(1)],
        [keras.layers.ReLU(name="mine"), keras.layers.Dense(1)],
        [keras.layers.Dropout(0.5, name="mine"), keras.layers.Dense(1)],
    ],
)
def test_a_layer_with_a_bound_but_no_float64_score_is_refused(layers):
    model = keras.Sequential([keras.Input((3,)), *layers])
    assert network_bound(model) > 0.0
    with pytest.raises(TypeError, match="Scores of layer 'mine' of type .* are not computed"):
        CertifiedNetwork(model)


def test_a_network_of_images_is_refused():
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Dense(1)])
    with pytest.raises(TypeError, match=r"Expected a network of rows, \(n, n_features\); got"):
        CertifiedNetwork(model)
