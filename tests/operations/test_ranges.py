"""T2: values that leave the range of float64 on the way leave no certificate."""

import numpy as np
import pytest

from ocsdf.certificate.metrics import certified_radius
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.chain import Chain
from ocsdf.operations.global_pooling import GlobalNormPooling
from ocsdf.operations.linear import Dense
from ocsdf.operations.rearrangements import Reshape


def squeezed(factor, n_layers, n_features=3):
    """f(x) = x_0 by way of small or large numbers: factors whose product is 1."""
    first = np.zeros((n_features, 1))
    first[0] = factor
    layers = [Dense(first, [0.0])]
    layers += [Dense([[factor]], [0.0])] * (n_layers - 1)
    layers += [Dense([[1.0 / factor]], [0.0])] * n_layers
    return Chain(layers, (n_features,))


@pytest.mark.parametrize(
    ("factor", "n_layers"), [(2.0**-265, 4), (2.0**-132, 8), (2.0**-151, 7), (1e-40, 8)]
)
def test_T2_values_that_underflow_leave_no_radius(factor, n_layers):
    network = CertifiedNetwork(squeezed(factor, n_layers))
    points = np.array([[0.33, 0.0, 0.0], [-1e-5, 0.0, 0.0]])
    assert network.lipschitz_bound == pytest.approx(1.0, rel=1e-3)
    scores = network.score(points)
    assert (np.abs(scores - points[:, 0]) > 1e-7).any()
    assert (np.abs(scores - points[:, 0]) <= network.rounding_error(points)).all()
    assert certified_radius(scores, 0.1, 1.0, network.slack(points, 0.0)).max() == 0.0


@pytest.mark.parametrize(("factor", "n_layers"), [(1e-3, 9), (1e-30, 9), (1.0, 3)])
def test_T2_small_values_above_the_range_keep_their_radius(factor, n_layers):
    network = CertifiedNetwork(squeezed(factor, n_layers))
    points = np.array([[0.33, 0.0, 0.0], [-1e-5, 0.0, 0.0]])
    np.testing.assert_allclose(network.score(points), points[:, 0], rtol=1e-13)
    assert network.rounding_error(points).max() < 1e-12


@pytest.mark.parametrize("size", [1e-150, 1e-160, 1e-170, 5e-324])
def test_T2_squares_that_underflow_under_a_root_are_counted(size):
    grow = Dense([[2.0**490]], [0.0])
    chain = Chain([Reshape((2, 1)), GlobalNormPooling(), grow], (2,))
    network = CertifiedNetwork(chain)
    points = np.array([[size, size]])
    exact = np.sqrt(2.0) * size * 2.0**490
    assert abs(network.score(points)[0] - exact) <= network.rounding_error(points)[0]


@pytest.mark.parametrize("factor", [1e20, 1e30, 3e38, 1e152])
def test_T2_values_that_might_overflow_are_refused(factor):
    with pytest.raises(ValueError, match="Values may overflow in Dense: its weights are too large"):
        CertifiedNetwork(squeezed(factor, 9))


@pytest.mark.parametrize("size", [1e151, 1e200, 1e308, np.inf])
def test_T2_rows_whose_squares_overflow_have_no_radius(size):
    network = CertifiedNetwork(squeezed(1.0, 1))
    with np.errstate(over="ignore"):
        assert network.rounding_error(np.array([[size, 0.0, 0.0]])) == np.inf
