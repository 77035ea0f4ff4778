"""Oracles in float64 NumPy and closed forms, written apart from the package."""

import numpy as np


def singular_values(matrix):
    """Singular values in float64, largest first."""
    return np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False)


def matrix_with(values, shape, rng):
    """Random float64 matrix of a shape, with given singular values (min(shape) of them)."""
    rank = min(shape)
    left = np.linalg.qr(rng.normal(size=(shape[0], rank)))[0]
    right = np.linalg.qr(rng.normal(size=(shape[1], rank)))[0]
    return left * np.asarray(values) @ right.T


def group_sort_2(rows):
    """Unit i of the first half and of the second: their minima, then their maxima."""
    first, second = np.split(rows, 2, axis=1)
    return np.hstack([np.minimum(first, second), np.maximum(first, second)])


def forward(model, points):
    """Float64 scores, shape (n,), of a sequential model of linear Dense and sorting layers."""
    return _trace(model, points)[0]


def input_gradient(model, points):
    """Float64 gradient of the scores with respect to the rows, shape (n, n_features)."""
    _, backwards = _trace(model, points)
    gradient = np.ones((len(points), 1))
    for step in reversed(backwards):
        gradient = step(gradient)
    return gradient


def _trace(model, points):
    rows, backwards = np.asarray(points, dtype=np.float64), []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Dense":
            kernel = layer.kernel.numpy().astype(np.float64)
            rows = rows @ kernel + layer.bias.numpy().astype(np.float64)
            backwards.append(lambda upstream, kernel=kernel: upstream @ kernel.T)
        elif kind in ("FullSort", "GroupSort2"):
            groups = rows.reshape(len(rows), rows.shape[1] if kind == "FullSort" else 2, -1)
            order = np.argsort(groups, axis=1, kind="stable")
            rows = np.take_along_axis(groups, order, axis=1).reshape(rows.shape)
            backwards.append(lambda upstream, order=order: _unsort(upstream, order))
        else:
            raise TypeError(f"The oracle knows no layer {kind}.")
    return rows[:, 0], backwards


def _unsort(upstream, order):
    gradient = np.empty(order.shape)
    np.put_along_axis(gradient, order, upstream.reshape(order.shape), axis=1)
    return gradient.reshape(upstream.shape)


def hkr(labels, scores, margin, hinge_weight):
    """HKR loss of each sample, one at a time (OCSDF Eq. 2)."""
    losses = []
    for label, score in zip(np.ravel(labels), np.ravel(scores), strict=True):
        hinge = margin - label * score if label * score < margin else 0.0
        losses.append(hinge_weight * hinge - label * score)
    return np.array(losses)


def nearest_in_box(points, lower, upper):
    """Nearest points of a box, coordinate by coordinate."""
    return np.minimum(np.maximum(np.asarray(points, dtype=np.float64), lower), upper)


def nearest_in_ball(points, center, radius):
    """Nearest points of a ball: along the ray from its centre."""
    center = np.asarray(center, dtype=np.float64)
    nearest = np.array(points, dtype=np.float64)
    for i, offset in enumerate(nearest - center):
        distance = np.sqrt(np.sum(offset**2))
        if distance > radius:
            nearest[i] = center + float(radius) / distance * offset
    return nearest


def newton(points, values, gradients, level, share):
    """Plain Newton step of OCSDF Eq. 7: share (c - f) / |grad f|^2 grad f."""
    gap = share * (level - values)
    return points + (gap / np.sum(gradients**2, axis=1))[:, np.newaxis] * gradients
