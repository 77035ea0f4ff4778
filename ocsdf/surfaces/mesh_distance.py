"""The exact signed distance to a closed mesh: 1-Lipschitz, with a bound of its rounding."""

import numpy as np

from ocsdf.operations.solids import SolidDistance
from ocsdf.utils.threads import crew

_ROWS_AT_ONCE = 4_096
# Of the largest coordinate: what float64 may add to a distance, or take off it.
_ROUNDING = 2.0**-46


class MeshDistance:
    r"""Signed distance to a closed mesh, positive inside.

    .. math:: f(x) = s(x) \min_{y \in M} \|x - y\|_2

    where s is 1 if a ray from x crosses M an odd number of times, and -1 otherwise. As M is
    closed, s is constant on each connected part of its complement, and f is 1-Lipschitz in l2: on
    the way from one part to another f passes 0. It therefore never overestimates the distance to
    its own zero set, M. The sign of a network, or of a winding number of points, has no such
    property: there the product jumps away from the surface.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        Watertight. It may have several parts, one inside the other, and cross itself.

    Attributes
    ----------
    lipschitz_bound : float
        1.
    operation : SolidDistance
        What a :class:`ocsdf.certificate.network.CertifiedNetwork` can hold.

    Raises
    ------
    ValueError
        If the mesh has no faces or some edge does not have two.

    Examples
    --------
    >>> import trimesh
    >>> from ocsdf.surfaces import MeshDistance
    >>> field = MeshDistance(trimesh.creation.box((2.0, 2.0, 2.0)))
    >>> field([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]).round(12)
    array([ 1., -1.])
    """

    lipschitz_bound = 1.0

    def __init__(self, mesh):
        if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
            raise ValueError("a signed distance needs a mesh with faces, at finite vertices.")
        self.operation = SolidDistance(np.asarray(mesh.vertices), np.asarray(mesh.faces))

    def __call__(self, points):
        """Evaluate f in float64.

        Parameters
        ----------
        points : array-like of shape (n, 3)

        Returns
        -------
        ndarray of shape (n,), float64

        Raises
        ------
        ValueError
            If the points are not of three finite coordinates.
        """
        points = check_queries(points)
        return in_parts(lambda part: self.operation.evaluate(part)[:, 0], points)

    def slack(self, points):
        """Bound how far float64 may be from the exact f: ndarray of shape (n,).

        It is 2^-46 of the largest coordinate, of the point or of the mesh.
        """
        sizes = np.abs(check_queries(points)).max(axis=1)
        return _ROUNDING * np.maximum(sizes, np.abs(self.operation.vertices).max())

    def first_hits(self, origins, directions):
        """Measure along rays to the mesh, in lengths of the directions; infinity if they miss.

        Parameters
        ----------
        origins, directions : ndarray of shape (n, 3)

        Returns
        -------
        ndarray of shape (n,)
        """
        return self.operation.first_hits(check_queries(origins), check_queries(directions))


def check_queries(points):
    """Return points as a float64 array of shape (n, 3); refuse what is not finite."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(
            f"points must be finite, an array of shape (n, 3); got shape {points.shape}."
        )
    return points


def in_parts(evaluate, points):
    """Evaluate a function of points in parts, on several cores: ndarray of shape (n,)."""
    parts = [points[i : i + _ROWS_AT_ONCE] for i in range(0, len(points), _ROWS_AT_ONCE)]
    with crew(max(1, len(parts))) as run:
        return np.concatenate([np.empty(0), *run(evaluate, parts)])
