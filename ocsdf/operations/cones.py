"""Signed distance to a union of cones around linear subspaces."""

import math

import numpy as np

from ocsdf.operations.base import Operation, operation, smallest_normal
from ocsdf.operations.fields import as_array, as_counts, as_number, check_width, freeze
from ocsdf.operations.keras_layers import built, own_layer
from ocsdf.operations.matrix_bounds import matrix_bound, summation_error
from ocsdf.operations.scratch import Scratch, whole_blocks


@operation("cones")
class Cones(Operation):
    r"""Signed distance to the edge of a union of K cones, cut off near their common tip.

    The cone around the subspace spanned by the r orthonormal columns of :math:`U_k` (side by side
    in `bases`) holds the rows whose angle to it is at most :math:`\theta`. With
    :math:`p_k = \|U_k^\top x\|` and :math:`q_k = \sqrt{\|x\|^2 - p_k^2}`

    .. math:: s_k(x) = p_k \sin\theta - q_k \cos\theta, \qquad
        f(x) = \min\left(\max_k s_k(x), \; \max_k p_k - c\right)

    where :math:`s_k = -\|x\|` if the tip is nearest, :math:`p_k \cos\theta + q_k \sin\theta \le 0`.
    That only happens where r = 1: there :math:`p_k = U_k^\top x` has a sign. As
    :math:`x \mapsto (p_k, q_k)` keeps norms and moves no two rows apart, f is 1-Lipschitz in l2; as
    angles do not depend on contrast, it does not take a faint row for a normal one.
    """

    bases: np.ndarray
    n_cones: int
    rank: int
    angle: float
    floor: float

    def __post_init__(self):
        counts = check_cones(self.n_cones, self.rank, self.angle, self.floor)
        bases = as_array(self.bases, 2, "bases")
        if bases.shape[1] != math.prod(counts):
            raise ValueError(f"bases must have {math.prod(counts)} columns; got {bases.shape}.")
        angle, floor = as_number(self.angle, "angle"), as_number(self.floor, "floor")
        freeze(
            self,
            bases=bases,
            _blocks=whole_blocks(bases),
            n_cones=counts[0],
            rank=counts[1],
            angle=angle,
            floor=floor,
        )

    def output_shape(self, shape):
        check_width(shape, len(self.bases), "A union of cones")
        return (1,)

    def width(self, shape):
        return self.bases.shape[1]

    def evaluate(self, values, scratch=None):
        scratch = scratch or Scratch()
        coordinates = scratch.product(values, self._blocks, self.bases.shape[1])
        if self.rank == 1:
            nearest = coordinates.max(axis=1, keepdims=True)
        else:
            np.square(coordinates, out=coordinates)
            squares = coordinates.reshape(len(values), self.n_cones, self.rank).sum(axis=2)
            nearest = np.sqrt(squares.max(axis=1, keepdims=True))
        squared_norm = np.square(values).sum(axis=1, keepdims=True)
        return cone_distance(nearest, squared_norm, self.angle, self.floor, np, 0.0)

    def linearize(self, values):
        rows = np.arange(len(values))
        coordinates = (values @ self.bases).reshape(len(values), self.n_cones, self.rank)
        lengths = coordinates[:, :, 0] if self.rank == 1 else np.linalg.norm(coordinates, axis=2)
        chosen = lengths.argmax(axis=1)
        nearest, picked = lengths[rows, chosen][:, np.newaxis], coordinates[rows, chosen]
        bases = self.bases.reshape(-1, self.n_cones, self.rank)
        # Of p, of q and of the norm.
        towards = np.einsum("dnr,nr->nd", bases[:, chosen], _over(picked, nearest))
        if self.rank == 1:
            towards = bases[:, chosen, 0].T
        squared_norm = np.square(values).sum(axis=1, keepdims=True)
        across = np.sqrt(np.maximum(squared_norm - nearest * nearest, 0.0))
        away = _over(values - nearest * towards, across)
        sine, cosine = math.sin(self.angle), math.cos(self.angle)
        outward = -_over(values, np.sqrt(squared_norm))
        side = cosine * nearest + sine * across > 0.0
        slope = np.where(side, sine * towards - cosine * away, outward)
        inside = np.where(side, sine * nearest - cosine * across, -np.sqrt(squared_norm))
        slope = np.where(inside <= nearest - self.floor, slope, towards)
        found = np.minimum(inside, nearest - self.floor)
        return found, lambda upstream: upstream * slope

    def _bound(self, shape):
        bound = max(matrix_bound(basis) for basis in np.split(self.bases, self.n_cones, axis=1))
        # Were one longer, p^2 might exceed ||x||^2, and f would not be what it says.
        if bound > 1.0:
            raise ValueError(
                f"Expected bases of norm at most 1 in {self.label or 'Cones'}; got a bound of "
                f"{bound!r}: divide them by it."
            )
        return 1.0

    def pass_on(self, norm, error, roundoff, shape):
        r"""Carry bounds of the norm and of the error through the map.

        The square :math:`q^2` is off by :math:`3 \gamma \|x\|^2` at most, so q by the root of it.
        """
        # Of the products, of their sum of squares, and of what follows.
        n_terms = len(self.bases) + self.rank + 8
        gamma = summation_error(n_terms, roundoff)
        # |U|^T |x| is no longer than sqrt(r) ||x|| for unit columns.
        relative = gamma * (math.sqrt(self.rank) + 2.0) * 1.01
        floor = np.array([self.floor, 0.0])
        rounding = (2.0 * relative + math.sqrt(3.0 * relative)) * (norm + error) + gamma * floor
        underflow = 4.0 * math.sqrt(n_terms * self.bases.shape[1] * smallest_normal(roundoff))
        return norm + floor, error + rounding + [underflow, 0.0]

    def to_keras(self, shape):
        layer = own_layer("cones.Cones", self.n_cones, self.rank, self.angle, self.floor)
        return built(layer, shape, self.bases)


def check_cones(n_cones, rank, angle, floor):
    """Return the number of cones and their rank as integers, or raise a ValueError.

    Counts are at least 1, the angle is between 0 and pi / 2, and the floor is at least 0.
    """
    if min(n_cones, rank) < 1:
        raise ValueError(f"n_cones and rank must be at least 1; got {n_cones} and {rank}.")
    if not 0.0 < angle < math.pi / 2:
        raise ValueError(f"angle must be between 0 and pi / 2; got {angle}.")
    if not 0.0 <= floor < math.inf:
        raise ValueError(f"floor must be finite and >= 0; got {floor}.")
    return as_counts([n_cones, rank], "n_cones and rank")


def cone_distance(nearest, squared_norm, angle, floor, xp, tiny):
    """Compute f from the largest p and the squared norm; `xp` is NumPy or Keras's operations."""
    across = xp.sqrt(xp.maximum(squared_norm - nearest * nearest, tiny))
    sine, cosine = math.sin(angle), math.cos(angle)
    inside = sine * nearest - cosine * across
    # How far along the edge the nearest point of it lies from the tip.
    along = cosine * nearest + sine * across
    norm = xp.sqrt(xp.maximum(squared_norm, tiny))
    return xp.minimum(xp.where(along > 0.0, inside, -norm), nearest - floor)


def _over(vectors, lengths):
    """Divide; where the length is 0, so is the result."""
    return np.where(lengths != 0.0, vectors / np.where(lengths != 0.0, lengths, 1.0), 0.0)
