"""Algorithms 2 and 3: what is learned, in which order, and when it ends."""

import math
import random
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from ocsdf.networks.builders import build_mlp, condense
from ocsdf.training.domain import Box
from ocsdf.training.keras_state import KerasState
from ocsdf.training.trainer import HISTORY, Settings, Trainer
from tests.reference import forward, hkr, input_gradient, singular_values

N_ROWS, BATCH = 40, 8
STEPS_AN_EPOCH = N_ROWS // BATCH
LONG = 10_000


def toy_rows(n_rows=N_ROWS, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, 2)).astype(np.float32)


def make_trainer(
    rows=None,
    sizes=(8,),
    seed=0,
    orthogonality="projection",
    optimizer=None,
    domain=None,
    sample_weight=None,
    **changes,
):
    rows = toy_rows() if rows is None else rows
    settings = {"margin": 0.1, "batch_size": BATCH, "epochs": 3, "uniform_epochs": 1, **changes}
    model = build_mlp(2, sizes, orthogonality=orthogonality, seed=seed)
    optimizer = keras.optimizers.RMSprop(1e-3) if optimizer is None else optimizer
    return Trainer(
        KerasState(model, optimizer),
        rows,
        Box.from_data(rows) if domain is None else domain,
        Settings(**settings),
        np.random.default_rng(seed),
        sample_weight,
    )


