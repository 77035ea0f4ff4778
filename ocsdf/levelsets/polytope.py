"""ReLU networks whose zero level set is a given piecewise linear hypersurface (CNLS Theorem 1)."""

from collections import Counter
from itertools import combinations
from typing import NamedTuple

import keras
import numpy as np
from scipy.optimize import linprog

# Shares of the extent: what is thinner than that is no cell; planes so near are one.
_THINNEST = 1e-6
_SAME = 1e-6
_ROUNDING = 1e-12
# So far from a new plane, the point amid a cell stands for the half that it is in.
_CLEAR = 1e-2
# A direction that no facet of a sensible mesh is parallel to.
_RAY_SEED = 0


def polytope_network(normals, offsets, inside):
    r"""Build the ReLU network whose zero level set is the boundary of a polytope.

    With the supporting planes :math:`h_i(x) = a_i^T x + b_i, \; i = 1 \dots k`,

    .. math:: f(x) = \max_{\lambda \in \Lambda} \; \min_{i: \lambda_i \ne 0} \lambda_i h_i(x)

    is positive inside, negative outside and 0 on the boundary (CNLS Theorem 1, with the minimum
    over the i with :math:`\lambda_i \ne 0`; over all i, as printed, f vanishes on those parts of
    supporting planes that lie inside). :math:`\Lambda \subset \{-1, 0, 1\}^k` holds what makes
    :math:`P_\lambda = \{x: \lambda_i h_i(x) \ge 0\}` lie in P. A :math:`P_\lambda` within
    another adds nothing to the sign of f, and is left out. As the normals are scaled to length 1,
    f is 1-Lipschitz, and near the middle of a face the signed distance to it.

    Parameters
    ----------
    normals : array-like of shape (k, d)
        a_i, of any length but 0 and any orientation.
    offsets : array-like of shape (k,)
        b_i. Every face of P lies on one of the planes; P may be unbounded, and need not be convex.
    inside : callable
        Maps an ndarray of shape (n, d) to n booleans: whether each point is in P. It is asked once,
        for one point amid each cell that the planes cut space into.

    Returns
    -------
    keras.Sequential
        f, of ``Dense`` layers and ReLU alone: maps (n, d) to (n, 1).

    Raises
    ------
    ValueError
        If shapes do not fit, a normal is 0, or P has no cell, or all.

    Notes
    -----
    k planes cut d-space into up to O(k^d) cells, each found by a linear program of a few
    milliseconds: for tens of planes in two or three dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.levelsets import polytope_network
    >>> def inside(points):
    ...     return np.abs(points).max(axis=1) <= 1.0
    >>> square = polytope_network([[1, 0], [1, 0], [0, 1], [0, 1]], [1, -1, 1, -1], inside)
    >>> square.predict(np.array([[0.0, 0.0], [2.0, 0.0]]), verbose=0).ravel().round(5)
    array([ 1., -1.], dtype=float32)
    """
    planes = _checked_planes(normals, offsets)
    signs, centers = _cells(planes.around_center())
    centers = centers + planes.center
    within = np.asarray(inside(centers), dtype=bool)
    if within.shape != (len(centers),):
        raise ValueError(
            f"inside must give one boolean a point, of shape ({len(centers)},); got {within.shape}."
        )
    if within.all() or not within.any():
        raise ValueError(
            f"inside must hold for some of the {len(centers)} cells that the planes cut space into "
            f"and not for others; it holds for {np.count_nonzero(within)}."
        )
    return _build(planes, _greatest(signs[within], signs[~within]))


def mesh_network(vertices, facets):
    """Build the ReLU network whose zero level set is a watertight mesh.

    Parameters
    ----------
    vertices : array-like of shape (n_vertices, d)
    facets : integer array-like of shape (n_facets, d)
        The vertices of each: segments in 2-D, triangles in 3-D, in any orientation.

    Returns
    -------
    keras.Sequential
        As of :func:`polytope_network`: positive inside, negative outside.

    Raises
    ------
    ValueError
        If the mesh is not watertight: an edge of an odd number of facets (a vertex in 2-D); if a
        facet is degenerate; if shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.levelsets import mesh_network
    >>> corners = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
    >>> square = mesh_network(corners, [[0, 1], [1, 2], [2, 3], [3, 0]])
    >>> np.sign(square.predict(np.array([[0.0, 0.0], [2.0, 0.0]]), verbose=0)).ravel()
    array([ 1., -1.], dtype=float32)
    """
    vertices, facets = np.asarray(vertices, dtype=np.float64), np.asarray(facets)
    if vertices.ndim != 2 or facets.ndim != 2 or facets.shape[1] != vertices.shape[1]:
        raise ValueError(
            "vertices must have shape (n, d) and facets (m, d), d vertices each; got shapes "
            f"{vertices.shape} and {facets.shape}."
        )
    ridges = Counter(
        ridge for facet in facets for ridge in combinations(sorted(facet), len(facet) - 1)
    )
    if odd := sum(count % 2 for count in ridges.values()):
        raise ValueError(
            f"The mesh is not watertight: {odd} of its {len(ridges)} edges belong to an odd number "
            "of facets. Close its holes and merge equal vertices."
        )
    corners = vertices[facets]
    normals = np.array([_normal(simplex) for simplex in corners])
    offsets = -np.einsum("ij,ij->i", normals, corners[:, 0])
    return polytope_network(normals, offsets, lambda points: _enclosed(corners, points))


