"""B, the bounded set that negatives live in (OCSDF Sec. 3.1, App. E)."""

import sys

import numpy as np

_WIDTH = 5.0


class Box:
    """Axis-aligned box: mean +- 5 standard deviations, enlarged to contain the data.

    Parameters
    ----------
    lower, upper : array-like or tensor of shape (n_features,)
        Its corners.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.training import Box
    >>> box = Box(np.zeros(2), np.ones(2))
    >>> box.contains(np.array([[0.5, 0.5], [2.0, 0.5]]))
    array([ True, False])
    """

    def __init__(self, lower, upper):
        self.lower = _as_float32(lower)
        self.upper = _as_float32(upper)

    @classmethod
    def from_data(cls, points):
        """Fit the box to rows; a column without spread is given one of 1.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Rows in the units that a network is trained in.

        Returns
        -------
        Box
            Contains every row (OCSDF Def. 3).
        """
        points = points.astype(np.float64)
        least, most = points.min(axis=0), points.max(axis=0)
        spread = _WIDTH * np.where(most > least, points.std(axis=0), 1.0)
        mean = points.mean(axis=0)
        return cls(np.minimum(mean - spread, least), np.maximum(mean + spread, most))

    def project(self, points):
        """Return the nearest points of the box, in l2: an array or tensor like ``points``."""
        xp = namespace_of(points)
        return xp.minimum(xp.maximum(points, self.lower), self.upper)

    def sample(self, n_samples, random_state):
        """Draw uniformly from the box.

        Parameters
        ----------
        n_samples : int
        random_state : numpy.random.Generator

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32
        """
        share = random_state.random((n_samples, len(self.lower)), dtype=np.float32)
        return self.project(self.lower + share * (self.upper - self.lower))

    def contains(self, points):
        """Tell which rows lie in the box: ndarray of bool, shape (n_samples,)."""
        points = np.asarray(points, dtype=np.float32)
        return np.all((points >= self.lower) & (points <= self.upper), axis=1)

    def arrays(self):
        """Return what the constructor takes, by name."""
        return {"lower": self.lower, "upper": self.upper}


class Ball:
    """Ball of radius 5 standard deviations around the mean, enlarged to contain the data.

    Parameters
    ----------
    center : array-like or tensor of shape (n_features,)
    radius : float
        In l2.

    Examples
    --------
    A ball of rows contains them, and leaves out what is far from them all:

    >>> import numpy as np
    >>> from ocsdf.training import Ball
    >>> ball = Ball.from_data(np.random.default_rng(0).normal(size=(100, 3)))
    >>> ball.contains(np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]]))
    array([ True, False])
    """

    def __init__(self, center, radius):
        self.center = _as_float32(center)
        self.radius = _as_float32(radius)

    @classmethod
    def from_data(cls, points):
        """Fit the ball to rows, all of which it contains, as :meth:`Box.from_data`.

        The standard deviation is the columns' root mean square.
        """
        points = points.astype(np.float64)
        center = points.mean(axis=0).astype(np.float32)
        spread = np.sqrt(np.mean(np.var(points, axis=0))) if np.ptp(points, axis=0).any() else 1.0
        farthest = np.linalg.norm(points - center, axis=1).max()
        # A little more than the farthest row, so that float32 rounding leaves none outside.
        return cls(center, max(_WIDTH * spread, farthest * (1.0 + 1e-5)))

    def project(self, points):
        """Return the nearest points of the ball, in l2: an array or tensor like ``points``."""
        offset = points - self.center
        xp = namespace_of(points)
        distance = xp.linalg.norm(offset, axis=1, keepdims=True)
        return self.center + offset * (self.radius / xp.maximum(distance, self.radius))

    def sample(self, n_samples, random_state):
        """Draw uniformly from the ball, as :meth:`Box.sample`.

        A normal direction, and a distance of radius * u^(1/d) with u uniform.
        """
        n_features = len(self.center)
        direction = random_state.standard_normal((n_samples, n_features), dtype=np.float32)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        distance = random_state.random((n_samples, 1), dtype=np.float32) ** (1.0 / n_features)
        return self.project(self.center + self.radius * distance * direction)

    def contains(self, points):
        """Tell which rows lie in the ball: ndarray of bool, shape (n_samples,)."""
        offset = np.asarray(points, dtype=np.float64) - self.center
        # What float32 may round a projected point by.
        rounding = 4.0 * np.finfo(np.float32).eps * np.linalg.norm(abs(self.center) + self.radius)
        return np.linalg.norm(offset, axis=1) <= self.radius + rounding

    def arrays(self):
        """Return what the constructor takes, by name."""
        return {"center": self.center, "radius": self.radius}


def namespace_of(points):
    """Return the library of an array or tensor: NumPy or TensorFlow."""
    return np if isinstance(points, np.ndarray) else sys.modules["tensorflow"]


def _as_float32(values):
    """Take arrays, and in a graph tensors; where there are some, their library is loaded."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and tensorflow.is_tensor(values):
        return values
    return np.asarray(values, dtype=np.float32)


DOMAINS = {"box": Box, "ball": Ball}
