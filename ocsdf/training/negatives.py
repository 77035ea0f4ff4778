"""Algorithm 1: negatives drawn from seeds in B towards a level set of the network."""

import sys

import numpy as np

from ocsdf.training.newton import newton_step

SCHEDULES = ("printed", "even", "full")
_ROUNDS = 20
_STEPS = 64
_TOLERANCE = 1e-3


def attract(network, seeds, domain, *, level, eta, steps, schedule="printed", lipschitz=1.0):
    r"""Pull seeds towards a level set by T guarded Newton steps (OCSDF Algorithm 1, Eq. 7).

    Step t = 0 .. T-1 covers a share of the gap that is left, then projects on B:

    * ``"printed"``: :math:`\eta / T`, as in Algorithm 1, which leaves
      :math:`(1 - \eta/T)^T` of the first gap wherever f is affine with unit gradient;
    * ``"even"``: :math:`\eta / (T - \eta t)`, which leaves exactly :math:`1 - \eta`, so that
      negatives are spread evenly on the path, as Sec. 3.2 describes;
    * ``"full"``: :math:`\eta`, so that with :math:`\eta = 1` samples reach the level.

    Parameters
    ----------
    network : callable or object
        As for :func:`ocsdf.training.newton.newton_step`.
    seeds : array or tensor of shape (n, n_features)
        Starting points in B.
    domain : Box or Ball
        B.
    level : float or scalar tensor
        The papers' default is minus the margin.
    eta : array or tensor of shape (n,)
        Each sample's learning rate in [0, 1].
    steps : int or scalar tensor
        T; 0 gives the seeds back.
    schedule : {"printed", "even", "full"}, default="printed"
    lipschitz : float, default=1.0
        A Lipschitz constant of the network. No sample crosses the level.

    Returns
    -------
    array or tensor of shape (n, n_features)

    Examples
    --------
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from ocsdf.training import Box, attract
    >>> def norm(points):
    ...     return tf.norm(points, axis=1, keepdims=True)
    >>> box = Box(tf.constant([-9.0, -9.0]), tf.constant([9.0, 9.0]))
    >>> settings = {"level": 1.0, "eta": tf.constant([1.0]), "steps": 4, "schedule": "full"}
    >>> attract(norm, tf.constant([[3.0, 4.0]]), box, **settings).numpy().round(4)
    array([[0.6, 0.8]], dtype=float32)
    """
    points = seeds
    if isinstance(steps, int):
        total, turns = steps, range(steps)
    else:
        tf = sys.modules["tensorflow"]
        total = tf.cast(steps, tf.float32)
        turns = tf.range(total)
    for step in turns:
        if schedule == "full":
            share = eta
        else:
            share = eta / (total - (eta * step if schedule == "even" else 0.0))
        moved = newton_step(network, points, level, share, lipschitz)
        points = domain.project(moved.points)
    return points


def sample_level_set(network, domain, n_samples, level, seed):
    """Sample points of B on a level set: Algorithm 1 with full Newton steps from uniform seeds.

    Seeds that do not come within 1e-3 of the level are drawn anew.

    Parameters
    ----------
    network : CertifiedNetwork
        1-Lipschitz.
    domain : Box or Ball
        B.
    n_samples : int
    level : float
    seed : int

    Returns
    -------
    ndarray of shape (n_samples, n_features), float64

    Raises
    ------
    ValueError
        If too few seeds reach the level, as where f has no such value on B.

    Examples
    --------
    Points of the unit circle, the level set at -1 of minus the distance to the origin:

    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.operations import Chain
    >>> from ocsdf.operations.distances import SubsampleDistance
    >>> from ocsdf.training import Box, sample_level_set
    >>> distance = SubsampleDistance(np.zeros((1, 2)), (1,), "l2")
    >>> network = CertifiedNetwork(Chain([distance], (2,)))
    >>> points = sample_level_set(network, Box([-2.0, -2.0], [2.0, 2.0]), 50, level=-1.0, seed=0)
    >>> bool(np.abs(np.linalg.norm(points, axis=1) - 1.0).max() < 2e-3)
    True
    """
    found, seen = [], []
    random_state = np.random.default_rng(seed)
    for _ in range(_ROUNDS):
        points = domain.sample(n_samples, random_state).astype(np.float64)
        points = attract(
            network, points, domain, level=level, eta=1.0, steps=_STEPS, schedule="full"
        )
        values = network.score(points)
        found.extend(points[np.abs(values - level) <= _TOLERANCE])
        seen.append(values)
        if len(found) >= n_samples:
            return np.stack(found[:n_samples])
    raise ValueError(
        f"Only {len(found)} of {n_samples} points reached level {level:g}: from uniform seeds in "
        f"B, f ends between {np.min(seen):.3g} and {np.max(seen):.3g}. Choose a level in between."
    )
