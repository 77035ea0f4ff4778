"""HKR against a NumPy oracle, its slopes and its kink."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.training.keras_loss import HKR
from ocsdf.training.losses import hkr
from tests.reference import hkr as hkr_oracle


def samples(n_samples=64, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1.0, 1.0], size=n_samples).astype(np.float32)
    return labels, rng.normal(size=n_samples).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 3.0), st.floats(0.0, 200.0))
@settings(max_examples=30)
def test_equals_the_oracle(seed, margin, hinge_weight):
    labels, scores = samples(seed=seed)
    found = hkr(labels, scores, margin, hinge_weight)
    expected = hkr_oracle(labels, scores, margin, hinge_weight)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_columns_give_one_loss_a_sample():
    labels, scores = samples()
    found = hkr(labels[:, np.newaxis], scores[:, np.newaxis], 0.5, 10.0)
    assert found.shape == (64,)
    np.testing.assert_array_equal(found, hkr(labels, scores, 0.5, 10.0))


@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_slopes_on_both_sides_of_the_margin(label):
    margin, hinge_weight = 0.5, 10.0
    agreement = tf.constant([-2.0, 0.0, 0.499, 0.501, 3.0])
    scores = label * agreement
    with tf.GradientTape() as tape:
        tape.watch(scores)
        losses = hkr(label * tf.ones(5), scores, margin, hinge_weight)
    slope = label * tape.gradient(losses, scores)
    np.testing.assert_allclose(slope, [-11.0, -11.0, -11.0, -1.0, -1.0], rtol=1e-6)


def test_kink_is_at_the_margin_and_continuous():
    margin, hinge_weight = 0.5, 10.0
    agreement = np.float32([0.25, 0.5, 0.75])
    found = hkr(np.ones(3, np.float32), agreement, margin, hinge_weight)
    # lambda (m - y f) - y f below, -y f from the margin on.
    np.testing.assert_array_equal(found, [2.25, -0.5, -0.75])


class TestKerasLoss:
    def test_is_the_mean_of_the_samples(self):
        labels, scores = samples()
        expected = hkr_oracle(labels, scores, 0.3, 20.0)
        found = HKR(0.3, 20.0)(labels[:, np.newaxis], scores[:, np.newaxis])
        assert float(found) == pytest.approx(expected.mean(), rel=1e-5)

    @pytest.mark.parametrize(("reduction", "reduce"), [("sum", np.sum), (None, np.asarray)])
    def test_reductions(self, reduction, reduce):
        labels, scores = samples()
        found = HKR(0.3, 20.0, reduction=reduction)(labels, scores)
        expected = reduce(hkr_oracle(labels, scores, 0.3, 20.0))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

    def test_sample_weights(self):
        labels, scores = samples(4)
        weights = np.float32([0.0, 1.0, 2.0, 0.0])
        found = HKR(0.3, 20.0, reduction="sum")(labels, scores, sample_weight=weights)
        expected = weights @ hkr_oracle(labels, scores, 0.3, 20.0)
        assert float(found) == pytest.approx(expected, rel=1e-5)

    def test_comes_back_from_its_configuration(self):
        loss = HKR(0.3, 20.0, name="mine", reduction="sum")
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert isinstance(again, HKR)
        assert again.get_config() == loss.get_config()
        assert (again.margin, again.hinge_weight, again.name) == (0.3, 20.0, "mine")
        assert float(again(*samples())) == float(loss(*samples()))
