"""The boundary of a verdict near rows with categories: numbers move, categories are swapped."""

import numpy as np

from ocsdf.explanation.boundary import boundary_points
from ocsdf.explanation.field import Field

# Categories that are swapped at once, and those of a column that are tried: the most frequent ones.
_MOST_SWAPS, _MOST_TRIED = 3, 16
# A swap has to shorten the way by 2 %: the fewer changes, the better they are understood.
_WORTH = 0.98


def boundary_by_swaps(network, points, level, units, *, is_held, codes, whole=None):
    r"""Find, near each row, a point on the other side of a level set that is a row, too.

    A point with half a category is none, so numbers move with categories held
    (:func:`ocsdf.explanation.boundary.boundary_points`); where it is shorter, up to three
    categories are swapped first, each time the one that brings f nearest to the other side. With k
    swaps, each at distance c, and a move r of the numbers the distance is
    :math:`\sqrt{r^2 + k c^2}`, an upper bound of that to the level set. `is_held` marks coordinates
    that are no numbers, or missing ones, and `codes` pairs each column of categories' first
    coordinate with how many it may be swapped to.
    """
    field = Field(network, level)
    side = field.other_side(points)

    def by_numbers(starts):
        return boundary_points(network, starts, level, units=units, free=~is_held, whole=whole)

    best = by_numbers(points)
    swapped, is_swapped = points.copy(), np.zeros((len(points), len(codes)), bool)
    for n_swaps in range(1, min(_MOST_SWAPS, len(codes)) + 1):
        rows = np.flatnonzero(best.distance > np.sqrt(2.0 * n_swaps))
        for row in rows:
            _swap(field, side[row], swapped[row], is_swapped[row], codes)
        rows = rows[is_swapped[rows].sum(axis=1) == n_swaps]
        if not len(rows):
            break
        across = field.height(swapped[rows], side[rows]) > 0.0
        # What is across by no more than rounding is neither here nor there.
        undecided = ~across & (field.other_side(swapped[rows]) != side[rows])
        found = by_numbers(swapped[rows])
        ends = np.where(across[:, None], swapped[rows], found.points)
        distance = np.linalg.norm(ends - points[rows], axis=1)
        shorter = (across | found.converged) & ~undecided
        shorter &= distance < _WORTH * best.distance[rows]
        kept = rows[shorter]
        best.points[kept], best.distance[kept] = ends[shorter], distance[shorter]
        best.converged[kept] = True
        best.rows[kept] = np.where(across[:, None], _rows_of(ends, *units), found.rows)[shorter]
    return best


def _swap(field, side, row, is_swapped, codes):
    """Swap the category of a row, in place, that brings it nearest to the other side."""
    candidates, places = [], []
    for place, (first, n_labels) in enumerate(codes):
        now = np.flatnonzero(row[first : first + n_labels])
        if is_swapped[place] or not len(now):
            continue
        labels = [*range(min(n_labels - 1, _MOST_TRIED)), n_labels - 1]
        for label in labels:
            if label != now[0]:
                other = row.copy()
                other[first + now[0]], other[first + label] = 0.0, 1.0
                candidates.append(other)
                places.append(place)
    if candidates:
        heights = field.height(np.stack(candidates), np.full(len(candidates), side))
        chosen = int(np.argmax(heights))
        row[:], is_swapped[places[chosen]] = candidates[chosen], True


def _rows_of(points, mean, scale, stretched):
    """Rows of points, up to rounding."""
    return (points if stretched is None else stretched.inverse(points)) * scale + mean
