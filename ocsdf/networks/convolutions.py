"""Orthogonal convolutions for training: an ordinary layer with a kernel constraint."""

import math

import keras
from keras import ops

from ocsdf.networks.layers import orthogonalize


@keras.saving.register_keras_serializable("ocsdf")
class OrthogonalKernel(keras.constraints.Constraint):
    r"""Keep a convolution's kernel orthogonal, as a matrix, within 2e-2 after each update.

    .. math:: K \leftarrow s \, \Pi(K / s)

    where K is read as a matrix of :math:`k_1 \cdots k_d \, c_{in}` rows and :math:`c_{out}`
    columns, :math:`\Pi` is :func:`ocsdf.networks.layers.orthogonalize`, and s > 0 the `factor`,
    such as that of :func:`convolution_factor`. A pixel is in up to :math:`k_1 \cdots k_d` windows,
    so that the convolution lengthens an image by at most :math:`1.02 \, s \sqrt{k_1 \cdots k_d}`.
    (OCSDF App. D; Li et al., *Preventing Gradient Attenuation in Lipschitz Constrained
    Convolutional Networks*, 2019, call it RKO.)
    """

    def __init__(self, factor):
        if not 0.0 < factor < math.inf:
            raise ValueError(f"factor must be a finite number > 0; got {factor!r}.")
        self.factor = float(factor)

    def __call__(self, kernel):
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1])) / self.factor
        return ops.reshape(self.factor * orthogonalize(matrix), kernel.shape)

    def get_config(self):
        return {"factor": self.factor}


def convolution_factor(image_shape, kernel_size=(3, 3)):
    r"""Scale of an orthogonal kernel with which a convolution is about 1-Lipschitz.

    .. math:: s = \prod_i \Big(k_i - \frac{r_i (r_i + 1)}{n_i}\Big)^{-1/2}, \qquad
       r_i = \frac{k_i - 1}{2}

    where :math:`n_i` pixels are padded with zeros to as many outputs (stride 1) and :math:`k_i`,
    odd, is the number of taps: one over the root of how many taps reach a pixel on average. It is
    the factor of deel-lip, which the paper uses (OCSDF App. H.1), and no upper bound: where all
    taps are equal, the convolution lengthens an image by up to 2 %. Certificates use
    :func:`ocsdf.operations.convolution_bounds.convolution_bound` instead.
    """
    taps = 1.0
    for n_pixels, n_taps in zip(image_shape, kernel_size, strict=True):
        reach = n_taps // 2
        if n_taps % 2 == 0 or reach >= n_pixels:
            raise ValueError(
                f"Expected an odd kernel size below twice the image's, in each axis; got "
                f"kernel_size={tuple(kernel_size)} for an image of {tuple(image_shape)} pixels."
            )
        taps *= n_taps - reach * (reach + 1) / n_pixels
    return 1.0 / math.sqrt(taps)


def orthogonal_convolution(n_channels, image_shape, kernel_size=(3, 3), seed=0):
    """Build a convolution whose kernel starts and stays orthogonal, about 1-Lipschitz.

    Parameters
    ----------
    n_channels : int
        Channels of its output.
    image_shape : sequence of int
        Pixels of each axis of its input.
    kernel_size : sequence of int, default=(3, 3)
        Odd numbers.
    seed : int, default=0
        Seed of the kernel's initial values.

    Returns
    -------
    keras.layers.Conv2D
        Padded with zeros to the size of its input; with a bias.

    Examples
    --------
    >>> from ocsdf.networks import orthogonal_convolution
    >>> layer = orthogonal_convolution(4, (8, 8))
    >>> layer.compute_output_shape((None, 8, 8, 2))
    (None, 8, 8, 4)
    """
    factor = convolution_factor(image_shape, kernel_size)
    return keras.layers.Conv2D(
        n_channels,
        tuple(kernel_size),
        padding="same",
        kernel_initializer=keras.initializers.Orthogonal(gain=factor, seed=seed),
        kernel_constraint=OrthogonalKernel(factor),
    )