class Recorder(keras.callbacks.Callback):
    """Keeps the order of the hooks, the logs and the weights; acts on a given one."""

    def __init__(self, **actions):
        super().__init__()
        self.actions, self.hooks, self.logs, self.weights = actions, [], [], []

    def _note(self, hook):
        self.hooks.append(hook)
        action = self.actions.get(hook.replace(" ", "_"))
        if action is not None:
            action(self.model)

    def on_train_begin(self, logs=None):
        self._note("train begin")

    def on_train_end(self, logs=None):
        self._note("train end")

    def on_epoch_begin(self, epoch, logs=None):
        self._note(f"begin {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))
        self.weights.append(self.model.get_weights())
        self._note(f"end {epoch}")


def stop(model):
    model.stop_training = True


def interrupt(model):
    raise KeyboardInterrupt


def assert_same_weights(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def differ(one, other):
    return any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def endless():
    """A trainer that only a callback ends; each run goes on from the last."""
    return make_trainer(epochs=LONG)


@pytest.fixture(scope="module")
def trained():
    """A trainer and what its run of 60 epochs returned."""
    trainer = make_trainer(sizes=(8, 8), epochs=60, hinge_weight=10.0, uniform_epochs=2)
    return trainer, trainer.run()


class TestLearning:
    def test_seed_decides_every_bit(self):
        before = random.getstate()
        np.random.seed(1234)
        expected_numpy = np.random.uniform(size=4)
        np.random.seed(1234)
        tf.random.set_seed(1234)
        expected = tf.random.uniform((4,)).numpy()
        tf.random.set_seed(1234)
        trainers = [make_trainer(seed=seed) for seed in (1, 1, 2)]
        outcomes = [trainer.run() for trainer in trainers]
        # No global source of randomness was read or set.
        np.testing.assert_array_equal(tf.random.uniform((4,)), expected)
        np.testing.assert_array_equal(np.random.uniform(size=4), expected_numpy)
        assert random.getstate() == before
        weights = [trainer.state.model.get_weights() for trainer in trainers]
        assert_same_weights(weights[0], weights[1])
        assert outcomes[0] == outcomes[1]
        assert differ(weights[0], weights[2])

    def test_loss_falls_and_rows_end_inside(self, trained):
        _, outcome = trained
        loss = outcome.history["loss"]
        # From the first epoch on attracted negatives, which are harder than uniform ones.
        assert np.mean(loss[-5:]) < 0.7 * loss[2]
        assert np.mean(outcome.history["share_inside"][-5:]) > 0.7

    def test_history_has_an_entry_an_epoch(self, trained):
        trainer, outcome = trained
        assert tuple(outcome.history) == HISTORY
        assert [len(values) for values in outcome.history.values()] == [60] * 4
        assert outcome.n_epochs == 60
        assert not outcome.interrupted
        assert trainer.state.optimizer.iterations == 60 * STEPS_AN_EPOCH
        for name in ("share_inside", "hinge_share", "gradient_norm"):
            values = np.array(outcome.history[name])
            assert (values >= 0).all()
            assert (values <= 1.001).all()

    def test_projection_keeps_kernels_orthogonal(self, trained):
        trainer, _ = trained
        for kernel in trainer.state.model.get_weights()[0::2]:
            np.testing.assert_allclose(singular_values(kernel), 1.0, atol=4e-3)

    def test_last_gradient_norm_is_that_of_the_model(self, trained):
        trainer, outcome = trained
        norms = np.linalg.norm(input_gradient(trainer.state.model, toy_rows()), axis=1)
        assert outcome.history["gradient_norm"][-1] == pytest.approx(norms.mean(), abs=1e-5)

    def test_history_equals_the_oracle_where_nothing_moves(self):
        # Rate 0, one batch of all rows, and B a single point: Eq. 2 by hand.
        rows, point = toy_rows(16), np.float32([[0.3, -0.2]])
        trainer = make_trainer(
            rows,
            optimizer=keras.optimizers.SGD(0.0),
            domain=Box(point[0], point[0]),
            margin=0.4,
            hinge_weight=7.0,
            batch_size=16,
            epochs=2,
        )
        history = trainer.run().history
        scores = forward(trainer.state.model, rows)
        repelled = forward(trainer.state.model, point)[0]
        data_losses = hkr(np.ones(16), scores, 0.4, 7.0)
        loss = data_losses.mean() + hkr([-1.0], [repelled], 0.4, 7.0)[0]
        np.testing.assert_allclose(history["loss"], loss, rtol=1e-5)
        assert history["share_inside"] == [np.mean(scores >= 0)] * 2
        hinged = 0.5 * np.mean(scores < 0.4) + 0.5 * (-repelled < 0.4)
        np.testing.assert_allclose(history["hinge_share"], hinged)
        norms = np.linalg.norm(input_gradient(trainer.state.model, rows), axis=1)
        np.testing.assert_allclose(history["gradient_norm"], norms.mean(), rtol=1e-5)

    def test_an_update_goes_down_the_gradient_of_the_risk(self):
        rows, point = toy_rows(16), np.float32([[0.3, -0.2]])
        margin, weight, rate = 0.4, 7.0, 0.01
        trainer = make_trainer(
            rows,
            optimizer=keras.optimizers.SGD(rate),
            domain=Box(point[0], point[0]),
            margin=margin,
            hinge_weight=weight,
            batch_size=16,
            epochs=1,
        )
        scores, repelled = (forward(trainer.state.model, z) for z in (rows, point))
        # Eq. 2 has slopes -(1 + lambda) below the margin and -1 above, in y f.
        slope = 1.0 + weight * np.mean(-repelled < margin)
        slope -= 1.0 + weight * np.mean(scores < margin)
        trainer.run()
        assert trainer.state.model.get_weights()[-1][0] == pytest.approx(-rate * slope, rel=1e-5)

    def test_an_epoch_without_newton_steps_is_a_uniform_one(self):
        none = make_trainer(newton_steps=0, uniform_epochs=0)
        uniform = make_trainer(newton_steps=4, uniform_epochs=3)
        attracted = make_trainer(newton_steps=4, uniform_epochs=0)
        for trainer in (none, uniform, attracted):
            trainer.run()
        assert_same_weights(none.state.model.get_weights(), uniform.state.model.get_weights())
        assert differ(none.state.model.get_weights(), attracted.state.model.get_weights())

    def test_uniform_negatives_are_a_batch_in_the_set(self, endless):
        points = endless.uniform_negatives()
        assert points.shape == (BATCH, 2)
        assert points.dtype == np.float32
        assert endless.domain.contains(points).all()
        assert (points != endless.uniform_negatives()).any()


@pytest.mark.slow
def test_both_ways_to_stay_orthogonal_learn_the_same_function():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 128)
    rows = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(128, 2))
    places = rng.uniform(-3, 3, size=(400, 2))

    def learned(orthogonality, seed):
        trainer = make_trainer(
            rows.astype(np.float32), (32, 32), seed, orthogonality, batch_size=64, epochs=150
        )
        trainer.run()
        return forward(condense(trainer.state.model), places)

    one, other = learned("projection", 0), learned("projection", 1)
    free = learned("reparametrization", 0)
    noise = np.abs(one - other).mean()
    assert noise < 0.5 * one.std()
    assert np.abs(one - free).mean() < 2.0 * noise
    assert np.corrcoef(one, free)[0, 1] > 0.95


