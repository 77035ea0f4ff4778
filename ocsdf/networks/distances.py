"""Exact distances to reference rows as layers, and the mean of networks: all 1-Lipschitz in l2."""

import math

import keras
import numpy as np
from keras import ops
from numba import njit
from scipy.spatial.distance import cdist

_NORMS = ("l1", "l2")
# References that a forward pass compares rows with at a time.
_BLOCK = 128


@keras.saving.register_keras_serializable("ocsdf")
class SubsampleDistance(keras.layers.Layer):
    r"""Minus the mean distance to the nearest row of random subsamples, for several sizes.

    .. math:: f(x) = -\frac{1}{|K|} \sum_{k \in K} \frac{k}{R} \sum_{g \in G_k}
       \min_{r \in g} \|x - r\|

    where :math:`G_k` cuts the R reference rows into groups of k that follow each other. The norm
    is l2, or :math:`\|u\|_1 / \sqrt d \le \|u\|_2`; distances, their minima and their means are
    1-Lipschitz, so f is, in l2. A group rarely holds two rows of one cluster of anomalies, so
    that they cannot vouch for each other (Pang et al., LeSiNN, 2015). With one group of all rows
    f is minus the distance to the nearest neighbour.

    Parameters
    ----------
    n_references : int
        R; a multiple of the largest group size.
    group_sizes : sequence of int
        K, ascending, each a multiple of the one before.
    norm : {"l1", "l2"}, default="l1"
    **kwargs
        Passed to ``keras.layers.Layer``.

    Raises
    ------
    ValueError
        If the sizes do not divide each other and R, or the norm is unknown.
    """

    def __init__(self, n_references, group_sizes, norm="l1", **kwargs):
        super().__init__(**kwargs)
        if norm not in _NORMS:
            raise ValueError(f"norm must be one of {', '.join(map(repr, _NORMS))}; got {norm!r}.")
        self.group_sizes = tuple(int(size) for size in group_sizes)
        sizes = (*self.group_sizes, int(n_references))
        pairs = zip(sizes, sizes[1:], strict=False)
        if sizes[0] < 1 or any(large % small for small, large in pairs):
            raise ValueError(
                "each of group_sizes must divide the next, and the last n_references; got "
                f"{tuple(group_sizes)} and {n_references}."
            )
        self.n_references = sizes[-1]
        self.norm = norm

    def build(self, input_shape):
        shape = (self.n_references, input_shape[-1])
        self.references = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="references"
        )

    def call(self, inputs):
        # Some rows of each smallest group at a time: no array holds all differences.
        size = self.group_sizes[0]
        n_groups = self.n_references // size
        n_rows = math.gcd(size, max(1, _BLOCK // n_groups))
        blocks = self._arranged(self.references, ops)
        blocks = ops.reshape(blocks, (size // n_rows, n_rows * n_groups, -1))

        def distances(block):
            differences = inputs[:, None, :] - block
            if self.norm == "l1":
                return ops.sum(ops.abs(differences), axis=2) / math.sqrt(inputs.shape[-1])
            return ops.sqrt(ops.sum(ops.square(differences), axis=2))

        nearest = ops.fori_loop(
            1,
            size // n_rows,
            lambda i, nearest: ops.minimum(nearest, distances(blocks[i])),
            distances(blocks[0]),
        )
        nearest = ops.min(ops.reshape(nearest, (-1, n_rows, n_groups)), axis=1)
        return -ops.expand_dims(self._mean_over_sizes(nearest, ops), 1)

    def evaluate(self, points, references):
        """Evaluate the same function in float64, with NumPy.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features), float64
        references : ndarray of shape (n_references, n_features)
            As :meth:`arranged_references` gives them; they are slow to fetch.

        Returns
        -------
        ndarray of shape (n_samples, 1), float64
            A row's value does not depend on the rows beside it.
        """
        size = self.group_sizes[0]
        if self.norm == "l1":
            nearest = _nearest_l1(points, references.T, size) / math.sqrt(points.shape[1])
        else:
            nearest = cdist(points, references).reshape(len(points), size, -1).min(axis=1)
        return -self._mean_over_sizes(nearest, np)[:, None]

    def arranged_references(self):
        """Return the reference rows in float64, in the order that :meth:`evaluate` takes.

        Returns
        -------
        ndarray of shape (n_references, n_features)
            Row j of the smallest groups, for j from 0 on: minima then run over whole rows.
        """
        blocks = self._arranged(self.references.numpy().astype(np.float64), np)
        # Columns lie in one piece.
        return np.asfortranarray(blocks.reshape(self.n_references, -1))

    def _arranged(self, references, xp):
        """Blocks (k, R / k, d): rows j of the smallest groups, j from 0 on."""
        sizes = (1, *self.group_sizes, self.n_references)
        ratios = [large // small for small, large in zip(sizes, sizes[1:], strict=False)][::-1]
        nested = xp.reshape(references, (*ratios, -1))
        axes = (*range(len(ratios) - 1, -1, -1), len(ratios))
        return xp.reshape(xp.transpose(nested, axes), (ratios[-1], -1, references.shape[-1]))

    def _mean_over_sizes(self, nearest, xp):
        """Average over groups and sizes, from each smallest group's distance, (n, R / k)."""
        total = xp.mean(nearest, axis=1)
        for small, large in zip(self.group_sizes, self.group_sizes[1:], strict=False):
            shape = (
                nearest.shape[0] if xp is np else -1,
                large // small,
                self.n_references // large,
            )
            nearest = xp.min(xp.reshape(nearest, shape), axis=1)
            total = total + xp.mean(nearest, axis=1)
        return total / len(self.group_sizes)

    def get_config(self):
        config = super().get_config()
        sizes = {"n_references": self.n_references, "group_sizes": self.group_sizes}
        return config | sizes | {"norm": self.norm}


@njit(nogil=True, cache=True)
def _nearest_l1(points, columns, group_size):
    """Return each row's least l1 distance to a group, (n, R / k); columns are (d, R).

    Reference j of group g is in place j R / k + g. Sums run over features in their order.
    """
    n_rows, n_features = points.shape
    n_references = columns.shape[1]
    n_groups = n_references // group_size
    nearest = np.empty((n_rows, n_groups))
    distances, others = np.empty(n_references), np.empty(n_references)
    # Two rows and two features at a time: twice as fast, as less goes to memory and back.
    for row in range(0, n_rows, 2):
        other = min(row + 1, n_rows - 1)
        distances[:] = 0.0
        others[:] = 0.0
        for feature in range(0, n_features - 1, 2):
            first, second = columns[feature], columns[feature + 1]
            a, b = points[row, feature], points[row, feature + 1]
            c, d = points[other, feature], points[other, feature + 1]
            for i in range(n_references):
                distances[i] = (distances[i] + abs(a - first[i])) + abs(b - second[i])
                others[i] = (others[i] + abs(c - first[i])) + abs(d - second[i])
        if n_features % 2:
            last = columns[n_features - 1]
            a, c = points[row, n_features - 1], points[other, n_features - 1]
            for i in range(n_references):
                distances[i] += abs(a - last[i])
                others[i] += abs(c - last[i])
        _fold(distances, n_groups)
        _fold(others, n_groups)
        nearest[row] = distances[:n_groups]
        nearest[other] = others[:n_groups]
    return nearest


@njit(nogil=True, cache=True)
def _fold(distances, n_groups):
    """Leave each group's least distance in front, taking the minimum with the second half."""
    length = len(distances)
    while length > n_groups:
        half = (length // n_groups + 1) // 2 * n_groups
        near, far = distances[: length - half], distances[half:length]
        for i in range(len(near)):
            # Compiled to a vector instruction, as min is not.
            near[i] = far[i] if far[i] < near[i] else near[i]
        length = half
