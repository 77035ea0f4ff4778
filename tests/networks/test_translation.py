"""Every layer of the table, and random networks (T1), against float64 clones; look-alikes (T7)."""

import itertools

import keras
import numpy as np
import pytest
from deel.lip import layers as deel
from keras import layers

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks import layers as ours
from ocsdf.networks import nearest, piecewise
from ocsdf.networks.cones import Cones
from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.ensembles import ScaledMinimum, WeightedMean
from ocsdf.networks.layer_table import TABLE
from ocsdf.networks.layers import Centered
from ocsdf.networks.lipschitz import float_error, layer_bound, network_bound
from ocsdf.networks.translation import register, translate
from ocsdf.operations.base import from_description
from ocsdf.operations.linear import Asinh

ROW, PIXELS, IMAGE, CUBE = (6,), (6, 4), (6, 6, 4), (5, 4, 4, 2)
OF_AXES = {1: PIXELS, 2: IMAGE, 3: CUBE}


def with_axes(name, *settings, **more):
    return [
        (getattr(layers, f"{name}{n}D"), lambda kind: kind(*settings, **more), OF_AXES[n])
        for n in (1, 2, 3)
    ]


def member(seed, width=6):
    """A small network from rows to one number."""
    model = keras.Sequential([keras.Input((width,)), layers.Dense(4), layers.Dense(1)])
    return drawn(model, seed)


NAMES = ["linear", "relu", "relu6", "leaky_relu", "elu", "softplus", "softsign", "tanh", "sigmoid"]
CASES = [
    (layers.Identity, lambda kind: kind(), ROW),
    (layers.Dropout, lambda kind: kind(0.5), ROW),
    (layers.AlphaDropout, lambda kind: kind(0.5), ROW),
    (layers.GaussianDropout, lambda kind: kind(0.5), ROW),
    (layers.GaussianNoise, lambda kind: kind(0.5), ROW),
    *with_axes("SpatialDropout", 0.5),
    (layers.Dense, lambda kind: kind(3), ROW),
    (layers.Dense, lambda kind: kind(3, use_bias=False), IMAGE),
    *[(layers.Activation, lambda kind, name=name: kind(name), ROW) for name in NAMES],
    (layers.Dense, lambda kind: kind(3, activation="relu6"), PIXELS),
    (layers.Dense, lambda kind: kind(3, activation=layers.PReLU()), ROW),
    (layers.ReLU, lambda kind: kind(), ROW),
    (layers.ReLU, lambda kind: kind(max_value=1.0, negative_slope=1.5), ROW),
    (layers.LeakyReLU, lambda kind: kind(0.25), ROW),
    (layers.PReLU, lambda kind: kind(), PIXELS),
    (layers.PReLU, lambda kind: kind(shared_axes=[1, 2]), IMAGE),
    (layers.ELU, lambda kind: kind(2.0), ROW),
    (layers.BatchNormalization, lambda kind: kind(), IMAGE),
    (layers.BatchNormalization, lambda kind: kind(axis=1, scale=False), PIXELS),
    (layers.BatchNormalization, lambda kind: kind(center=False), ROW),
    (layers.Normalization, lambda kind: kind(mean=[1.0] * 6, variance=[0.0] + [4.0] * 5), ROW),
    (layers.Normalization, lambda kind: kind(mean=2.0, variance=3.0, invert=True), IMAGE),
    (layers.Rescaling, lambda kind: kind(1 / 255, offset=0.1), IMAGE),
    (layers.Rescaling, lambda kind: kind([1.0, -2.0, 0.5, 3.0]), PIXELS),
    (layers.Flatten, lambda kind: kind(), IMAGE),
    (layers.Flatten, lambda kind: kind("channels_first"), IMAGE),
    (layers.Reshape, lambda kind: kind((4, -1)), IMAGE),
    (layers.Permute, lambda kind: kind((3, 1, 2)), IMAGE),
    *with_axes("Cropping", 1),
    *with_axes("ZeroPadding", 1),
    (layers.ZeroPadding2D, lambda kind: kind(((1, 0), (2, 3)), "channels_first"), IMAGE),
    *with_axes("Conv", 3, 2),
    *with_axes("Conv", 3, 3, strides=2, padding="same"),
    (layers.Conv1D, lambda kind: kind(2, 3, padding="causal"), PIXELS),
    (layers.Conv2D, lambda kind: kind(2, (3, 2), strides=(2, 3), activation="relu"), IMAGE),
    *with_axes("AveragePooling", 2),
    *with_axes("AveragePooling", 3, 2, "same"),
    (layers.AveragePooling2D, lambda kind: kind(2, data_format="channels_first"), IMAGE),
    *with_axes("MaxPooling", 2, 1),
    *with_axes("MaxPooling", 3, 2, "same"),
    *with_axes("GlobalAveragePooling"),
    *with_axes("GlobalMaxPooling"),
    (layers.GlobalAveragePooling2D, lambda kind: kind("channels_first"), IMAGE),
    (layers.GlobalMaxPooling2D, lambda kind: kind(keepdims=True), IMAGE),
    (layers.GlobalMaxPooling2D, lambda kind: kind("channels_first", keepdims=True), IMAGE),
    (deel.GroupSort, lambda kind: kind(3), ROW),
    (deel.GroupSort, lambda kind: kind(None, k_coef_lip=0.5), PIXELS),
    (deel.GroupSort2, lambda kind: kind(), IMAGE),
    (deel.FullSort, lambda kind: kind(), ROW),
    (deel.InvertibleDownSampling, lambda kind: kind((2, 3)), IMAGE),
    (deel.InvertibleDownSampling, lambda kind: kind((2, 2), "channels_first"), IMAGE),
    (deel.ScaledAveragePooling2D, lambda kind: kind((2, 3)), IMAGE),
    (deel.ScaledL2NormPooling2D, lambda kind: kind((2, 2), k_coef_lip=0.5), IMAGE),
    (deel.ScaledGlobalAveragePooling2D, lambda kind: kind(), IMAGE),
    (deel.ScaledGlobalL2NormPooling2D, lambda kind: kind(), IMAGE),
    (ours.FullSort, lambda kind: kind(), PIXELS),
    (ours.GroupSort2, lambda kind: kind(k_coef_lip=0.5), IMAGE),
    (ours.Asinh, lambda kind: kind(0.5), ROW),
    (ours.Centered, lambda kind: kind(), ROW),
    (ours.Centered, lambda kind: kind(), (3, 40)),
    (SubsampleDistance, lambda kind: kind(24, (2, 4, 12), "l1"), ROW),
    (SubsampleDistance, lambda kind: kind(24, (24,), "l2"), ROW),
    (Cones, lambda kind: kind(3, 2, 0.5, 0.1), ROW),
    (Cones, lambda kind: kind(3, 1, 0.5, 0.0), ROW),
    (WeightedMean, lambda kind: kind([member(1), member(2)], [0.25, 0.75]), ROW),
    (ScaledMinimum, lambda kind: kind([member(1), member(2)], [0.5, 2.0]), ROW),
]
# Some have weights that are not drawn at random, and tests of their own; the others cannot stand in
# a sequential network of Keras 3.
ELSEWHERE = {
    layers.InputLayer,
    nearest.NearestRow,
    nearest.NearestValues,
    piecewise.Piecewise,
    deel.MaxMin,
}


