"""A network as the signed distance to a cloud of points, in their own units."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

from ocsdf.surfaces.local_fit import LocalSurface
from ocsdf.surfaces.meshing import extract_surface, import_surface_package

# Space around the points in which the network is trained, where their longest side is 1.
_BORDER = 0.1
# Distances beyond this are not told apart.
_FARTHEST = 0.2
# Standard deviations of queries around the points, in their typical distances.
_SPREADS = (0.5, 2.0)
# Typical distances from the points up to which a part of a surface is theirs.
_REACH = 3.0
# Of the network's largest slope found; an estimate, not a bound.
_STEEPNESS, _N_SLOPES = 1.5, 8_192
_ROWS = tf.TensorSpec((None, 3), tf.float32)


class NeuralSurface:
    """A network as a function of points in their own units.

    Parameters
    ----------
    network : callable
        Maps float32 tensors (n, 3) to (n, 1), positive inside, where the longest side of the
        cloud is 1.
    frame : Frame
        Frame of the cloud.

    Attributes
    ----------
    lower, upper : ndarray of shape (3,)
        Corners of the box in which it was trained.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from ocsdf.surfaces.neural import Frame, NeuralSurface
    >>> frame = Frame(None, np.zeros(3), 4.0, np.full(3, -2.0), np.full(3, 2.0))
    >>> def ball(points):
    ...     return 0.25 - tf.norm(points, axis=1, keepdims=True)
    >>> NeuralSurface(ball, frame).distance(np.array([[3.0, 0.0, 0.0]])).round(4)
    array([-2.])
    """

    def __init__(self, network, frame):
        self._evaluate = tf.function(lambda rows: network(rows)[:, 0], input_signature=[_ROWS])
        self._frame = frame
        self.lower, self.upper = frame.lower, frame.upper

    def distance(self, points):
        """Evaluate the signed distance, positive inside.

        Parameters
        ----------
        points : ndarray of shape (n, 3)

        Returns
        -------
        ndarray of shape (n,)
        """
        rows = tf.constant(self._frame.to_scaled(points), tf.float32)
        return self._frame.scale * self._evaluate(rows).numpy().astype(np.float64)

    def slopes(self, points):
        """Return the norm of the gradient at points: ndarray of shape (n,)."""
        rows = tf.constant(self._frame.to_scaled(points), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(rows)
            values = self._evaluate(rows)
        return np.linalg.norm(tape.gradient(values, rows).numpy(), axis=1)

    def mesh(self, resolution, random_state):
        """Make the mesh of the zero level set near the cloud.

        The grid is pruned by the largest slope found.

        Parameters
        ----------
        resolution : int
            As of :func:`ocsdf.surfaces.meshing.extract_surface`.
        random_state : numpy.random.Generator
            Draws the points where slopes are looked at.

        Returns
        -------
        trimesh.Trimesh
            Watertight. The network has no small proven Lipschitz constant: a sliver of surface
            steeper than any slope found could be missed.
        """
        some = random_state.uniform(self.lower, self.upper, (_N_SLOPES, 3))
        lipschitz = _STEEPNESS * max(1.0, float(self.slopes(some).max()))
        mesh = extract_surface(self.distance, self.lower, self.upper, resolution, 0.0, lipschitz)
        return self._frame.drop_far_parts(mesh)


class Frame(NamedTuple):
    """A cloud scaled so that its longest side is 1, centred at 0.

    ``lower`` and ``upper`` are corners of a box around the cloud, in its own units.
    """

    surface: LocalSurface
    center: np.ndarray
    scale: float
    lower: np.ndarray
    upper: np.ndarray

    def wrap(self, network):
        """Return a network of the scaled units as a :class:`NeuralSurface`."""
        return NeuralSurface(network, self)

    def scaled_box(self):
        """Return the corners of the box in the scaled units."""
        return self.to_scaled(self.lower), self.to_scaled(self.upper)

    def to_scaled(self, points):
        """Turn points of the cloud's own units, ndarray of shape (n, 3), into scaled ones."""
        return (points - self.center) / self.scale

    def drop_far_parts(self, mesh):
        """Leave out the connected parts of a mesh that are nowhere near a point of the cloud.

        Far from the points, for instance in the corners of the box, a network may change sign
        without a reason. A part stays if some vertex, in the cloud's units, is within three typical
        distances of a point; if none is, all stay.
        """
        trimesh = import_surface_package("trimesh")
        distances, _ = cKDTree(self.surface.points).query(self.to_scaled(mesh.vertices))
        near = distances <= _REACH * self.surface.spacing
        parts = trimesh.graph.connected_component_labels(mesh.edges, node_count=len(near))
        kept = np.isin(parts, parts[near])
        if kept.all() or not kept.any():
            return mesh
        faces = mesh.faces[kept[mesh.faces[:, 0]]]
        used, places = np.unique(faces, return_inverse=True)
        return trimesh.Trimesh(mesh.vertices[used], places.reshape(-1, 3), process=False)


def frame_cloud(points):
    """Scale a cloud and fit quadrics to it."""
    lowest, highest = points.min(axis=0), points.max(axis=0)
    center, scale = (lowest + highest) / 2.0, float((highest - lowest).max())
    border = _BORDER * scale
    surface = LocalSurface((points - center) / scale)
    return Frame(surface, center, scale, lowest - border, highest + border)


def draw_queries(frame, n_queries, random_state):
    """Draw points around a cloud and in its box, with their signed distance to it."""
    surface, n_uniform = frame.surface, n_queries // 10
    n_near = n_queries - n_uniform
    spreads = surface.spacing * random_state.choice(_SPREADS, (n_near, 1))
    near = surface.points[random_state.integers(len(surface.points), size=n_near)]
    near = near + spreads * random_state.standard_normal((n_near, 3))
    uniform = random_state.uniform(*frame.scaled_box(), (n_uniform, 3))
    queries = np.concatenate([near, uniform])
    return queries, np.clip(surface.signed_distance(queries), -_FARTHEST, _FARTHEST)
