"""The matrix products of a training step: what they cost, and how long they take alone."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import joblib
import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits


def products(sizes, batch, newton_steps):
    r"""List the matrix products of one training step.

    A product of an m x k and a k x n matrix is 2 m k n FLOPs. With kernels of shape
    :math:`a \times b`, B rows of data and as many negatives, T Newton steps:

    * each Newton step: forward :math:`(B, a, b)` and back to the input :math:`(B, b, a)`;
    * the update: forward :math:`(2B, a, b)`, gradients of the kernels :math:`(a, 2B, b)` and of
      what lies before all kernels but the first :math:`(2B, b, a)`;
    * the Björck step with k = min(a, b), l = max(a, b): the Gram matrix :math:`(k, l, k)`, its
      defect's square :math:`(k, k, k)`, the correction of the kernel :math:`(l, k, k)`. It is
      counted once; kernels near orthogonal need no square, those far from it a further step.
    """
    counts = Counter()
    for index, (a, b) in enumerate(pairwise(sizes)):
        short, long = sorted((a, b))
        counts.update({(batch, a, b): newton_steps})
        counts.update({(batch, b, a): newton_steps})
        counts.update([(2 * batch, a, b), (a, 2 * batch, b)])
        if index:
            counts.update([(2 * batch, b, a)])
        counts.update([(short, long, short), (short, short, short), (long, short, short)])
    return counts


def flops(counts):
    """Sum up 2 m k n over products."""
    return sum(2 * m * k * n * count for (m, k, n), count in counts.items())


def bare_seconds(counts):
    """Time products alone: float32, all cores, each shape by the fastest of three ways.

    NumPy with its BLAS on all cores, TensorFlow, and NumPy with rows cut in a part a core.
    """
    rng = np.random.default_rng(0)
    seconds = 0.0
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        for (m, k, n), count in counts.items():
            left = rng.normal(size=(m, k)).astype(np.float32)
            right = rng.normal(size=(k, n)).astype(np.float32)
            seconds += count * _least_seconds(left, right, count, pool)
    return seconds


def _least_seconds(left, right, count, pool):
    out = np.empty((len(left), right.shape[1]), np.float32)
    tensors = tf.constant(left), tf.constant(right)
    bounds = np.linspace(0, len(left), joblib.cpu_count() + 1).astype(int)
    parts = [slice(*ends) for ends in pairwise(bounds)]

    def multiply(part):
        np.matmul(left[part], right, out=out[part])

    times = [
        _mean_seconds(lambda: multiply(slice(None)), count),
        _mean_seconds(lambda: tf.matmul(*tensors), count),
    ]
    with threadpool_limits(1, user_api="blas"):
        times.append(_mean_seconds(lambda: list(pool.map(multiply, parts)), count))
    return min(times)


def _mean_seconds(work, count):
    """Time at least 8 calls after a first one, which finds memory and threads ready."""
    work()
    repeats = max(count, 8)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats
