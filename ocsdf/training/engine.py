"""What an engine of training is given, and what it answers."""

from typing import NamedTuple, Protocol

import numpy as np


class Batches(NamedTuple):
    """What a number of training steps work on.

    Attributes
    ----------
    data : ndarray of shape (n_steps, batch_size, n_features), float32
        Training rows.
    seeds : ndarray of shape (n_steps, batch_size, n_features), float32
        Where negatives start, in B.
    eta : ndarray of shape (n_steps, batch_size), float32
        Their learning rates, see :func:`ocsdf.training.negatives.attract`.
    """

    data: np.ndarray
    seeds: np.ndarray
    eta: np.ndarray


class Engine(Protocol):
    """Trains on any batches, from given values of a network's variables to new ones.

    A call depends on its arguments alone.
    """

    def run(self, values, attractor, domain, batches, newton_steps, margin, hinge_weight):
        """Train on batches.

        Parameters
        ----------
        values : list of ndarray
            Arrays of the weights and of the optimizer's variables.
        attractor : list of ndarray
            Weights of the network that attracts negatives under Algorithm 2; else empty.
        domain : Box or Ball
            B.
        batches : Batches
        newton_steps : int
            T; 0 leaves negatives where they are drawn.
        margin, hinge_weight : float
            m and lambda.

        Returns
        -------
        values : list of array or tensor
            After the last batch.
        sums : ndarray of shape (3,)
            See :func:`ocsdf.training.losses.measure`; where a batch has several updates, of the
            last.
        """

    def gradient_norm(self, values, points):
        """Average the norm of f's gradient.

        Parameters
        ----------
        values : list of ndarray
            As for :meth:`run`.
        points : ndarray of shape (n, n_features), float32

        Returns
        -------
        float
        """
