"""What watches training, by epochs (Keras's callbacks, or these), and what it says at the end."""

import sys
import time

_COLLAPSED = 1e-3


class Callback:
    """Watches training; the hooks are those of ``keras.callbacks.Callback``.

    Attributes
    ----------
    params : dict
        "epochs" and "steps", those of an epoch.
    model : keras.Sequential or ocsdf.training.numpy_state.NumpyState
        What is trained; setting its ``stop_training`` ends training after the epoch.

    Examples
    --------
    >>> from ocsdf import OCSDF, load_table
    >>> from ocsdf.training import Callback
    >>> class StopAtOnce(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = True
    >>> OCSDF(callbacks=[StopAtOnce()]).fit(load_table("wine").X).n_iter_
    1
    """

    params, model = None, None

    def set_params(self, params):
        """Take what training is going to do.

        Parameters
        ----------
        params : dict
        """
        self.params = params

    def set_model(self, model):
        """Take what is trained.

        Parameters
        ----------
        model : keras.Sequential or NumpyState
        """
        self.model = model

    def on_train_begin(self, logs=None):
        """Do something before the first epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Do something before an epoch, counted from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """Do something after an epoch; ``logs`` has a number for each name of the history."""

    def on_train_end(self, logs=None):
        """Do something after the last epoch."""


def is_callback(value):
    """Tell whether a value is one of Keras's callbacks or one of these."""
    return isinstance(value, Callback) or is_of_keras(value)


def is_of_keras(value):
    """Tell whether a value is one of Keras's callbacks, without loading Keras."""
    # Where there is one, Keras has been loaded.
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.callbacks.Callback)


class Progress(Callback):
    """Writes how training goes to the standard output.

    `verbose` is 1 for one line that is written anew each time, and 2 for a line an epoch.
    """

    def __init__(self, verbose):
        self._ends = {1: "", 2: "\n"}[verbose]

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Write the numbers of the epoch."""
        numbers = " - ".join(f"{name}: {value:.4g}" for name, value in logs.items())
        seconds = time.monotonic() - self._start
        line = f"epoch {epoch + 1}/{self.params['epochs']} - {seconds:.1f}s - {numbers}"
        sys.stdout.write(line + self._ends if self._ends else f"\r{line:<79}")
        sys.stdout.flush()

    def on_train_end(self, logs=None):
        """End the line."""
        if not self._ends:
            sys.stdout.write("\n")


def diagnose(scores, negative_scores, diverged):
    """Say what went wrong in training, if anything did."""
    messages = []
    if diverged:
        messages.append(
            "Training diverged: the loss or a weight is not finite, and the network of the epoch "
            "before was kept. Lower learning_rate."
        )
    if scores.std() < _COLLAPSED:
        messages.append(
            f"Training collapsed: scores of the training rows are all alike (standard deviation "
            f"{scores.std():.1e}). Lower hinge_weight or margin, or raise epochs."
        )
    if negative_scores.mean() > scores.mean():
        messages.append(
            f"Random points score above the data ({negative_scores.mean():.3g} against "
            f"{scores.mean():.3g} on average). Raise epochs or margin, or standardize the data."
        )
    return messages
