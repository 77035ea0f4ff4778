"""Exact distances to the nearest of many rows, and to the nearest value of each feature."""

import numpy as np
from scipy.spatial.distance import cdist

from ocsdf.operations.base import Operation, Rounding, operation
from ocsdf.operations.fields import as_array, freeze
from ocsdf.operations.keras_layers import built, own_layer
from ocsdf.operations.nearest_filter import ReferenceFilter
from ocsdf.operations.piecewise import count_at_most
from ocsdf.utils.compiled import compiled

# Products of one pass.
_CELLS = 2**20


@operation("nearest_row")
class NearestRow(Operation):
    r"""Minus the distance to the nearest of some rows, each set back by an amount of its own.

    .. math:: f(x) = -\min_i \left( \|x - r_i\| + b_i \right)

    with setbacks :math:`b_i \ge 0`. A minimum of 1-Lipschitz functions is 1-Lipschitz. A row that
    lies far from all others has a large b and vouches for less: where the b are values of a
    1-Lipschitz function, -f is its largest 1-Lipschitz extension (McShane, 1934).
    """

    references: np.ndarray
    setbacks: np.ndarray

    def __post_init__(self):
        references = as_array(self.references, 2, "references")
        setbacks = as_array(self.setbacks, 1, "setbacks")
        if len(setbacks) != len(references) or np.any(setbacks < 0.0):
            raise ValueError(
                f"setbacks must be {len(references)} numbers >= 0; got shape {setbacks.shape}."
            )
        freeze(self, references=references, setbacks=setbacks)
        farthest = float(np.linalg.norm(references, axis=1).max()) * (1.0 + 2.0**-40)
        freeze(self, _farthest=farthest, _filter=ReferenceFilter(references, setbacks))

    def output_shape(self, shape):
        return (1,)

    def evaluate(self, values, scratch=None):
        return -self._nearest(values)[1][:, np.newaxis]

    def linearize(self, values):
        places, nearest = self._nearest(values)
        offset = values - self.references[places]
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        slope = -offset / np.where(length > 0.0, length, 1.0)
        return -nearest[:, np.newaxis], lambda upstream: upstream * slope

    def _nearest(self, values):
        """Return each row's nearest reference and its distance to it, set back."""
        places, nearest = np.empty(len(values), np.int64), np.empty(len(values))
        step = max(1, _CELLS // len(self.references))
        products = np.empty(min(step, len(values)) * len(self.references), np.float32)
        for start in range(0, len(values), step):
            part = slice(start, start + step)
            rows = np.ascontiguousarray(values[part])
            self._filter.find(rows, places[part], nearest[part], products)
        return places, nearest

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        n_features = self.references.shape[1]
        reach = self._farthest + float(self.setbacks.max())
        return Rounding(n_features + 8, None, reach, 2, n_features)

    def to_onnx(self, graph, values, shape):
        total = None
        for feature, column in enumerate(self.references.T):
            value = graph.add("Gather", values, graph.integers([feature]), axis=1)
            offset = graph.add("Sub", value, graph.constant(column[np.newaxis]))
            square = graph.add("Mul", offset, offset)
            total = square if total is None else graph.add("Add", total, square)
        distances = graph.add("Sqrt", total)
        distances = graph.add("Add", distances, graph.constant(self.setbacks[np.newaxis]))
        return graph.add("Neg", graph.least(distances, len(self.references), 1))

    def to_keras(self, shape):
        layer = own_layer("nearest.NearestRow", len(self.references))
        return built(layer, shape, self.references, self.setbacks)


@operation("nearest_rows")
class NearestRows(Operation):
    r"""Minus the root mean square of the distances to the k nearest of some rows.

    .. math:: f(x) = -\Big( \frac{1}{k} \sum_{i=1}^{k} d_{(i)}(x)^2 \Big)^{1/2}

    Order statistics of 1-Lipschitz functions are 1-Lipschitz, and so is their root mean square.
    """

    references: np.ndarray
    n_neighbors: int

    def __post_init__(self):
        references = as_array(self.references, 2, "references")
        if not 1 <= self.n_neighbors <= len(references):
            raise ValueError(
                f"n_neighbors must be 1 to {len(references)}; got {self.n_neighbors!r}."
            )
        freeze(self, references=references, n_neighbors=int(self.n_neighbors))

    def output_shape(self, shape):
        return (1,)

    def width(self, shape):
        return len(self.references)

    def evaluate(self, values, scratch=None):
        distances = cdist(values, self.references)
        distances.partition(self.n_neighbors - 1, axis=1)
        nearest = np.square(distances[:, : self.n_neighbors])
        return -np.sqrt(nearest.mean(axis=1, keepdims=True))

    def linearize(self, values):
        distances = cdist(values, self.references)
        places = distances.argpartition(self.n_neighbors - 1, axis=1)[:, : self.n_neighbors]
        found = -self.evaluate(values)
        offset = values - self.references[places].mean(axis=1)
        slope = -offset / np.where(found > 0.0, found, 1.0)
        return -found, lambda upstream: upstream * slope

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        n_features = self.references.shape[1]
        farthest = float(np.linalg.norm(self.references, axis=1).max())
        n_terms = n_features + self.n_neighbors + 8
        return Rounding(n_terms, None, farthest, n_terms, n_features * self.n_neighbors)

    def to_keras(self, shape):
        raise TypeError("the nearest rows' root mean square has no Keras form: use its scores.")


@operation("nearest_values")
class NearestValues(Operation):
    r"""Minus the l2 norm of each feature's distance to the nearest of its values.

    .. math:: f(x) = -\Big( \sum_j \min_{v \in V_j} (x_j - v)^2 \Big)^{1/2}

    `seen` holds V_1, then V_2 and so on, increasing in each; `counts` says how many values each
    has. f is minus the distance to the grid :math:`V_1 \times \dots \times V_d`, so 1-Lipschitz in
    l2.
    """

    seen: np.ndarray
    counts: np.ndarray

    def __post_init__(self):
        seen, counts = as_array(self.seen, 1, "seen"), as_array(self.counts, 1, "counts")
        sizes = counts.astype(np.int64)
        if np.any(sizes != counts) or np.any(sizes < 1) or sizes.sum() != len(seen):
            raise ValueError(f"counts must be integers >= 1 that sum to {len(seen)}.")
        starts = np.concatenate([[0], np.cumsum(sizes)])
        if any(np.any(np.diff(seen[a:b]) <= 0.0) for a, b in zip(starts, starts[1:], strict=False)):
            raise ValueError("seen must increase within a feature.")
        freeze(self, seen=seen, counts=counts, _starts=starts)

    def output_shape(self, shape):
        return (1,)

    def evaluate(self, values, scratch=None):
        offsets = _offsets(np.ascontiguousarray(values), self.seen, self._starts)
        return -np.sqrt(np.square(offsets).sum(axis=1, keepdims=True))

    def linearize(self, values):
        offsets = _offsets(np.ascontiguousarray(values), self.seen, self._starts)
        length = np.sqrt(np.square(offsets).sum(axis=1, keepdims=True))
        slope = -offsets / np.where(length > 0.0, length, 1.0)
        return -length, lambda upstream: upstream * slope

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        farthest = np.maximum.reduceat(np.abs(self.seen), self._starts[:-1])
        n_terms = len(self.counts) + 6
        return Rounding(n_terms, None, float(np.linalg.norm(farthest)), n_terms, len(self.counts))

    def to_onnx(self, graph, values, shape):
        total = None
        for feature, seen in enumerate(np.split(self.seen, self._starts[1:-1])):
            value = graph.add("Gather", values, graph.integers([feature]), axis=1)
            offset = graph.add("Sub", value, graph.constant(seen[np.newaxis]))
            nearest = graph.least(graph.add("Abs", offset), len(seen), 1)
            square = graph.add("Mul", nearest, nearest)
            total = square if total is None else graph.add("Add", total, square)
        return graph.add("Neg", graph.add("Sqrt", total))

    def to_keras(self, shape):
        layer = own_layer("nearest.NearestValues", [int(count) for count in self.counts])
        return built(layer, shape, self.seen)


def _offsets_by_numpy(values, seen, starts):
    offsets = np.empty(values.shape)
    for j, (first, last) in enumerate(zip(starts, starts[1:], strict=False)):
        x, own = values[:, j], seen[first:last]
        place = np.searchsorted(own, x, side="right")
        above = x - own[np.minimum(place, len(own) - 1)]
        below = x - own[np.maximum(place - 1, 0)]
        offsets[:, j] = np.where(np.abs(below) <= np.abs(above), below, above)
    return offsets


@compiled(without_numba=_offsets_by_numpy)
def _offsets(values, seen, starts):
    """Each feature's offset from the nearest of its values."""
    n_rows, n_features = values.shape
    offsets, places = np.empty(values.shape), np.empty(n_rows, np.int64)
    column = np.empty(n_rows)
    for j in range(n_features):
        column[:], own = values[:, j], seen[starts[j] : starts[j + 1]]
        count_at_most(own, column, places)
        for row in range(n_rows):
            above = column[row] - own[min(places[row], len(own) - 1)]
            below = column[row] - own[max(places[row] - 1, 0)]
            offsets[row, j] = below if abs(below) <= abs(above) else above
    return offsets
