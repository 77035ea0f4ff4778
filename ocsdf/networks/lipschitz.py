"""Float64 upper bounds: of a layer's and a network's Lipschitz constant, and of its rounding.

Everything a certificate says rests on this file and on the rules it reads. All norms are l2.
"""

import itertools
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from ocsdf.networks import affine_rules, cones, layer_rules, pooling_rules
from ocsdf.networks.ensembles import ScaledMinimum, WeightedMean
from ocsdf.networks.layer_rules import EXACT, activation_of, check_float32, output_shape, refusal
from ocsdf.operations.matrix_bounds import ROUNDOFF, summation_error


def layer_bound(layer, input_shape=None):
    r"""Bound the Lipschitz constant of one layer, l2 to l2, as it is at inference.

    Parameters
    ----------
    layer : keras.layers.Layer
        Of exactly one of these classes, built:

        * ``Dense``, and ``Conv1D`` to ``Conv3D`` with one group and no dilation, see
          :func:`ocsdf.operations.matrix_bounds.matrix_bound` and
          :func:`ocsdf.operations.convolution_bounds.convolution_bound`; their ``activation``, and
          ``Activation``: linear, relu, relu6, leaky_relu, elu, softplus, softsign, tanh, sigmoid
          (1/4), or a layer of this list;
        * ``ReLU`` with threshold 0, ``LeakyReLU``, ``PReLU``, ``ELU``; deel-lip's GroupSort,
          GroupSort2, FullSort and MaxMin, and this package's;
        * average pooling, at most
          :math:`\prod_i (\lceil k_i / s_i \rceil / k_i)^{1/2}` for windows of k pixels, s apart,
          inside the image; maximum pooling, at most the square root of how many windows a pixel
          is in; both counted for the size at hand where it is known; global pooling; deel-lip's
          scaled pooling;
        * ``BatchNormalization``, with its moving statistics; ``Normalization`` and ``Rescaling``;
          dropout and noise (1);
        * ``Flatten``, ``Reshape``, ``Permute``, zero padding, cropping, deel-lip's
          ``InvertibleDownSampling`` (1);
        * ``Asinh``, ``Centered``, ``SubsampleDistance``, ``Cones``, a ``WeightedMean`` or
          ``ScaledMinimum`` of networks of all these.
    input_shape : tuple of (int or None) or None, default=None
        With the batch in front; the bound then holds for images of this size. None, in the place
        of a length or of all, stands for any.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        For a layer without a known bound, or one that does not compute in float32.
    ValueError
        If a weight is NaN or infinite.
    """
    return _product(step.lipschitz for step in _steps(layer, input_shape))


def network_bound(model):
    r"""Bound the Lipschitz constant of a sequential network, l2 to l2.

    .. math:: \mathrm{Lip}(f) \le \prod_k \mathrm{Lip}(f_k)

    computed in float64 from the weights as they are and rounded up (OCSDF Def. 2).

    Parameters
    ----------
    model : keras.Sequential
        Of layers that :func:`layer_bound` lists; for images, of the size that its input declares.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If the model is not sequential or has a layer without a known bound.
    """
    return _product(
        step.lipschitz
        for layer, shape in _layers_with_shapes(model)
        for step in _steps(layer, shape)
    )


def float_error(model, roundoff=ROUNDOFF):
    r"""Bound how far a forward pass in floating point strays from the real-valued function.

    For a layer :math:`y = xW + b` computed by any order of summation,
    :math:`\|\hat y - y\| \le \gamma_{n+1} (\|x\| \, \||W|\|_2 + \|b\|)` with
    :math:`\gamma_n = n u / (1 - n u)`; errors pass on through the layers'
    Lipschitz constants, and sorting is exact. Standardizing a row rounds it by a relative 2u.
    (Higham, *Accuracy and Stability of Numerical Algorithms*, Sec. 3.5.)

    A convolution is such a layer, as long as it is summed as it is written (not by Winograd's or
    Fourier's transform); :math:`\||W|\|_2` is then at most :math:`\|\sum_t |K_t|\|_2`, and b counts
    once for each pixel. Neither underflow nor overflow is covered.

    Parameters
    ----------
    model : keras.Sequential
    roundoff : float, default=2**-53
        u, the unit roundoff: that of float64; 2**-24 for float32.

    Returns
    -------
    constant, slope : float
        ``|computed f(x) - f(x)| <= constant + slope * ||x||`` for every x.

    Raises
    ------
    TypeError
        As :func:`network_bound`, and for a layer whose rounding is not known: an ``elu``,
        ``softplus``, ``softsign``, ``tanh``, ``sigmoid`` or normalization, or one that
        sums over an image of unknown size.
    ValueError
        If n u >= 1.
    """
    # Affine functions of ||x||, as [constant, slope]: the norm of the activations, the error.
    norm, error = np.array([0.0, 1.0]), np.array([0.0, 2.0 * roundoff])
    _, error = _propagate(model, norm, error, roundoff)
    constant, slope = error * (1.0 + 1e-6)
    return float(constant), float(slope)


