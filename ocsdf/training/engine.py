"""What an engine of training is given, and what it answers."""

from typing import NamedTuple, Protocol

import numpy as np


class Batches(NamedTuple):
    """What a number of training steps work on, in float32.

    `data` and `seeds`, where negatives start in B, are (n_steps, batch_size, n_features). `eta`
    holds the negatives' learning rates, see :func:`ocsdf.training.negatives.attract`.
    """

    data: np.ndarray
    seeds: np.ndarray
    eta: np.ndarray


class Engine(Protocol):
    """Trains on any batches, from given values of a network's variables to new ones.

    A call depends on its arguments alone.
    """

    def run(self, values, attractor, domain, batches, newton_steps, margin, hinge_weight):
        """Train on batches; return the arrays after the last one, and the sums of three measures.

        `values` are arrays of the weights and of the optimizer's variables, `attractor` the weights
        that attract negatives under Algorithm 2, else empty. Where `newton_steps`, T, is 0,
        negatives stay where they are drawn. The sums, of the last update where a batch has several,
        are those of :func:`ocsdf.training.losses.measure`.
        """

    def gradient_norm(self, values, points):
        """Average the norm of f's gradient at points; the values are as for :meth:`run`."""