def drawn(model, seed):
    """Draw weights: variances positive, bases of cones short."""
    rng = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        value = rng.normal(size=variable.shape)
        name = variable.path.rpartition("/")[2]
        if name in ("moving_variance", "gamma"):
            value = rng.uniform(0.5, 2.0, size=variable.shape)
        if name == "bases":
            value = np.linalg.qr(value)[0] * 0.999 if value.shape[1] <= len(value) else value
            value = 0.2 * value
        if name == "kernel":
            value = value / np.sqrt(np.prod(value.shape[:-1]))
        if name in ("mean", "variance", "count"):
            value = variable.numpy()
        weights.append(value)
    model.set_weights(weights)
    return model


def in_float64(model):
    """The same network, computed by Keras in float64 where TensorFlow does."""
    if any(
        isinstance(layer, layers.MaxPooling3D | layers.AveragePooling3D) for layer in model.layers
    ):
        return model

    def changed(config):
        if isinstance(config, dict):
            return {k: "float64" if k == "dtype" else changed(v) for k, v in config.items()}
        return [changed(part) for part in config] if isinstance(config, list | tuple) else config

    clone = keras.Sequential.from_config(changed(model.get_config()))
    clone.set_weights([weight.numpy().astype(np.float64) for weight in model.weights])
    return clone


def model_of(layer, shape):
    model = keras.Sequential([keras.Input(shape), layer])
    # Builds a layer that is another's activation, too.
    model(np.zeros((1, *shape)))
    return model


def test_every_registered_layer_has_a_case():
    assert set(TABLE) == {kind for kind, _, _ in CASES} | ELSEWHERE


