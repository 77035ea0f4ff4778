"""Algorithms 2 and 3: alternate negatives and updates."""

import math
from typing import NamedTuple

import numpy as np

from ocsdf.training.callbacks import Progress
from ocsdf.training.engine import Batches

_INNER_STEPS = 50
_MOST_CELLS = 2**22
_GRADIENT_ROWS = 256
_INNER_TOLERANCE = 1e-3
HISTORY = ("loss", "share_inside", "gradient_norm", "hinge_share")


class Settings(NamedTuple):
    """What the papers' algorithms leave to choose (OCSDF App. G).

    Attributes
    ----------
    margin : float
        m, in the units of the network's input.
    hinge_weight : float
        lambda.
    newton_steps : int
        T of Algorithm 1.
    schedule : {"printed", "even"}
        Shares of the Newton steps, see :func:`ocsdf.training.negatives.attract`.
    updates_per_batch : int or "converged"
        K of Algorithm 3; "converged" is Algorithm 2.
    epochs : int
    max_steps : int or None
        Most batches to train on. Where the epochs would take more, each gets an equal share.
    uniform_epochs : int
        The first epochs, with negatives uniform on B (T = 0).
    batch_size : int
    min_steps_per_epoch : int
        Batches that an epoch has at least; rows then come more than once.
    decaying_rate : float or None
        Learning rate of the first epoch, which then falls linearly, to a share 1 / epochs in the
        last; None leaves it to the optimizer.

    Examples
    --------
    >>> from ocsdf.training import Settings
    >>> Settings(margin=0.1, epochs=5).hinge_weight
    100.0
    """

    margin: float
    hinge_weight: float = 100.0
    newton_steps: int = 4
    schedule: str = "printed"
    updates_per_batch: int | str = 1
    epochs: int = 40
    max_steps: int | None = None
    uniform_epochs: int = 5
    batch_size: int = 128
    min_steps_per_epoch: int = 1
    decaying_rate: float | None = None

    @property
    def alternates(self):
        """Whether this is Algorithm 2: the network of the last outer step attracts negatives."""
        return self.updates_per_batch == "converged"

    @property
    def n_updates(self):
        """Updates that each batch gets."""
        return 1 if self.alternates else self.updates_per_batch


class Outcome(NamedTuple):
    """What training did.

    Attributes
    ----------
    history : dict of str to list of float
        One entry an epoch: "loss" (Eq. 2), "share_inside" (of training rows with f >= 0),
        "gradient_norm" (mean over up to 256 training rows, evenly spaced), "hinge_share" (of
        samples with y f < margin).
    n_epochs : int
        Epochs finished.
    interrupted : bool
        Whether Ctrl-C ended it.
    diverged : bool
        Whether a loss or weight that is not finite ended it. The network is as it was at the end
        of the epoch before.
    """

    history: dict
    n_epochs: int
    interrupted: bool
    diverged: bool


