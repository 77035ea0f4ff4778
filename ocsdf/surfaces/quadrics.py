"""Quadrics fitted to the neighbours of points: compiled passes, a point at a time."""

import numpy as np

from ocsdf.utils.compiled import compiled

# Added to the diagonal of the normal equations, whose trace is about 1, so that neighbours on a
# line or a conic leave a plane.
_RIDGE = 1e-4


@compiled
def fit_around(points, neighbours, sizes, heights, normals):
    """Fit quadrics over planes of principal components, to the neighbours of points themselves.

    `neighbours` are by distance, the first is the point itself, which is left out; `sizes` say how
    many take part. Written are `heights`, of the quadric above the point along the plane's normal,
    and `normals`, those of the planes.
    """
    n_most = neighbours.shape[1]
    offsets, origin = np.empty((n_most, 3)), np.zeros(3)
    frame, terms = np.empty((3, 3)), np.empty(6)
    for i in range(len(neighbours)):
        for j in range(n_most):
            for a in range(3):
                offsets[j, a] = points[neighbours[i, j], a] - points[neighbours[i, 0], a]
        for s in range(len(sizes)):
            _principal_axes(offsets[1 : sizes[s] + 1], frame)
            radius = _fit(offsets[1 : sizes[s] + 1], origin, frame, terms)
            heights[i, s] = radius * terms[0]
            normals[i, s] = frame[:, 0]


@compiled
def validate(points, origins, normals, neighbours, first, sizes, errors):
    """Measure how far points lie from quadrics over given planes that leave them out.

    The plane of point i goes through ``origins[i]``, with the unit normal ``normals[i]``, and
    `neighbours`, by distance to the origins, are those of the points from `first` on. `errors` is
    written: the height of the point above the quadric of each of the `sizes`.
    """
    n_most = neighbours.shape[1]
    offsets, origin, own = np.empty((n_most, 3)), np.zeros(3), np.empty(3)
    frame, terms = np.empty((3, 3)), np.empty(6)
    for row in range(len(neighbours)):
        i = first + row
        n_others = 0
        for j in range(n_most):
            if neighbours[row, j] != i:
                for a in range(3):
                    offsets[n_others, a] = points[neighbours[row, j], a] - origins[i, a]
                n_others += 1
        for a in range(3):
            own[a] = points[i, a] - origins[i, a]
        _complete(normals[i], frame)
        z, x, y = 0.0, 0.0, 0.0
        for a in range(3):
            z += own[a] * frame[a, 0]
            x += own[a] * frame[a, 1]
            y += own[a] * frame[a, 2]
        for s in range(len(sizes)):
            radius = _fit(offsets[: min(sizes[s], n_others)], origin, frame, terms)
            u, v = x / radius, y / radius
            height = terms[0] + terms[1] * u + terms[2] * v
            height += terms[3] * u * u + terms[4] * u * v + terms[5] * v * v
            errors[row, s] = z - radius * height


@compiled
def move_onto(points, origins, normals, neighbours, first, sizes, moved, frames, curvatures):
    """Move origins onto quadrics over given planes, and describe the quadrics there.

    The parameters are those of :func:`validate`, with a size at each origin. Written are `moved`,
    along the normals, `frames` (the unit normal there and two tangents, as columns) and
    `curvatures`, the second derivatives uu, uv and vv of the height over the tangents.
    """
    n_most = neighbours.shape[1]
    offsets, origin = np.empty((n_most, 3)), np.zeros(3)
    frame, terms, tilted = np.empty((3, 3)), np.empty(6), np.empty((3, 3))
    turn = np.empty((2, 2))
    for row in range(len(neighbours)):
        i = first + row
        for j in range(sizes[i]):
            for a in range(3):
                offsets[j, a] = points[neighbours[row, j], a] - origins[i, a]
        _complete(normals[i], frame)
        radius = _fit(offsets[: sizes[i]], origin, frame, terms)
        length = np.sqrt(1.0 + terms[1] ** 2 + terms[2] ** 2)
        normal = np.empty(3)
        for a in range(3):
            moved[row, a] = origins[i, a] + radius * terms[0] * frame[a, 0]
            normal[a] = frame[a, 0] - terms[1] * frame[a, 1] - terms[2] * frame[a, 2]
            normal[a] /= length
        _complete(normal, tilted)
        for p in range(2):
            for q in range(2):
                turn[p, q] = 0.0
                for a in range(3):
                    turn[p, q] += tilted[a, p + 1] * frame[a, q + 1]
        scale = 1.0 / (radius * length)
        xx, xy, yy = 2.0 * terms[3] * scale, terms[4] * scale, 2.0 * terms[5] * scale
        for number in range(3):
            p, q = max(0, number - 1), min(1, number)
            curvatures[row, number] = (
                turn[p, 0] * turn[q, 0] * xx
                + (turn[p, 0] * turn[q, 1] + turn[p, 1] * turn[q, 0]) * xy
                + turn[p, 1] * turn[q, 1] * yy
            )
        frames[row] = tilted


