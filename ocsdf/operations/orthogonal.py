"""Orthogonal matrices in NumPy: drawn at random, nearest to a kernel, and rounded to float32."""

import numpy as np
from scipy.linalg import polar

from ocsdf.operations.matrix_bounds import matrix_bound

# Bounds of the eigenvalues of Q up to which the polynomial of order 1, and that of order 2, leave
# singular values within 2e-2 of 1; see :func:`ocsdf.networks.layers.orthogonalize`.
FIRST_ORDER, SECOND_ORDER = 0.2, 0.5
MOST_STEPS = 12
# Of the defect: its square is below what float64 rounds.
_LAST_STEP = 2.0**-27


def second_order_coefficients(distance):
    """Return a and b of :func:`ocsdf.networks.layers.orthogonalize` for c, a number or tensor."""
    return 0.5 + 15.0 / 64.0 * distance**2, 0.375 + 35.0 / 128.0 * distance**2


def random_orthogonal(n_in, n_out, random_state):
    """Draw a float64 matrix uniformly from those with orthonormal rows or columns.

    It is the Q of a matrix of normal numbers, with the signs that make it unique (Mezzadri, *How to
    generate random matrices from the classical compact groups*, 2007).
    """
    tall = random_state.standard_normal((max(n_in, n_out), min(n_in, n_out)))
    basis, triangle = np.linalg.qr(tall)
    basis *= np.copysign(1.0, np.diagonal(triangle))
    return basis if n_in >= n_out else basis.T


def nearest_orthogonal(kernel):
    r"""Return the orthogonal matrix nearest to a kernel, its polar factor, in float64.

    Where the kernel W is near enough, Newton-Schulz steps find it,

    .. math:: W \leftarrow W + \tfrac12 W Q, \qquad Q = I - W^\top W,

    each of which leaves a defect of at most :math:`\|Q\|_F^2` of one below 1; elsewhere an SVD does
    (Higham, *Functions of Matrices*, Sec. 8.3).
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    tall = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
    identity = np.eye(tall.shape[1])
    size = np.inf
    while size > _LAST_STEP:
        defect = identity - tall.T @ tall
        last, size = size, np.linalg.norm(defect)
        if not size < min(1.0, last):
            return polar(kernel)[0]
        tall = tall + 0.5 * (tall @ defect)
    return tall if tall.shape == kernel.shape else tall.T


def polished(kernel):
    """Return the nearest orthogonal kernel in float32, its float64 bound at most 1.

    What rounding adds to the bound is taken off the whole kernel.
    """
    orthogonal = nearest_orthogonal(kernel)
    rounded = orthogonal.astype(np.float32)
    shrink = 1.0
    while (bound := matrix_bound(rounded)) > 1.0:
        shrink *= bound * (1.0 + 2.0**-24)
        rounded = (orthogonal / shrink).astype(np.float32)
    return rounded
