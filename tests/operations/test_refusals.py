"""What has no certificate: operations that do not fit together, values beyond float64 (T2)."""

import numpy as np
import pytest

from ocsdf.certificate.metrics import certified_radius
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.activations import Rectifier, Smooth
from ocsdf.operations.base import Operation, from_description
from ocsdf.operations.chain import Chain
from ocsdf.operations.cones import Cones
from ocsdf.operations.convolution import Convolution
from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.ensembles import ScaledMinimum, WeightedMean
from ocsdf.operations.fields import as_array, as_counts, as_number
from ocsdf.operations.global_pooling import GlobalNormPooling
from ocsdf.operations.linear import Asinh, Centered, Dense
from ocsdf.operations.nearest import NearestRow, NearestRows, NearestValues
from ocsdf.operations.pooling import AveragePooling
from ocsdf.operations.rearrangements import Pad, Permute, Reshape
from ocsdf.operations.sorting import GroupSort, MaxMin, SortedHalves


def affine(n_features=2, n_outputs=1):
    kernel = np.ones((n_features, n_outputs))
    return Chain([Dense(kernel, np.zeros(n_outputs))], (n_features,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_array([[1.0]], 1, "bias"), "bias must be an array of 1 axes"),
        (lambda: as_array(["a"], 1, "bias"), "bias must be an array of 1 axes of numbers"),
        (lambda: as_array([np.nan], 1, "bias"), "bias"),
        (lambda: as_number("1", "angle"), "angle must be a finite number; got '1'"),
        (lambda: as_number(-1.0, "floor", least=0.0), "floor must be finite and >= 0; got -1.0"),
        (lambda: as_counts([2, 0], "sizes"), r"sizes must be integers of at least 1; got \(2, 0\)"),
        (lambda: as_counts([1.5], "sizes"), "sizes must be integers of at least 1"),
        (lambda: WeightedMean([Asinh(1.0)], (1.0,), [0.0]), "members must be chains with one out"),
        (lambda: WeightedMean([affine(2, 2)], (1.0,), [0.0]), "members must be chains with one"),
        (lambda: WeightedMean([affine(2), affine(3)], (0.5, 0.5), [0.0]), "must be of the same ro"),
        (lambda: WeightedMean([affine()], (1.0,), [0.0, 0.0]), "bias must be one number; got sha"),
        (lambda: ScaledMinimum([affine()], (1.0,), [0.0, 0.0]), "levels must be 1 numbers; got s"),
        (lambda: WeightedMean([affine(2)], (1.0,), [0.0]).output_shape((3,)), r"shape \(2,\), not"),
        (lambda: Cones(np.eye(3), 2, 1, 0.5, 0.0), r"bases must have 2 columns; got \(3, 3\)"),
        (lambda: Convolution(np.ones((2, 3)), [0.0] * 3, (1,), "same"), "1 to 3 axes of taps"),
        (lambda: Smooth("relu"), "name must be one of softplus, softsign, tanh, sigmoid; got 're"),
        (lambda: Reshape((-1, -1)), r"target may hold one -1; got \(-1, -1\)"),
        (lambda: Permute((1, 3)), r"axes must be 1 to n in some order; got \(1, 3\)"),
        (lambda: Pad(((1, 2, 3),)), "margins must be pairs of integers"),
        (lambda: AveragePooling((2, 2), (1,), "same"), "Expected a stride for each of the sizes"),
        (lambda: AveragePooling((2,), (1,), "full"), "a padding of"),
        (lambda: AveragePooling((5,), (1,), "valid").output_shape((4, 1)), "5 pixels does not fit"),
        (lambda: NearestRow(np.ones((2, 1)), [0.0, -1.0]), "setbacks must be 2 numbers >= 0"),
        (lambda: NearestRows(np.ones((2, 1)), 3), "n_neighbors must be 1 to 2; got 3"),
        (lambda: NearestValues([1.0, 2.0], [3]), "counts must be integers >= 1 that sum to 2"),
        (lambda: NearestValues([2.0, 1.0], [2]), "seen must increase within a feature"),
        (lambda: SubsampleDistance(np.ones((6, 2)), (4,), "l2"), "4"),
        (lambda: GroupSort(0), "size must be integers of at least 1"),
        (lambda: Chain([np.tanh], (2,)), "operations must be operations"),
        (lambda: from_description({"operation": "guess"}, {}), "unknown operation 'guess'"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "part", [Centered(), Asinh(2.0), MaxMin(coefficient=0.5), Rectifier(0.5)], ids=type
)
def test_rounding_is_not_known_for_points_of_unknown_size(part):
    assert part.rounding((None,)) is None
    with pytest.raises(TypeError, match="No bound of rounding errors is known"):
        part.pass_on(np.ones(2), np.zeros(2), 2.0**-53, (None,))


def test_an_operation_without_a_method_says_so():
    bare = Operation()
    for call in (lambda: bare.evaluate(None), lambda: bare.linearize(None)):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(NotImplementedError):
        bare.to_keras((1,))
    with pytest.raises(TypeError, match="Operation has no ONNX form yet"):
        bare.to_onnx(None, "x", (1,))
    with pytest.raises(TypeError, match="no Keras form"):
        NearestRows(np.ones((2, 1)), 1).to_keras((1,))


@pytest.mark.parametrize("part", [MaxMin(coefficient=0.5), SortedHalves(coefficient=2.0)])
def test_gradients_of_sorts_are_differences(part):
    rng = np.random.default_rng(0)
    rows, upstream = rng.normal(size=(20, 6)), rng.normal(size=(20, part.output_shape((6,))[0]))
    _, pull_back = part.linearize(rows)
    gradient, step = pull_back(upstream), 1e-6
    for feature in range(6):
        moved = rows.copy()
        moved[:, feature] += step
        rise = part.evaluate(moved) - part.evaluate(rows)
        expected = np.sum(rise * upstream, axis=1) / step
        np.testing.assert_allclose(gradient[:, feature], expected, atol=1e-8)


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
