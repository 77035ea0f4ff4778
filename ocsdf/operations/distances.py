"""Exact distances to reference rows: 1-Lipschitz in l2."""

import math

import numpy as np
from scipy.spatial.distance import cdist

from ocsdf.operations.base import Operation, Rounding, operation
from ocsdf.operations.fields import as_array, check_width, freeze
from ocsdf.operations.keras_layers import built, own_layer
from ocsdf.utils.compiled import compiled

NORMS = ("l1", "l2")


@operation("subsample_distance")
class SubsampleDistance(Operation):
    r"""Minus the mean distance to the nearest row of random subsamples, for several sizes.

    .. math:: f(x) = -\frac{1}{|K|} \sum_{k \in K} \frac{k}{R} \sum_{g \in G_k}
        \min_{r \in g} \|x - r\|

    where :math:`G_k` cuts the R reference rows into groups of k that follow each other; the sizes
    ascend, each divides the next, and the last divides R. The norm is l2, or
    :math:`\|u\|_1 / \sqrt d \le \|u\|_2`, so f is 1-Lipschitz in l2. A group rarely holds two rows
    of one cluster of anomalies, so that they cannot vouch for each other (Pang et al., LeSiNN,
    2015).
    """

    references: np.ndarray
    group_sizes: tuple
    norm: str = "l1"

    def __post_init__(self):
        references = as_array(self.references, 2, "references")
        sizes = check_group_sizes(len(references), self.group_sizes, self.norm)
        # Columns lie in one piece, and row j of the smallest groups side by side, j from 0 on:
        # minima then run over whole rows.
        blocks = arranged(references, (*sizes, len(references)), np)
        arranged_rows = np.asfortranarray(blocks.reshape(references.shape))
        freeze(self, references=references, group_sizes=sizes, _arranged=arranged_rows)

    def output_shape(self, shape):
        check_width(shape, self.references.shape[1], "A distance")
        return (1,)

    def width(self, shape):
        return len(self.references)

    def evaluate(self, values, scratch=None):
        size = self.group_sizes[0]
        if self.norm == "l1":
            nearest = _nearest_l1(values, self._arranged.T, size) / math.sqrt(values.shape[1])
        else:
            distances = cdist(values, self._arranged)
            nearest = distances.reshape(len(values), size, -1).min(axis=1)
        return -self._mean(nearest)

    def linearize(self, values):
        scale = math.sqrt(values.shape[1]) if self.norm == "l1" else 1.0
        distances = cdist(values, self._arranged, {"l1": "cityblock", "l2": "euclidean"}[self.norm])
        distances = distances.reshape(len(values), self.group_sizes[0], -1) / scale
        places = distances.argmin(axis=1)
        nearest = np.take_along_axis(distances, places[:, np.newaxis], axis=1)[:, 0]
        # Row j of group g is in place j R / k + g.
        places = places * nearest.shape[1] + np.arange(nearest.shape[1])

        def pull_back(upstream):
            gradient = np.zeros(values.shape)
            for share, at in self._nearest_of_each_size(nearest, places):
                for place in at.T:
                    offset = values - self._arranged[place]
                    gradient -= share * self._slope(offset)
            return upstream * gradient

        return -self._mean(nearest), pull_back

    def _slope(self, offset):
        """Gradient of the norm at some vectors; 0 at 0."""
        if self.norm == "l1":
            return np.sign(offset) / math.sqrt(offset.shape[1])
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        return offset / np.where(length > 0.0, length, 1.0)

    def _nearest_of_each_size(self, nearest, places):
        """Yield, for each group size, one group's share and the place of each one's nearest row."""
        sizes = (*self.group_sizes, None)
        for small, large in zip(sizes, sizes[1:], strict=False):
            yield 1.0 / (nearest.shape[1] * len(self.group_sizes)), places
            if large is not None:
                shape = (len(nearest), large // small, -1)
                nearest, places = nearest.reshape(shape), places.reshape(shape)
                chosen = nearest.argmin(axis=1)[:, np.newaxis]
                nearest = np.take_along_axis(nearest, chosen, axis=1)[:, 0]
                places = np.take_along_axis(places, chosen, axis=1)[:, 0]

    def _mean(self, nearest):
        return mean_over_sizes(nearest, self.group_sizes, np)[:, np.newaxis]

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        n_references, n_features = self.references.shape
        farthest = np.linalg.norm(self.references, axis=1).max()
        # Sums over features, over groups and over sizes, with some roundings around each.
        n_groups = n_references // self.group_sizes[0]
        n_terms = n_features + n_groups + len(self.group_sizes) + 8
        n_squares = n_features if self.norm == "l2" else 0
        return Rounding(n_terms, None, float(farthest), n_terms, n_squares)

    def to_onnx(self, graph, values, shape):
        # A feature at a time: all at once would take rows x references x features.
        columns, total = self._arranged.T, None
        for feature, column in enumerate(columns):
            value = graph.add("Gather", values, graph.integers([feature]), axis=1)
            offset = graph.add("Sub", value, graph.constant(column[np.newaxis]))
            term = (
                graph.add("Abs", offset) if self.norm == "l1" else graph.add("Mul", offset, offset)
            )
            total = term if total is None else graph.add("Add", total, term)
        if self.norm == "l1":
            total = graph.add("Div", total, graph.constant(math.sqrt(len(columns))))
        else:
            total = graph.add("Sqrt", total)
        size = self.group_sizes[0]
        n_groups = len(self.references) // size
        nearest = graph.least(total, size, n_groups)
        sizes, means = (*self.group_sizes, None), []
        for small, large in zip(sizes, sizes[1:], strict=False):
            means.append(graph.add("ReduceMean", nearest, graph.integers([1])))
            if large is not None:
                n_groups = n_groups * small // large
                nearest = graph.least(nearest, large // small, n_groups)
        mean = means[0]
        for other in means[1:]:
            mean = graph.add("Add", mean, other)
        return graph.add("Div", mean, graph.constant(-float(len(means))))

    def to_keras(self, shape):
        settings = len(self.references), self.group_sizes, self.norm
        return built(own_layer("distances.SubsampleDistance", *settings), shape, self.references)


def check_group_sizes(n_references, group_sizes, norm):
    """Return the group sizes as integers that divide each other and the number of references.

    A ValueError says where they do not, or the norm is unknown.
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(map(repr, NORMS))}; got {norm!r}.")
    sizes = (*map(int, group_sizes), int(n_references))
    pairs = zip(sizes, sizes[1:], strict=False)
    if len(sizes) < 2 or sizes[0] < 1 or any(large % small for small, large in pairs):
        raise ValueError(
            "each of group_sizes must divide the next, and the last n_references; got "
            f"{tuple(group_sizes)} and {n_references}."
        )
    return sizes[:-1]


def arranged(references, sizes, xp):
    """Cut references into blocks, (k, R / k, d): rows j of the smallest groups, j from 0 on.

    The sizes end with R; `xp` is NumPy or Keras's operations.
    """
    sizes = (1, *sizes)
    ratios = [large // small for small, large in zip(sizes, sizes[1:], strict=False)][::-1]
    nested = xp.reshape(references, (*ratios, -1))
    axes = (*range(len(ratios) - 1, -1, -1), len(ratios))
    return xp.reshape(xp.transpose(nested, axes), (ratios[-1], -1, references.shape[-1]))


def mean_over_sizes(nearest, sizes, xp):
    """Average over groups and sizes, from each smallest group's distance, (n, R / k)."""
    total = xp.mean(nearest, axis=1)
    for small, large in zip(sizes, sizes[1:], strict=False):
        n_groups = nearest.shape[1] * small // large
        n_rows = len(nearest) if xp is np else -1
        nearest = xp.min(xp.reshape(nearest, (n_rows, large // small, n_groups)), axis=1)
        total = total + xp.mean(nearest, axis=1)
    return total / len(sizes)


def _nearest_l1_by_numpy(points, columns, group_size):
    distances = cdist(points, columns.T, "cityblock")
    return distances.reshape(len(points), group_size, -1).min(axis=1)


@compiled(without_numba=_nearest_l1_by_numpy)
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


@compiled
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
