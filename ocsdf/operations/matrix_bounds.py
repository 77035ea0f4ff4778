"""Float64 upper bound of a matrix's largest singular value, rounding included."""

import math

import numpy as np

ROUNDOFF = 2.0**-53
_GRAM_ITERATIONS = 12


def summation_error(n_terms, roundoff=ROUNDOFF):
    r"""Relative error of a floating-point sum of n products, in any order.

    .. math:: \gamma_n = \frac{n u}{1 - n u}

    (Higham, *Accuracy and Stability of Numerical Algorithms*, Sec. 3.1.)
    """
    if n_terms * roundoff >= 1.0:
        raise ValueError(
            f"Expected n u < 1 for a bound of rounding; got n={n_terms} terms and the unit "
            f"roundoff u={roundoff:g}; evaluate in a finer format."
        )
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
        W, of finite numbers; it need not be square.

    Returns
    -------
    float
        At least the largest singular value.

    Examples
    --------
    >>> from ocsdf.operations import matrix_bound
    >>> 3.0 <= matrix_bound([[3.0, 0.0], [0.0, 2.0]]) < 3.0 + 1e-6
    True
    """
    matrix, exponent = scaled_entries(matrix, "matrix")
    if not matrix.any():
        return 0.0
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return float(np.ldexp(_scaled_matrix_bound(matrix), exponent))


def scaled_entries(array, name):
    """Return an array divided by a power of two near its largest entry, and the exponent.

    That rounds what is subnormal at most, and squares neither overflow nor vanish. NaN and infinity
    are refused.
    """
    array = np.asarray(array, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"Cannot bound a {name} with NaN or infinite entries.")
    exponent = int(np.frexp(np.max(np.abs(array), initial=0.0))[1])
    return np.ldexp(array, -exponent), exponent


def column_sum_bound(matrix):
    r"""Bound how far :math:`x \mapsto x W` moves in l-inf, rounding included.

    .. math:: \|x W - y W\|_\infty \le \max_j \sum_i |w_{ij}| \; \|x - y\|_\infty
    """
    scaled, exponent = scaled_entries(matrix, "matrix")
    largest = max(map(_sum_above, np.abs(scaled).T.tolist()), default=0.0)
    if not np.array_equal(np.ldexp(scaled, exponent), matrix):
        largest = math.nextafter(largest, math.inf)
    return float(np.ldexp(largest, exponent))


def _sum_above(numbers):
    """Add numbers, and round up where the sum is not exact: of 0.25 and 0.75 it stays 1."""
    total = math.fsum(numbers)
    rest = math.fsum([*numbers, -total])
    return total if rest <= 0.0 else math.nextafter(total, math.inf)


def _scaled_matrix_bound(matrix):
    size = max(matrix.shape) + 4
    squared_norm = float(np.sum(np.square(matrix)))
    slack = summation_error(size)
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