class _Planes(NamedTuple):
    normals: np.ndarray  # (k, d), of length 1
    offsets: np.ndarray  # (k,)
    center: np.ndarray  # (d,), amid the planes
    extent: float  # the largest distance of a plane to it

    def around_center(self):
        """The same planes where the center is the origin."""
        return self._replace(offsets=self.heights(self.center), center=np.zeros_like(self.center))

    def heights(self, points):
        return points @ self.normals.T + self.offsets


def _checked_planes(normals, offsets):
    """Scale normals to length 1, and keep one of planes that are the same."""
    normals = np.asarray(normals, dtype=np.float64)
    offsets = np.asarray(offsets, dtype=np.float64)
    if normals.ndim != 2 or offsets.shape != normals.shape[:1] or not len(offsets):
        raise ValueError(
            f"normals must have shape (k, d) and offsets (k,); got shapes {normals.shape} and "
            f"{offsets.shape}."
        )
    length = np.linalg.norm(normals, axis=1)
    if not np.all((length > 0.0) & np.isfinite(length) & np.isfinite(offsets)):
        raise ValueError("normals must be finite and none of them 0, and offsets finite.")
    planes = np.column_stack([normals, offsets]) / length[:, np.newaxis]
    center, *_ = np.linalg.lstsq(planes[:, :-1], -planes[:, -1])
    distances = planes[:, :-1] @ center + planes[:, -1]
    extent = np.abs(distances).max()
    # Planes through one point, but for rounding, have no extent: their cells are cones.
    if extent <= _ROUNDING * np.abs(planes[:, -1]).max():
        extent = 1.0
    scaled = np.column_stack([planes[:, :-1], distances / extent])
    kept = []
    for index, plane in enumerate(scaled):
        others = scaled[kept]
        gaps = np.minimum(abs(others - plane).max(axis=1), abs(others + plane).max(axis=1))
        if not np.any(gaps < _SAME):
            kept.append(index)
    return _Planes(planes[kept, :-1], planes[kept, -1], center, extent)


def _cells(planes):
    """Find the cells that planes cut space into: their signs (m, k), and a point amid each."""
    found = [((), np.zeros(planes.normals.shape[1]))]
    for count, (normal, offset) in enumerate(zip(planes.normals, planes.offsets, strict=True), 1):
        split = []
        for signs, center in found:
            height = normal @ center + offset
            for sign in (-1.0, 1.0):
                if sign * height > _CLEAR * planes.extent:
                    split.append(((*signs, sign), center))
                elif (point := _center(planes, (*signs, sign), count)) is not None:
                    split.append(((*signs, sign), point))
        found = split
    signs, centers = zip(*found, strict=True)
    return np.array(signs), np.array(centers)


def _center(planes, signs, count):
    """Return a point as far as may be from the first planes, on these sides of them, or None."""
    signs = np.array(signs)[:, np.newaxis]
    # Maximize r where sign h_i(x) >= r; r is bounded, as cells need not be.
    n_features = planes.normals.shape[1]
    sides = np.hstack([-signs * planes.normals[:count], np.ones((count, 1))])
    answer = linprog(
        np.append(np.zeros(n_features), -1.0),
        A_ub=sides,
        b_ub=signs[:, 0] * planes.offsets[:count] / planes.extent,
        bounds=[(None, None)] * n_features + [(None, 1.0)],
    )
    return answer.x[:-1] * planes.extent if answer.x[-1] > _THINNEST else None


