"""Algorithm 1: negatives drawn from seeds in B towards a level set of the network."""

import tensorflow as tf

from ocsdf.newton import newton_step

SCHEDULES = ("printed", "even")


def attract(network, seeds, domain, *, level, eta, steps, schedule="printed", lipschitz=1.0):
    r"""Pull seeds towards a level set by T guarded Newton steps (OCSDF Algorithm 1, Eq. 7).

    Step t = 0 .. T-1 covers a share of the gap that is left, then projects on B:

    * ``"printed"``: :math:`\eta / T`, as in Algorithm 1, which leaves
      :math:`(1 - \eta/T)^T` of the first gap wherever f is affine with unit gradient;
    * ``"even"``: :math:`\eta / (T - \eta t)`, which leaves exactly :math:`1 - \eta`, so that
      negatives are spread evenly on the path, as Sec. 3.2 describes.

    Parameters
    ----------
    network : callable
        Maps (n, n_features) to (n, 1).
    seeds : tensor of shape (n, n_features)
        Starting points in B.
    domain : Box or Ball
        B.
    level : float or scalar tensor
        The papers' default is minus the margin.
    eta : tensor of shape (n,)
        Each sample's learning rate in [0, 1].
    steps : int or scalar tensor
        T; 0 gives the seeds back.
    schedule : {"printed", "even"}, default="printed"
    lipschitz : float, default=1.0
        A Lipschitz constant of the network. No sample crosses the level.

    Returns
    -------
    tensor of shape (n, n_features)
    """
    points = seeds
    steps = tf.convert_to_tensor(steps, dtype=tf.int32)
    total = tf.cast(steps, tf.float32)
    for step in tf.range(steps):
        done = eta * tf.cast(step, tf.float32) if schedule == "even" else 0.0
        moved = newton_step(network, points, level, eta / (total - done), lipschitz)
        points = domain.project(moved.points)
    return points
