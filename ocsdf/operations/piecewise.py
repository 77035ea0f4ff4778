"""Increasing, piecewise linear maps, one a feature."""

import math

import numpy as np

from ocsdf.operations.base import Operation, Rounding, operation
from ocsdf.operations.fields import as_array, freeze
from ocsdf.operations.keras_layers import built, own_layer
from ocsdf.operations.matrix_bounds import ROUNDOFF
from ocsdf.utils.compiled import compiled


@compiled
def count_at_most(numbers, column, found):
    """Fill in how many of some numbers, increasing, one at least, are at most each of a column.

    All searches take a step together, and no step depends on what came out: they are vectors.
    """
    found[:] = 0
    length = len(numbers)
    while length > 1:
        half = length // 2
        for i in range(len(column)):
            found[i] += half if numbers[found[i] + half - 1] <= column[i] else 0
        length -= half
    for i in range(len(column)):
        found[i] += 1 if numbers[found[i]] <= column[i] else 0


@operation("piecewise")
class Piecewise(Operation):
    r"""Increasing, piecewise linear maps :math:`g_j` of single features.

    With a feature's knots :math:`k_0 < \dots < k_m`, its slopes :math:`s_0, \dots, s_{m+1} > 0` and
    the value v at the first knot (`origins`),

    .. math:: g(x) = v + s_0 (x - k_0) \;(x \le k_0), \qquad
        g(x) = g(k_i) + s_{i+1} (x - k_i) \;(k_i \le x \le k_{i+1}),

    and with the last slope beyond the last knot. `knots` and `slopes` hold one feature's after the
    other's; the largest slope of all is the Lipschitz constant.
    """

    knots: np.ndarray
    slopes: np.ndarray
    counts: np.ndarray
    origins: np.ndarray

    def __post_init__(self):
        knots, slopes = as_array(self.knots, 1, "knots"), as_array(self.slopes, 1, "slopes")
        counts, origins = as_array(self.counts, 1, "counts"), as_array(self.origins, 1, "origins")
        sizes = counts.astype(np.int64)
        if counts.shape != origins.shape or np.any(sizes != counts) or np.any(sizes < 1):
            raise ValueError(f"counts must be integers >= 1, one a feature; got {counts}.")
        if sizes.sum() != len(knots) or len(slopes) != len(knots) + len(counts):
            raise ValueError(
                f"counts {int(sizes.sum())} must fit {len(knots)} knots and {len(slopes)} slopes."
            )
        starts = np.concatenate([[0], np.cumsum(sizes)])
        # Between the last knot of a feature and the first of the next nothing need increase.
        steps = np.delete(np.diff(knots), starts[1:-1] - 1)
        if not (np.all(steps > 0.0) and np.all(slopes > 0.0)):
            raise ValueError("knots must increase within a feature, and slopes be positive.")
        heights = np.empty(len(knots))
        for j, (first, last) in enumerate(zip(starts, starts[1:], strict=False)):
            rises = slopes[first + j + 1 : last + j] * np.diff(knots[first:last])
            heights[first:last] = origins[j] + np.concatenate([[0.0], np.cumsum(rises)])
        freeze(self, knots=knots, slopes=slopes, counts=counts, origins=origins)
        freeze(self, _starts=starts, _heights=heights)

    def evaluate(self, values, scratch=None):
        return _follow(np.ascontiguousarray(values), self.knots, self._heights, self.slopes,
                       self._starts)  # fmt: skip

    @property
    def steepest(self):
        """Largest slope of each feature, an ndarray of shape (n_features,)."""
        return np.maximum.reduceat(self.slopes, self._starts[:-1] + np.arange(len(self.counts)))

    def inverse(self, values):
        """Return the rows whose images are given, up to rounding; both (n, n_features)."""
        return _follow(np.ascontiguousarray(values), self._heights, self.knots,
                       1.0 / self.slopes, self._starts)  # fmt: skip

    def slopes_at(self, values):
        """Return each feature's slope at some rows, that of the piece above at a knot."""
        return _slopes_at(np.ascontiguousarray(values), self.knots, self.slopes, self._starts)

    def linearize(self, values):
        slopes = self.slopes_at(values)
        return self.evaluate(values), lambda upstream: upstream * slopes

    def _bound(self, shape):
        return float(self.slopes.max())

    def rounding(self, shape):
        ranges = np.maximum.reduceat(np.abs(self._heights), self._starts[:-1])
        reach = self.steepest * np.maximum.reduceat(np.abs(self.knots), self._starts[:-1])
        # Heights are sums over knots; the products of all steps are no more than twice the range.
        offset = float(np.linalg.norm(3.0 * ranges + 2.0 * reach)) * (1.0 + 2.0**-40)
        n_terms = int(self.counts.max()) + 8
        return Rounding(n_terms, None, offset, n_terms * math.sqrt(len(self.counts)))

    def to_onnx(self, graph, values, shape, dtype=None):
        # A sum of increasing terms, whose rounding is no larger than that of the heights.
        columns = []
        for j, (first, last) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            knots, slopes = self.knots[first:last], self.slopes[first + j : last + j + 1]
            lengths = np.concatenate([[np.inf], np.diff(knots), [np.inf]])
            starts = np.concatenate([knots[:1], knots])[np.newaxis]
            lows = np.where(np.arange(len(slopes)) == 0, -np.inf, 0.0)[np.newaxis]
            highs = np.where(np.arange(len(slopes)) == 0, 0.0, lengths)[np.newaxis]
            x = graph.add("Gather", values, graph.integers([j]), axis=1)
            offset = graph.add("Sub", x, graph.constant(starts, dtype))
            offset = graph.add("Max", offset, graph.constant(lows, dtype))
            offset = graph.add("Min", offset, graph.constant(highs, dtype))
            rise = graph.add("Mul", offset, graph.constant(slopes[np.newaxis], dtype))
            total = graph.add("ReduceSum", rise, graph.integers([1]))
            columns.append(graph.add("Add", total, graph.constant(self.origins[j], dtype)))
        return columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)

    def to_keras(self, shape):
        layer = own_layer("piecewise.Piecewise", [int(count) for count in self.counts])
        return built(layer, shape, self.knots, self.slopes, self.origins)


