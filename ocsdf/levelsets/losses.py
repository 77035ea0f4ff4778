"""Losses of points on level sets: geometric SVM, robustness, reconstruction (CNLS Sec. 3)."""

from keras import backend, ops

NORMS = ("l2", "linf")


def class_margin(logits, labels):
    r"""Tell by how much a class leads: zero on the decision boundary of that class.

    .. math:: F^j = f_j - \max_{i \ne j} f_i

    (CNLS Eq. 1, Sec. 3.2).

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        f.
    labels : integer tensor of shape (n,)
        j.

    Returns
    -------
    tensor of shape (n,)
        Positive where the class wins.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import class_margin
    >>> class_margin(tf.constant([[2.0, 0.5, 1.0], [2.0, 0.5, 1.0]]), tf.constant([0, 1])).numpy()
    array([ 1. , -1.5], dtype=float32)
    """
    own = ops.one_hot(labels, logits.shape[1], dtype="bool")
    least = ops.convert_to_tensor(-float("inf"), dtype=logits.dtype)
    # Without the least value, Keras refuses a batch of no rows.
    others = ops.max(ops.where(own, least, logits), axis=1, initial=least)
    return ops.sum(ops.where(own, logits, 0.0), axis=1) - others


def geometric_svm(labels, values, points, samples, weight, alpha=-1.0, norm="linf"):
    r"""Soft-margin SVM loss of each point, with its margin in the space of the points.

    .. math:: \max\Big\{0, \; 1 - \mathrm{sign}(y F(x)) \frac{d(x, p^0)}{\Delta}\Big\}
       + \lambda \Delta^\alpha, \qquad \Delta = \min\{d(p^0, p^1), \, d(p^0, p^{-1})\}

    (CNLS Eq. 11, Sec. 5.1), where :math:`p^t` is x projected on the level t of F. For affine F,
    alpha = -2 and l2 it is the soft-margin SVM loss (Eq. 10), with the same gradient.

    Parameters
    ----------
    labels : tensor of shape (n,) or (n, 1)
        y in {-1, 1}.
    values : tensor of shape (n,) or (n, 1)
        F(x); only its sign counts.
    points : tensor of shape (n, ...)
        x.
    samples : sequence of three tensors of the points' shape
        The points on the levels 0, 1 and -1, as functions of the weights: what calling a
        :class:`SampleNetwork` gives.
    weight : float
        lambda.
    alpha : float, default=-1.0
    norm : {"linf", "l2"}, default="linf"
        d.

    Returns
    -------
    tensor of shape (n,)
        1 and no more where the levels' points coincide, to Keras's epsilon: no level was found.
        Points of which some level was not reached are better left out, by what
        :func:`ocsdf.levelsets.project` says of their convergence.

    Raises
    ------
    ValueError
        For another norm.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import geometric_svm
    >>> point = tf.constant([[2.0, 0.0]])
    >>> samples = [tf.constant([[x, 0.0]]) for x in (0.0, 1.0, -1.0)]
    >>> geometric_svm(tf.constant([1.0]), tf.constant([2.0]), point, samples, weight=0.1).numpy()
    array([0.1], dtype=float32)
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {list(NORMS)}; got {norm!r}.")
    zero, above, below = samples
    margin = ops.minimum(_distance(zero, above, norm), _distance(zero, below, norm))
    found = margin > backend.epsilon()
    margin = ops.where(found, margin, 1.0)
    values = ops.reshape(values, (-1,))
    side = ops.sign(values) * ops.reshape(ops.cast(labels, values.dtype), (-1,))
    losses = ops.relu(1.0 - side * _distance(zero, points, norm) / margin) + weight * margin**alpha
    return ops.where(found, losses, 1.0)


def axis_distance(points, samples, directions):
    r"""Measure from each point to a sample along one axis, where the level set moves fastest.

    .. math:: \rho(x, p) = |x_{i} - p_{i}|, \qquad i = \arg\max_k |D_x F(p; \theta_0)_k|

    (CNLS Sec. 3.2), at most the l-inf distance. Where x = p it is flat: a point on the level set
    itself teaches nothing.

    Parameters
    ----------
    points, samples : tensors of shape (n, ...)
        x and p.
    directions : tensor of shape (n, ...) or (n, d, 1)
        The gradient at p or a multiple of it, such as :attr:`SampleNetwork.pseudo_inverse`.

    Returns
    -------
    tensor of shape (n,)
        Not negative, in the units of the points.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import axis_distance
    >>> points, samples = tf.constant([[0.0, 0.0]]), tf.constant([[3.0, 1.0]])
    >>> axis_distance(points, samples, tf.constant([[2.0, -0.5]])).numpy()
    array([3.], dtype=float32)
    """
    offset = ops.abs(_offset(samples, points))
    axis = ops.argmax(ops.abs(ops.reshape(directions, ops.shape(offset))), axis=1)
    return ops.squeeze(ops.take_along_axis(offset, axis[:, None], axis=1), axis=1)


def robust(values, distances, radius, weight=1.0):
    r"""Penalize boundaries near correctly classified points, and points on the wrong side.

    .. math:: \lambda_j \max\{0, \; \varepsilon - \mathrm{sign}(F(x_j)) \, d(x_j)\}

    (CNLS Eq. 12), where :math:`\lambda_j` is the weight where F > 0 and 1 elsewhere.

    Parameters
    ----------
    values : tensor of shape (n,) or (n, 1)
        F(x), such as :func:`class_margin` of the true class; only its sign counts.
    distances : tensor of shape (n,)
        From x to the level set, such as :func:`axis_distance` to a :class:`SampleNetwork`'s points.
    radius : float or tensor of shape (n,)
        epsilon, how far the boundary should be.
    weight : float, default=1.0
        Weight of correctly classified points.

    Returns
    -------
    tensor of shape (n,)
        A loss for each point: 0 where it is on the right side and the boundary is `radius` away.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import robust
    >>> robust(tf.constant([1.0, -1.0]), tf.constant([0.1, 0.2]), radius=0.3).numpy().round(6)
    array([0.2, 0.5], dtype=float32)
    """
    values = ops.reshape(values, (-1,))
    lost = ops.relu(radius - ops.sign(values) * distances)
    return ops.where(values > 0.0, weight * lost, lost)


def reconstruction(samples, nearest, levels, cloud_values, weight, power=1):
    r"""Fit the level sets of F to a cloud: t at the distance abs(t), and 0 through the points.

    .. math:: \sum_{t \in T} \Big(\frac{1}{n_t} \sum_{x \in S_t} \big|d(x, X) - |t|\big|^p
       \Big)^{1/p} + \frac{\lambda}{N} \sum_{j=1}^N \|F(x_j)\|

    (CNLS Eq. 13). For curves, F has several outputs and T holds 0 alone.

    Parameters
    ----------
    samples : sequence of tensors of shape (n_t, d)
        Points on each level set, as functions of the weights: what calling a
        :class:`SampleNetwork` gives.
    nearest : sequence of arrays or tensors of shape (n_t, d)
        The cloud's point nearest to each sample, for instance
        ``cloud[scipy.spatial.cKDTree(cloud).query(sample)[1]]``.
    levels : sequence of float, or of tensors of shape (n_t,)
        t of each level set; or each sample's own.
    cloud_values : tensor of shape (N, l) or (N,)
        F at the cloud's points.
    weight : float
        lambda.
    power : {1, 2}, default=1
        p.

    Returns
    -------
    scalar tensor

    Raises
    ------
    ValueError
        For another power, or if there is not one tensor of nearest points, and one level, for
        each of samples.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from ocsdf.levelsets import reconstruction
    >>> samples, nearest = [tf.constant([[0.0, 1.1]])], [tf.constant([[0.0, 1.0]])]
    >>> loss = reconstruction(samples, nearest, [0.0], tf.constant([0.02]), weight=1.0)
    >>> round(float(loss), 4)
    0.12
    """
    if power not in (1, 2):
        raise ValueError(f"power must be 1 or 2; got {power!r}.")
    if not len(samples) == len(nearest) == len(levels):
        raise ValueError(
            "samples, nearest and levels must be as many, one for each level set; got "
            f"{len(samples)}, {len(nearest)} and {len(levels)}."
        )
    total = weight * ops.mean(_norm(_flat(ops.expand_dims(cloud_values, -1))))
    for sample, closest, level in zip(samples, nearest, levels, strict=True):
        distance = _distance(sample, closest, "l2")
        error = ops.abs(distance - ops.abs(ops.convert_to_tensor(level, dtype=distance.dtype)))
        total += ops.mean(error) if power == 1 else _root(ops.mean(error**2))
    return total


def _offset(samples, others):
    return _flat(samples - ops.convert_to_tensor(others, dtype=samples.dtype))


def _distance(samples, others, norm):
    offset = _offset(samples, others)
    # With a least value, Keras takes no rows, too.
    return ops.max(ops.abs(offset), axis=1, initial=0.0) if norm == "linf" else _norm(offset)


def _norm(rows):
    return _root(ops.sum(rows**2, axis=1))


def _root(squares):
    """Square root with the derivative 0 at 0."""
    positive = squares > 0.0
    return ops.where(positive, ops.sqrt(ops.where(positive, squares, 1.0)), 0.0)


def _flat(points):
    return ops.reshape(points, (ops.shape(points)[0], -1))