class TestLength:
    def test_a_budget_is_shared_by_the_epochs(self):
        trainer = make_trainer(epochs=4, max_steps=11)
        outcome = trainer.run()
        assert outcome.n_epochs == 4
        assert [len(values) for values in outcome.history.values()] == [4] * 4
        assert trainer.state.optimizer.iterations == 4 * 2

    def test_a_budget_below_the_epochs_ends_them(self):
        trainer = make_trainer(epochs=LONG, max_steps=7)
        assert trainer.run().n_epochs == 7
        assert trainer.state.optimizer.iterations == 7

    def test_steps_beyond_the_epochs_change_nothing(self):
        trainer = make_trainer(epochs=2, max_steps=LONG)
        assert trainer.run().n_epochs == 2
        assert trainer.state.optimizer.iterations == 2 * STEPS_AN_EPOCH

    def test_updates_per_batch(self):
        trainer = make_trainer(epochs=2, updates_per_batch=3)
        trainer.run()
        assert trainer.state.optimizer.iterations == 3 * 2 * STEPS_AN_EPOCH

    def test_batch_is_no_larger_than_the_data(self):
        trainer = make_trainer(toy_rows(5), epochs=3)
        assert trainer.batch_size == 5
        trainer.run()
        assert trainer.state.optimizer.iterations == 3

    def test_a_loss_that_is_not_finite_ends_it(self):
        trainer = make_trainer(optimizer=keras.optimizers.SGD(math.inf), epochs=LONG)
        outcome = trainer.run()
        assert outcome.n_epochs <= 2
        assert not math.isfinite(outcome.history["loss"][-1])
        assert not outcome.interrupted


class TestCallbacks:
    def test_hooks_are_called_in_order_and_stopping_is_honoured(self, endless):
        recorder = Recorder(end_1=stop)
        outcome = endless.run([recorder])
        assert recorder.hooks == [
            "train begin",
            "begin 0",
            "end 0",
            "begin 1",
            "end 1",
            "train end",
        ]
        assert outcome.n_epochs == 2
        assert not outcome.interrupted
        for name in HISTORY:
            assert [log[name] for log in recorder.logs] == outcome.history[name]

    def test_early_stopping(self, endless):
        patience = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=2)
        # Nothing is better by 1e9 than the first epoch.
        assert endless.run([patience]).n_epochs == 3

    def test_learning_rate_schedule_reaches_the_updates(self):
        trainer = make_trainer(optimizer=keras.optimizers.SGD(1.0), epochs=3)
        recorder = Recorder()
        schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0 if epoch else 1e-2)
        start = trainer.state.model.get_weights()
        trainer.run([schedule, recorder])
        biases = [weights[1::2] for weights in (start, *recorder.weights)]
        assert differ(biases[0], biases[1])
        assert_same_weights(biases[1], biases[2])
        assert_same_weights(biases[2], biases[3])
        assert trainer.state.optimizer.learning_rate == 0.0

    @pytest.mark.parametrize(("hook", "n_epochs"), [("begin_2", 2), ("end_2", 3), ("begin_0", 0)])
    def test_ctrl_c_keeps_what_was_learned(self, endless, hook, n_epochs):
        recorder = Recorder(**{hook: interrupt})
        outcome = endless.run([recorder])
        assert outcome.interrupted
        assert outcome.n_epochs == n_epochs
        assert [len(values) for values in outcome.history.values()] == [n_epochs] * 4
        assert recorder.hooks[-1] == "train end"

    def test_verbose_writes_a_line_an_epoch(self, capfd):
        outcome = make_trainer(epochs=3).run(verbose=2)
        lines = [line for line in capfd.readouterr().out.splitlines() if "loss" in line]
        assert len(lines) == 3
        for line, loss in zip(lines, outcome.history["loss"], strict=True):
            shown = dict(re.findall(r"(\w+): ([\d.e+-]+)", line))
            assert float(shown["loss"]) == pytest.approx(loss, rel=1e-2)


