"""What points on level sets are sought from: data for classifiers, a capsule, what is compared."""

import numpy as np

from experiments.level_set_control import SIDE, draw_points

# Starts are drawn in [-0.35, 0.35]^2.
HIGH, N_SAMPLES = 0.35, 1_000
UNIFORM, NEAR, FARTHER = "uniform", "normal 0.01", "normal 0.05"
SIGMAS = {NEAR: 0.01, FARTHER: 0.05}
# Chamfer and Hausdorff distance in the paper.
PAPER = {UNIFORM: (0.011, 0.141), NEAR: (0.006, 0.017), FARTHER: (0.010, 0.132)}
# What was wanted of the second row beside the first.
WANTED = (0.6, 0.2)
# Of 10 to 20 in the paper, the fewest: Newton's method has not always arrived by then.
MAX_ITER = 10
EVEN, RARE, CAPSULE = "16 points, 8 positive", "100 points, 10 positive", "capsule"
DATA = (RARE, EVEN)
_N_RARE, _RARE_APART = (100, 10), 0.03
# The capsule: all points nearer than r to a segment of half length h; noise of its cloud.
HALF, RADIUS, NOISE, N_CLOUD = 0.25, 0.18, 0.005, 5_000
LEVELS = np.linspace(-0.1, 0.1, 11)
# What the cut shows: [-0.6, 0.6]^2 of the plane y = 0.
REACH = 0.6


def draw_data(name, seed):
    """Draw what a classifier is trained on."""
    if name == EVEN:
        points, labels = draw_points(seed)
        return points - SIDE / 2.0, labels
    random_state = np.random.default_rng(seed)
    n_points, n_positive = _N_RARE
    points = np.empty((0, 2))
    while len(points) < n_points:
        point = random_state.uniform(-0.25, 0.25, 2)
        if np.all(np.abs(points - point).max(axis=1) >= _RARE_APART):
            points = np.vstack([points, point])
    return points, random_state.permutation((np.arange(n_points) < n_positive).astype(int))


def capsule_distance(points):
    r"""Measure the signed distance to a capsule along the x axis.

    .. math:: S(x) = r - \big\|x - (\min(\max(x_1, -h), h), 0, 0)\big\|_2
    """
    along_axis = np.clip(points[:, 0], -HALF, HALF)
    return RADIUS - np.hypot(points[:, 0] - along_axis, np.hypot(points[:, 1], points[:, 2]))


def draw_capsule(n_points, random_state):
    """Draw points of the capsule's surface, uniform by area."""
    # Of the area, 4 pi r h is the side's and 4 pi r^2 that of the two half spheres.
    on_side = random_state.uniform(size=n_points) < HALF / (HALF + RADIUS)
    directions = random_state.normal(size=(n_points, 3))
    ends = np.sign(directions[:, 0]) * HALF
    directions[on_side, 0] = 0.0
    points = RADIUS * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    places = random_state.uniform(-HALF, HALF, n_points)
    points[:, 0] += np.where(on_side, places, ends)
    return points
