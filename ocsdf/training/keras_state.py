"""A Keras network in training and its optimizer."""

import keras
import tensorflow as tf

from ocsdf.networks.builders import polished_weights
from ocsdf.networks.layers import FullSort, GroupSort2, Orthogonal
from ocsdf.networks.translation import translate_layer
from ocsdf.networks.weights import to_numpy, weights_of
from ocsdf.operations.chain import Chain
from ocsdf.operations.linear import Dense
from ocsdf.training.keras_loss import HKR
from ocsdf.training.numpy_engine import HostTraining
from ocsdf.training.tensorflow_engine import training_graph, variables_of

_ACTIVATIONS = {FullSort: "fullsort", GroupSort2: "groupsort2"}


class KerasState:
    """A Keras model and its optimizer, trained in place: by NumPy where it can, else by TensorFlow.

    Parameters
    ----------
    model : keras.Sequential
        As made by :func:`ocsdf.networks.builders.build_mlp`.
    optimizer : keras.optimizers.Optimizer

    Examples
    --------
    >>> import keras
    >>> from ocsdf.networks import build_mlp
    >>> from ocsdf.training import KerasState
    >>> state = KerasState(build_mlp(2, (16, 16)), keras.optimizers.Adam(1e-3))
    >>> state.certified().bound() <= 1.0
    True
    """

    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer
        optimizer.build(model.trainable_variables)

    @property
    def values(self):
        """Copies of the model's and the optimizer's variables."""
        return [to_numpy(variable) for variable in self._variables]

    @values.setter
    def values(self, values):
        """Set them all."""
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    @property
    def weights(self):
        """Copies of the model's weights."""
        return weights_of(self.model)

    @weights.setter
    def weights(self, weights):
        """Set them all."""
        self.model.set_weights(weights)

    def set_learning_rate(self, rate):
        """Let the optimizer go on at a learning rate.

        Parameters
        ----------
        rate : float
        """
        self.optimizer.learning_rate = rate

    @property
    def stop_training(self):
        """Whether a callback wants training to end."""
        return self.model.stop_training

    @stop_training.setter
    def stop_training(self, stop):
        """Let training end after the epoch, or go on."""
        self.model.stop_training = stop

    @property
    def watched(self):
        """What callbacks are given for a model."""
        return self.model

    def engine(self, settings, domain_class):
        """Find or make the engine that trains it.

        Parameters
        ----------
        settings : Settings
        domain_class : {Box, Ball}

        Returns
        -------
        HostTraining or TrainingGraph
        """
        loss = HKR(settings.margin, settings.hinge_weight)
        self.model.compile(optimizer=self.optimizer, loss=loss)
        if not trains_on_host(self.model, self.optimizer):
            return training_graph(
                self.model,
                self.optimizer,
                domain_class,
                settings.schedule,
                settings.updates_per_batch,
            )
        activations = [_ACTIVATIONS[type(layer)] for layer in self.model.layers[1:-1:2]]
        return HostTraining(
            activations,
            settings.schedule,
            settings.n_updates,
            self.optimizer.rho,
            self.optimizer.epsilon,
        )

    def certified(self):
        """Return the network as it is now, its kernels polished until its bound is at most 1.

        Returns
        -------
        Chain
        """
        operations = []
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dense):
                operations.append(Dense(*polished_weights(layer)))
            else:
                operations += translate_layer(layer)
        return Chain(operations, self.model.input_shape[1:])

    @property
    def _variables(self):
        return variables_of(self.model, self.optimizer)


def has_gpu():
    """Tell whether TensorFlow has a GPU to train on."""
    return bool(tf.config.list_logical_devices("GPU"))


def trains_on_host(model, optimizer):
    """Tell whether :class:`ocsdf.training.numpy_engine.HostTraining` can train a model here."""
    config, plain = optimizer.get_config(), keras.optimizers.RMSprop().get_config()
    changed = {name for name in config if config[name] != plain.get(name)}
    *hidden, last = model.layers
    return (
        not has_gpu()
        and type(optimizer) is keras.optimizers.RMSprop
        and changed <= {"name", "learning_rate"}
        and isinstance(config["learning_rate"], float)
        and all(_is_orthogonal(layer) for layer in [*hidden[::2], last])
        and all(type(layer) in _ACTIVATIONS for layer in hidden[1::2])
    )


def _is_orthogonal(layer):
    return type(layer) is keras.layers.Dense and isinstance(layer.kernel_constraint, Orthogonal)