@compiled
def _weights_end(offsets, origin):
    """Return the squared distance of the farthest neighbour, where weights are exp(-2)."""
    farthest = 1e-300
    for j in range(len(offsets)):
        square = 0.0
        for a in range(3):
            square += (offsets[j, a] - origin[a]) ** 2
        farthest = max(farthest, square)
    return farthest


@compiled
def _principal_axes(offsets, frame):
    """Write the principal axes of weighted neighbours, the one of least extent first."""
    scale = 1.0 / np.sqrt(_weights_end(offsets, np.zeros(3)))
    total, mean, products = 0.0, np.zeros(3), np.zeros((3, 3))
    for j in range(len(offsets)):
        square = 0.0
        for a in range(3):
            square += (offsets[j, a] * scale) ** 2
        weight = np.exp(-2.0 * square)
        total += weight
        for a in range(3):
            mean[a] += weight * offsets[j, a] * scale
            for b in range(a, 3):
                products[a, b] += weight * offsets[j, a] * offsets[j, b] * scale * scale
    for a in range(3):
        for b in range(a, 3):
            products[a, b] = products[a, b] / total - mean[a] * mean[b] / total**2
            products[b, a] = products[a, b]
    _, axes = np.linalg.eigh(products)
    frame[:] = axes


@compiled
def _complete(normal, frame):
    """Write a unit normal and two axes at right angles to it as the columns of a frame."""
    least = 0
    for a in range(1, 3):
        if abs(normal[a]) < abs(normal[least]):
            least = a
    length = np.sqrt(1.0 - normal[least] ** 2)
    for a in range(3):
        frame[a, 0] = normal[a]
        frame[a, 1] = ((1.0 if a == least else 0.0) - normal[least] * normal[a]) / length
    frame[0, 2] = frame[1, 0] * frame[2, 1] - frame[2, 0] * frame[1, 1]
    frame[1, 2] = frame[2, 0] * frame[0, 1] - frame[0, 0] * frame[2, 1]
    frame[2, 2] = frame[0, 0] * frame[1, 1] - frame[1, 0] * frame[0, 1]


@compiled
def _fit(offsets, origin, frame, terms):
    """Fit 1, x, y, xx, xy, yy in units of the radius of the neighbours, which is returned."""
    radius = np.sqrt(_weights_end(offsets, origin))
    matrix, right, monomials = np.zeros((6, 6)), np.zeros(6), np.empty(6)
    local, total = np.empty(3), 0.0
    for j in range(len(offsets)):
        square = 0.0
        local[:] = 0.0
        for a in range(3):
            offset = (offsets[j, a] - origin[a]) / radius
            square += offset * offset
            for b in range(3):
                local[b] += offset * frame[a, b]
        weight = np.exp(-2.0 * square)
        total += weight
        x, y = local[1], local[2]
        monomials[0], monomials[1], monomials[2] = 1.0, x, y
        monomials[3], monomials[4], monomials[5] = x * x, x * y, y * y
        for p in range(6):
            right[p] += weight * monomials[p] * local[0]
            for q in range(p, 6):
                matrix[p, q] += weight * monomials[p] * monomials[q]
    for p in range(6):
        matrix[p, p] += _RIDGE * total
        for q in range(p):
            matrix[p, q] = matrix[q, p]
    terms[:] = np.linalg.solve(matrix, right)
    return radius
