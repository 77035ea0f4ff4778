"""Points moved onto a level set of a network (CNLS Sec. 2.1)."""

from typing import NamedTuple

import tensorflow as tf

from ocsdf.levelsets.rows import as_tensor, flatten, in_precision, on_rows
from ocsdf.training.newton import newton_step

# Iterations, where none are asked for. CNLS: 10 to 20 for Newton, 40 for false position (B.3).
_MAX_ITER = {"newton": 20, "false_position": 40, "gradient": 20}
# Share of the decrease that the slope promises, which a step of gradient descent must achieve.
_SUFFICIENT = 0.1


class Projection(NamedTuple):
    """Where points went.

    Attributes
    ----------
    points : tensor of shape (n, ...)
    values : tensor of shape (n, l)
        F at the points. A point that failed has a level of its own, and it stands here.
    converged : tensor of shape (n,), bool
        Whether the values are within the tolerance of the level, in l2.
    n_iter : tensor of shape (n,), int32
        Steps that each point took; with false position, trial points.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import project
    >>> def norm(points):
    ...     return tf.norm(points, axis=1)
    >>> found = project(norm, [[3.0, 4.0]], level=1.0)
    >>> found.converged.numpy(), found.n_iter.numpy()
    (array([ True]), array([1], dtype=int32))
    """

    points: tf.Tensor
    values: tf.Tensor
    converged: tf.Tensor
    n_iter: tf.Tensor


def project(
    network, points, level=0.0, method="newton", max_iter=None, tol=1e-6, *, ends=None, args=()
):
    r"""Move points to a level set :math:`\{x : F(x) = c\}` of a network :math:`F: R^d \to R^l`.

    * ``"newton"``: generalized Newton steps (CNLS Eq. 4 and 5, from F to F - c),

      .. math:: p \leftarrow p - D_x F(p)^\dagger \, (F(p) - c),

      each of which, for affine F of full rank, is the orthogonal projection (Lemma 1).
    * ``"false_position"``, for l = 1: along the segment from each point to its end, between which
      F - c changes sign. The end that stays twice counts half (the Illinois rule), so that the
      bracket shrinks where F bends, too.
    * ``"gradient"``: descent on :math:`h = \|F - c\|_2`,

      .. math:: p \leftarrow p - t \, h \, \nabla h / \|\nabla h\|^2.

      t = 1 would reach 0 if h were affine. t is halved when h does not decrease enough, and
      doubled up to 1 when it does: h never increases. For l = 1 this is a damped Newton method.

    Each point stops as soon as it is within the tolerance, and costs nothing any more.

    Parameters
    ----------
    network : callable
        F, a Keras model or any function of TensorFlow tensors. Maps points (n, ...) to (n, l), or
        to (n,) for l = 1; each point by itself.
    points : array-like or tensor of shape (n, ...)
        Starting points, flat rows or of any other shape that the network takes.
    level : float or array-like, default=0.0
        c: a number, or of shape (l,), or (n, l) for a level of each point's own.
    method : {"newton", "false_position", "gradient"}, default="newton"
    max_iter : int or None, default=None
        Most steps of a point. None is 20, and 40 for false position.
    tol : float, default=1e-6
        In the units of F, in l2 over its outputs. Float32 networks round at 1e-7 of the size of
        what they add up.
    ends : array-like or tensor of the points' shape
        The segments' other ends, for false position only.
    args : sequence of tensors
        Further arguments of the network, such as labels, each with a row for every point.

    Returns
    -------
    Projection
        Constants: gradients do not flow through it, see :class:`SampleNetwork` for that. A point
        that does not reach the level keeps the level where it ended, which is its start where
        false position finds no change of sign, or the nearer end.

    Raises
    ------
    ValueError
        If the method is unknown, max_iter or tol is negative, ends are missing or superfluous,
        or shapes do not fit.

    Notes
    -----
    Works in eager mode and within ``tf.function``; for small networks the second is 100 times as
    fast. Call it outside of the gradient tape of a training step, which would record all of it.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import project
    >>> def norm(points):
    ...     return tf.norm(points, axis=1)
    >>> found = project(norm, [[3.0, 4.0], [0.0, -0.5]], level=1.0)
    >>> found.points.numpy().round(4)
    array([[ 0.6,  0.8],
           [ 0. , -1. ]], dtype=float32)
    """
    if method not in _MAX_ITER:
        raise ValueError(f"method must be one of {sorted(_MAX_ITER)}; got {method!r}.")
    if (ends is not None) != (method == "false_position"):
        raise ValueError(
            "ends, the segments' other ends, belong to method='false_position' and to no other; "
            f"got method={method!r} with{'out' if ends is None else ''} ends."
        )
    max_iter = _MAX_ITER[method] if max_iter is None else max_iter
    if max_iter < 0 or tol < 0.0:
        raise ValueError(
            f"max_iter and tol must be 0 or more; got max_iter={max_iter} and tol={tol}."
        )
    points = as_tensor(points)
    rows = flatten(points)
    first = on_rows(network, points.shape[1:], args)(rows)
    target = _Target(network, points.shape[1:], args, _levels(level, first), tol)
    if method == "newton":
        moved, values, stopped, n_iter = _newton(target, rows, first, max_iter)
    elif method == "gradient":
        moved, values, stopped, n_iter = _descend(target, rows, first, max_iter)
    else:
        ends = _checked_ends(ends, points, first)
        moved, values, stopped, n_iter = _false_position(target, rows, ends, first, max_iter)
    # What has stopped is judged by the values that stopped it: other batches may round otherwise.
    values = tf.where(stopped[:, tf.newaxis], values, target.evaluate(moved))
    found = Projection(tf.reshape(moved, tf.shape(points)), values, target.reached(values), n_iter)
    return Projection(*(tf.stop_gradient(part) for part in found))


