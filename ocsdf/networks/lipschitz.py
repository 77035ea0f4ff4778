"""Float64 upper bounds: of a layer's and a network's Lipschitz constant, and of its rounding.

Layers are translated into operations, which bring their proofs. All norms are l2.
"""

from ocsdf.networks.translation import translate, translate_layer
from ocsdf.operations.chain import product
from ocsdf.operations.matrix_bounds import ROUNDOFF


def layer_bound(layer, input_shape=None):
    r"""Bound the Lipschitz constant of one layer, l2 to l2, as it is at inference.

    Parameters
    ----------
    layer : keras.layers.Layer
        A built layer of exactly one of these classes:

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

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from ocsdf.networks import layer_bound
    >>> layer = keras.layers.Dense(1)
    >>> layer.build((None, 2))
    >>> layer.set_weights([np.array([[3.0], [4.0]]), np.zeros(1)])
    >>> 5.0 <= layer_bound(layer) < 5.0 + 1e-6
    True
    """
    shape, bounds = input_shape and tuple(input_shape[1:]), []
    for part in translate_layer(layer):
        bounds.append(part.bound(shape))
        shape = shape and part.output_shape(shape)
    return product(bounds)


def network_bound(model, norm="l2"):
    r"""Bound the Lipschitz constant of a sequential network.

    .. math:: \mathrm{Lip}(f) \le \prod_k \mathrm{Lip}(f_k)

    computed in float64 from the weights as they are and rounded up (OCSDF Def. 2).

    Parameters
    ----------
    model : keras.Sequential
        Its layers are those that :func:`layer_bound` lists; images have the size that its input
        declares.
    norm : {"l2", "linf"}, default="l2"
        The norm of the input and of what each layer gives. In l-inf (OCSDF App. I.2) a dense
        layer's bound is the largest l1 norm of a unit's weights and a sort's is 1; no other layer
        has one yet.

    Returns
    -------
    float
        A TypeError says that the model is not sequential or has a layer without a known bound.
        A ValueError says that the norm is neither.

    Examples
    --------
    >>> import keras
    >>> from ocsdf.networks import network_bound
    >>> layers = [keras.layers.Dense(4, "relu"), keras.layers.Dense(1)]
    >>> network = keras.Sequential([keras.Input((8,)), *layers])
    >>> network_bound(network) > 0.0
    True
    """
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf'; got {norm!r}.")
    network = translate(model)
    return network.bound() if norm == "l2" else network.linf_bound()


def float_error(model, roundoff=ROUNDOFF):
    r"""Bound how far a forward pass in floating point strays from the real-valued function.

    For a layer :math:`y = xW + b` computed by any order of summation,
    :math:`\|\hat y - y\| \le \gamma_{n+1} (\|x\| \, \||W|\|_2 + \|b\|)` with
    :math:`\gamma_n = n u / (1 - n u)`; errors pass on through the layers'
    Lipschitz constants, and sorting is exact. Standardizing a row rounds it by a relative 2u.
    (Higham, *Accuracy and Stability of Numerical Algorithms*, Sec. 3.5.)

    A convolution is such a layer, as long as it is summed as it is written (not by Winograd's or
    Fourier's transform); :math:`\||W|\|_2` is then at most :math:`\|\sum_t |K_t|\|_2`, and b counts
    once for each pixel. What underflows may be flushed to zero; weights with which values might
    overflow are refused.

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

    Examples
    --------
    >>> from ocsdf.networks import build_mlp, condense, float_error
    >>> constant, slope = float_error(condense(build_mlp(3, (16, 16))))
    >>> constant < 1e-12, slope < 1e-12
    (True, True)
    """
    return translate(model).float_error(roundoff)
