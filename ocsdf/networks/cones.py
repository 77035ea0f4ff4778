"""Signed distance to a union of cones around linear subspaces, and its certificate."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from ocsdf.operations.matrix_bounds import matrix_bound, summation_error

# Below, a float32 root has no gradient to speak of.
_TINY = 1e-12


@keras.saving.register_keras_serializable("ocsdf")
class Cones(keras.layers.Layer):
    r"""Signed distance to the edge of a union of cones, cut off near their common tip.

    The cone around the subspace spanned by the r orthonormal columns of :math:`U_k` holds the rows
    whose angle to it is at most :math:`\theta`. With

    .. math:: p_k = \|U_k^\top x\|, \qquad q_k = \sqrt{\|x\|^2 - p_k^2}

    the signed distance to its edge, positive inside, is

    .. math:: s_k(x) = p_k \sin\theta - q_k \cos\theta

    and :math:`-\|x\|` where the tip is nearest, :math:`p_k \cos\theta + q_k \sin\theta \le 0`,
    which only happens where r = 1: there the cone has one side, and :math:`p_k = U_k^\top x` has a
    sign. The layer's value is

    .. math:: f(x) = \min\left(\max_k s_k(x), \; \max_k p_k - c\right).

    As :math:`x \mapsto (p_k, q_k)` keeps norms and moves no two rows apart, :math:`s_k` is
    1-Lipschitz in l2, with gradients of norm 1, and so is f. In contrast to a distance, f does
    not take a faint row for a normal one: angles do not depend on contrast.

    Parameters
    ----------
    n_cones : int
        K.
    rank : int
        r, dimension of each subspace.
    angle : float
        :math:`\theta` in radians, in (0, pi / 2).
    floor : float
        c >= 0.
    **kwargs
        Passed to ``keras.layers.Layer``.

    Raises
    ------
    ValueError
        If a count is below 1, the angle is not between 0 and pi / 2, or the floor is negative.
    """

    def __init__(self, n_cones, rank, angle, floor, **kwargs):
        super().__init__(**kwargs)
        if min(n_cones, rank) < 1:
            raise ValueError(f"n_cones and rank must be at least 1; got {n_cones} and {rank}.")
        if not 0.0 < angle < math.pi / 2:
            raise ValueError(f"angle must be between 0 and pi / 2; got {angle}.")
        if not 0.0 <= floor < math.inf:
            raise ValueError(f"floor must be finite and >= 0; got {floor}.")
        self.n_cones, self.rank = int(n_cones), int(rank)
        self.angle, self.floor = float(angle), float(floor)

    def build(self, input_shape):
        shape = (input_shape[-1], self.n_cones * self.rank)
        self.bases = self.add_weight(shape=shape, initializer="zeros", name="bases")

    def call(self, inputs):
        coordinates = ops.matmul(inputs, self.bases)
        if self.rank == 1:
            nearest = ops.max(coordinates, axis=1, keepdims=True)
        else:
            squares = ops.reshape(ops.square(coordinates), (-1, self.n_cones, self.rank))
            squares = ops.max(ops.sum(squares, axis=2), axis=1, keepdims=True)
            nearest = ops.sqrt(ops.maximum(squares, _TINY))
        squared_norm = ops.sum(ops.square(inputs), axis=1, keepdims=True)
        return self._value(nearest, squared_norm, ops, _TINY)

    def evaluate(self, coordinates, points):
        """Evaluate the same function in float64, with NumPy.

        Parameters
        ----------
        coordinates : ndarray of shape (n_samples, n_cones * rank), float64
            ``points @ bases``; changed.
        points : ndarray of shape (n_samples, n_features), float64

        Returns
        -------
        ndarray of shape (n_samples, 1), float64
            A row's value does not depend on the rows beside it.
        """
        if self.rank == 1:
            nearest = coordinates.max(axis=1, keepdims=True)
        else:
            squares = np.square(coordinates, out=coordinates)
            squares = squares.reshape(len(points), self.n_cones, self.rank).sum(axis=2)
            nearest = np.sqrt(squares.max(axis=1, keepdims=True))
        squared_norm = np.square(points).sum(axis=1, keepdims=True)
        return self._value(nearest, squared_norm, np, 0.0)

    def _value(self, nearest, squared_norm, xp, tiny):
        across = xp.sqrt(xp.maximum(squared_norm - nearest * nearest, tiny))
        sine, cosine = math.sin(self.angle), math.cos(self.angle)
        inside = sine * nearest - cosine * across
        # How far along the edge the nearest point of it lies from the tip.
        along = cosine * nearest + sine * across
        norm = xp.sqrt(xp.maximum(squared_norm, tiny))
        return xp.minimum(xp.where(along > 0.0, inside, -norm), nearest - self.floor)

    def get_config(self):
        own = {"n_cones": self.n_cones, "rank": self.rank, "angle": self.angle}
        return super().get_config() | own | {"floor": self.floor}


@dataclass(frozen=True)
class _ConesStep:
    """What a certificate needs to know of :class:`Cones`, see ``layer_rules.Step``."""

    layer: Cones
    n_roundings: int | None
    lipschitz: float = 1.0

    def pass_on(self, norm, error, roundoff):
        r"""Carry bounds of the norm and of the error through the layer.

        The square :math:`q^2` is off by :math:`3 \gamma \|x\|^2` at most, so q by the root of it.
        """
        gamma = summation_error(self.n_roundings, roundoff)
        # |U|^T |x| is no longer than sqrt(r) ||x|| for unit columns.
        relative = gamma * (math.sqrt(self.layer.rank) + 2.0) * 1.01
        floor = np.array([self.layer.floor, 0.0])
        rounding = (2.0 * relative + math.sqrt(3.0 * relative)) * (norm + error) + gamma * floor
        return norm + floor, error + rounding


def _cones(layer, input_shape):
    """Bound f by 1 where no basis is longer than a part of an orthonormal one."""
    if not layer.built:
        # The bases come later, and with them the size of what is rounded.
        return _ConesStep(layer, None)
    bases = layer.bases.numpy().astype(np.float64)
    bound = max(matrix_bound(basis) for basis in np.split(bases, layer.n_cones, axis=1))
    # Were one longer, p^2 might exceed ||x||^2, and f would not be what it says.
    if bound > 1.0:
        raise ValueError(
            f"Expected bases of norm at most 1 in layer {layer.name!r}; got a bound of {bound!r}: "
            "divide them by it."
        )
    # Of the products, of their sum of squares, and of what follows.
    return _ConesStep(layer, len(bases) + layer.rank + 8)


RULES = {Cones: _cones}