class _Target(NamedTuple):
    """A level set that rows are to reach."""

    network: object
    shape: tf.TensorShape
    args: tuple
    levels: tf.Tensor
    tol: float

    def evaluate(self, rows):
        return on_rows(self.network, self.shape, self.args)(rows)

    def gap(self, values):
        return tf.linalg.norm(values - self.levels, axis=1)

    def reached(self, values):
        return self.gap(values) <= self.tol

    def take(self, index):
        """The same for some of the rows."""
        args = tuple(tf.gather(arg, index) for arg in self.args)
        return self._replace(args=args, levels=tf.gather(self.levels, index))


def _levels(level, values):
    """Return each point's level, of the values' shape (n, l)."""
    level = in_precision(level, values.dtype)
    n_points, n_outputs = values.shape
    fits = (
        level.shape.rank == 0
        or tuple(level.shape) == (n_outputs,)
        or (level.shape.rank == 2 and level.shape[1] == n_outputs)
        and (level.shape[0] == n_points or None in (n_points, level.shape[0]))
    )
    if not fits:
        raise ValueError(
            f"level must be a number, or of shape ({n_outputs},), or (n, {n_outputs}) with a row "
            f"for each of the points, as the network has l = {n_outputs}; got shape "
            f"{tuple(level.shape)}."
        )
    return tf.broadcast_to(level, tf.shape(values))


def _checked_ends(ends, points, values):
    ends = in_precision(ends, points.dtype)
    if values.shape[1] != 1:
        raise ValueError(
            f"method='false_position' needs a network of one output; it has {values.shape[1]}."
        )
    if not ends.shape.is_compatible_with(points.shape):
        raise ValueError(
            f"ends must have the points' shape {tuple(points.shape)}; got {tuple(ends.shape)}."
        )
    return flatten(ends)


