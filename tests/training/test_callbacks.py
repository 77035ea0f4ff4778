"""What watches training: hooks without Keras, how it goes in lines, a word for each defect."""

import re

import keras
import numpy as np
import pytest

from ocsdf.training.callbacks import Callback, diagnose, is_callback, is_of_keras
from ocsdf.training.domain import Box
from ocsdf.training.numpy_state import NumpyState, initial_weights
from ocsdf.training.trainer import HISTORY, Settings, Trainer


class Recorder(Callback):
    def __init__(self):
        self.hooks = []

    def on_train_begin(self, logs=None):
        self.hooks.append(f"begin {self.params['epochs']} of {self.params['steps']}")

    def on_epoch_begin(self, epoch, logs=None):
        self.hooks.append(f"begin {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        assert tuple(logs) == HISTORY
        self.hooks.append(f"end {epoch}")
        self.model.stop_training = epoch == 1

    def on_train_end(self, logs=None):
        self.hooks.append("end")


def trainer(epochs=3):
    rows = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    state = NumpyState(initial_weights(2, (8,), 0), "fullsort", 1e-3)
    settings = Settings(margin=0.1, batch_size=8, epochs=epochs, uniform_epochs=1)
    return Trainer(state, rows, Box.from_data(rows), settings, np.random.default_rng(0))


def test_hooks_are_called_in_order_and_stopping_is_honoured():
    recorder = Recorder()
    outcome = trainer(9).run([Callback(), recorder])
    assert recorder.hooks == ["begin 9 of 5", "begin 0", "end 0", "begin 1", "end 1", "end"]
    assert outcome.n_epochs == 2 and not outcome.interrupted


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_tells_each_epoch(capsys, verbose):
    outcome = trainer().run(verbose=verbose)
    lines = re.split("[\r\n]", capsys.readouterr().out)
    told = [dict(re.findall(r"(\w+): ([\d.e+-]+)", line)) for line in lines if line.strip()]
    assert [set(line) for line in told] == [set(HISTORY)] * 3
    for name in HISTORY:
        shown = [float(line[name]) for line in told]
        assert shown == pytest.approx(outcome.history[name], rel=1e-3)


def test_no_word_unasked(capsys):
    trainer().run()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Callback(), (True, False)),
        (keras.callbacks.Callback(), (True, True)),
        (keras.callbacks.Callback, (False, False)),
        ("print", (False, False)),
        (print, (False, False)),
    ],
)
def test_what_a_callback_is(value, expected):
    assert (is_callback(value), is_of_keras(value)) == expected


class TestDiagnose:
    def test_nothing_to_say(self):
        assert diagnose(np.array([0.1, 0.4]), np.array([-1.0, -2.0]), diverged=False) == []

    def test_diverged(self):
        (message,) = diagnose(np.array([0.1, 0.4]), np.array([-1.0]), diverged=True)
        assert message.startswith("Training diverged: the loss or a weight is not finite")
        assert message.endswith("Lower learning_rate.")

    def test_collapsed(self):
        (message,) = diagnose(np.array([0.3, 0.3005]), np.array([-1.0]), diverged=False)
        assert message.startswith("Training collapsed: scores of the training rows are all alike")
        assert "(standard deviation 2.5e-04). Lower hinge_weight or margin, or raise" in message
        # Just above 1e-3 is no collapse.
        assert diagnose(np.array([0.0, 0.0021]), np.array([-1.0]), diverged=False) == []

    def test_negatives_above_the_data(self):
        (message,) = diagnose(np.array([0.0, 1.0]), np.array([0.25, 1.75]), diverged=False)
        assert message.startswith("Random points score above the data (1 against 0.5 on average)")
        assert "Raise epochs or margin, or standardize" in message

    def test_both(self):
        messages = diagnose(np.zeros(3), np.ones(2), diverged=False)
        assert ["collapsed" in messages[0], "Random points" in messages[1]] == [True, True]
