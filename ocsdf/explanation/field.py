"""A score as height over a level: what a search for the other side of it climbs."""

from typing import NamedTuple

import numpy as np

from ocsdf.networks.gradients import input_gradient

TOLERANCE = 1e-6


def check_points(network, points):
    """Return rows as float64.

    A ValueError says that they do not fit the network or are not finite.
    """
    points = np.asarray(points, dtype=np.float64)
    width = network.n_features
    if points.ndim != 2 or points.shape[1] != width or not np.isfinite(points).all():
        raise ValueError(
            f"points must be finite, of shape (n, {width}); got shape {points.shape} with "
            f"{np.count_nonzero(~np.isfinite(points))} NaN or infinite."
        )
    return points


class Field:
    """A score, seen as height over what must be climbed to be across a level.

    Height is positive where the real-valued f is beyond the level, on the other side, by more
    than half the tolerance.
    """

    def __init__(self, network, level, tolerance=TOLERANCE, within=None, free=None):
        if not np.isfinite(level):
            raise ValueError(f"level must be a finite number, got {level!r}.")
        if not tolerance > 0.0:
            raise ValueError(f"tolerance must be positive, got {tolerance!r}.")
        self._network, self._level, self._within = network, level, within
        self._gradients = input_gradient(network)
        self.free = free
        self.lipschitz = network.lipschitz_bound
        self.most = tolerance / 2.0

    def other_side(self, points):
        """The sign of f - level that each row does not have."""
        return np.where(self._network.score(points) >= self._level, -1.0, 1.0)

    def gradients(self, points):
        """The gradient of f with respect to the features that may change."""
        gradients = self._gradients(points)
        return gradients if self.free is None else gradients * self.free

    def height(self, points, side):
        """How far f is beyond the level, less half the tolerance and what rounding does."""
        rise = side * (self._network.score(points) - self._level)
        return rise - self._network.rounding_error(points) - self.most

    def is_across(self, points, side):
        """Tell where f is beyond the level whoever evaluates it, by however little."""
        rise = side * (self._network.score(points) - self._level)
        return rise > 2.0 * self._network.rounding_error(points)

    def confine(self, points):
        """The nearest points of the set that is not left."""
        return points if self._within is None else self._within.project(points)

    def slopes(self, points, side, moves=None):
        """The gradient of the height, along the features that move: all, or a row of bool each."""
        gradient = side[:, None] * self.gradients(points)
        return gradient if moves is None else np.where(moves, gradient, 0.0)

    def toward(self, side, moves=None):
        """Height as :func:`ocsdf.training.newton.newton_step` takes it."""
        return _Slope(self, side, moves)


class _Slope(NamedTuple):
    field: Field
    side: np.ndarray
    moves: np.ndarray | None

    def value_and_gradient(self, points):
        gradient = self.field.slopes(points, self.side, self.moves)
        return self.field.height(points, self.side), gradient
