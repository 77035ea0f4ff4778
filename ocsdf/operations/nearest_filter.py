"""The nearest of many references: float32 products tell which to measure in float64."""

import math

import numpy as np
from scipy.spatial.distance import cdist

from ocsdf.operations.base import smallest_normal
from ocsdf.operations.matrix_bounds import summation_error
from ocsdf.utils.compiled import compiled

# References whose test is one reduction.
_GROUP = 64
# Longer rows are compared one by one: float32 could not hold their squares.
_LONGEST = 2.0**50


class ReferenceFilter:
    r"""Tell references that cannot be the nearest by float32 products; measure the others.

    With :math:`t_i = \|r_i\|^2 - 2 \langle x, r_i \rangle` in float32, rows and references moved
    by the same centre, :math:`\|x - r_i\|^2` is at least :math:`\|x\|^2 + t_i - e` where e is
    :math:`\gamma (\|x\| + \|r_i\|)^2`. What may be nearest within that is measured in float64, by
    differences: results have the bits of an exhaustive search. References come in groups of equal
    setbacks, nearly, each told by the least of its t.
    """

    def __init__(self, references, setbacks):
        order = np.argsort(setbacks, kind="stable")
        starts = np.arange(0, len(order), _GROUP)
        self.order, self.setbacks = order, setbacks[order]
        self.references = np.ascontiguousarray(references[order])
        self.center = references.mean(axis=0)
        moved = self.references - self.center
        norms = np.linalg.norm(moved, axis=1)
        self.farthest = np.maximum.reduceat(norms, starts) * (1.0 + 2.0**-40)
        self.is_short = self.farthest.max() < _LONGEST
        narrow = np.float32(moved) if self.is_short else np.zeros_like(moved, np.float32)
        squares = np.square(narrow, dtype=np.float64).sum(axis=1)
        # A row's last number is 1, so that products hold the squares.
        self.factors = np.hstack([-2.0 * narrow, np.float32(squares)[:, np.newaxis]])

    def find(self, rows, places, nearest, scratch):
        """Fill in the place of each row's nearest reference, and its distance set back.

        `scratch` holds a float32 number for each reference and row.
        """
        moved = rows - self.center
        norms = np.linalg.norm(moved, axis=1) * (1.0 + 2.0**-40)
        is_short = (norms < _LONGEST) & self.is_short
        narrow = np.ones((len(rows), rows.shape[1] + 1), np.float32)
        narrow[:, :-1] = np.where(is_short[:, np.newaxis], moved, 0.0)
        # Rounding to float32 and products, and what moving by the centre rounds.
        n_terms = rows.shape[1] + 8
        gamma = 2.0 * summation_error(n_terms, 2.0**-24)
        tiny = 4.0 * n_terms * smallest_normal(2.0**-24)
        lost = np.where(is_short, 1.0, np.inf)
        products = scratch[: len(self.factors) * len(rows)].reshape(-1, len(rows))
        # A row is a column of them: BLAS fills them sooner so, and their least are vectors.
        np.matmul(self.factors, narrow.T, out=products)
        _choose(
            *(rows, self.references, products, np.square(norms), norms),
            *(self.farthest, self.setbacks, gamma, tiny, lost, self.order, places, nearest),
        )


@compiled(fastmath={"nnan", "nsz"})
def _least(products, leasts):
    """Fill in the least of each group of products, none of which is NaN, for each row."""
    for group in range(len(leasts)):
        least, first = leasts[group], group * _GROUP
        last = min(first + _GROUP, len(products))
        least[:] = products[first]
        for start in range(first, last, 4):
            # Past the last reference it comes again.
            one, two = products[start], products[min(start + 1, last - 1)]
            three, four = products[min(start + 2, last - 1)], products[min(start + 3, last - 1)]
            for i in range(len(least)):
                least[i] = min(min(least[i], min(one[i], two[i])), min(three[i], four[i]))


def _choose_by_numpy(rows, references, *filtering):
    setbacks, order, places, nearest = filtering[4], *filtering[-3:]
    distances = cdist(rows, references) + setbacks
    places[:], nearest[:] = order[distances.argmin(axis=1)], distances.min(axis=1)


@compiled(without_numba=_choose_by_numpy)
def _choose(
    rows, references, products, squares, norms, farthest, setbacks, gamma, tiny, lost, order,
    places, nearest,
):  # fmt: skip
    """Find each row's reference of least distance plus setback."""
    n_references, n_features = references.shape
    n_groups = len(farthest)
    lows, firsts = np.empty(n_groups), setbacks[::_GROUP]
    leasts = np.empty((n_groups, len(rows)), np.float32)
    _least(products, leasts)
    leasts = leasts.T.copy()
    for row in range(len(rows)):
        line = products[:, row]
        square = squares[row] * (1.0 - gamma)
        for group in range(n_groups):
            error = lost[row] * (gamma * (norms[row] + farthest[group]) ** 2 + tiny)
            lows[group] = math.sqrt(max(square + leasts[row, group] - error, 0.0)) + firsts[group]
        first = np.argmin(lows)
        best, place = np.inf, 0
        for turn in range(-1, n_groups):
            group = first if turn < 0 else turn
            # The margin keeps what rounding of the sum with the setback might hide.
            if (turn == first) or lows[group] * (1.0 - 1e-14) >= best:
                continue
            error = lost[row] * (gamma * (norms[row] + farthest[group]) ** 2 + tiny)
            for i in range(group * _GROUP, min((group + 1) * _GROUP, n_references)):
                room = best - setbacks[i]
                if room <= 0.0 or square + line[i] - error >= room * room:
                    continue
                total = 0.0
                for j in range(n_features):
                    total += (rows[row, j] - references[i, j]) ** 2
                distance = math.sqrt(total) + setbacks[i]
                if distance < best:
                    best, place = distance, order[i]
        places[row], nearest[row] = place, best
