"""A 1-Lipschitz network as the signed distance to points: exact in size, the network's in sign."""

import numpy as np
from scipy.spatial import cKDTree

from ocsdf.surfaces.mesh_distance import check_queries, in_parts

_ROUNDING = 2.0**-46


class ClampedDistance:
    r"""The distance to points, signed by a 1-Lipschitz function.

    .. math:: f(x) = \max(-d(x), \min(d(x), g(x))), \qquad d(x) = \min_i \|x - p_i\|_2

    d and g are 1-Lipschitz in l2, and so are minima and maxima of such functions. f is 0 at the
    points and where g is, and never overestimates the distance to its own zero set. (The sign of
    g times d would jump where g is 0 and d is not.)

    Parameters
    ----------
    points : array-like of shape (n_points, 3)
    inner : callable
        g in float64: maps ndarrays of shape (n, 3) to n numbers, positive inside.
    lipschitz : float, default=1.0
        A proven Lipschitz bound of ``inner`` in l2, by which it is divided if above 1.
    inner_slack : callable or float, default=0.0
        Bound of the rounding of ``inner``, of points.

    Attributes
    ----------
    lipschitz_bound : float
        1.

    Raises
    ------
    ValueError
        If the bound is not a positive number.

    Examples
    --------
    The distance to points of a sphere, positive in the ball that g knows:

    >>> import numpy as np
    >>> from ocsdf.surfaces import ClampedDistance
    >>> directions = np.random.default_rng(0).normal(size=(500, 3))
    >>> sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    >>> def ball(points):
    ...     return 1.0 - np.linalg.norm(points, axis=1)
    >>> field = ClampedDistance(sphere, ball)
    >>> np.sign(field(np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])))
    array([ 1., -1.])
    """

    lipschitz_bound = 1.0

    def __init__(self, points, inner, lipschitz=1.0, inner_slack=0.0):
        self.points = check_queries(points)
        if not 0.0 < lipschitz < np.inf:
            raise ValueError(f"lipschitz must be a positive number; got {lipschitz!r}.")
        self._tree, self._inner = cKDTree(self.points), inner
        self._divisor, self._inner_slack = max(1.0, float(lipschitz)), inner_slack

    def __call__(self, points):
        """Evaluate f in float64 at points of shape (n, 3): ndarray of shape (n,)."""
        points = check_queries(points)
        distances = in_parts(lambda part: self._tree.query(part)[0], points)
        values = np.asarray(self._inner(points), dtype=np.float64).reshape(-1) / self._divisor
        return np.clip(values, -distances, distances)

    def slack(self, points):
        """Bound how far float64 may be from the exact f: ndarray of shape (n,)."""
        points = check_queries(points)
        sizes = np.maximum(np.abs(points).max(axis=1), np.abs(self.points).max())
        inner = self._inner_slack(points) if callable(self._inner_slack) else self._inner_slack
        return _ROUNDING * sizes + inner / self._divisor
