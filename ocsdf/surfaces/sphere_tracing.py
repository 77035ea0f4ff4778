"""Rays that step by a distance that is never too large, and pictures of what they hit."""

from typing import NamedTuple

import numpy as np

_LIGHT = np.array([0.4, 0.8, 0.5]) / np.linalg.norm([0.4, 0.8, 0.5])


class Trace(NamedTuple):
    """Where rays end.

    Attributes
    ----------
    lengths : ndarray of shape (n,)
        Along each ray; infinity where it leaves without a hit.
    hits : ndarray of shape (n,), bool
        Whether the field came below the tolerance.
    steps : ndarray of shape (n,), int

    Examples
    --------
    >>> from ocsdf.surfaces import Trace
    >>> Trace._fields
    ('lengths', 'hits', 'steps')
    """

    lengths: np.ndarray
    hits: np.ndarray
    steps: np.ndarray


def trace(field, origins, directions, farthest, tolerance=1e-4, max_steps=512):
    r"""Follow rays from outside until they meet the zero set of a field (sphere tracing).

    A ray at x steps by :math:`|f(x)| - s(x)`, s the slack of float64. For a 1-Lipschitz f no zero
    lies nearer than that, so no ray passes through the surface, however thin.

    Parameters
    ----------
    field : callable
        1-Lipschitz, negative outside; with a method ``slack`` where rounding is to be heeded.
    origins, directions : ndarray of shape (n, 3)
        Directions are unit vectors.
    farthest : float
        Where rays end without a hit.
    tolerance : float, default=1e-4
        A ray has hit where \|f\| is at most this.
    max_steps : int, default=512

    Returns
    -------
    Trace

    Examples
    --------
    >>> import numpy as np
    >>> import trimesh
    >>> from ocsdf.surfaces import MeshDistance, trace
    >>> field = MeshDistance(trimesh.creation.box((2.0, 2.0, 2.0)))
    >>> origin, direction = np.array([[3.0, 0.0, 0.0]]), np.array([[-1.0, 0.0, 0.0]])
    >>> trace(field, origin, direction, farthest=9.0).lengths.round(3)
    array([2.])
    """
    origins, directions = np.asarray(origins, float), np.asarray(directions, float)
    lengths, steps = np.zeros(len(origins)), np.zeros(len(origins), dtype=np.int64)
    hits = np.zeros(len(origins), dtype=bool)
    moving = np.arange(len(origins))
    slack = getattr(field, "slack", lambda points: 0.0)
    for _ in range(max_steps):
        if not len(moving):
            break
        points = origins[moving] + lengths[moving, np.newaxis] * directions[moving]
        sizes = np.abs(field(points))
        steps[moving] += 1
        near = sizes <= tolerance
        hits[moving[near]] = True
        # A point on the ray is rounded, too.
        lengths[moving] += np.where(near, 0.0, sizes - slack(points) - 1e-14 * sizes)
        moving = moving[~near & (lengths[moving] < farthest)]
    lengths[~hits] = np.inf
    return Trace(lengths, hits, steps)


def look(bounds, size, angle=0.5, height=0.35):
    """Lay parallel rays through a box, seen a little from above, with y upwards.

    There are `size` pixels along each side, row by row from the top left, `angle` around the y axis
    and `height` above the horizon in radians; rays begin at a sphere around the box.
    """
    center, radius = np.mean(bounds, axis=0), 0.55 * float(np.linalg.norm(np.diff(bounds, axis=0)))
    back = np.array(
        [np.cos(height) * np.sin(angle), np.sin(height), np.cos(height) * np.cos(angle)]
    )
    right = np.array([np.cos(angle), 0.0, -np.sin(angle)])
    up = np.cross(back, right)
    steps = np.linspace(-0.9 * radius, 0.9 * radius, size)
    across, down = np.meshgrid(steps, -steps)
    origins = center + 2.0 * radius * back
    origins = origins + across.reshape(-1, 1) * right + down.reshape(-1, 1) * up
    return origins, np.broadcast_to(-back, origins.shape).copy()


def shade(field, origins, directions, traced, size):
    """Shade what rays hit by the field's own gradient, 0 to 1; 1, white, where nothing is hit."""
    picture = np.ones(size * size)
    points = (
        origins[traced.hits] + traced.lengths[traced.hits, np.newaxis] * directions[traced.hits]
    )
    if len(points):
        step = 1e-4 * float(np.abs(points).max())
        moves = step * np.eye(3)
        slopes = np.stack([field(points + move) - field(points - move) for move in moves], axis=1)
        normals = -slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-300)
        picture[traced.hits] = 0.08 + 0.82 * (0.5 + 0.5 * normals @ _LIGHT)
    return picture.reshape(size, size)
