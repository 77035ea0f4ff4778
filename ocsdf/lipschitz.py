"""Float64 upper bounds: of a layer's and a network's Lipschitz constant, and of its rounding.

Everything a certificate says rests on this file. All norms are l2.
"""

import keras
import numpy as np
from deel.lip.layers.activations import GroupSort

from ocsdf.distances import SubsampleDistance
from ocsdf.ensembles import ScaledMinimum, WeightedMean
from ocsdf.layers import Asinh

_ROUNDOFF = 2.0**-53
_GRAM_ITERATIONS = 12


def _summation_error(n_terms, roundoff=_ROUNDOFF):
    """Higham's gamma_n: relative error bound of a sum of n products in any order."""
    return n_terms * roundoff / (1.0 - n_terms * roundoff)


def matrix_bound(matrix):
    r"""Bound the largest singular value of a matrix from above, rounding included.

    With G the smaller Gram matrix, c the mean of its diagonal and :math:`\gamma_n` the error of a
    float64 sum of n products, the smaller of

    .. math:: \sqrt{c + \|G - c I\|_F + \gamma_n \|W\|_F^2}
       \quad\text{and}\quad \|G_t\|_F^{1/2^{t+1}}

    where :math:`G_t = G^{2^t}` is the Gram iteration. The first is tight for a (scaled)
    orthogonal matrix, the second for any other.

    Parameters
    ----------
    matrix : array-like of shape (n_rows, n_columns)

    Returns
    -------
    float
        At least the largest singular value.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if not np.all(np.isfinite(matrix)):
        raise ValueError("Cannot bound a matrix with NaN or infinite entries.")
    largest = float(np.max(np.abs(matrix), initial=0.0))
    if largest == 0.0:
        return 0.0
    # By a power of two, which rounds nothing, so that squares neither overflow nor vanish.
    exponent = int(np.frexp(largest)[1])
    matrix = np.ldexp(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T, -exponent)
    return float(np.ldexp(_scaled_matrix_bound(matrix), exponent))


def _scaled_matrix_bound(matrix):
    size = max(matrix.shape) + 4
    squared_norm = float(np.sum(np.square(matrix)))
    slack = _summation_error(size)
    gram = matrix.T @ matrix
    mean = float(np.trace(gram)) / len(gram)
    residual = float(np.linalg.norm(gram - mean * np.eye(len(gram)))) + slack * squared_norm
    near_orthogonal = float(np.sqrt((mean + residual) * (1.0 + slack)))
    if near_orthogonal <= 1.0001 * np.sqrt(mean):
        return near_orthogonal
    return min(near_orthogonal, _gram_iteration_bound(gram, squared_norm, slack))


def _gram_iteration_bound(gram, squared_norm, slack):
    """Bound sigma_max by the Frobenius norm of a high even power of the Gram matrix."""
    # log of an upper bound of ||G^(2^t)||: each squaring doubles it and the error so far.
    power, log_scale, error = gram, 0.0, slack * squared_norm / np.linalg.norm(gram)
    best = np.inf
    for iteration in range(1, _GRAM_ITERATIONS + 1):
        norm = np.linalg.norm(power)
        log_scale = 2.0 * (log_scale + np.log(norm))
        power = (power / norm) @ (power / norm)
        size_now = np.linalg.norm(power)
        # ||fl(PP) - PP|| <= gamma_n ||P||^2 and the old relative error enters twice.
        error = (2.0 * error + error**2 + 2.0 * slack) / size_now
        # Rounding grows with each squaring: a later bound need not be the better one.
        log_bound = (log_scale + np.log(size_now) + np.log1p(error)) / 2.0 ** (iteration + 1)
        best = min(best, np.exp(log_bound))
    return float(best * (1.0 + 4.0 * slack))


def layer_bound(layer):
    """Bound the Lipschitz constant of one layer, l2 to l2.

    Parameters
    ----------
    layer : keras.layers.Layer
        A linear ``Dense``, deel-lip's GroupSort family, an ``Asinh``, a ``SubsampleDistance``,
        a ``WeightedMean`` of networks of these, or an ``InputLayer``.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        For a layer without a known bound.
    """
    if isinstance(layer, keras.layers.InputLayer | Asinh | SubsampleDistance):
        return 1.0
    if isinstance(layer, WeightedMean):
        return _mean_bound(layer.shares, [network_bound(member) for member in layer.members])
    if isinstance(layer, ScaledMinimum):
        bounds = zip(layer.scales, map(network_bound, layer.members), strict=True)
        # A scale of 1 rounds nothing.
        return float(max(b if s == 1.0 else np.nextafter(s * b, np.inf) for s, b in bounds))
    if isinstance(layer, GroupSort):
        return abs(float(layer._get_coef()))
    if type(layer) is keras.layers.Dense and layer.activation is keras.activations.linear:
        return matrix_bound(layer.kernel.numpy())
    raise TypeError(
        f"No Lipschitz bound is known for layer {layer.name!r} of type {type(layer).__name__}; "
        "use linear Dense layers and GroupSort, GroupSort2 or FullSort."
    )


def _mean_bound(shares, bounds):
    """Bound a mean, rounded up, whose shares sum to 1: never above the largest bound.

    Shares are read as numbers that sum to 1 exactly; float_error counts their rounding.
    """
    total = 0.0
    for share, bound in zip(shares, bounds, strict=True):
        total = np.nextafter(total + np.nextafter(share * bound, np.inf), np.inf)
    return float(min(total, max(bounds)))


def network_bound(model):
    r"""Bound the Lipschitz constant of a sequential network, l2 to l2.

    .. math:: \mathrm{Lip}(f) \le \prod_k \mathrm{Lip}(f_k)

    computed in float64 from the weights as they are and rounded up (OCSDF Def. 2).

    Parameters
    ----------
    model : keras.Sequential

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If the model is not sequential or has a layer without a known bound.
    """
    bound = 1.0
    for layer in layers_in_order(model):
        factor = layer_bound(layer)
        # A factor of exactly 1 needs no rounding, so that a product of ones stays 1.
        bound = bound if factor == 1.0 else np.nextafter(bound * factor, np.inf)
    return float(bound)


def float_error(model, roundoff=_ROUNDOFF):
    r"""Bound how far a forward pass in floating point strays from the real-valued function.

    For a layer :math:`y = xW + b` computed by any order of summation,
    :math:`\|\hat y - y\| \le \gamma_{n+1} (\|x\| \, \||W|\|_2 + \|b\|)` with
    :math:`\gamma_n = n u / (1 - n u)`; errors pass on through the layers'
    Lipschitz constants, and sorting is exact. Standardizing a row rounds it by a relative 2u.
    (Higham, *Accuracy and Stability of Numerical Algorithms*, Sec. 3.5.)

    Parameters
    ----------
    model : keras.Sequential
    roundoff : float, default=2**-53
        u, the unit roundoff: that of float64; 2**-24 for float32.

    Returns
    -------
    constant, slope : float
        ``|computed f(x) - f(x)| <= constant + slope * ||x||`` for every x.
    """
    # Affine functions of ||x||, as [constant, slope]: the norm of the activations, the error.
    norm, error = np.array([0.0, 1.0]), np.array([0.0, 2.0 * roundoff])
    _, error = _propagate(model, norm, error, roundoff)
    constant, slope = error * (1.0 + 1e-6)
    return float(constant), float(slope)


def _propagate(model, norm, error, roundoff):
    """Carry bounds of the norm and of the error through a network."""
    for layer in layers_in_order(model):
        norm, error = _pass_on(layer, norm, error, roundoff)
    return norm, error


def _pass_on(layer, norm, error, roundoff):
    factor = layer_bound(layer)
    if isinstance(layer, WeightedMean):
        results = [_propagate(member, norm, error, roundoff) for member in layer.members]
        norm, error = sum(
            share * np.array(result) for share, result in zip(layer.shares, results, strict=True)
        )
        bias = np.array([abs(float(layer.bias.numpy()[0])), 0.0])
        gamma = _summation_error(len(results) + 2, roundoff)
        return norm + bias, error + gamma * (norm + error + bias)
    if isinstance(layer, ScaledMinimum):
        # Of numbers that are close the minima are; a level and a scale round once each.
        levels = np.abs(layer.levels.numpy().astype(np.float64))
        norms, errors = [], []
        for scale, member, level in zip(layer.scales, layer.members, levels, strict=True):
            part, its_error = _propagate(member, norm, error, roundoff)
            part = part + [level, 0.0]
            norms.append(scale * part)
            errors.append(scale * (its_error + 3.0 * roundoff * (part + its_error)))
        return np.max(norms, axis=0), np.max(errors, axis=0)
    if isinstance(layer, SubsampleDistance):
        references = layer.references.numpy().astype(np.float64)
        norm = norm + [np.linalg.norm(references, axis=1).max(), 0.0]
        # Sums over features, over groups and over sizes, with some roundings around each.
        n_groups = layer.n_references // layer.group_sizes[0]
        n_terms = references.shape[1] + n_groups + len(layer.group_sizes) + 8
        gamma = _summation_error(n_terms, roundoff)
        return norm, error + gamma * (norm + error)
    if isinstance(layer, Asinh):
        # Two roundings, and an arcsinh that is right to four units in the last place.
        return norm, error + 10.0 * roundoff * (norm + error)
    if isinstance(layer, keras.layers.Dense):
        kernel = np.abs(layer.kernel.numpy().astype(np.float64))
        bias = np.zeros(2)
        if layer.use_bias:
            bias[0] = np.linalg.norm(layer.bias.numpy().astype(np.float64))
        gamma = _summation_error(kernel.shape[0] + 1, roundoff)
        absolute_norm = min(
            np.linalg.norm(kernel), np.sqrt(kernel.sum(axis=0).max() * kernel.sum(axis=1).max())
        )
        error = factor * error + gamma * (absolute_norm * (norm + error) + bias)
        return factor * norm + bias, error
    error = factor * (error + roundoff * (norm + error) * (factor != 1.0))
    return factor * norm, error


def layers_in_order(model):
    """Return the layers of a sequential network.

    Parameters
    ----------
    model : keras.Sequential

    Returns
    -------
    list of keras.layers.Layer

    Raises
    ------
    TypeError
        If the model is not sequential, or a layer is not float32 throughout.
    """
    if not isinstance(model, keras.Sequential):
        raise TypeError(
            f"Expected a keras.Sequential model, whose bound is its layers' product; got "
            f"{type(model).__name__}."
        )
    for layer in model.layers:
        if layer.dtype_policy.name != "float32":
            raise TypeError(
                f"Expected float32 layers; {layer.name!r} has the policy {layer.dtype_policy.name}."
            )
    return model.layers