class Trainer:
    """Train a 1-Lipschitz network to tell data from negatives that it attracts itself.

    Each batch: negatives by Algorithm 1 at the level -margin from uniform seeds in B, then K
    updates of the parameters by gradient descent on the HKR risk (OCSDF Eq. 2; the printed
    algorithms have the sign of the update wrong). The state's engine does the work.

    Parameters
    ----------
    state : NumpyState or KerasState
        The network and its optimizer; trained in place.
    points : ndarray of shape (n_samples, n_features), float32
        Training rows.
    domain : Box or Ball
        B.
    settings : Settings
    random_state : numpy.random.Generator
        Source of batches and negatives.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows are drawn with probability proportional to it.
    sample_seeds : callable or None, default=None
        ``sample_seeds(n, random_state)`` gives rows of B where negatives start; None draws them
        uniformly.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.training import Box, NumpyState, Settings, Trainer, initial_weights
    >>> rng = np.random.default_rng(0)
    >>> points = rng.normal(size=(200, 2)).astype(np.float32)
    >>> settings = Settings(margin=0.1, epochs=2, uniform_epochs=1)
    >>> state = NumpyState(initial_weights(2, (16, 16), seed=0), "fullsort", learning_rate=1e-3)
    >>> trainer = Trainer(state, points, Box.from_data(points), settings, rng)
    >>> trainer.run().diverged
    False
    """

    def __init__(
        self,
        state,
        points,
        domain,
        settings,
        random_state,
        sample_weight=None,
        sample_seeds=None,
    ):
        self.state = state
        self.domain = domain
        self.settings = settings
        self.random_state = random_state
        self.n_samples = len(points)
        self.batch_size = min(settings.batch_size, self.n_samples)
        self.steps_per_epoch, self.epochs = _length(settings, self.n_samples, self.batch_size)
        self.probability = None if sample_weight is None else sample_weight / sample_weight.sum()
        self._sample_seeds = sample_seeds or domain.sample
        self._points = np.ascontiguousarray(points, dtype=np.float32)
        self._engine = state.engine(settings, type(domain))
        self._begin_inner_loop()

    def run(self, callbacks=(), verbose=0):
        """Train until the epochs or steps are used up, a callback stops it, or Ctrl-C.

        Parameters
        ----------
        callbacks : sequence of ocsdf.training.callbacks.Callback or keras.callbacks.Callback
            Their epoch and train hooks are called, those of batches are not. Keras's need the state
            of a Keras model.
        verbose : {0, 1, 2}
            Silent, one line that is written anew each epoch, or a line an epoch.

        Returns
        -------
        Outcome
        """
        callbacks = [*callbacks, *([Progress(verbose)] if verbose else [])]
        for callback in callbacks:
            callback.set_params({"epochs": self.epochs, "steps": self.steps_per_epoch})
            callback.set_model(self.state.watched)
        history = {name: [] for name in HISTORY}
        self.state.stop_training = False
        interrupted = diverged = False
        weights = self.state.weights
        for callback in callbacks:
            callback.on_train_begin({})
        try:
            for epoch in range(self.epochs):
                if self.settings.decaying_rate is not None:
                    share_left = 1.0 - epoch / self.epochs
                    self.state.set_learning_rate(self.settings.decaying_rate * share_left)
                for callback in callbacks:
                    callback.on_epoch_begin(epoch, {})
                logs = self._epoch(attracted=epoch >= self.settings.uniform_epochs)
                for name in HISTORY:
                    history[name].append(logs[name])
                for callback in callbacks:
                    callback.on_epoch_end(epoch, dict(logs))
                last_weights, weights = weights, self.state.weights
                if not _all_finite([logs["loss"], *weights]):
                    self.state.weights = last_weights
                    diverged = True
                if diverged or self.state.stop_training:
                    break
        except KeyboardInterrupt:
            interrupted = True
            if not _all_finite(self.state.weights):
                self.state.weights = weights
        for callback in callbacks:
            callback.on_train_end({})
        return Outcome(history, len(history["loss"]), interrupted, diverged)

    def uniform_negatives(self):
        """Draw one batch uniformly from B.

        Returns
        -------
        ndarray of shape (batch_size, n_features), float32
        """
        return self.domain.sample(self.batch_size, self.random_state)

    def _epoch(self, attracted):
        """Run one epoch, in chunks after which Algorithm 2 may renew its attractor."""
        n_steps = self.steps_per_epoch
        numbers = self._draw_batches(n_steps)
        totals, start = np.zeros(3), 0
        while start < n_steps:
            chunk = numbers[start : start + self._most_steps()]
            sums = self._train_on_batches(chunk, attracted)
            totals += sums
            start += len(chunk)
            if self.settings.alternates:
                self._end_inner_loop_if_settled(sums[0] / len(chunk), len(chunk))
        loss, share_inside, hinge_share = totals / n_steps
        rows = self._points[:: -(-self.n_samples // _GRADIENT_ROWS)]
        return {
            "loss": float(loss),
            "share_inside": float(share_inside),
            "gradient_norm": self._engine.gradient_norm(self.state.values, rows),
            "hinge_share": float(hinge_share),
        }

    def _most_steps(self):
        """Return how many steps may be drawn at once: memory, and Algorithm 2, limit them."""
        most = max(1, _MOST_CELLS // (self.batch_size * self._points.shape[1]))
        return min(most, _INNER_STEPS - self._inner_steps) if self.settings.alternates else most

    def _train_on_batches(self, numbers, attracted):
        """Train on batches, given as row numbers of shape (n_steps, batch_size).

        Returns the sums of :meth:`ocsdf.training.engine.Engine.run`.
        """
        seeds = self._sample_seeds(numbers.size, self.random_state).reshape(*numbers.shape, -1)
        eta = self.random_state.random(numbers.shape, dtype=np.float32)
        self.state.values, sums = self._engine.run(
            self.state.values,
            self._attractor,
            self.domain,
            Batches(self._points[numbers], seeds, eta),
            self.settings.newton_steps if attracted else 0,
            self.settings.margin,
            self.settings.hinge_weight,
        )
        return sums

    def _draw_batches(self, n_steps):
        """Draw row numbers, shape (n_steps, batch_size): each row once before any twice."""
        size = n_steps * self.batch_size
        if self.probability is not None:
            rows = self.random_state.choice(self.n_samples, size, p=self.probability)
        else:
            n_passes = math.ceil(size / self.n_samples)
            passes = [self.random_state.permutation(self.n_samples) for _ in range(n_passes)]
            rows = np.concatenate(passes)[:size]
        return rows.reshape(n_steps, self.batch_size)

    def _begin_inner_loop(self):
        """Begin an outer step of Algorithm 2: attract with the network as it is now."""
        self._inner_steps, self._inner_loss = 0, None
        self._attractor = self.state.weights if self.settings.alternates else []

    def _end_inner_loop_if_settled(self, loss, n_steps):
        """End the inner loop once its loss has settled over an epoch, or after 50 steps."""
        last, self._inner_loss = self._inner_loss, loss
        self._inner_steps += n_steps
        settled = last is not None and abs(loss - last) < _INNER_TOLERANCE * abs(last)
        if settled or self._inner_steps >= _INNER_STEPS:
            self._begin_inner_loop()


def _length(settings, n_samples, batch_size):
    """Return the batches an epoch and the epochs that settings ask for."""
    steps_per_epoch = max(math.ceil(n_samples / batch_size), settings.min_steps_per_epoch)
    epochs = settings.epochs
    if settings.max_steps is not None:
        epochs = min(epochs, settings.max_steps)
        steps_per_epoch = min(steps_per_epoch, settings.max_steps // epochs)
    return steps_per_epoch, epochs


def _all_finite(arrays):
    return all(np.all(np.isfinite(array)) for array in arrays)
