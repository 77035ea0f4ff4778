"""Seeds for negatives that keep clear of the data, as OCSDF Def. 1 asks."""

import numpy as np
from scipy.spatial import cKDTree

from ocsdf.operations.nearest import NearestRow
from ocsdf.utils.threads import crew, slices

# Share of the seeds that are uniform on B; the others lie around rows, up to so many margins off.
_UNIFORM, _FARTHEST = 0.3, 20.0
_CLEAR = 2.0
_MOST_DRAWN, _MOST_CELLS, _ROUNDS = 2**13, 2**22, 8
# Points that are looked at first for whether there is room.
_GLANCE = 64
# Points whose distances are measured by one thread at a time.
_AT_A_TIME = 2**10
# Features up to which a tree finds neighbours faster than products do.
_TREE_FEATURES = 8


class ClearSeeds:
    r"""Draw seeds that are more than 2 m away from all rows.

    Def. 1 of OCSDF asks for negatives on B that leave a gap of 2 m around the data; uniform seeds
    do not in two or three dimensions, and in many they hardly come near the data at all (Sec.
    3.2). Of ten seeds three are uniform on B and seven lie at a distance from a random row that is
    log-uniform between 2 m and 20 m; a share of all, `swapped`, are rows that took some of their
    features, as many as chance has it, from another row. Those that are not clear of all rows are
    dropped.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    margin : float
        m.
    domain : Box or Ball
        B.
    swapped : float, default=0.0
        Share of the points drawn that mix two rows; 0.3 in the default of tables.
    """

    def __init__(self, rows, margin, domain, swapped=0.0):
        self._rows, self._margin, self._domain = np.unique(rows, axis=0), margin, domain
        self._pool, self._swapped = None, swapped
        if rows.shape[1] <= _TREE_FEATURES:
            tree = cKDTree(self._rows)
            self._distance = lambda points: tree.query(points)[0]
        else:
            nearest = NearestRow(self._rows, np.zeros(len(self._rows)))
            self._distance = lambda points: -nearest.evaluate(points.astype(np.float64))[:, 0]

    def __call__(self, n_samples, random_state):
        """Draw seeds, as :meth:`ocsdf.training.Box.sample` draws points of B.

        They are taken with repetition from up to 8,192 that are drawn at the first call. A
        ValueError says that none of as many points is clear of the rows.
        """
        if self._pool is None:
            self._pool = self._draw(random_state)
        if not len(self._pool):
            raise ValueError(
                f"no point that was drawn from B is more than {_CLEAR * self._margin:g} from all "
                "rows; choose a smaller margin."
            )
        return self._pool[random_state.integers(len(self._pool), size=n_samples)]

    def has_room(self, random_state):
        """Tell whether any point is clear, of a few at first, then of as many as are drawn."""
        if np.any(self._clear(self._candidates(_GLANCE, random_state))):
            return True
        return len(self._draw(random_state)) > 0

    def _draw(self, random_state):
        n_drawn = max(1, min(_MOST_DRAWN, _MOST_CELLS // self._rows.shape[1]))
        kept, n_tried, n_kept, n_next = [], 0, 0, n_drawn
        for _ in range(_ROUNDS):
            points = self._candidates(n_next, random_state)
            kept.append(points[self._clear(points)])
            n_tried, n_kept = n_tried + n_next, n_kept + len(kept[-1])
            if n_kept >= n_drawn:
                break
            # As many as should do, by the share that was clear so far.
            n_next = min(n_drawn, -(-(n_drawn - n_kept) * n_tried // max(n_kept, 1)))
        return np.concatenate(kept)

    def _candidates(self, n_points, random_state):
        """Draw points uniform on B, around rows and between their features, clear or not."""
        n_swapped = int(self._swapped * n_points)
        n_points -= n_swapped
        n_uniform = int(np.ceil(_UNIFORM * n_points))
        numbers = random_state.integers(len(self._rows), size=n_points - n_uniform)
        away = random_state.standard_normal((len(numbers), self._rows.shape[1]))
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        share = random_state.random((len(numbers), 1))
        length = self._margin * _CLEAR * (_FARTHEST / _CLEAR) ** share
        around = self._domain.project((self._rows[numbers] + length * away).astype(np.float32))
        parts = [self._domain.sample(n_uniform, random_state), around]
        if n_swapped:
            parts.append(self._between(n_swapped, random_state))
        return np.concatenate(parts)

    def _between(self, n_points, random_state):
        """Draw rows that have a random share of their features of another row."""
        ours, theirs = self._rows[random_state.integers(len(self._rows), size=(2, n_points))]
        is_ours = random_state.random(ours.shape) < random_state.random((n_points, 1))
        return self._domain.project(np.where(is_ours, ours, theirs).astype(np.float32))

    def _clear(self, points):
        return self._distances(points) > _CLEAR * self._margin

    def _distances(self, points):
        """Measure the distance of each point to the nearest row, on all cores."""
        tasks = slices(len(points), _AT_A_TIME)
        with crew(len(tasks)) as run:
            return np.concatenate(run(lambda part: self._distance(points[part]), tasks))
