"""Which side of each point is outside."""

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from ocsdf.surfaces.winding import solve

# Least-size vectors are wanted, not exact winding numbers: much ridge, few steps.
_RIDGE, _STEPS = 0.2, 12
# Neighbours that normals agree with; what the winding number weighs against each of them.
_NEIGHBOURS, _POWER, _TRUST = 12, 4, 1.0
# How fast a neighbour counts less the farther it is from the plane of a normal.
_FLATNESS = 8


def orient(points, normals, areas, grid):
    r"""Turn normals outward, where the surface is closed or nearly so; 1 or -1 for each.

    Vectors of least size whose winding number is one half at every point look outward, wherever
    they begin (parametric Gauss reconstruction, Lin et al., 2022). With their cosines u to the
    normals, signs s minimize

    .. math:: \sum_{ij} |c_{ij}|^4 e_{ij}^8 (s_i - \mathrm{sign}(c_{ij}) s_j)^2
        + \tau \sum_i (s_i - u_i)^2, \qquad c_{ij} = n_i^T n_j,

    over neighbours i, j: a convex problem, so that no tree of decisions carries one mistake on.
    With o the unit vector from one to the other,
    :math:`e_{ij} = 1 - \max((o^T n_i)^2, (o^T n_j)^2)` is 1 along a surface and 0 across a thin
    sheet, whose two sides look apart.
    """
    vectors = solve(grid, areas / grid.side**2, np.full(len(points), 0.5), _STEPS, _RIDGE, 0.01)
    sides = np.sum(vectors * normals, axis=1)
    sides = np.clip(sides / np.abs(sides).mean(), -1.0, 1.0)
    n_points, n_others = len(points), min(_NEIGHBOURS, len(points) - 1)
    _, neighbours = cKDTree(points).query(points, k=n_others + 1)
    rows, columns = np.repeat(np.arange(n_points), n_others), neighbours[:, 1:].ravel()
    cosines = np.sum(normals[rows] * normals[columns], axis=1)
    weights = np.sign(cosines) * np.abs(cosines) ** _POWER
    offsets = points[columns] - points[rows]
    squares = np.maximum(np.sum(offsets**2, axis=1), np.finfo(float).tiny)
    across = [np.sum(offsets * normals[ends], axis=1) ** 2 / squares for ends in (rows, columns)]
    weights *= np.maximum(1.0 - np.maximum(*across), 0.0) ** _FLATNESS
    graph = coo_matrix((weights, (rows, columns)), (n_points, n_points)).tocsr()
    graph = (graph + graph.T) / 2.0
    degrees = np.asarray(abs(graph).sum(axis=1)).ravel()
    signs, _ = cg(diags(degrees + _TRUST) - graph, _TRUST * sides, x0=sides, rtol=1e-3, maxiter=300)
    return np.where(signs < 0.0, -1.0, 1.0)
