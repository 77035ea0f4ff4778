"""The exact signed distance to a closed mesh in space: 1-Lipschitz in l2."""

import numpy as np

from ocsdf.operations.base import Operation, Rounding, operation
from ocsdf.operations.fields import as_array, check_width, freeze
from ocsdf.operations.triangles import build_boxes, cross_rays, find_nearest

# Directions of rays, tried until none passes near a side of a triangle.
_N_DIRECTIONS = 16
# Roundings of a distance, each in units of the largest coordinate: 2^-46 of it.
_N_TERMS = 128


@operation("solid_distance")
class SolidDistance(Operation):
    r"""Signed distance to a closed mesh, positive inside.

    .. math:: f(x) = s(x) \min_{y \in M} \|x - y\|_2

    where s is 1 if a ray from x crosses M an odd number of times, and -1 otherwise. As every edge
    of M has an even number of faces, s is constant on each connected part of the complement of M,
    and f is 1-Lipschitz in l2: on the way from one part to another f passes 0. Parts of the mesh
    may lie one inside the other, and cross.
    """

    vertices: np.ndarray
    faces: np.ndarray

    def __post_init__(self):
        vertices, faces = as_array(self.vertices, 2, "vertices"), as_array(self.faces, 2, "faces")
        places = faces.astype(np.int64)
        if vertices.shape[1] != 3 or faces.shape[1] != 3:
            raise ValueError(
                f"vertices and faces must have 3 columns; got {vertices.shape} and {faces.shape}."
            )
        if np.any(places != faces) or places.min() < 0 or places.max() >= len(vertices):
            raise ValueError(f"faces must be places of {len(vertices):,} vertices.")
        edges = np.sort(places[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        _, counts = np.unique(edges, axis=0, return_counts=True)
        if (counts % 2).any():
            raise ValueError(
                f"a signed distance needs a closed mesh; {np.count_nonzero(counts % 2):,} of its "
                f"{len(counts):,} edges do not have two faces. Close its holes first."
            )
        freeze(self, vertices=vertices, faces=faces, _triangles=vertices[places])
        freeze(self, _tree=build_boxes(self._triangles))

    def output_shape(self, shape):
        check_width(shape, 3, "A solid")
        return (1,)

    def evaluate(self, values, scratch=None):
        distances, _, _ = self._nearest(values)
        return np.where(self._inside(values), distances, -distances)[:, np.newaxis]

    def linearize(self, values):
        distances, faces, (second, third) = self._nearest(values)
        signed = np.where(self._inside(values), distances, -distances)[:, np.newaxis]
        a, b, c = np.moveaxis(self._triangles[faces], 1, 0)
        offset = values - a - second * (b - a) - third * (c - a)
        slope = offset / np.where(signed != 0.0, signed, 1.0)
        return signed, lambda upstream: upstream * slope

    def first_hits(self, origins, directions):
        """Measure along rays to the mesh, in lengths of the directions; infinity if they miss."""
        counts, first = self._cross(origins, directions)
        return np.where(counts == 0, np.inf, first)

    def _nearest(self, points):
        """Return distances, nearest faces, and the place on them as two columns."""
        distances, faces = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
        places = np.empty((len(points), 2))
        find_nearest(points, self._triangles, *self._tree, distances, faces, places)
        return distances, faces, places.T[:, :, np.newaxis]

    def _cross(self, origins, directions):
        counts, first = np.empty(len(origins), dtype=np.int64), np.empty(len(origins))
        cross_rays(origins, directions, self._triangles, *self._tree, counts, first)
        return counts, first

    def _inside(self, points):
        """Tell by the parity of crossings; rays that touch a side are drawn anew."""
        random_state = np.random.default_rng(0)
        inside, open_ = np.zeros(len(points), dtype=bool), np.arange(len(points))
        for _ in range(_N_DIRECTIONS):
            direction = random_state.standard_normal(3)
            counts, _ = self._cross(
                points[open_], np.broadcast_to(direction, (len(open_), 3)).copy()
            )
            sure = counts >= 0
            inside[open_[sure]] = counts[sure] % 2 == 1
            open_ = open_[~sure]
            if not len(open_):
                break
        # What no ray decides lies on the mesh itself, but for rounding, where f is 0.
        return inside

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        farthest = float(np.linalg.norm(self.vertices, axis=1).max())
        return Rounding(_N_TERMS, None, farthest, _N_TERMS, 3)

    def to_keras(self, shape):
        raise TypeError("the distance to a solid has no Keras form: use its scores.")
