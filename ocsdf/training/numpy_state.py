"""A network in training and its optimizer's state, as plain arrays."""

import numpy as np

from ocsdf.operations.chain import Chain
from ocsdf.operations.linear import Dense
from ocsdf.operations.orthogonal import polished, random_orthogonal
from ocsdf.operations.sorting import GroupSort, SortedHalves
from ocsdf.training.numpy_engine import HostTraining

_SORTS = {"fullsort": lambda: GroupSort(None), "groupsort2": SortedHalves}


class NumpyState:
    """An orthogonal network of rows and RMSprop's variables, trained by NumPy.

    Parameters
    ----------
    weights : list of ndarray, float32
        Kernel and bias of each dense layer, see :func:`initial_weights`.
    activation : {"fullsort", "groupsort2"}
    learning_rate : float

    Attributes
    ----------
    values : list of ndarray
        The weights and the optimizer's variables, in the order of
        :class:`ocsdf.training.numpy_engine.HostTraining`.
    stop_training : bool
        Whether a callback wants training to end.

    Examples
    --------
    >>> from ocsdf.training import NumpyState, initial_weights
    >>> state = NumpyState(initial_weights(2, (16, 16), seed=0), "fullsort", learning_rate=1e-3)
    >>> state.certified().bound() <= 1.0
    True
    """

    def __init__(self, weights, activation, learning_rate):
        self.activation = activation
        self.n_weights = len(weights)
        self.values = [*weights, np.int64(0), np.float32(learning_rate)]
        self.values += [np.zeros_like(weight) for weight in weights]
        self.stop_training = False

    @property
    def weights(self):
        """Kernel and bias of each dense layer; training makes new arrays."""
        return self.values[: self.n_weights]

    @weights.setter
    def weights(self, weights):
        """Set them all."""
        self.values[: self.n_weights] = weights

    def set_learning_rate(self, rate):
        """Let the optimizer go on at a learning rate.

        Parameters
        ----------
        rate : float
        """
        self.values[self.n_weights + 1] = np.float32(rate)

    @property
    def watched(self):
        """What callbacks are given for a model."""
        return self

    def engine(self, settings, domain_class):
        """Make the engine that trains it, a :class:`HostTraining` of either kind of domain."""
        activations = [self.activation] * (self.n_weights // 2 - 1)
        return HostTraining(activations, settings.schedule, settings.n_updates)

    def certified(self):
        """Return the network as it is now, its kernels polished until its bound is at most 1.

        Returns
        -------
        Chain
        """
        operations = []
        for kernel, bias in zip(self.weights[0::2], self.weights[1::2], strict=True):
            operations += [Dense(polished(kernel), bias), _SORTS[self.activation]()]
        return Chain(operations[:-1], (len(self.weights[0]),))


def initial_weights(n_features, hidden_layer_sizes, seed):
    """Draw orthogonal kernels uniformly, and biases of 0.

    Parameters
    ----------
    n_features : int
    hidden_layer_sizes : sequence of int
    seed : int

    Returns
    -------
    list of ndarray, float32
        Kernel and bias of each dense layer, the last one with one unit.

    Examples
    --------
    >>> from ocsdf.training import initial_weights
    >>> [weight.shape for weight in initial_weights(2, (16,), seed=0)]
    [(2, 16), (16,), (16, 1), (1,)]
    """
    random_state = np.random.default_rng(seed)
    weights, n_in = [], n_features
    for units in (*hidden_layer_sizes, 1):
        kernel = random_orthogonal(n_in, units, random_state)
        weights += [kernel.astype(np.float32), np.zeros(units, np.float32)]
        n_in = units
    return weights
