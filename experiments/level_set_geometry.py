"""Level sets of the plane as polylines, and distances to them and between point sets."""

import numpy as np
from contourpy import contour_generator
from scipy.spatial import cKDTree

_ROWS_AT_ONCE = 16_384
_PAIRS_AT_ONCE = 4_000_000


def evaluate(network, points):
    """Evaluate a network in batches."""
    parts = np.array_split(points.astype(np.float32), max(1, -(-len(points) // _ROWS_AT_ONCE)))
    return np.concatenate([network(part).numpy() for part in parts])


def on_grid(score, low, high, resolution):
    """Evaluate a function on a grid over the square [low, high]^2."""
    side = np.linspace(low, high, resolution)
    points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return score(points).reshape(resolution, resolution)


def level_set(grid, low, high, level=0.0):
    """Trace a level set by marching squares."""
    side = np.linspace(low, high, len(grid))
    lines = contour_generator(side, side, grid).lines(level)
    segments = [np.stack([line[:-1], line[1:]], axis=1) for line in lines]
    return np.concatenate(segments) if segments else np.empty((0, 2, 2))


def along(segments, positions):
    """Find points of polylines by their share of the whole length."""
    steps = segments[:, 1] - segments[:, 0]
    ends = np.cumsum(np.linalg.norm(steps, axis=1))
    reached = positions * ends[-1]
    index = np.minimum(np.searchsorted(ends, reached), len(segments) - 1)
    lengths = np.diff(ends, prepend=0.0)[index]
    shares = 1.0 - (ends[index] - reached) / np.where(lengths > 0.0, lengths, 1.0)
    return segments[index, 0] + shares[:, np.newaxis] * steps[index]


def distance_to_segments(points, segments, norm="l2"):
    r"""Measure how far points are from the nearest of many segments, exactly.

    .. math:: \min_{i} \min_{0 \le t \le 1} \|a_i + t (b_i - a_i) - x\|
    """
    if not len(segments):
        return np.full(len(points), np.inf)
    n_parts = max(1, len(points) * len(segments) // _PAIRS_AT_ONCE)
    parts = np.array_split(points, n_parts)
    return np.concatenate([_nearest(part, segments, norm).min(axis=1) for part in parts])


def _nearest(points, segments, norm):
    start = segments[:, 0] - points[:, np.newaxis]
    step = np.broadcast_to(segments[:, 1] - segments[:, 0], start.shape)
    if norm == "l2":
        turns = [_ratio(-(start * step).sum(axis=-1), (step**2).sum(axis=-1))]
    else:
        # max |.| is convex and piecewise linear in t: the least is at an end or at a kink, where
        # the coordinates' sizes are equal or one of them is 0.
        (x, y), (u, v) = np.moveaxis(start, -1, 0), np.moveaxis(step, -1, 0)
        turns = [_ratio(-x, u), _ratio(-y, v), _ratio(y - x, u - v), _ratio(-x - y, u + v)]
        turns += [np.zeros_like(x), np.ones_like(x)]
    order = 2 if norm == "l2" else np.inf
    return np.min(
        [np.linalg.norm(start + t[..., np.newaxis] * step, order, axis=-1) for t in turns], axis=0
    )


def _ratio(above, below):
    """A quotient within [0, 1]; 0 where nothing is divided by."""
    return np.clip(above / np.where(below == 0.0, 1.0, below) * (below != 0.0), 0.0, 1.0)


def both_ways(points, truth):
    """Measure from each of two point sets to the nearest of the other, in l2."""
    if not len(points):
        return np.empty(0), np.full(len(truth), np.inf)
    return cKDTree(truth).query(points)[0], cKDTree(points).query(truth)[0]
