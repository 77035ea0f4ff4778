"""Orthogonal kernels and sorting against float64 SVD and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from deel.lip.layers.activations import FullSort as DeelFullSort
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.networks.layers import (
    ACTIVATIONS,
    Asinh,
    BjorckDense,
    FullSort,
    Orthogonal,
    orthogonalize,
)
from ocsdf.training.numpy_updates import orthogonalize_in_place
from tests.reference import group_sort_2, matrix_with, singular_values

SHAPES = [(7, 4), (4, 7), (5, 5), (6, 1), (1, 6), (1, 1), (40, 300), (300, 300)]
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))


def in_place(kernel):
    """The NumPy form, on float64 or float32 arrays, as a function."""
    kernel = np.array(kernel)
    orthogonalize_in_place(kernel)
    return kernel


def in_a_graph(kernel):
    return orthogonalize(tf.constant(kernel)).numpy()


def nearest_orthogonal(kernel):
    left, _, right = np.linalg.svd(np.asarray(kernel, dtype=np.float64), full_matrices=False)
    return left @ right


def near_orthogonal(shape, distance, rng):
    """A matrix whose defect has the Frobenius norm ``distance``, of either sign."""
    defects = rng.normal(size=min(shape))
    defects *= distance / np.linalg.norm(defects)
    return matrix_with(np.sqrt(1.0 - defects), shape, rng), defects


@pytest.mark.parametrize("orthogonal", [in_place, in_a_graph])
class TestOrthogonalize:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("distance", [1e-3, 0.1, 0.19, 0.21, 0.3, 0.45])
    def test_maps_each_singular_value(self, orthogonal, shape, distance):
        rng = np.random.default_rng(0)
        kernel, defects = near_orthogonal(shape, distance, rng)
        moved = orthogonal(kernel)
        first, second = 0.5, 0.0
        if distance > 0.2:
            c = np.sum(defects**4) ** 0.25
            first, second = 0.5 + 15 / 64 * c**2, 3 / 8 + 35 / 128 * c**2
        values = np.sqrt(1.0 - defects) * (1.0 + first * defects + second * defects**2)
        np.testing.assert_allclose(singular_values(moved), np.sort(values)[::-1], rtol=1e-10)
        # Singular vectors stay.
        left, old, right = np.linalg.svd(kernel, full_matrices=False)
        expected = values[np.argsort(np.sqrt(1.0 - defects))[::-1]]
        np.testing.assert_allclose(moved, left * expected @ right, atol=1e-10)

    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    @pytest.mark.parametrize("distance", [0.05, 0.2, 0.2001, 0.35, 0.5, 0.5001, 0.9])
    def test_leaves_no_more_than_it_says(self, orthogonal, sign, distance):
        # All of the defect in one singular value: the worst case of a bound by a norm.
        kernel = np.diag([np.sqrt(1.0 - sign * distance), 1.0, 1.0])
        np.testing.assert_allclose(singular_values(orthogonal(kernel)), 1.0, atol=2e-2)

    @given(shapes, st.integers(0, 2**32 - 1), st.floats(0.05, 5.0))
    @settings(max_examples=20)
    def test_singular_values_from_far_away_end_near_one(self, orthogonal, shape, seed, smallest):
        rng = np.random.default_rng(seed)
        kernel = matrix_with(rng.uniform(smallest, 5.0, min(shape)), shape, rng)
        moved = orthogonal(kernel.astype(np.float32))
        np.testing.assert_allclose(singular_values(moved), 1.0, atol=2e-2)
        np.testing.assert_allclose(moved, nearest_orthogonal(kernel), atol=3e-2)

    @given(shapes, st.integers(0, 2**32 - 1), st.floats(-6, 6))
    @settings(max_examples=40)
    def test_never_diverges_from_anywhere(self, orthogonal, shape, seed, exponent):
        rng = np.random.default_rng(seed)
        kernel = (10.0**exponent * rng.normal(size=shape)).astype(np.float32)
        assert singular_values(orthogonal(kernel))[0] <= 1.02

    def test_column_becomes_a_unit_vector(self, orthogonal):
        column = np.float32([[3.0], [0.0], [-4.0]])
        np.testing.assert_allclose(orthogonal(column), column / 5.0, atol=2e-2)

    def test_zeros_stay(self, orthogonal):
        zeros = np.zeros((4, 3), np.float32)
        np.testing.assert_array_equal(orthogonal(zeros), zeros)

    def test_what_is_not_finite_stays_so(self, orthogonal):
        kernel = np.ones((4, 3), np.float32)
        kernel[1, 1] = np.nan
        assert np.isnan(orthogonal(kernel)).any()


def test_both_forms_agree_to_float32():
    rng = np.random.default_rng(3)
    for distance in (0.1, 0.4, 0.8, 1.5):
        kernel = near_orthogonal((64, 48), min(distance, 0.9), rng)[0] * max(1.0, distance)
        kernel = kernel.astype(np.float32)
        np.testing.assert_allclose(in_place(kernel), in_a_graph(kernel), atol=2e-6)


def test_constraint_keeps_a_kernel_orthogonal_after_updates():
    rng = np.random.default_rng(0)
    layer = keras.layers.Dense(5, kernel_constraint=Orthogonal())
    layer.build((None, 8))
    layer.kernel.assign(matrix_with(np.ones(5), (8, 5), rng))
    optimizer, before = keras.optimizers.RMSprop(1e-3), layer.kernel.numpy()
    for _ in range(5):
        optimizer.apply([tf.constant(rng.normal(size=(8, 5)), tf.float32)], [layer.kernel])
        np.testing.assert_allclose(singular_values(layer.kernel.numpy()), 1.0, atol=1e-3)
    assert np.abs(layer.kernel.numpy() - before).max() > 1e-3


class TestSorting:
    @pytest.mark.parametrize("rows", ["distinct", "tied"])
    def test_full_sort_is_numpys_and_deel_lips(self, rows):
        rng = np.random.default_rng(0)
        points = rng.normal(size=(20, 7)) if rows == "distinct" else rng.integers(3, size=(20, 7))
        points = points.astype(np.float32)
        found = FullSort()(points).numpy()
        np.testing.assert_array_equal(found, np.sort(points, axis=1))
        np.testing.assert_array_equal(found, DeelFullSort()(points).numpy())

    @pytest.mark.parametrize("in_graph", [False, True])
    def test_full_sort_gradient_is_that_of_tf_sort(self, in_graph):
        rng = np.random.default_rng(1)
        points = tf.constant(rng.normal(size=(20, 7)), tf.float32)
        upstream = tf.constant(rng.normal(size=(20, 7)), tf.float32)

        def gradient(sort):
            with tf.GradientTape() as tape:
                tape.watch(points)
                ordered = sort(points)
            return tape.gradient(ordered, points, upstream)

        layer = FullSort()
        found = (tf.function(gradient) if in_graph else gradient)(layer)
        np.testing.assert_array_equal(found, gradient(tf.sort))

    @pytest.mark.parametrize("rows", [[[0.3, -2.0, 5.0, 0.1]], [[1.0, 0.0, 1.0, 0.0]]])
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_jacobian_is_orthogonal(self, rows, name):
        points, layer = tf.constant(rows), ACTIVATIONS[name]()
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(points)
            ordered = layer(points)
        jacobian = tape.batch_jacobian(ordered, points, experimental_use_pfor=False)[0]
        np.testing.assert_allclose(singular_values(jacobian), 1.0, rtol=1e-12)

    def test_group_sort_2_is_minimum_and_maximum_of_pairs(self):
        points = np.random.default_rng(2).normal(size=(20, 6)).astype(np.float32)
        found = ACTIVATIONS["groupsort2"]()(points).numpy()
        np.testing.assert_array_equal(found, group_sort_2(points))

    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_images_are_sorted_along_their_channels(self, name):
        images = tf.constant(np.random.default_rng(4).normal(size=(3, 2, 5, 6)), tf.float32)
        upstream = tf.constant(np.random.default_rng(5).normal(size=(3, 2, 5, 6)), tf.float32)
        layer, results = ACTIVATIONS[name](), []
        for shape in [images.shape, (30, 6)]:
            points = tf.reshape(images, shape)
            with tf.GradientTape() as tape:
                tape.watch(points)
                ordered = layer(points)
            slope = tape.gradient(ordered, points, tf.reshape(upstream, shape))
            results.append([tf.reshape(part, (30, 6)).numpy() for part in (ordered, slope)])
        np.testing.assert_array_equal(*results)

    @given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(ACTIVATIONS)))
    @settings(max_examples=20)
    def test_sorting_is_one_lipschitz_and_keeps_the_norm(self, seed, name):
        one, other = np.random.default_rng(seed).normal(size=(2, 10, 6)).astype(np.float32)
        layer = ACTIVATIONS[name]()
        moved = np.linalg.norm(np.float64(layer(one)) - np.float64(layer(other)), axis=1)
        apart = np.linalg.norm(np.float64(one) - np.float64(other), axis=1)
        assert (moved <= apart * (1 + 1e-12)).all()
        norms = [np.linalg.norm(np.float64(rows), axis=1) for rows in (layer(one), one)]
        np.testing.assert_allclose(*norms, rtol=1e-12)


class TestAsinh:
    @given(st.floats(1e-3, 1e3), st.floats(-1e6, 1e6), st.floats(-30, 6), st.booleans())
    @settings(max_examples=200)
    def test_slope_is_in_zero_to_one(self, scale, start, exponent, down):
        end = start + (-1.0) ** down * 10.0**exponent
        layer = Asinh(scale, dtype="float64")
        one, other = layer(np.array([start, end])).numpy()
        rise, run = (other - one) * (-1.0) ** down, abs(end - start)
        rounding = 1e-15 * max(abs(start), abs(end))
        assert -rounding <= rise <= run + rounding

    @pytest.mark.parametrize("scale", [0.5, 2.0])
    def test_it_is_the_formula(self, scale):
        points = np.float32([[-1e30, -3.0, -1e-3], [0.0, 1e-30, 7.0]])
        found = Asinh(scale)(points).numpy()
        np.testing.assert_allclose(found, scale * np.arcsinh(np.float64(points) / scale), rtol=1e-6)
        np.testing.assert_array_equal(Asinh(scale)(-points).numpy(), -found)

    def test_gradient_is_one_at_zero_and_falls(self):
        points = tf.constant([0.0, 2.0, -2.0, 200.0])
        with tf.GradientTape() as tape:
            tape.watch(points)
            values = Asinh(2.0)(points)
        expected = 1.0 / np.sqrt(1.0 + (points.numpy() / 2.0) ** 2)
        np.testing.assert_allclose(tape.gradient(values, points), expected, rtol=1e-6)

    @pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
    def test_a_scale_that_is_none_is_refused(self, scale):
        with pytest.raises(ValueError, match="scale must be a finite number > 0; got"):
            Asinh(scale)


@pytest.fixture(scope="module")
def dense():
    """A BjorckDense layer from 6 to 4, with a free kernel far from orthogonal."""
    layer = BjorckDense(4)
    layer.build((None, 6))
    rng = np.random.default_rng(0)
    layer.kernel.assign(matrix_with([3.0, 2.0, 1.0, 0.7], (6, 4), rng))
    layer.bias.assign(rng.normal(size=4))
    return layer


class TestBjorckDense:
    def test_kernel_is_the_nearest_orthogonal_one(self, dense):
        kernel = dense.orthogonal_kernel()[0].numpy()
        np.testing.assert_allclose(singular_values(kernel), 1.0, atol=1e-3)
        np.testing.assert_allclose(kernel, nearest_orthogonal(dense.kernel.numpy()), atol=1e-3)

    def test_output_is_affine_in_the_orthogonal_kernel(self, dense):
        points = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
        expected = points @ nearest_orthogonal(dense.kernel.numpy()) + dense.bias.numpy()
        np.testing.assert_allclose(dense(points), expected, atol=1e-2)

    def test_gradient_of_the_free_kernel_is_tangent(self, dense):
        # The nearest orthogonal matrix does not change when W is scaled: no gradient along W.
        upstream = np.random.default_rng(4).normal(size=(6, 4)).astype(np.float32)
        with tf.GradientTape() as tape:
            kernel, _ = dense.orthogonal_kernel()
            value = tf.reduce_sum(kernel * upstream)
        gradient = tape.gradient(value, dense.kernel.value).numpy()
        assert np.isfinite(gradient).all()
        assert np.linalg.norm(gradient) > 0.1
        along = np.sum(gradient * dense.kernel.numpy())
        assert abs(along) < 1e-2 * np.linalg.norm(gradient) * np.linalg.norm(dense.kernel.numpy())

    def test_power_iteration_vector_moves_in_training_only(self, dense):
        points = np.zeros((1, 6), np.float32)
        before = dense.u.numpy()
        dense(points)
        dense(points, training=False)
        np.testing.assert_array_equal(dense.u.numpy(), before)
        for _ in range(3):
            dense(points, training=True)
        # It is the right singular vector of the largest singular value.
        direction = np.linalg.svd(dense.kernel.numpy())[2][0]
        cosine = abs(dense.u.numpy()[0] @ direction) / np.linalg.norm(dense.u.numpy())
        assert cosine == pytest.approx(1.0, abs=1e-4)
        assert abs(before[0] @ direction) / np.linalg.norm(before) < 0.999
        assert [weight.path for weight in dense.non_trainable_weights] == [dense.u.path]


def test_model_of_all_layers_comes_back_from_a_file(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            Asinh(0.75),
            BjorckDense(6, kernel_initializer=keras.initializers.RandomNormal(seed=0)),
            FullSort(),
            keras.layers.Dense(4, kernel_constraint=Orthogonal()),
            ACTIVATIONS["groupsort2"](),
            keras.layers.Dense(1),
        ]
    )
    points = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    model(points, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(points), model(points))
    assert loaded.layers[0].scale == 0.75
    np.testing.assert_array_equal(loaded.layers[1].u.numpy(), model.layers[1].u.numpy())
    assert isinstance(loaded.layers[3].kernel.constraint, Orthogonal)
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
