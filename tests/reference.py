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
    """Float64 scores, shape (n,), of a network of any layers that a certificate covers."""
    return _trace(model, np.asarray(points, dtype=np.float64))[0][:, 0]


def input_gradient(model, points):
    """Float64 gradient of the scores with respect to the rows, shape (n, n_features)."""
    _, backwards = _trace(model, np.asarray(points, dtype=np.float64))
    return backwards(np.ones((len(points), 1)))


def _trace(model, rows):
    """A network's output, and the function that carries a gradient back to its input."""
    steps = []
    for layer in model.layers:
        rows, backwards = _TRACES[type(layer).__name__](layer, rows)
        steps.append(backwards)

    def through_all(upstream):
        for backwards in reversed(steps):
            upstream = backwards(upstream)
        return upstream

    return rows, through_all


def _dense(layer, rows):
    kernel, bias = (np.asarray(weight, dtype=np.float64) for weight in layer.get_weights())
    return rows @ kernel + bias, lambda upstream: upstream @ kernel.T


def _sort(layer, rows):
    size = rows.shape[1] if type(layer).__name__ == "FullSort" else 2
    groups = rows.reshape(len(rows), size, -1)
    order = np.argsort(groups, axis=1, kind="stable")
    found = np.take_along_axis(groups, order, axis=1).reshape(rows.shape)
    return found, lambda upstream: _unsort(upstream, order)


def _asinh(layer, rows):
    found = layer.scale * np.arcsinh(rows / layer.scale)
    return found, lambda upstream: upstream / np.sqrt(1.0 + (rows / layer.scale) ** 2)


def _subsample_distance(layer, rows):
    """Groups of k references that follow each other, one reference at a time."""
    references = layer.references.numpy().astype(np.float64)
    order, divisor = (1, np.sqrt(rows.shape[1])) if layer.norm == "l1" else (2, 1.0)
    distances = [np.linalg.norm(rows - r, order, axis=1) / divisor for r in references]
    distances = np.stack(distances, axis=1)
    # How much each reference counts: as one of the groups of each size that it is nearest in.
    shares = np.zeros_like(distances)
    for size in layer.group_sizes:
        groups = distances.reshape(len(rows), -1, size)
        nearest = np.arange(size) == groups.argmin(axis=2)[:, :, np.newaxis]
        shares += nearest.reshape(shares.shape) / (groups.shape[1] * len(layer.group_sizes))

    def backwards(upstream):
        gradient = np.zeros_like(rows)
        for r, share, distance in zip(references, shares.T, distances.T, strict=True):
            if order == 1:
                slope = np.sign(rows - r) / divisor
            else:
                slope = (rows - r) / distance[:, np.newaxis]
            gradient -= share[:, np.newaxis] * slope
        return upstream * gradient

    return -np.sum(shares * distances, axis=1, keepdims=True), backwards


def _weighted_mean(layer, rows):
    found, backwards = zip(*[_trace(member, rows) for member in layer.members], strict=True)

    def mean(values):
        return sum(share * value for share, value in zip(layer.shares, values, strict=True))

    bias = layer.bias.numpy().astype(np.float64)
    return mean(found) + bias, lambda upstream: mean([step(upstream) for step in backwards])


def _scaled_minimum(layer, rows):
    found, backwards = zip(*[_trace(member, rows) for member in layer.members], strict=True)
    scales = np.array(layer.scales)
    values = scales * (np.hstack(found) - layer.levels.numpy().astype(np.float64))
    least = values.argmin(axis=1)

    def pick(upstream):
        steps = np.stack([step(upstream) for step in backwards])
        return scales[least][:, np.newaxis] * steps[least, np.arange(len(rows))]

    return values.min(axis=1, keepdims=True), pick


_TRACES = {
    "Dense": _dense,
    "FullSort": _sort,
    "GroupSort2": _sort,
    "Asinh": _asinh,
    "SubsampleDistance": _subsample_distance,
    "WeightedMean": _weighted_mean,
    "ScaledMinimum": _scaled_minimum,
}


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