@pytest.mark.parametrize(
    ("kind", "make", "shape"),
    CASES,
    ids=[f"{kind.__name__}-{i}" for i, (kind, _, _) in enumerate(CASES)],
)
def test_a_layer_and_its_operations_compute_the_same(kind, make, shape):
    model = drawn(model_of(make(kind), shape), 0)
    chain = translate(model)
    assert chain.output_shape() == model.output_shape[1:]
    points = 1.5 * np.random.default_rng(1).normal(size=(7, *shape))
    before = points.copy()
    found = chain.evaluate(points)
    np.testing.assert_array_equal(points, before)
    # Cones differ near 0, where Keras keeps a gradient alive.
    atol = 2e-6 if kind is Cones else 1e-6 if kind is layers.Rescaling else 1e-12
    atol = 1e-7 if kind in (layers.LeakyReLU, layers.Activation, layers.ReLU) else atol
    atol = 1e-6 if kind in (layers.MaxPooling3D, layers.AveragePooling3D) else atol
    atol = 1e-6 if kind in (layers.BatchNormalization, layers.Normalization) else atol
    np.testing.assert_allclose(found, in_float64(model)(points), atol=atol, rtol=1e-9)
    # Gradients along a direction against differences; a kink may lie in between.
    values, pull_back = chain.linearize(points)
    np.testing.assert_allclose(values, found, atol=1e-14)
    upstream = np.random.default_rng(2).normal(size=found.shape)
    gradient, step = pull_back(upstream), 1e-6
    assert gradient.shape == points.shape
    direction = np.random.default_rng(3).normal(size=points.shape)
    moved = [chain.evaluate(points + sign * step * direction) for sign in (1, -1)]
    rise = ((moved[0] - moved[1]) * upstream).reshape(7, -1).sum(axis=1) / (2 * step)
    slope = (gradient * direction).reshape(7, -1).sum(axis=1)
    assert np.mean(np.abs(rise - slope) < 1e-5 * (1 + np.abs(slope))) >= 6 / 7
    # Through a file and through Keras it stays the same function and the same bound.
    described = from_description(*chain.describe())
    np.testing.assert_array_equal(described.evaluate(points), found)
    assert described.bound() == chain.bound()
    again = translate(chain.to_keras())
    np.testing.assert_allclose(again.evaluate(points), found, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("layer", [layers.UnitNormalization, layers.LayerNormalization])
def test_register_adds_a_layer(layer):
    class Own(layer):
        pass

    model = model_of(Own(), ROW)
    with pytest.raises(TypeError, match="No Lipschitz bound is known for layer .* of type Own"):
        translate(model)
    register(Own, lambda layer: [Asinh(2.0)])
    assert translate(model).bound() == 1.0
    with pytest.raises(TypeError, match=f"of type {layer.__name__}"):
        translate(model_of(layer(), ROW))
    del TABLE[Own]


# Random networks


class Draw:
    """Random layers, in networks from rows to one number."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def hidden(self, width):
        """One or more layers of rows, and how wide they leave them."""
        units = int(2 * self.rng.integers(1, 6))
        kind = self.rng.integers(9)
        if kind < 4:
            return [layers.Dense(units)], units
        sort = self.one_of(ours.FullSort, deel.FullSort, deel.GroupSort)
        even = [ours.GroupSort2, deel.GroupSort2] if width % 2 == 0 else []
        exact = self.one_of(sort, *even, layers.ReLU, layers.PReLU, layers.Dropout)
        if kind < 7:
            return [exact() if exact is not layers.Dropout else exact(0.5)], width
        if kind == 7:
            return [self.one_of(ours.Centered(), ours.Asinh(1.5), layers.LeakyReLU(0.3))], width
        return [layers.Reshape((width, 1)), layers.Conv1D(2, 2, padding="same"),
                layers.Flatten()], 2 * width  # fmt: skip

    def rows(self, width, depth):
        found = []
        for _ in range(self.rng.integers(depth + 1)):
            more, width = self.hidden(width)
            found += more
        return found, width

    def head(self, width, depth):
        kind = self.rng.integers(5 if depth else 3)
        if kind == 0:
            return layers.Dense(1)
        if kind == 1:
            return SubsampleDistance(16, self.one_of((4,), (2, 8), (16,)), self.one_of("l1", "l2"))
        if kind == 2:
            return layers.Dense(1, use_bias=False)
        members = [self.network(width, depth - 1) for _ in range(self.rng.integers(1, 4))]
        if kind == 3:
            parts = self.rng.integers(1, 9, size=len(members) - 1) / 32.0
            return WeightedMean(members, [*parts, 1.0 - parts.sum()])
        return ScaledMinimum(members, self.rng.uniform(0.5, 2.0, size=len(members)))

    def network(self, width, depth):
        found, reached = self.rows(width, 4)
        model = keras.Sequential([keras.Input((width,)), *found, self.head(reached, depth)])
        return drawn(model, int(self.rng.integers(2**31)))

    def overwritten(self, width):
        """T1: a dense layer feeds an ensemble whose members have layers of the same width."""
        units = int(2 * self.rng.integers(2, 6))
        members = [
            drawn(
                keras.Sequential(
                    [keras.Input((units,)), layers.Dense(units), layers.Dense(units)]
                    + [layers.Dense(1)]
                ),
                seed,
            )
            for seed in self.rng.integers(2**31, size=3)
        ]
        head = self.one_of(
            WeightedMean(members, [0.25, 0.25, 0.5]), ScaledMinimum(members, [1.0, 0.5, 2.0])
        )
        model = keras.Sequential([keras.Input((width,)), layers.Dense(units), head])
        return drawn(model, int(self.rng.integers(2**31)))


def check_network(model, rng):
    """Scores against a float64 clone and pairs against the bound, both within the rounding."""
    network, clone = CertifiedNetwork.from_keras(model), in_float64(model)
    points = rng.normal(size=(60, model.input_shape[1])) * 10.0 ** rng.uniform(-1, 2, (60, 1))
    scores, allowed = network.score(points), network.rounding_error(points)
    # Slopes of leaky activations are float32 to Keras.
    leaky = any(isinstance(layer, layers.LeakyReLU) for layer in model._flatten_layers())
    norms = network.lipschitz_bound * np.linalg.norm(points, axis=1)
    error = np.abs(scores - clone(points).numpy()[:, 0])
    assert (error <= 2.0 * allowed + 1e-6 * leaky * (1.0 + norms)).all()
    np.testing.assert_array_equal(network.score(points), scores)
    apart = np.linalg.norm(points[1:] - points[:-1], axis=1)
    rise = np.abs(np.diff(scores))
    assert (rise <= network.lipschitz_bound * apart + allowed[1:] + allowed[:-1]).all()


def fuzz(seeds):
    for seed in seeds:
        draw = Draw(seed)
        check_network(draw.network(int(draw.rng.integers(1, 8)), 2), draw.rng)


def fuzz_overwriting(seeds):
    for seed in seeds:
        draw = Draw(seed)
        check_network(draw.overwritten(int(draw.rng.integers(1, 8))), draw.rng)


@pytest.mark.parametrize("start", range(0, 24, 4))
def test_T1_random_networks_score_as_float64_clones(start):
    fuzz(range(start, start + 4))


@pytest.mark.parametrize("start", range(1000, 1024, 8))
def test_T1_members_of_an_ensemble_have_arrays_of_their_own(start):
    fuzz_overwriting(range(start, start + 8))


@pytest.mark.slow
def test_T1_many_random_networks_score_as_float64_clones():
    fuzz(range(100, 350))


@pytest.mark.slow
def test_T1_members_of_many_ensembles_have_arrays_of_their_own():
    fuzz_overwriting(range(2000, 2250))


@pytest.mark.parametrize(
    ("first", "n_rows"), list(itertools.product(["dense", "sort", "row"], [1, 37, 1500]))
)
def test_T1_what_feeds_an_ensemble_is_left_as_it_is(first, n_rows):
    before = {
        "dense": [layers.Dense(6)],
        "sort": [layers.Dense(6), ours.GroupSort2()],
        "row": [],
    }[first]
    # Members whose first operation would change its input in place, if it might.
    members = [
        keras.Sequential([keras.Input((6,)), kind(), layers.Dense(6), kind(), layers.Dense(1)])
        for kind in (ours.FullSort, ours.GroupSort2, deel.FullSort)
    ]
    model = keras.Sequential([keras.Input((6,)), *before, WeightedMean(members, [0.25, 0.25, 0.5])])
    drawn(model, 3)
    points = np.random.default_rng(4).normal(size=(n_rows, 6))
    network = CertifiedNetwork.from_keras(model)
    error = np.abs(network.score(points) - in_float64(model)(points).numpy()[:, 0])
    assert (error <= 2.0 * network.rounding_error(points)).all()


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
