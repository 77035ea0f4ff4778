"""Paths across a level set: Newton steps, where a segment comes across, and its shortening turn."""

import numpy as np

from ocsdf.networks.gradients import unit
from ocsdf.training.newton import newton_step

# Newton steps under the guard; after them it widens, since where the gradient is short they would
# come ever nearer to the level and never get across.
_GUARDED, _WIDENING, _WIDER = 8, 40, 1.5
_SECTIONS = 80
_TURNS, _LEAST_WEIGHT = 24, 2.0**-7


def walk(field, side, starts, free=None):
    """Walk from each start until across; NaN where the path ends before.

    Only features that are `free`, a row of bool each, are moved; None moves all.
    """
    places, left = starts.copy(), np.arange(len(starts))
    for step in range(_GUARDED + _WIDENING):
        if not len(left):
            break
        guard = field.lipschitz / _WIDER ** max(0, step - _GUARDED)
        share = np.ones(len(left))
        slope = field.toward(side[left], None if free is None else free[left])
        moved = newton_step(slope, places[left], field.most / 2.0, share, guard).points
        moved = field.confine(moved)
        places[left] = moved if free is None else np.where(free[left], moved, starts[left])
        left = left[~(field.height(places[left], side[left]) > 0.0)]
    places[left] = np.nan
    return places


def section(field, side, starts, ends):
    """Where the segments from starts to ends, which are across, come across.

    False position and bisection in turn: the first is fast where f is nearly affine.
    """
    low, high = np.zeros(len(starts)), np.ones(len(starts))
    below, above = field.height(starts, side), field.height(ends, side)
    for step in range(_SECTIONS):
        rows = np.flatnonzero(above > field.most)
        if not len(rows):
            break
        rest = field.most / 2.0 - below[rows]
        share = 0.5 if step % 2 else rest / (rest + above[rows] - field.most / 2.0)
        place = low[rows] + share * (high[rows] - low[rows])
        points = starts[rows] + place[:, None] * (ends[rows] - starts[rows])
        height = field.height(points, side[rows])
        across = height > 0.0
        high[rows[across]], above[rows[across]] = place[across], height[across]
        low[rows[~across]], below[rows[~across]] = place[~across], height[~across]
    # A share of 1 is the end itself, to the last bit.
    return np.where(high[:, None] == 1.0, ends, starts + high[:, None] * (ends - starts))


def turn(field, side, starts, ends, free=None):
    """Turn the segments towards the gradient at their ends, as long as they become shorter."""
    length, weight = np.linalg.norm(ends - starts, axis=1), np.ones(len(starts))
    for _ in range(_TURNS):
        rows = np.flatnonzero(weight > _LEAST_WEIGHT)
        if not len(rows):
            break
        moves = None if free is None else free[rows]
        gradient = unit(field.slopes(ends[rows], side[rows], moves))
        direction = unit(ends[rows] - starts[rows])
        direction = unit(direction + weight[rows, None] * (gradient - direction))
        turned = field.confine(starts[rows] + length[rows, None] * direction)
        turned = turned if moves is None else np.where(moves, turned, starts[rows])
        across = field.height(turned, side[rows]) > 0.0
        weight[rows[~across]] /= 2.0
        rows, turned = rows[across], turned[across]
        turned = section(field, side[rows], starts[rows], turned)
        shorter = np.linalg.norm(turned - starts[rows], axis=1)
        better = shorter < length[rows]
        weight[rows[~better]] /= 2.0
        rows = rows[better]
        ends[rows], length[rows] = turned[better], shorter[better]
    return ends
