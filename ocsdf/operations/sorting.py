"""Activations that sort: they move numbers and keep distances between ordered rows."""

import numpy as np

from ocsdf.operations.base import EXACT, Rounding, operation
from ocsdf.operations.fields import as_counts, count, freeze, readings
from ocsdf.operations.keras_layers import built, own_layer
from ocsdf.operations.scaled import Scaled
from ocsdf.utils.compiled import compiled


class _Sorting(Scaled):
    """A sort times a coefficient."""

    def linf_bound(self, shape=None):
        # The k-th smallest of numbers moves no farther than the one that moves farthest.
        return float(readings(self.coefficient))

    def rounding(self, shape):
        if self.coefficient == 1.0:
            return EXACT
        if count(shape) is None:
            return None
        # A coefficient that float32 rounds, and the product.
        return Rounding(2, n_results=2 * count(shape))

    def _scaled_onnx(self, graph, values):
        if self.coefficient == 1.0:
            return values
        return graph.add("Mul", values, graph.constant(self.coefficient))

    def _scaled(self, values):
        if self.coefficient != 1.0:
            values *= self.coefficient
        return values


@operation("group_sort")
class GroupSort(_Sorting):
    """Sort groups of `size` units that lie side by side, or, with None, all of the last axis."""

    size: int | None

    def __post_init__(self):
        super().__post_init__()
        if self.size is not None:
            freeze(self, size=as_counts([self.size], "size")[0])

    def evaluate(self, values, scratch=None):
        values = values.copy() if scratch is None else scratch.own(values)
        self._grouped(values).sort(axis=-1)
        return self._scaled(values)

    def linearize(self, values):
        groups = self._grouped(np.ascontiguousarray(values))
        order = np.argsort(groups, axis=-1, kind="stable")
        found = np.take_along_axis(groups, order, axis=-1).reshape(values.shape)

        def pull_back(upstream):
            gradient = np.empty(groups.shape)
            upstream = np.reshape(upstream * self.coefficient, groups.shape)
            np.put_along_axis(gradient, order, upstream, axis=-1)
            return gradient.reshape(values.shape)

        return self._scaled(found), pull_back

    def to_onnx(self, graph, values, shape):
        width = shape[-1]
        size = width if self.size is None else min(self.size, width)
        form = (*shape[:-1], width // size, size)
        groups = graph.reshape(values, (-1, *form))
        # A row of zeros at the end: ONNX Runtime before 1.31 dies of TopK without rows.
        groups = graph.add("Concat", groups, graph.constant(np.zeros((1, *form))), axis=0)
        ordered = graph.add("TopK", groups, graph.integers([size]), outputs=2, largest=0)[0]
        ordered = graph.add("Slice", ordered, *map(graph.integers, ([0], [-1], [0])))
        return self._scaled_onnx(graph, graph.reshape(ordered, (-1, *shape)))

    def to_keras(self, shape):
        if self.size is None or self.size >= shape[-1]:
            return built(own_layer("layers.FullSort", k_coef_lip=self.coefficient), shape)
        from deel.lip.layers import GroupSort as Layer

        return built(Layer(self.size, k_coef_lip=self.coefficient, dtype="float32"), shape)

    def _grouped(self, values):
        width = values.shape[-1]
        size = width if self.size is None else min(self.size, width)
        return values.reshape(*values.shape[:-1], width // size, size)


@operation("sorted_halves")
class SortedHalves(_Sorting):
    """Sort pairs of the last axis, unit i of the first half with unit i of the second."""

    def evaluate(self, values, scratch=None):
        values = values.copy() if scratch is None else scratch.own(values)
        sort_pairs(values.reshape(-1, values.shape[-1]))
        return self._scaled(values)

    def linearize(self, values):
        first, second = np.split(values, 2, axis=-1)
        swap = first > second

        def pull_back(upstream):
            lower, upper = np.split(upstream * self.coefficient, 2, axis=-1)
            parts = [np.where(swap, upper, lower), np.where(swap, lower, upper)]
            return np.concatenate(parts, axis=-1)

        return self.evaluate(values), pull_back

    def to_onnx(self, graph, values, shape):
        first, second = graph.add("Split", values, outputs=2, axis=-1, num_outputs=2)
        parts = graph.add("Min", first, second), graph.add("Max", first, second)
        return self._scaled_onnx(graph, graph.add("Concat", *parts, axis=-1))

    def to_keras(self, shape):
        return built(own_layer("layers.GroupSort2", k_coef_lip=self.coefficient), shape)


@operation("max_min")
class MaxMin(_Sorting):
    r"""Both signs apart, :math:`x \mapsto (\max(x, 0), \max(-x, 0))`, along the last axis."""

    def output_shape(self, shape):
        return (*shape[:-1], shape[-1] and 2 * shape[-1])

    def evaluate(self, values, scratch=None):
        parts = [np.maximum(values, 0.0), np.maximum(-values, 0.0)]
        return self._scaled(np.concatenate(parts, axis=-1))

    def linearize(self, values):
        def pull_back(upstream):
            upper, lower = np.split(upstream * self.coefficient, 2, axis=-1)
            return np.where(values > 0.0, upper, 0.0) - np.where(values < 0.0, lower, 0.0)

        return self.evaluate(values), pull_back

    def to_onnx(self, graph, values, shape):
        zero = graph.constant(0.0)
        parts = [graph.add("Max", side, zero) for side in (values, graph.add("Neg", values))]
        return self._scaled_onnx(graph, graph.add("Concat", *parts, axis=-1))

    def to_keras(self, shape):
        from deel.lip.layers import MaxMin as Layer

        return built(Layer(k_coef_lip=self.coefficient, dtype="float32"), shape)


def _sort_pairs_by_numpy(rows):
    middle = rows.shape[1] // 2
    first, second = rows[:, :middle], rows[:, middle : 2 * middle]
    first[:], second[:] = np.minimum(first, second), np.maximum(first, second)


@compiled(without_numba=_sort_pairs_by_numpy)
def sort_pairs(rows):
    """Sort units i of the two halves of each row, in place; many times faster than a sort."""
    middle = rows.shape[1] // 2
    for row in range(len(rows)):
        first, second = rows[row, :middle], rows[row, middle : 2 * middle]
        for i in range(middle):
            a, b = first[i], second[i]
            first[i] = a if a < b else b
            second[i] = b if a < b else a
