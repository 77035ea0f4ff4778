"""Networks that are 1-Lipschitz in l-inf, against linear programs and pairs of points."""

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks import Asinh, build_linf_mlp, condense_linf, network_bound
from ocsdf.networks.linf import project_to_l1_ball
from ocsdf.operations.matrix_bounds import column_sum_bound


def perturbed(model, size, seed=0):
    """Move all weights at random, as an update without its projection would."""
    rng = np.random.default_rng(seed)
    model.set_weights([w + rng.normal(0.0, size, w.shape) for w in model.get_weights()])
    return model


class TestProjection:
    kernel = np.float32(np.random.default_rng(0).normal(0.0, 0.5, (7, 20)))
    kernel[:, :5] *= 0.1

    def test_it_is_the_nearest_point_of_the_ball(self):
        # The optimality condition: no vertex of the ball is nearer along any direction.
        found = np.asarray(project_to_l1_ball(self.kernel), dtype=np.float64)
        norms = np.abs(found).sum(axis=0)
        assert norms.max() <= 1.0 + 1e-6
        rest = self.kernel - found
        for column in range(found.shape[1]):
            vertices = np.concatenate([np.eye(7), -np.eye(7)])
            assert ((vertices - found[:, column]) @ rest[:, column]).max() <= 1e-6

    def test_columns_inside_stay(self):
        found = np.asarray(project_to_l1_ball(self.kernel))
        inside = np.abs(self.kernel).sum(axis=0) <= 1.0
        assert 4 < inside.sum() < 20
        np.testing.assert_array_equal(found[:, inside], self.kernel[:, inside])


class TestBound:
    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6),
        st.lists(st.floats(-1e-6, 1e-6), min_size=0, max_size=6),
    )
    @example([1.0, 5e-324], [])
    def test_it_is_never_below_the_exact_sum(self, large, small):
        from fractions import Fraction

        column = np.array([large + small]).T
        exact = sum(abs(Fraction(x)) for x in large + small)
        found = column_sum_bound(column)
        assert exact <= Fraction(found) <= exact * (1 + Fraction(1, 2**51))

    def test_what_is_exact_is_not_rounded(self):
        assert column_sum_bound([[0.25, -1.0], [-0.75, 0.0]]) == 1.0
        assert column_sum_bound([[1.0], [2.0**-60]]) == np.nextafter(1.0, 2.0)

    def test_numbers_that_are_not_finite_are_refused(self):
        with pytest.raises(ValueError, match="NaN or infinite"):
            column_sum_bound([[np.nan]])

    def test_other_layers_are_refused_by_name(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Asinh(1.0)])
        with pytest.raises(TypeError, match="l-inf bound is known for .*asinh"):
            network_bound(model, norm="linf")
        with pytest.raises(ValueError, match="norm must be"):
            network_bound(model, norm="l1")


@pytest.mark.parametrize("activation", ["fullsort", "groupsort2"])
def test_no_pair_of_points_is_steeper_than_the_bound(activation):
    model = condense_linf(perturbed(build_linf_mlp(5, (12, 12), activation, seed=1), 0.3))
    bound = network_bound(model, norm="linf")
    assert bound <= 1.0
    network, rng = CertifiedNetwork.from_keras(model), np.random.default_rng(2)
    points = rng.normal(size=(2_000, 5))
    _, gradient = network.value_and_gradient(points)
    # The steepest move in l-inf is along the gradient's signs.
    moved = points + 1e-3 * np.sign(gradient)
    slopes = np.abs(network.score(moved) - network.score(points)) / 1e-3
    rounding = 2.0 * network.rounding_error(points).max() / 1e-3
    assert 0.2 < slopes.max() <= bound + rounding
    # A gradient's l1 norm is the slope in l-inf.
    assert np.abs(gradient).sum(axis=1).max() <= bound * (1.0 + 1e-12)


def test_a_network_starts_as_steep_as_it_may_be():
    model = build_linf_mlp(4, (16, 16, 16), seed=0)
    network = CertifiedNetwork.from_keras(condense_linf(model))
    _, gradient = network.value_and_gradient(np.random.default_rng(0).normal(size=(100, 4)))
    assert np.abs(gradient).sum(axis=1).mean() > 0.8


def test_training_keeps_the_columns_inside():
    model = build_linf_mlp(3, (8, 8), seed=0)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(64, 3)), rng.normal(size=64), epochs=2, verbose=0)
    for layer in model.layers[::2]:
        kernel = layer.kernel.numpy()
        # A threshold of at most eight float32 sizes below 4, taken from each of them.
        assert np.abs(kernel).sum(axis=0).max() <= 1.0 + 8 * 10 * 4 * 2.0**-24
