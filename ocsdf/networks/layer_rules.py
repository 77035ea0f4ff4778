"""What is known of a layer, and of those that take one number or place at a time."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from deel.lip import layers as deel
from keras import layers

from ocsdf.networks.layers import Asinh, Centered, FullSort, GroupSort2
from ocsdf.operations.matrix_bounds import summation_error


@dataclass(frozen=True)
class Step:
    r"""One map f of a network, as far as a certificate needs to know it; all norms are l2.

    .. math:: \|f(x) - f(y)\| \le L \|x - y\|, \qquad \|f(x)\| \le L \|x\| + \beta, \qquad
       \|\hat f(x) - f(x)\| \le \gamma_n (M \|x\| + \beta)

    for :math:`\hat f` as computed, see :func:`ocsdf.operations.matrix_bounds.summation_error`.

    Parameters
    ----------
    lipschitz : float
        L.
    n_roundings : int or None, default=0
        n; 0 is exact, None unknown.
    absolute : float or None, default=None
        M; None is L.
    offset : float, default=0.0
        beta.
    """

    lipschitz: float
    n_roundings: int | None = 0
    absolute: float | None = None
    offset: float = 0.0

    def pass_on(self, norm, error, roundoff):
        """Carry bounds of the norm and of the error through the map.

        Parameters
        ----------
        norm, error : ndarray of shape (2,)
            Affine functions of the norm of the network's input, as constant and slope.
        roundoff : float
            u.

        Returns
        -------
        norm, error : ndarray of shape (2,)
        """
        gamma = summation_error(self.n_roundings, roundoff)
        absolute = self.lipschitz if self.absolute is None else self.absolute
        offset = np.array([self.offset, 0.0])
        error = self.lipschitz * error + gamma * (absolute * (norm + error) + offset)
        return self.lipschitz * norm + offset, error


EXACT = Step(1.0)
# Of these functions alone, one number to one number, every use is known. Those that are not exact
# or a product have no rounding that TensorFlow vouches for.
_FUNCTIONS = {
    keras.activations.linear: EXACT,
    keras.activations.relu: EXACT,
    keras.activations.relu6: EXACT,
    # Its slope, 0.2, is rounded, and the product.
    keras.activations.leaky_relu: Step(1.0, 3),
    keras.activations.elu: Step(1.0, None),
    keras.activations.softplus: Step(1.0, None),
    keras.activations.softsign: Step(1.0, None),
    keras.activations.tanh: Step(1.0, None),
    keras.activations.sigmoid: Step(0.25, None),
}


def refusal(layer, detail=""):
    """Return the error that names a layer without a known bound.

    Parameters
    ----------
    layer : keras.layers.Layer
    detail : str, default=""
        Which of its settings has none.

    Returns
    -------
    TypeError
    """
    return TypeError(
        f"No Lipschitz bound is known for layer {layer.name!r} of type "
        f"{type(layer).__name__}{detail}; use layers that ocsdf.networks.layer_bound lists."
    )


def check_float32(layer):
    """Check that a layer computes in float32 and keeps its weights so.

    Parameters
    ----------
    layer : keras.layers.Layer

    Raises
    ------
    TypeError
        If it does not.
    """
    if layer.dtype_policy.name != "float32":
        raise TypeError(
            f"Expected float32 layers; {layer.name!r} has the policy {layer.dtype_policy.name}."
        )


def activation_of(layer):
    """Describe what a layer's argument ``activation`` does, if that is a function.

    Parameters
    ----------
    layer : keras.layers.Layer

    Returns
    -------
    Step

    Raises
    ------
    TypeError
        For a function without a known bound.
    """
    function = layer.activation
    if function not in _FUNCTIONS:
        name = getattr(function, "__name__", type(function).__name__)
        raise refusal(layer, f" with the activation {name}")
    return _FUNCTIONS[function]


def spatial_shape(layer, input_shape):
    """Return the lengths of an image's axes, None where unknown.

    Parameters
    ----------
    layer : keras.layers.Layer
        Of 1, 2 or 3 such axes, with a ``data_format``.
    input_shape : tuple of (int or None)
        With the batch in front.

    Returns
    -------
    tuple of (int or None)
    """
    last = layer.data_format == "channels_last"
    return input_shape[1:-1] if last else input_shape[2:]


def output_shape(layer, input_shape):
    """Return the shape of what a layer makes of inputs of a shape.

    Parameters
    ----------
    layer : keras.layers.Layer
    input_shape : tuple of (int or None)
        With the batch in front.

    Returns
    -------
    tuple of (int or None)
    """
    return layer.compute_output_spec(keras.KerasTensor(input_shape)).shape


def count(lengths):
    """Return how many places there are; None if a length is unknown.

    Parameters
    ----------
    lengths : tuple of (int or None)

    Returns
    -------
    int or None
    """
    return None if None in lengths else math.prod(lengths)


def readings(number):
    """Return the larger magnitude of a setting as it is and as float32 layers take it.

    Parameters
    ----------
    number : float

    Returns
    -------
    float
    """
    return max(abs(float(number)), abs(float(np.float32(number))))


def _exact(layer, input_shape):
    return EXACT


def _times_coefficient(layer, input_shape):
    # None before the layer is built, where it will be 1.
    built = 1.0 if layer.coef_lip is None else layer.coef_lip
    coefficient = readings(built * layer.k_coef_lip)
    # A coefficient that float32 rounds, and the product.
    return Step(coefficient, 0 if coefficient == 1.0 else 2)


def _asinh(layer, input_shape):
    # Two roundings, and an arcsinh that is right to four units in the last place.
    return Step(1.0, 10)


def _centered(layer, input_shape):
    # A sum of all features, their mean's rounding and a difference.
    return Step(1.0, input_shape[-1] + 3 if input_shape else None, absolute=3.0)


def _relu(layer, input_shape):
    if layer.threshold != 0.0:
        # It jumps there.
        raise refusal(layer, f" with threshold={layer.threshold:g}")
    plain = layer.negative_slope == 0.0 and layer.max_value is None
    return Step(max(1.0, readings(layer.negative_slope)), 0 if plain else 4)


def _leaky_relu(layer, input_shape):
    return Step(max(1.0, readings(layer.negative_slope)), 3)


def _prelu(layer, input_shape):
    return Step(max(1.0, _largest(layer, layer.alpha.numpy())), 3)


def _elu(layer, input_shape):
    return Step(max(1.0, readings(layer.alpha)), None)


def _batch_normalization(layer, input_shape):
    r"""x -> gamma (x - mean) / sqrt(variance + epsilon) + beta, with the moving statistics."""
    gamma = layer.gamma.numpy().astype(np.float64) if layer.scale else 1.0
    epsilon = min(float(layer.epsilon), float(np.float32(layer.epsilon)))
    variance = layer.moving_variance.numpy().astype(np.float64) + epsilon
    if not np.all(variance > 0.0):
        raise ValueError(f"Expected variances > -epsilon in {layer.name!r}; got {variance.min()}.")
    # Four roundings.
    return Step(_largest(layer, gamma / np.sqrt(variance)) * (1.0 + 2.0**-50), None)


def _normalization(layer, input_shape):
    """x -> (x - mean) / max(sqrt(variance), epsilon), or the way back."""
    variance = np.asarray(layer.variance, dtype=np.float64)
    scale = np.maximum(np.sqrt(variance), readings(keras.config.epsilon()))
    if not layer.invert:
        least = min(keras.config.epsilon(), float(np.float32(keras.config.epsilon())))
        scale = 1.0 / np.maximum(np.sqrt(variance), least)
    return Step(_largest(layer, scale) * (1.0 + 2.0**-50), None)


def _rescaling(layer, input_shape):
    return Step(_largest(layer, [readings(scale) for scale in np.ravel(layer.scale)]), None)


def _largest(layer, values):
    largest = float(np.max(np.abs(values)))
    if not math.isfinite(largest):
        raise ValueError(f"Cannot bound layer {layer.name!r} with NaN or infinite weights.")
    return largest


# By the very class: a subclass may compute something else.
RULES = {
    layers.InputLayer: _exact,
    layers.Identity: _exact,
    layers.Flatten: _exact,
    layers.Reshape: _exact,
    layers.Permute: _exact,
    deel.InvertibleDownSampling: _exact,
    # At inference, the identity.
    layers.Dropout: _exact,
    layers.AlphaDropout: _exact,
    layers.GaussianDropout: _exact,
    layers.GaussianNoise: _exact,
    # A sort moves no further than what is sorted, (max(x, 0), max(-x, 0)) no further than x.
    deel.GroupSort: _times_coefficient,
    deel.GroupSort2: _times_coefficient,
    deel.FullSort: _times_coefficient,
    deel.MaxMin: _times_coefficient,
    FullSort: _times_coefficient,
    GroupSort2: _times_coefficient,
    Asinh: _asinh,
    Centered: _centered,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.PReLU: _prelu,
    layers.ELU: _elu,
    layers.BatchNormalization: _batch_normalization,
    layers.Normalization: _normalization,
    layers.Rescaling: _rescaling,
}
RULES |= {
    getattr(layers, f"{kind}{n_axes}D"): _exact
    for kind in ("ZeroPadding", "Cropping", "SpatialDropout")
    for n_axes in (1, 2, 3)
}