def layers_in_order(model):
    """Return the layers of a sequential network.

    Parameters
    ----------
    model : keras.Sequential

    Returns
    -------
    list of keras.layers.Layer
        Those of a sequential network inside it are in its place.

    Raises
    ------
    TypeError
        If the model is not sequential, or a layer is not float32 throughout.
    """
    # A subclass is one as long as it calls its layers as they stand.
    if not isinstance(model, keras.Sequential) or type(model).call is not keras.Sequential.call:
        raise TypeError(
            f"Expected a keras.Sequential model, whose bound is its layers' product; got "
            f"{type(model).__name__}."
        )
    found = []
    for layer in model.layers:
        check_float32(layer)
        found += layers_in_order(layer) if isinstance(layer, keras.Sequential) else [layer]
    return found


def _layers_with_shapes(model):
    """Yield each layer and the shape of what it is given, the batch in front."""
    found = layers_in_order(model)
    shape = model.input_shape
    for layer, following in itertools.zip_longest(found, found[1:]):
        yield layer, shape
        # Not a layer's own input, which is ambiguous where networks share it.
        shape = output_shape(layer, shape) if following else None


def _product(factors):
    bound = 1.0
    for factor in factors:
        # A factor of exactly 1 needs no rounding, so that a product of ones stays 1.
        exact = 1.0 in (bound, factor)
        bound = bound * factor if exact else np.nextafter(bound * factor, np.inf)
    return float(bound)


def _propagate(model, norm, error, roundoff):
    """Carry bounds of the norm and of the error through a network."""
    for layer, shape in _layers_with_shapes(model):
        for step in _steps(layer, shape):
            if step.n_roundings is None:
                raise TypeError(
                    f"No bound of rounding errors is known for layer {layer.name!r} of type "
                    f"{type(layer).__name__} on inputs of shape {shape}; use layers that sum, "
                    "compare or rearrange, on inputs of known size."
                )
            norm, error = step.pass_on(norm, error, roundoff)
    return norm, error


def _steps(layer, input_shape):
    """Describe a layer, and what its argument ``activation`` does after it."""
    rule = _RULES.get(type(layer))
    if rule is None:
        raise refusal(layer)
    step = rule(layer, input_shape)
    if type(layer) not in _ACTIVATED:
        return [step]
    if isinstance(layer.activation, layers.Layer):
        check_float32(layer.activation)
        shape = output_shape(layer, input_shape) if input_shape else None
        return [step, *_steps(layer.activation, shape)]
    return [step, activation_of(layer)]


@dataclass(frozen=True)
class _Mean:
    """What :class:`ocsdf.networks.layer_rules.Step` is for other layers, for a ``WeightedMean``."""

    layer: WeightedMean

    @property
    def lipschitz(self):
        """Mean of the bounds, rounded up, whose shares sum to 1: never above the largest.

        Shares are read as numbers that sum to 1 exactly; float_error counts their rounding.
        """
        bounds = [network_bound(member) for member in self.layer.members]
        total = 0.0
        for share, bound in zip(self.layer.shares, bounds, strict=True):
            total = np.nextafter(total + np.nextafter(share * bound, np.inf), np.inf)
        return float(min(total, max(bounds)))

    @property
    def n_roundings(self):
        """Bound the rounding of the shares, of the products and of their sum with the constant."""
        return len(self.layer.members) + 2

    def pass_on(self, norm, error, roundoff):
        """Carry bounds of the norm and of the error through the members."""
        results = [_propagate(member, norm, error, roundoff) for member in self.layer.members]
        norm, error = sum(
            share * np.array(result)
            for share, result in zip(self.layer.shares, results, strict=True)
        )
        bias = np.array([abs(float(self.layer.bias.numpy()[0])), 0.0])
        gamma = summation_error(self.n_roundings, roundoff)
        return norm + bias, error + gamma * (norm + error + bias)


@dataclass(frozen=True)
class _Minimum:
    """The same for a ``ScaledMinimum``, which changes by no more than the most changed of them."""

    layer: ScaledMinimum

    @property
    def lipschitz(self):
        """Largest of the scaled bounds, rounded up; float_error counts the scales' rounding."""
        pairs = zip(self.layer.scales, self.layer.members, strict=True)
        return max(_product([scale, network_bound(member)]) for scale, member in pairs)

    @property
    def n_roundings(self):
        """Bound the rounding of a scale, of a difference and of their product."""
        return 3

    def pass_on(self, norm, error, roundoff):
        """Carry bounds of the norm and of the error through the members."""
        gamma = summation_error(self.n_roundings, roundoff)
        levels = np.abs(self.layer.levels.numpy().astype(np.float64))
        norms, errors = [], []
        for member, scale, level in zip(self.layer.members, self.layer.scales, levels, strict=True):
            found, strayed = _propagate(member, norm, error, roundoff)
            found = found + [level, 0.0]
            norms.append(scale * found)
            errors.append(scale * (strayed + gamma * (found + strayed)))
        # Constants and slopes alike: the largest sum is no larger than the sum of the largest.
        return np.max(norms, axis=0), np.max(errors, axis=0)


_ACTIVATED = {layers.Activation, layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D}
_RULES = {
    **layer_rules.RULES,
    **affine_rules.RULES,
    **pooling_rules.RULES,
    **cones.RULES,
    layers.Activation: lambda layer, input_shape: EXACT,
    WeightedMean: lambda layer, input_shape: _Mean(layer),
    ScaledMinimum: lambda layer, input_shape: _Minimum(layer),
}
