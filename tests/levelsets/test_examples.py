"""The worked examples of docs/level-sets.md do what the page says, with full fits."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ocsdf.levelsets import SampleNetwork

_PAGE = Path(__file__).parents[2] / "docs" / "level-sets.md"


@pytest.fixture(scope="module")
def names():
    keras.utils.set_random_seed(0)
    found = {}
    for code in re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, found)
    return found


def test_a_loss_on_samples_moves_a_fitted_edge(names):
    losses = names["losses"]
    assert np.mean(losses[-10:]) < 0.6 * losses[0]
    # What lay beyond the edge by half of the way is inside now.
    between = 0.5 * (names["edge"] + names["goal"])
    before, after = (
        names["CertifiedNetwork"].from_keras(model).score(between)
        for model in (names["detector"].model_, names["moved"])
    )
    assert np.mean(before > 0.0) < 0.2 < 0.6 < np.mean(after > 0.0)


def test_the_detector_stays_as_it_was(names):
    detector = names["detector"]
    score = names["CertifiedNetwork"].from_keras(detector.model_).score(names["X"])
    np.testing.assert_allclose(detector.score_samples(names["X"]), score, atol=1e-12)


def test_levels_of_a_layer_inside_are_reached(names):
    inner = names["inner"]
    reached = inner.converged.numpy()
    assert inner.values.shape == (100, 2) and reached.mean() > 0.5
    np.testing.assert_allclose(inner.values.numpy()[reached], 0.2, atol=1e-5)


def test_a_curvature_penalty_unbends_a_level_set(names):
    assert names["bends"][-1] < 0.5 * names["bends"][0]


def test_curvature_of_spheres_is_known(names):
    rng = np.random.default_rng(0)
    for dimensions in (2, 3):
        points = rng.normal(size=(20, dimensions)).astype(np.float32)
        found = names["curvature"](lambda x: tf.reduce_sum(x**2, axis=1, keepdims=True), points)
        exact = (dimensions - 1) / np.linalg.norm(points, axis=1)
        np.testing.assert_allclose(found.numpy(), exact, rtol=1e-4)


def test_the_penalty_s_gradient_is_that_of_finite_differences(names):
    """f = r - |x| with one weight r: the curvature of its zero level set is -1 / r."""
    radius = tf.Variable(2.0)
    points = tf.constant([[2.0, 0.0], [0.0, -2.0]])

    def ball(x):
        return radius - tf.norm(x, axis=1, keepdims=True)

    sample = SampleNetwork(ball, points)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(names["curvature"](ball, sample()))
    assert float(loss) == pytest.approx(-0.5, rel=1e-5)
    # d/dr (-1 / r) = 1 / r^2.
    assert float(tape.gradient(loss, radius)) == pytest.approx(0.25, rel=1e-4)
