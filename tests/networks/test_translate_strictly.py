"""T7: what looks like a known network, but computes something else, is refused."""

import keras
import numpy as np
import pytest

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.layers import Centered
from ocsdf.networks.lipschitz import float_error, layer_bound, network_bound


class Called(keras.Sequential):
    def __call__(self, inputs):
        return 100.0 * super().__call__(inputs)


class Listed(keras.Sequential):
    @property
    def layers(self):
        return super().layers[:1]


class Plain(keras.Sequential):
    pass


class Own(keras.layers.Dense):
    def call(self, inputs):
        return 100.0 * super().call(inputs)


@pytest.mark.parametrize("kind", [Called, Listed, Plain])
def test_T7_only_the_very_class_is_sequential(kind):
    parts = [keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)]
    for function in (network_bound, float_error, CertifiedNetwork.from_keras):
        with pytest.raises(TypeError, match=f"Expected a keras.Sequential model.* {kind.__name__}"):
            function(kind(parts))
    outer = keras.Sequential([keras.Input((2,)), kind(parts[1:])])
    with pytest.raises(TypeError, match=f"Expected a keras.Sequential model.* {kind.__name__}"):
        network_bound(outer)


def test_T7_a_layer_of_a_subclass_is_refused():
    with pytest.raises(TypeError, match="of type Own"):
        network_bound(keras.Sequential([keras.Input((2,)), Own(1)]))


@pytest.mark.parametrize("name", ["call", "__call__"])
def test_T7_a_method_set_by_hand_is_refused(name):
    layer = keras.layers.Dense(1, name="mine")
    model = keras.Sequential([keras.Input((2,)), layer])
    object.__setattr__(layer, name, lambda inputs: 100.0 * inputs)
    with pytest.raises(TypeError, match=f"layer 'mine' of type Dense with a {name} of its own"):
        network_bound(model)


@pytest.mark.parametrize("change", ["kernel", "activation"])
def test_T7_what_is_set_after_the_bound_was_taken_changes_nothing(change):
    layer = keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((2,)), layer])
    network, points = CertifiedNetwork.from_keras(model), np.ones((3, 2))
    before = network.score(points), network.lipschitz_bound
    if change == "kernel":
        layer.kernel.assign(100.0 * layer.kernel)
    else:
        layer.activation = lambda inputs: 100.0 * inputs
    np.testing.assert_array_equal(network.score(points), before[0])
    assert network.lipschitz_bound == before[1] == network.network.bound()
    with pytest.raises(ValueError, match="read-only"):
        network.network.operations[0].kernel[0] = 100.0


@pytest.mark.parametrize("shape", [(3,), (3, 40), (40, 3), (2, 5, 30)])
def test_T7_centered_counts_the_axis_it_sums(shape):
    layer = Centered()
    model = keras.Sequential([keras.Input(shape), layer])
    unit = 2.0**-24
    constant, slope = float_error(model, unit)
    points = np.random.default_rng(0).normal(size=(200, *shape)) + 100.0
    exact = points - points.mean(axis=1, keepdims=True)
    error = (layer(points.astype(np.float32)).numpy() - exact).reshape(200, -1)
    norms = np.linalg.norm(points.reshape(200, -1), axis=1)
    assert (np.linalg.norm(error, axis=1) <= constant + slope * norms).all()
    # gamma_(n + 3) of 3 ||x||, n numbers along the first axis, and how far the row was rounded.
    expected = 2 * unit + 3.0 * (shape[0] + 3) * unit
    assert slope == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("shape", [(None, None, 1), (None, 8, 2), (8, None, 1)])
def test_T7_average_pooling_of_unknown_size_has_a_bound(shape, padding):
    layer = keras.layers.AveragePooling2D(3, 2, padding)
    model = keras.Sequential([keras.Input(shape), layer])
    bound = network_bound(model)
    assert layer_bound(layer, (None, 8, 8, 1)) <= bound <= layer_bound(layer)
    with pytest.raises(TypeError, match="No bound of rounding errors is known"):
        float_error(model)
