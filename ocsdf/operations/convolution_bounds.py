"""Float64 upper bound of a convolution's Lipschitz constant, for one image size or for all."""

import math

import numpy as np

from ocsdf.operations.matrix_bounds import ROUNDOFF, scaled_entries, summation_error
from ocsdf.utils.threads import crew, slices

# Frequencies an axis of an endless image is sampled at, for each tap but the first.
_FINENESS = 32
# Complex numbers in the matrices that are held at a time.
_MOST_CELLS = 2**20
# How far above an eigenvalue, relative to it, a Cholesky factorization is first tried.
_MARGIN = 1e-10


def convolution_bound(kernel, image_shape=None):
    r"""Bound the largest singular value of a convolution from above, rounding included.

    An image of n pixels, set in zeros, goes through a kernel of k taps as through the circular
    convolution on n + k - 1 pixels, where nothing wraps around onto anything. Setting in zeros
    keeps norms. Zero padding ("same"), none ("valid"), padding on one side ("causal") and strides
    each keep some of that convolution's outputs, which lengthens nothing. So (Sedghi, Gupta and
    Long, *The Singular Values of Convolutional Layers*, 2019, Theorem 6)

    .. math:: \sigma_{max} \le \max_{\omega \in \Omega} \|A(\omega)\|_2, \qquad
       A(\omega) = \sum_t K_t \, e^{-i \langle \omega, t \rangle}

    with :math:`\Omega` the frequencies :math:`2 \pi j / N`, N = n + k - 1, of each axis.

    An axis whose length is unknown or large is taken as endless, with the supremum over all
    frequencies. N = 32 (k - 1) equidistant ones of them miss no more than a factor

    .. math:: \sup_\omega \|A(\omega)\|_2 \le \max_{j} \|A(2 \pi j / N)\|_2 \,
       \Big/ \cos \frac{\pi (k - 1)}{2 N}.

    Proof: for unit vectors u and v and a fixed phase,
    :math:`T(\phi) = \mathrm{Re} \, e^{i \alpha + i (k - 1) \phi} u^* A(2 \phi) v` is a
    trigonometric polynomial of degree k - 1. Let it attain its largest modulus F at
    :math:`\phi^*`. By the inequality of Bernstein and Szegő,
    :math:`T'^2 + (k - 1)^2 T^2 \le (k - 1)^2 F^2`, the angle :math:`\arccos(T / F)` grows no
    faster than :math:`(k - 1) |\phi - \phi^*|`, and the nearest of the frequencies is at most
    :math:`\pi / (2 N)` away. One axis after the other, the factors multiply.

    Rounding: a largest eigenvalue of :math:`A^* A` is estimated, and no estimate is trusted: the
    bound is a number :math:`\tau` for which the Cholesky factorization of
    :math:`\tau I - A^* A` runs to its end at every frequency, which proves
    :math:`\lambda_{max}(A^* A) \le \tau` up to a known error (Rump, *Verification of positive
    definiteness*, 2006; Higham, *Accuracy and Stability of Numerical Algorithms*, Theorem 10.3).

    Parameters
    ----------
    kernel : array-like of shape (k_1, ..., k_d, n_in, n_out)
        Taps, then channels, of d axes.
    image_shape : sequence of d ints or None, default=None
        n_1, ..., n_d, in pixels, before padding; None, in the place of one or of all, where the
        bound shall hold for every size.

    Returns
    -------
    float
        At least the largest singular value; above the maximum over the frequencies by 1e-9 of
        it, and by at most 1.3e-3 for each endless axis.

    Raises
    ------
    ValueError
        If an entry of the kernel is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.operations import convolution_bound
    >>> blur = np.full((3, 1, 1), 1.0 / 3.0)
    >>> 1.0 <= convolution_bound(blur) < 1.002
    True
    """
    kernel, exponent = scaled_entries(kernel, "convolution")
    if not kernel.any():
        return 0.0
    taps = kernel.shape[:-2]
    grid, shortfall = _frequency_grid(taps, image_shape or (None,) * len(taps))
    # On one thread: the bound has the same bits anywhere, and small matrices gain nothing by more.
    with crew(1):
        bound = _largest_over(kernel, grid) / shortfall
    return float(np.ldexp(bound * (1.0 + 16.0 * ROUNDOFF), exponent))


def _frequency_grid(taps, image_shape):
    """How many frequencies each axis has, and the product of their cosines."""
    grid, shortfall = [], 1.0
    for n_taps, n_pixels in zip(taps, image_shape, strict=True):
        endless = max(1, _FINENESS * (n_taps - 1))
        if n_pixels is not None and n_pixels + n_taps - 1 <= endless:
            grid.append(n_pixels + n_taps - 1)
        else:
            grid.append(endless)
            shortfall *= math.cos(math.pi * (n_taps - 1) / (2 * endless))
    return grid, shortfall


def _largest_over(kernel, grid):
    """Bound the matrices' norms at the frequencies of a grid."""
    n_in, n_out = kernel.shape[-2:]
    rank = min(n_in, n_out)
    # By Parseval's theorem no less than this is attained.
    level = float(np.sum(np.square(kernel))) / rank
    for matrices in _frequency_matrices(kernel, grid):
        adjoints = matrices.conj().swapaxes(1, 2)
        grams = adjoints @ matrices if n_in >= n_out else matrices @ adjoints
        level = _raised(level, grams)
    # Of a complex sum of n products gamma_4n is a bound. The product, the subtraction and the
    # factorization err by rank * gamma, gamma and rank * gamma, relative to the level.
    gamma = summation_error(4 * (max(n_in, n_out) + 4))
    # An angle of at most 2 pi d that three roundings made, its sine and cosine, then a sum.
    n_taps = kernel[..., 0, 0].size
    phase_error = (32 * len(grid) + 64 + 4 * n_taps) * ROUNDOFF
    entries = np.linalg.norm(np.abs(kernel).reshape(n_taps, -1).sum(axis=0))
    return math.sqrt(level * (1.0 + 4.0 * rank * gamma)) + phase_error * entries


def _frequency_matrices(kernel, grid):
    """Yield A at all frequencies, in stacks; those of -omega are conjugates, and left out."""
    *taps, n_in, n_out = kernel.shape
    places = np.indices(taps).reshape(len(taps), -1)
    halved = (*grid[:-1], grid[-1] // 2 + 1)
    lengths = np.array(grid)[:, np.newaxis, np.newaxis]
    for part in slices(math.prod(halved), max(1, _MOST_CELLS // (n_in * n_out))):
        frequencies = np.array(np.unravel_index(np.arange(part.start, part.stop), halved))
        # Whole turns are left out while numbers are integers.
        turns = frequencies[:, :, np.newaxis] * places[:, np.newaxis, :] % lengths / lengths
        phases = np.exp(-2j * np.pi * turns.sum(axis=0))
        yield (phases @ kernel.reshape(-1, n_in * n_out)).reshape(-1, n_in, n_out)


def _raised(level, grams):
    """Raise a level until it is proven to be above all eigenvalues of some Hermitian matrices."""
    while not _is_above(level, grams):
        level = max(level, float(np.linalg.eigvalsh(grams)[:, -1].max())) * (1.0 + _MARGIN)
    return level


def _is_above(level, grams):
    try:
        np.linalg.cholesky(level * np.eye(grams.shape[-1]) - grams)
    except np.linalg.LinAlgError:
        return False
    return True