def contraction(map_, slopes, origins):
    """Return the map from a map's values to those of one with other, smaller slopes.

    Both have the same knots; `origins` are the other map's values at the first ones. The slopes of
    the result are at most 1, exactly.
    """
    ratios = np.minimum(slopes / map_.slopes * (1.0 - 4.0 * ROUNDOFF), 1.0)
    return Piecewise(map_._heights, ratios, map_.counts, origins)


def _follow_by_numpy(values, knots, heights, slopes, starts):
    results = np.empty(values.shape)
    for j, (first, last) in enumerate(zip(starts, starts[1:], strict=False)):
        x = values[:, j]
        pieces = np.searchsorted(knots[first:last], x, side="right")
        at = first + np.maximum(pieces - 1, 0)
        results[:, j] = heights[at] + slopes[first + j + pieces] * (x - knots[at])
    return results


@compiled(without_numba=_follow_by_numpy)
def _follow(values, knots, heights, slopes, starts):
    n_rows, n_features = values.shape
    results, pieces = np.empty(values.shape), np.empty(n_rows, np.int64)
    column = np.empty(n_rows)
    for j in range(n_features):
        column[:], first = values[:, j], starts[j]
        count_at_most(knots[first : starts[j + 1]], column, pieces)
        for row in range(n_rows):
            knot = first + max(pieces[row] - 1, 0)
            rise = slopes[first + j + pieces[row]] * (column[row] - knots[knot])
            results[row, j] = heights[knot] + rise
    return results


def _slopes_at_by_numpy(values, knots, slopes, starts):
    results = np.empty(values.shape)
    for j, (first, last) in enumerate(zip(starts, starts[1:], strict=False)):
        pieces = np.searchsorted(knots[first:last], values[:, j], side="right")
        results[:, j] = slopes[first + j + pieces]
    return results


@compiled(without_numba=_slopes_at_by_numpy)
def _slopes_at(values, knots, slopes, starts):
    n_rows, n_features = values.shape
    results, pieces = np.empty(values.shape), np.empty(n_rows, np.int64)
    column = np.empty(n_rows)
    for j in range(n_features):
        column[:] = values[:, j]
        count_at_most(knots[starts[j] : starts[j + 1]], column, pieces)
        for row in range(n_rows):
            results[row, j] = slopes[starts[j] + j + pieces[row]]
    return results
