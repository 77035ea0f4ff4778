"""The reference that speed is measured against: deel-lip's layers in a process of their own."""

import importlib
import importlib.util
import os
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tests import reference as oracle

pytest.importorskip("tf_keras")

from experiments.speed.reference import ReferenceProcess

# Two processes with a Keras of their own; what they measure stands in no other part.
pytestmark = pytest.mark.slow
MARGIN = 0.1


def blob():
    return np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)


def start(**settings):
    return ReferenceProcess(
        blob(), np.full(3, -5.0), np.full(3, 5.0), margin=MARGIN, width=8, batch_size=32, **settings
    )


@pytest.fixture(scope="module")
def authors():
    with start(form="authors", activation="groupsort2") as process:
        yield process


@pytest.fixture(scope="module")
def kindest():
    with start(form="kindest", activation="fullsort") as process:
        yield process


@pytest.fixture(params=["authors", "kindest"])
def process(request):
    return request.getfixturevalue(request.param)


def test_training_lowers_the_risk_and_keeps_kernels_orthogonal(process):
    far = np.random.default_rng(1).choice([-4.0, 4.0], size=(90, 3))
    rows, labels = np.vstack([blob(), far]), np.repeat([1, -1], 90)

    def risk():
        return oracle.hkr(labels, process.score(rows), MARGIN, 100.0).mean()

    before = risk()
    assert process.train(30, newton_steps=0) > 0.0
    assert process.train(100, newton_steps=4) > 0.0
    assert risk() < 0.25 * before
    assert roc_auc_score(labels, process.score(rows)) > 0.99
    assert process.orthogonality() < 1e-2


def test_scores_are_1_lipschitz(process):
    rows = np.random.default_rng(2).uniform(-5.0, 5.0, size=(2000, 3))
    others = np.random.default_rng(3).uniform(-5.0, 5.0, size=(2000, 3))
    slopes = np.abs(process.score(rows) - process.score(others))
    slopes /= np.linalg.norm(rows - others, axis=1)
    assert 0.1 < slopes.max() < 1.0 + 1e-3


def test_restored_runs_go_on_bit_for_bit(process, tmp_path):
    # 2 batches of 32 leave 26 of 90 rows for the batches after.
    process.train(2, newton_steps=4)
    process.save(tmp_path / "state.npz")
    process.train(5, newton_steps=4)
    expected = process.score(blob())
    process.restore(tmp_path / "state.npz")
    restored = process.score(blob())
    assert not np.array_equal(restored, expected)
    process.train(5, newton_steps=4)
    np.testing.assert_array_equal(process.score(blob()), expected)


def test_a_run_survives_a_kill(kindest, tmp_path):
    kindest.save(tmp_path / "state.npz")
    kindest.train(5, newton_steps=4)
    with start(form="kindest", activation="fullsort") as again:
        again.restore(tmp_path / "state.npz")
        again.train(5, newton_steps=4)
        np.testing.assert_array_equal(again.score(blob()), kindest.score(blob()))
        os.kill(again._child._process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match=r"'train': the process died, exit code -9$"):
            again.train(1, newton_steps=4)


def test_scoring_leaves_training_alone(process, tmp_path):
    process.save(tmp_path / "before.npz")
    process.score(blob())
    process.orthogonality()
    process.save(tmp_path / "after.npz")
    with np.load(tmp_path / "before.npz") as before, np.load(tmp_path / "after.npz") as after:
        assert set(before) == set(after)
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])


def test_errors_come_back_in_one_line(authors, kindest, tmp_path):
    with pytest.raises(RuntimeError, match=r"'train': ValueError: newton_steps .* \[0, 4\]") as one:
        authors.train(1, newton_steps=3)
    assert "\n" not in str(one.value)
    with pytest.raises(RuntimeError, match="'restore': FileNotFoundError"):
        authors.restore(tmp_path / "missing.npz")
    authors.save(tmp_path / "state.npz")
    with pytest.raises(RuntimeError, match="other settings: .*'authors'"):
        kindest.restore(tmp_path / "state.npz")
    # It is none the worse for it.
    assert authors.train(1, newton_steps=4) > 0.0


def test_unknown_names_are_told():
    with pytest.raises(ValueError, match="form is one of .*'kindest'.*; got 'kind'"):
        start(form="kind")
    with pytest.raises(ValueError, match="activation is one of .*'groupsort2'.*; got 'relu'"):
        start(activation="relu")


def test_a_missing_tf_keras_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"needs tf-keras: pip install 'ocsdf\[experiments\]'"):
        start()


def test_a_process_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match=r"'start': the process died, exit code 1$") as one:
        start()
    assert "\n" not in str(one.value)


@pytest.fixture(scope="module")
def worker():
    return importlib.import_module("experiments.speed.reference_worker")


def test_negatives_follow_the_printed_algorithm(worker):
    rng = np.random.default_rng(4)
    seeds, eta = rng.uniform(-2.0, 2.0, size=(50, 3)), rng.uniform(size=50)
    box, level, steps = (np.full(3, -2.0), np.full(3, 2.0)), -0.3, 4
    asked = []

    # f(z) = 1.5 - |z|^2 / 4, whose gradient -z / 2 is not of norm 1.
    def network(points, first):
        asked.append(first)
        return 1.5 - tf.reduce_sum(points**2, axis=1, keepdims=True) / 4.0

    expected = seeds
    for _ in range(steps):
        values, gradients = 1.5 - np.sum(expected**2, axis=1) / 4.0, -expected / 2.0
        expected = oracle.newton(expected, values, gradients, level, eta / steps)
        expected = oracle.nearest_in_box(expected, *box)
    moved = worker.newton_negatives(
        network, tf.constant(seeds), box, level, tf.constant(eta), steps
    )
    np.testing.assert_allclose(moved, expected, rtol=1e-12)
    assert asked == [True, False, False, False]
    unmoved = worker.newton_negatives(network, tf.constant(seeds), box, level, eta, 0)
    np.testing.assert_array_equal(unmoved, seeds)


def test_points_stay_where_the_gradient_is_zero(worker):
    seeds = tf.zeros((1, 2))
    moved = worker.newton_negatives(
        lambda points, first: tf.reduce_sum(points**2, axis=1, keepdims=True),
        seeds,
        (-1.0, 1.0),
        0.5,
        tf.ones(1),
        4,
    )
    np.testing.assert_array_equal(moved, seeds)


def test_risk_is_the_mean_over_data_plus_that_over_negatives(worker):
    rng = np.random.default_rng(5)
    scores, negative_scores = rng.normal(size=(2, 40, 1))
    expected = oracle.hkr(np.ones(40), scores[:, 0], MARGIN, 100.0).mean()
    expected += oracle.hkr(-np.ones(40), negative_scores[:, 0], MARGIN, 100.0).mean()
    risk = worker.hkr_risk(tf.constant(scores), tf.constant(negative_scores), MARGIN, 100.0)
    np.testing.assert_allclose(risk, expected, rtol=1e-12)