def _repeat(move, target, resting, state, max_iter):
    """Move the rows that do not rest, until all do or for max_iter times.

    ``move(target, *state)`` sees only those rows, and returns their new state and who rests now.
    Also returns how often each row was moved.
    """

    def going(step, resting, *_):
        return tf.logical_and(step < max_iter, tf.reduce_any(~resting))

    def body(step, resting, n_iter, *state):
        places = tf.where(~resting)
        index = places[:, 0]
        *moved, rests = move(target.take(index), *(tf.gather(part, index) for part in state))
        state = (
            tf.tensor_scatter_nd_update(part, places, new)
            for part, new in zip(state, moved, strict=True)
        )
        resting = tf.tensor_scatter_nd_update(resting, places, rests)
        once = tf.ones_like(index, tf.int32)
        return step + 1, resting, tf.tensor_scatter_nd_add(n_iter, places, once), *state

    n_iter = tf.zeros_like(resting, tf.int32)
    _, resting, n_iter, *state = tf.while_loop(going, body, (0, resting, n_iter, *state))
    return state, resting, n_iter


def _newton(target, rows, values, max_iter):
    def move(target, rows, _):
        level = target.levels if target.levels.shape[1] > 1 else target.levels[:, 0]
        step = newton_step(target.evaluate, rows, level, share=1.0, lipschitz=None)
        values = tf.reshape(step.values, tf.shape(target.levels))
        rests = target.reached(values)
        # A gradient so small that the step overflows leads nowhere.
        possible = tf.reduce_all(tf.math.is_finite(step.points), axis=1)
        moves = (possible & ~rests)[:, tf.newaxis]
        return tf.where(moves, step.points, rows), values, rests

    return _found_at_the_start(move, target, (rows, values), max_iter)


def _descend(target, rows, values, max_iter):
    def move(target, rows, _, pace):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(rows)
            values = target.evaluate(rows)
            height = target.gap(values)
        zero = tf.UnconnectedGradients.ZERO
        slope = tape.gradient(height, rows, unconnected_gradients=zero)
        rests = target.reached(values)
        steepness = tf.reduce_sum(slope**2, axis=1)
        length = pace * height / tf.where(steepness > 0.0, steepness, 1.0)
        moved = rows - length[:, tf.newaxis] * slope
        lower = target.gap(target.evaluate(moved)) <= (1.0 - _SUFFICIENT * pace) * height
        moved = tf.where((lower & ~rests)[:, tf.newaxis], moved, rows)
        return moved, values, tf.where(lower, tf.minimum(2.0 * pace, 1.0), pace / 2.0), rests

    pace = tf.ones_like(values[:, 0])
    rows, values, _, stopped, n_iter = _found_at_the_start(
        move, target, (rows, values, pace), max_iter
    )
    return rows, values, stopped, n_iter


def _found_at_the_start(move, target, state, max_iter):
    """Repeat moves that see only where they start whether a row is there, and then leave it."""
    resting = target.reached(state[1])
    state, stopped, n_iter = _repeat(move, target, resting, state, max_iter)
    looks = tf.cast(stopped & ~resting, tf.int32)
    return *state, stopped, n_iter - looks


def _false_position(target, starts, ends, at_starts, max_iter):
    def move(target, rows, values, low, high, below, above, side):
        rows = low + below / (below - above) * (high - low)
        values = target.evaluate(rows)
        gap = values - target.levels
        raises = tf.sign(gap) == tf.sign(below)
        # The end that stays a second time counts half: Illinois.
        now = tf.where(raises, tf.ones_like(side), -tf.ones_like(side))
        again = now == side
        below, above = (
            tf.where(raises, gap, tf.where(again, below / 2.0, below)),
            tf.where(raises, tf.where(again, above / 2.0, above), gap),
        )
        low, high = tf.where(raises, rows, low), tf.where(raises, high, rows)
        return rows, values, low, high, below, above, now, target.reached(values)

    at_ends = target.evaluate(ends)
    below, above = at_starts - target.levels, at_ends - target.levels
    farther = tf.abs(above) >= tf.abs(below)
    rows, values = tf.where(farther, starts, ends), tf.where(farther, at_starts, at_ends)
    crosses = (tf.sign(below) * tf.sign(above) < 0.0)[:, 0]
    resting = target.reached(values) | ~crosses
    state = (rows, values, starts, ends, below, above, tf.zeros_like(below))
    (rows, values, *_), stopped, n_iter = _repeat(move, target, resting, state, max_iter)
    return rows, values, stopped, n_iter
