"""Losses of points on level sets, against closed forms; the networks of CNLS Table A1."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from ocsdf.levelsets import (
    SampleNetwork,
    axis_distance,
    class_margin,
    conv_net_2a,
    conv_net_2b,
    conv_net_4a,
    conv_net_4b,
    fc_1,
    fc_2,
    geometric_svm,
    project,
    reconstruction,
    robust,
)

SEEDS = st.integers(0, 2**32 - 1)
RNG = np.random.default_rng(0)


def affine_network(seed, n_features=3):
    """The network w x + b, its two variables in float64, and 12 labelled points."""
    rng = np.random.default_rng(seed)
    weights = tf.Variable(rng.normal(size=(n_features, 1)) + 0.5)
    shift = tf.Variable(rng.normal(size=1))
    points, labels = rng.normal(size=(12, n_features)), rng.choice([-1.0, 1.0], 12)
    return lambda x: x @ weights + shift, [weights, shift], points, labels


def level_points(network, points):
    """Sample networks on the levels 0, 1 and -1, from the points' projections on the first."""
    zero = project(network, points).points
    places = [zero, project(network, zero, 1.0).points, project(network, zero, -1.0).points]
    return [SampleNetwork(network, place) for place in places]


# Geometric SVM


@settings(max_examples=10)
@given(seed=SEEDS, weight=st.floats(0.0, 2.0))
def test_geometric_svm_is_the_soft_svm_of_affine_networks(seed, weight):
    """CNLS Eq. 11 is Eq. 10 if F is affine, alpha = -2, d = l2: the values and the gradients."""
    network, variables, points, labels = affine_network(seed)
    samples = level_points(network, points)
    with tf.GradientTape(persistent=True) as tape:
        places = [sample() for sample in samples]
        found = geometric_svm(labels, network(points), points, places, weight, -2.0, "l2")
        hinge = tf.nn.relu(1.0 - labels * network(points)[:, 0])
        expected = hinge + weight * tf.reduce_sum(variables[0] ** 2)
        means = tf.reduce_mean(found), tf.reduce_mean(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for ours, soft in zip(*(tape.gradient(mean, variables) for mean in means), strict=True):
        np.testing.assert_allclose(ours, soft, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("alpha", [-1.0, -2.0])
def test_geometric_svm_in_l_infinity(alpha):
    """The paper's norm and, by default, its alpha, one point at a time."""
    points, labels = RNG.normal(size=(8, 2, 3)), RNG.choice([-1.0, 1.0], 8)
    values, samples = RNG.normal(size=8), RNG.normal(size=(3, 8, 2, 3))
    chosen = () if alpha == -1.0 else (alpha,)
    found = geometric_svm(labels, values, points, tf.constant(samples), 0.3, *chosen)
    for i, (x, y, value) in enumerate(zip(points, labels, values, strict=True)):
        zero, above, below = samples[:, i]
        margin = min(np.abs(zero - below).max(), np.abs(zero - above).max())
        hinge = max(0.0, 1.0 - np.sign(y * value) * np.abs(x - zero).max() / margin)
        np.testing.assert_allclose(found[i], hinge + 0.3 * margin**alpha)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_geometric_svm_is_one_and_flat_where_levels_coincide(norm):
    """As where Newton ended on a plateau; for points on the boundary and off it."""
    places, points = tf.Variable(RNG.normal(size=(4, 3))), RNG.normal(size=(4, 3))
    for rows in (places.numpy(), points):
        with tf.GradientTape() as tape:
            losses = geometric_svm(-np.ones(4), np.ones(4), rows, [places] * 3, 0.1, norm=norm)
            total = tf.reduce_sum(losses)
        np.testing.assert_array_equal(losses, 1.0)
        np.testing.assert_array_equal(tape.gradient(total, places), np.zeros((4, 3)))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_geometric_svm_of_no_points(norm):
    none = tf.zeros((0, 3))
    losses = geometric_svm(tf.zeros(0), tf.zeros(0), none, [none] * 3, 0.1, norm=norm)
    assert losses.shape == (0,)


def test_geometric_svm_refuses_other_norms():
    with pytest.raises(ValueError, match=r"norm must be one of \['l2', 'linf'\]; got 'l1'"):
        geometric_svm([1.0], [1.0], np.ones((1, 2)), [np.ones((1, 2))] * 3, 1.0, norm="l1")


def test_descent_on_the_geometric_svm_separates_and_widens_the_margin():
    """A small network in the plane: the hinge vanishes and the input margin grows."""
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)]
    )
    labels = np.repeat([-1.0, 1.0], 10).astype(np.float32)
    points = 0.3 * RNG.normal(size=(20, 2)).astype(np.float32) + labels[:, np.newaxis]
    optimizer = keras.optimizers.Adam(0.02)

    @functools.partial(tf.function, autograph=False)
    def on_levels():
        zero = project(network, points, max_iter=10, tol=1e-4)
        others = [project(network, zero.points, t, max_iter=10, tol=1e-4) for t in (1.0, -1.0)]
        reached = zero.converged & others[0].converged & others[1].converged
        return [zero.points, others[0].points, others[1].points], reached

    history = []
    for _ in range(12):
        places, reached = on_levels()
        samples = [SampleNetwork(network, place) for place in places]
        with tf.GradientTape() as tape:
            moving = [sample() for sample in samples]
            losses = geometric_svm(labels, network(points), points, moving, 0.01)
            total = tf.reduce_mean(tf.where(reached, losses, 1.0))
        history.append((float(total), np.linalg.norm(places[0] - points, axis=1).min()))
        gradients = tape.gradient(total, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
    np.testing.assert_array_equal(np.sign(network(points)[:, 0]), labels)
    assert history[-1][0] < 0.1 * history[0][0]
    assert history[-1][1] > 0.7 > history[0][1]


# Robust loss


def test_class_margin_is_the_lead_over_the_best_other_class():
    logits = np.array([[1.0, 4.0, -2.0], [1.0, 4.0, -2.0], [5.0, 5.0, 0.0]], np.float32)
    np.testing.assert_array_equal(class_margin(logits, [1, 2, 0]), [3.0, -6.0, 0.0])
    several = RNG.normal(size=(30, 10)).astype(np.float32)
    labels = RNG.integers(10, size=30)
    leads = class_margin(tf.constant(several), tf.constant(labels))
    np.testing.assert_array_equal(leads > 0, several.argmax(axis=1) == labels)
    none = class_margin(tf.zeros((0, 10)), tf.zeros(0, "int32"))
    assert none.shape == (0,)


@settings(max_examples=20)
@given(seed=SEEDS, weight=st.floats(0.1, 10.0))
def test_robust_loss_one_point_at_a_time(seed, weight):
    """CNLS Eq. 12 and the rho distance of Sec. 3.2."""
    rng = np.random.default_rng(seed)
    points, samples, gradients = rng.normal(size=(3, 9, 4))
    values, radius = rng.normal(size=9), rng.uniform(0.1, 2.0)
    distances = axis_distance(points, tf.constant(samples), gradients)
    found = robust(values[:, np.newaxis], distances, radius, weight)
    for i, value in enumerate(values):
        axis = np.argmax(np.abs(gradients[i]))
        rho = abs(points[i, axis] - samples[i, axis])
        assert rho <= np.abs(points[i] - samples[i]).max()
        np.testing.assert_allclose(distances[i], rho)
        share = weight if value > 0 else 1.0
        np.testing.assert_allclose(found[i], share * max(0.0, radius - np.sign(value) * rho))


def test_robust_loss_pushes_the_boundary_away_and_pulls_it_over_lost_points():
    """Boundary x_1 = b in the plane: b moves away from x = 1 (F > 0), and towards x = -1."""
    shift = tf.Variable(0.0)

    def network(points):
        return points @ tf.constant([[1.0], [0.2]]) - shift

    points = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    sample = SampleNetwork(network, project(network, points).points)
    with tf.GradientTape(persistent=True) as tape:
        distances = axis_distance(points, sample(), sample.pseudo_inverse)
        losses = robust(network(points), distances, 2.0)
        kept, lost = losses[0], losses[1]
    # rho is along x_1, and along it the boundary's foot moves by 1 / 1.04 as b does.
    np.testing.assert_allclose(distances, 1.0 / 1.04, rtol=1e-5)
    np.testing.assert_allclose(losses, [2.0 - 1.0 / 1.04, 2.0 + 1.0 / 1.04], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(kept, shift), 1.0 / 1.04, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(lost, shift), 1.0 / 1.04, rtol=1e-5)


def test_robust_loss_of_images():
    images, samples = RNG.normal(size=(2, 5, 4, 4, 1))
    directions = RNG.normal(size=(5, 16, 1))
    found = axis_distance(images, tf.constant(samples), directions)
    axes = np.abs(directions[:, :, 0]).argmax(axis=1)
    offsets = np.abs(images - samples).reshape(5, 16)
    np.testing.assert_allclose(found, offsets[np.arange(5), axes])


# Reconstruction


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_reconstruction_one_point_at_a_time(power, n_outputs):
    """CNLS Eq. 13."""
    cloud, values = RNG.normal(size=(30, 3)), RNG.normal(size=(30, n_outputs))
    samples = [RNG.normal(size=(n, 3)) for n in (8, 5, 12)]
    levels = [0.0, 0.4, -0.7]
    nearest = [cloud[cKDTree(cloud).query(places)[1]] for places in samples]
    tensors = [tf.constant(places) for places in samples]
    found = reconstruction(tensors, nearest, levels, tf.constant(values), 0.5, power)
    expected = 0.5 * np.mean(np.linalg.norm(values, axis=1))
    for places, level in zip(samples, levels, strict=True):
        distances = [min(np.linalg.norm(cloud - place, axis=1)) for place in places]
        errors = np.abs(np.array(distances) - abs(level))
        expected += np.mean(errors**power) ** (1.0 / power)
    np.testing.assert_allclose(found, expected)
    flat = reconstruction(tensors, nearest, levels, tf.constant(values[:, 0]), 0.5, power)
    if n_outputs == 1:
        np.testing.assert_allclose(flat, found)


def test_reconstruction_of_samples_each_with_its_own_level():
    cloud, places = np.zeros((1, 2)), RNG.normal(size=(6, 2))
    levels, none = RNG.normal(size=6), tf.zeros((1, 1), tf.float64)
    found = reconstruction([tf.constant(places)], [np.zeros((6, 2))], [levels], none, 1.0)
    errors = np.abs(np.linalg.norm(places - cloud, axis=1) - np.abs(levels))
    np.testing.assert_allclose(found, errors.mean())


@pytest.mark.parametrize("power", [1, 2])
def test_exact_signed_distance_has_no_loss_and_finite_gradients(power):
    angles = np.linspace(0.0, 2.0 * np.pi, 40)
    cloud = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radius = tf.Variable(1.0, dtype=tf.float64)

    def network(points):
        return tf.norm(points, axis=1, keepdims=True) - radius

    levels = [0.0, 0.3, -0.2]
    samples = [SampleNetwork(network, project(network, cloud, level).points) for level in levels]
    with tf.GradientTape() as tape:
        places = [sample() for sample in samples]
        loss = reconstruction(places, [cloud] * 3, levels, network(cloud), 1.0, power)
    np.testing.assert_allclose(loss, 0.0, atol=1e-12)
    assert np.isfinite(tape.gradient(loss, radius))


@pytest.mark.parametrize("power", [1, 2])
def test_descent_on_the_reconstruction_loss_finds_the_circle(power):
    """From the radius 0.5 to a cloud of radius 1, by samples on three levels."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0.0, 2.0 * np.pi, 200)
    cloud = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tree, levels = cKDTree(cloud), [0.0, 0.2, -0.2]
    radius = tf.Variable(0.5, dtype=tf.float64)

    def network(points):
        return tf.norm(points, axis=1, keepdims=True) - radius

    on_level = tf.function(lambda *args: project(network, *args).points, autograph=False)
    for step in range(25):
        starts = tf.constant(rng.normal(size=(20, 2)))
        samples = [SampleNetwork(network, on_level(starts, t)) for t in levels]
        with tf.GradientTape() as tape:
            places = [sample() for sample in samples]
            nearest = [cloud[tree.query(place.numpy())[1]] for place in places]
            loss = reconstruction(places, nearest, levels, network(cloud), 1.0, power)
        radius.assign_sub(0.1 * 0.85**step * tape.gradient(loss, radius))
    np.testing.assert_allclose(radius, 1.0, atol=0.02)


def test_reconstruction_refuses_what_does_not_fit():
    place, value = tf.zeros((2, 2)), tf.zeros((3, 1))
    with pytest.raises(ValueError, match="power must be 1 or 2; got 3"):
        reconstruction([place], [place], [0.0], value, 1.0, power=3)
    with pytest.raises(ValueError, match="one for each level set; got 2, 1 and 1"):
        reconstruction([place, place], [place], [0.0], value, 1.0)


CONVOLUTIONAL = [conv_net_2a, conv_net_2b, conv_net_4a, conv_net_4b]


def dense(n_in, n_out):
    return n_in * n_out + n_out


def convolution(n_in, n_out, size):
    return size**2 * n_in * n_out + n_out


@pytest.mark.parametrize(
    ("build", "n_parameters"),
    [
        # 28 -> 13 -> 5 without padding.
        (
            conv_net_2a,
            convolution(1, 16, 4) + convolution(16, 32, 4) + dense(800, 100) + dense(100, 10),
        ),
        # 28 -> 24 -> 12 -> 8 -> 4.
        (
            conv_net_2b,
            convolution(1, 32, 5) + convolution(32, 64, 5) + dense(1024, 512) + dense(512, 10),
        ),
        (conv_net_4a, 312_202),
        (conv_net_4b, 2_466_858),
        (fc_1, dense(2, 512) + 2 * dense(512, 512) + dense(512, 1)),
        (fc_2, dense(3, 509) + 6 * dense(512, 509) + dense(509, 1)),
    ],
)
def test_parameter_counts(build, n_parameters):
    assert build().count_params() == n_parameters


@pytest.mark.parametrize("build", CONVOLUTIONAL)
def test_half_width_halves_every_layer_but_the_last(build):
    full, half = build(n_outputs=3), build(n_outputs=3, width=0.5)
    assert half.output_shape == full.output_shape == (None, 3)
    kernels = [[w.shape[-1] for w in model.weights if len(w.shape) > 1] for model in (full, half)]
    assert [n // 2 for n in kernels[0][:-1]] == kernels[1][:-1]


@pytest.mark.parametrize("build", [*CONVOLUTIONAL, fc_1, fc_2])
def test_seeds_alone_choose_the_weights(build):
    keras.utils.set_random_seed(0)
    first = build(seed=3).get_weights()
    keras.utils.set_random_seed(1)
    again, other = build(seed=3).get_weights(), build(seed=4).get_weights()
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    # No two layers of a network share a draw.
    assert len({round(float(w.flat[0] / abs(w).max()), 6) for w in first}) == len(first)


def test_initial_kernels_are_hes():
    model = conv_net_4a(seed=0)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            fan_in = np.prod(kernel.shape[:-1])
            assert abs(kernel).max() <= np.sqrt(6.0 / fan_in)
            assert np.std(kernel) == pytest.approx(np.sqrt(2.0 / fan_in), rel=0.1)
            assert 0.0 < abs(bias).max() <= 1.0 / np.sqrt(fan_in)


def test_fc_2_sees_the_input_at_every_layer_in_the_middle():
    """With what comes from the layer before cut off, the skip alone still reaches the output."""
    model = fc_2(input_dim=3, output_dim=2, width=16, seed=0)
    layers = [layer for layer in model.layers if layer.weights]
    assert [layer.units for layer in layers] == [13] * 7 + [2]
    points = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for cut in layers[1:7]:
        weights = cut.get_weights()
        kernel = weights[0].copy()
        kernel[:13] = 0.0
        cut.set_weights([kernel, weights[1]])
        assert np.std(model(points), axis=0).min() > 0.0
        kernel[13:] = 0.0
        cut.set_weights([kernel, weights[1]])
        if cut is layers[6]:
            assert np.std(model(points), axis=0).max() < 1e-6
        cut.set_weights(weights)


def test_widths_that_do_not_do():
    with pytest.raises(ValueError, match="width must be above input_dim, .* got 3 and 3"):
        fc_2(width=3)
    with pytest.raises(ValueError, match="0.01 times 32 has none"):
        conv_net_4a(width=0.01)
