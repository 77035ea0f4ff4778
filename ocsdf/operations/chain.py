"""Operations one after the other: a network."""

import itertools
import math

import numpy as np

from ocsdf.operations.base import Operation, operation
from ocsdf.operations.fields import as_counts, count, freeze
from ocsdf.operations.matrix_bounds import ROUNDOFF
from ocsdf.operations.scratch import Scratch
from ocsdf.utils.forks import check_not_stuck


@operation("chain")
class Chain(Operation):
    r"""A sequential network :math:`f_m \circ \dots \circ f_1`.

    .. math:: \mathrm{Lip}(f) \le \prod_k \mathrm{Lip}(f_k)

    Parameters
    ----------
    operations : sequence of Operation
    input_shape : tuple of (int or None)
        Without the batch.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.operations import Chain, Dense
    >>> from ocsdf.operations.sorting import GroupSort
    >>> first = Dense(np.array([[0.0, -1.0], [1.0, 0.0]]), np.zeros(2))
    >>> last = Dense(np.array([[0.6], [0.8]]), np.zeros(1))
    >>> chain = Chain([first, GroupSort(2), last], (2,))
    >>> chain.evaluate(np.array([[1.0, 2.0]])).round(12), round(chain.bound(), 6)
    (array([[1.]]), 1.0)
    """

    operations: tuple
    input_shape: tuple

    def __post_init__(self):
        known = [length for length in self.input_shape if length is not None]
        as_counts(known, "input_shape")
        operations = tuple(self.operations)
        if not all(isinstance(part, Operation) for part in operations):
            raise ValueError(f"operations must be operations; got {operations}.")
        freeze(self, operations=operations, input_shape=tuple(self.input_shape))
        # Raises where one does not fit the next.
        self.output_shape()

    @property
    def shapes(self):
        """The shapes before, between and after the operations."""
        return tuple(
            itertools.accumulate(
                self.operations,
                lambda shape, part: part.output_shape(shape),
                initial=self.input_shape,
            )
        )

    def output_shape(self, shape=None):
        return self.shapes[-1]

    def width(self, shape=None):
        parts = zip(self.operations, self.shapes, strict=False)
        return max([count(self.input_shape), *(part.width(inner) for part, inner in parts)])

    def evaluate(self, values, scratch=None):
        scratch = scratch or Scratch()
        for part in self.operations:
            values = part.evaluate(values, scratch)
        return values

    def linearize(self, values):
        backwards = []
        for part in self.operations:
            values, pull_back = part.linearize(values)
            backwards.append(pull_back)

        def through_all(upstream):
            for pull_back in reversed(backwards):
                upstream = pull_back(upstream)
            return upstream

        return values, through_all

    def _bound(self, shape):
        parts = zip(self.operations, self.shapes, strict=False)
        return product(part.bound(inner) for part, inner in parts)

    def linf_bound(self, shape=None):
        return product(part.linf_bound() for part in self.operations)

    def pass_on(self, norm, error, roundoff, shape=None):
        for part, inner in zip(self.operations, self.shapes, strict=False):
            norm, error = part.pass_on(norm, error, roundoff, inner)
        return norm, error

    def float_error(self, roundoff=ROUNDOFF, relative=None, absolute=0.0):
        """Bound how far the computed f strays from the real-valued one.

        Parameters
        ----------
        roundoff : float, default=2**-53
            u.
        relative : float or None, default=None
            How far a row itself was rounded, relative to its norm; None is 2 u, which
            standardizing takes.
        absolute : float, default=0.0
            How far beyond that.

        Returns
        -------
        constant, slope : float
            ``|computed f(x) - f(x)| <= constant + slope * ||x||``.
        """
        relative = 2.0 * roundoff if relative is None else relative
        # Affine functions of ||x||, as [constant, slope]: the norm of the values, the error.
        norm, error = np.array([0.0, 1.0]), np.array([absolute, relative])
        # What overflows is refused by name.
        with np.errstate(over="ignore", invalid="ignore"):
            _, error = self.pass_on(norm, error, roundoff)
        constant, slope = error * (1.0 + 1e-6)
        return float(constant), float(slope)

    def to_onnx(self, graph, values, shape=None):
        for part, inner in zip(self.operations, self.shapes, strict=False):
            values = part.to_onnx(graph, values, inner)
        return values

    def to_keras(self, shape=None):
        check_not_stuck("A Keras model")
        import keras
        import tensorflow as tf

        # Weights get their values even where a function that is being traced asks first.
        with tf.init_scope():
            parts = zip(self.operations, self.shapes, strict=False)
            layers = [part.to_keras(inner) for part, inner in parts]
            layers = layers or [keras.layers.Identity(dtype="float32")]
            return keras.Sequential([keras.Input(self.input_shape, dtype="float32"), *layers])


def product(factors):
    """Multiply bounds, rounding up."""
    bound = 1.0
    for factor in factors:
        # A factor of exactly 1 needs no rounding, so that a product of ones stays 1.
        exact = 1.0 in (bound, factor)
        bound = float(bound) * float(factor)
        bound = bound if exact else math.nextafter(bound, math.inf)
    return bound