class TestAlternating:
    """Algorithm 2: negatives come from the network of the last outer step."""

    @pytest.mark.parametrize("n_inner", [5, 10, 20, 50, 70])
    def test_attractor_is_renewed_after_fifty_steps_at_most(self, n_inner):
        # Losses of batches of two rows never settle, so only the number of steps ends the loop.
        trainer = make_trainer(
            toy_rows(2 * n_inner), (4,), batch_size=2, epochs=100 // n_inner, uniform_epochs=0,
            updates_per_batch="converged",
        )  # fmt: skip
        renewed = []
        begin = trainer._begin_inner_loop

        def noted():
            begin()
            assert_same_weights(trainer._attractor, trainer.state.model.get_weights())
            renewed.append(int(trainer.state.optimizer.iterations))

        trainer._begin_inner_loop = noted
        assert_same_weights(trainer._attractor, trainer.state.model.get_weights())
        frozen = Recorder(begin_1=lambda model: frozen.weights.append(None))
        trainer.run([frozen])
        assert renewed
        assert max(np.diff([0, *renewed])) <= 50
        assert renewed == ([50] if n_inner == 70 else [50, 100])

    def test_attractor_is_frozen_in_between(self, monkeypatch):
        monkeypatch.setattr("ocsdf.training.trainer._INNER_TOLERANCE", 0.0)
        trainer = make_trainer(epochs=LONG, updates_per_batch="converged")
        attractors = []

        def note(model):
            attractors.append(trainer._attractor)

        # Ten epochs of 5 steps are one inner loop.
        hooks = {f"end_{epoch}": note for epoch in range(10)}
        recorder = Recorder(**hooks, begin_10=interrupt)
        start = trainer.state.model.get_weights()
        trainer.run([recorder])
        for attractor in attractors[:9]:
            assert_same_weights(attractor, start)
        assert_same_weights(attractors[9], recorder.weights[9])
        assert differ(start, recorder.weights[0])

    def test_attractor_is_renewed_once_the_loss_has_settled(self):
        # Rate 0 and B a point: the loss of an epoch over all rows is the same each time.
        trainer = make_trainer(
            optimizer=keras.optimizers.SGD(0.0),
            domain=Box([0.0, 0.0], [0.0, 0.0]),
            epochs=6,
            updates_per_batch="converged",
        )
        renewed = []
        begin = trainer._begin_inner_loop

        def noted():
            begin()
            renewed.append(int(trainer.state.optimizer.iterations))

        trainer._begin_inner_loop = noted
        trainer.run()
        # Each inner loop compares its second epoch with its first, and starts anew.
        assert renewed == [2 * STEPS_AN_EPOCH, 4 * STEPS_AN_EPOCH, 6 * STEPS_AN_EPOCH]


class TestBatches:
    def test_each_row_once_before_any_twice(self, endless):
        for n_steps in (STEPS_AN_EPOCH, 3 * STEPS_AN_EPOCH, 7):
            batches = endless._draw_batches(n_steps)
            assert batches.shape == (n_steps, BATCH)
            rows = batches.ravel()
            for start in range(0, len(rows), N_ROWS):
                part = rows[start : start + N_ROWS]
                assert len(set(part)) == len(part)
        assert set(endless._draw_batches(STEPS_AN_EPOCH).ravel()) == set(range(N_ROWS))

    def test_order_changes_with_each_epoch(self, endless):
        one, other = (endless._draw_batches(STEPS_AN_EPOCH) for _ in range(2))
        assert (one != other).any()

    def test_weights_are_probabilities(self):
        weights = np.arange(N_ROWS) % 4.0
        trainer = make_trainer(sample_weight=weights)
        rows = trainer._draw_batches(5000).ravel()
        counts = np.bincount(rows, minlength=N_ROWS)
        assert (counts[weights == 0] == 0).all()
        expected = len(rows) * weights / weights.sum()
        # Five standard deviations of a Poisson count.
        assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


class TestDivergence:
    def test_the_last_finite_network_is_kept(self):
        def overflow(model):
            model.optimizer.learning_rate = 1e30

        recorder = Recorder(end_1=overflow)
        trainer = make_trainer(epochs=5)
        outcome = trainer.run([recorder])
        assert outcome.diverged
        assert outcome.n_epochs == 3
        assert_same_weights(trainer.state.model.get_weights(), recorder.weights[1])

    def test_a_sound_run_has_not_diverged(self, trained):
        assert not trained[1].diverged