def _greatest(inner, outer):
    """Return the signs, 0 included, of the largest intersections of half-spaces within P.

    They hold for some inner cells and for no outer one.
    """
    found = set()
    for cell in inner:
        for support in _transversals(outer != cell):
            members = np.zeros(len(cell), dtype=int)
            members[list(support)] = cell[list(support)]
            found.add(tuple(members))
    # Those of most cells first, and of the same cells the sparsest.
    covered = {
        member: frozenset(np.flatnonzero(np.all((inner == member) | np.equal(member, 0), axis=1)))
        for member in found
    }
    ranked = sorted(found, key=lambda m: (-len(covered[m]), np.count_nonzero(m), m))
    kept = []
    for member in ranked:
        if not any(covered[member] <= covered[other] for other in kept):
            kept.append(member)
    return np.array(kept)


def _transversals(differences):
    """Return the minimal sets of columns that meet every row (Berge's algorithm)."""
    rows = {frozenset(np.flatnonzero(row)) for row in differences}
    found = {frozenset()}
    for row in sorted(rows, key=len):
        hit = {chosen for chosen in found if chosen & row}
        longer = {chosen | {index} for chosen in found - hit for index in row}
        found = hit | {chosen for chosen in longer if not any(least <= chosen for least in hit)}
    return found


def _build(planes, members):
    """Chain the planes, a minimum over each member's, and the maximum of those."""
    n_features = planes.normals.shape[1]
    # The values at hand are units @ kernel + bias, where units are those of the layer before.
    kernel, bias, layers = planes.normals.T, planes.offsets, []
    used = [np.flatnonzero(member) for member in members]
    columns = np.concatenate(used)
    signs = np.concatenate([member[index] for member, index in zip(members, used, strict=True)])
    kernel, bias = kernel[:, columns] * signs, bias[columns] * signs
    sizes = [len(index) for index in used]
    for sign in (-1.0, 1.0):
        while max(sizes) > 1:
            before, after, sizes = _halve(sizes, sign)
            layers.append((kernel @ before, bias @ before))
            kernel, bias = after, np.zeros(after.shape[1])
        sizes = [len(sizes)]
    layers.append((kernel, bias))
    model = keras.Sequential([keras.Input((n_features,))])
    for weights, _ in layers[:-1]:
        model.add(keras.layers.Dense(weights.shape[1], "relu", kernel_initializer="zeros"))
    model.add(keras.layers.Dense(1, kernel_initializer="zeros"))
    model.set_weights([array for layer in layers for array in layer])
    return model


def _halve(sizes, sign):
    """Take the greater (sign = 1) or the lesser (-1) of each two values within groups.

    Returns the matrices from values to ReLU units and from those to the new values, and the new
    groups' sizes: max(a, b) = relu(a - b) + relu(b) - relu(-b).
    """
    entries, combined, start = [], [], 0
    for size in sizes:
        for first in range(start, start + size - 1, 2):
            a, b = first, first + 1
            entries.append([({a: sign, b: -sign}, sign), ({b: 1.0}, 1.0), ({b: -1.0}, -1.0)])
        if size % 2:
            last = start + size - 1
            entries.append([({last: 1.0}, 1.0), ({last: -1.0}, -1.0)])
        start += size
        combined.append((size + 1) // 2)
    n_units = sum(len(units) for units in entries)
    before, after = np.zeros((start, n_units)), np.zeros((n_units, len(entries)))
    unit = 0
    for value, units in enumerate(entries):
        for inputs, share in units:
            before[list(inputs), unit] = list(inputs.values())
            after[unit, value] = share
            unit += 1
    return before, after, combined


def _normal(simplex):
    """Return the unit vector at right angles to a simplex of d vertices in d dimensions."""
    edges = simplex[1:] - simplex[0]
    _, widths, axes = np.linalg.svd(edges)
    if len(edges) and not widths[-1] > _SAME * widths[0]:
        raise ValueError(f"Facet {simplex.tolist()} is degenerate: remove it from the mesh.")
    return axes[-1]


def _enclosed(corners, points):
    """Whether a ray from each point crosses the facets an odd number of times."""
    n_features = corners.shape[2]
    ray = np.random.default_rng(_RAY_SEED).normal(size=n_features)
    crossings = np.zeros(len(points), dtype=int)
    for simplex in corners:
        # point + t ray = sum_i w_i vertex_i, where the w_i sum to 1.
        matrix = np.zeros((n_features + 1, n_features + 1))
        matrix[:-1, :-1], matrix[-1, :-1], matrix[:-1, -1] = simplex.T, 1.0, -ray
        goals = np.vstack([points.T, np.ones(len(points))])
        weights = np.linalg.solve(matrix, goals)
        crossings += np.all(weights >= 0.0, axis=0)
    return crossings % 2 == 1
