"""A row's score is the same to the last bit, alone and among others."""

import numpy as np
import pytest
from reference import forward

from ocsdf.inference import CertifiedNetwork
from ocsdf.lipschitz import float_error, network_bound
from ocsdf.models import build_mlp, condense


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
