"""What a network is made of: a map that is evaluated, differentiated, bounded and described."""

import math
from dataclasses import dataclass, fields
from importlib import import_module
from typing import NamedTuple

import numpy as np

from ocsdf.operations.fields import count
from ocsdf.operations.matrix_bounds import ROUNDOFF, summation_error

# Norms beyond are refused: nothing that is computed on the way may overflow.
LARGEST_NORM = 2.0**500
# The classes by the name that a file gives them, and the modules that hold those of this package.
_KINDS = {}
_MODULES = (
    "activations",
    "chain",
    "cones",
    "convolution",
    "distances",
    "ensembles",
    "global_pooling",
    "linear",
    "nearest",
    "piecewise",
    "pooling",
    "rearrangements",
    "solids",
    "sorting",
)


class Rounding(NamedTuple):
    r"""How far a map f as computed strays from f; all norms are l2.

    .. math:: \|f(x)\| \le L \|x\| + \beta, \qquad
        \|\hat f(x) - f(x)\| \le \gamma_n (M \|x\| + \beta) + k \eta + \sqrt{q \eta}

    n is `n_terms` (0 is exact), M is `absolute`, or the Lipschitz bound L where that is None, and
    :math:`\beta` is `offset`. k is `n_results` and q, under a root, `n_squares` that might
    underflow. See :func:`ocsdf.operations.matrix_bounds.summation_error` for :math:`\gamma_n` and
    :func:`smallest_normal` for :math:`\eta`.
    """

    n_terms: int
    absolute: float | None = None
    offset: float = 0.0
    n_results: float = 0.0
    n_squares: float = 0.0

    def underflow(self, roundoff):
        """Bound what is lost below the smallest normal number."""
        eta = smallest_normal(roundoff)
        return self.n_results * eta + math.sqrt(self.n_squares * eta)


EXACT = Rounding(0)


class Operation:
    """One map of a network, with its proof in one place.

    A subclass is a frozen dataclass whose fields are float64 arrays, numbers, strings, other
    operations or tuples of these, and is registered by :func:`operation`. It has ``evaluate``,
    ``linearize``, ``_bound``, ``rounding`` and ``to_keras``, and ``output_shape`` where that is
    not the input's. Shapes are without the batch; None stands for an unknown length or shape.

    Examples
    --------
    >>> from ocsdf.operations.base import Operation, operation
    >>> @operation("doubled")
    ... class Doubled(Operation):
    ...     def evaluate(self, values, scratch=None):
    ...         return 2.0 * values
    ...
    ...     def _bound(self, shape):
    ...         return 2.0
    >>> Doubled().bound()
    2.0
    """

    # What errors call it; a translated layer's name and type.
    label = None

    def output_shape(self, shape):
        """Return the shape of what the map makes of inputs of a shape."""
        return shape

    def evaluate(self, values, scratch=None):
        """Evaluate the map in float64.

        Parameters
        ----------
        values : ndarray of shape (n, ...), float64
            They stay as they are, unless they lie in `scratch`.
        scratch : Scratch, default=None
            Arrays to write to.

        Returns
        -------
        ndarray of shape (n, ...), float64
        """
        raise NotImplementedError

    def linearize(self, values):
        """Evaluate the map; return also the function that takes gradients back through it.

        Parameters
        ----------
        values : ndarray of shape (n, ...), float64

        Returns
        -------
        outputs : ndarray of shape (n, ...), float64
        pull_back : callable
            Takes a gradient with respect to the outputs, gives that with respect to the values.
        """
        raise NotImplementedError

    def bound(self, shape=None):
        """Bound the Lipschitz constant, l2 to l2, for inputs of a shape; None: of any."""
        # Arrays cannot be written to: what was proved of them once stays.
        known = vars(self).setdefault("_bounds", {})
        if shape not in known:
            known[shape] = self._bound(shape)
        return known[shape]

    def linf_bound(self, shape=None):
        """Bound the Lipschitz constant, l-inf to l-inf, for inputs of a shape."""
        raise TypeError(f"No l-inf bound is known for {self.label or type(self).__name__}.")

    def width(self, shape):
        """Return how many numbers are made of one point at a time."""
        return count(self.output_shape(shape))

    def rounding(self, shape):
        """Bound the rounding errors for inputs of a shape; None where they are not known."""
        return None

    def pass_on(self, norm, error, roundoff, shape):
        """Carry bounds of the norm and of the error through the map.

        Parameters
        ----------
        norm, error : ndarray of shape (2,)
            Affine functions of the norm of the network's input, as constant and slope.
        roundoff : float
            u.
        shape : tuple of (int or None)
            The input's.

        Returns
        -------
        norm, error : ndarray of shape (2,)

        Raises
        ------
        TypeError
            If the rounding is not known.
        ValueError
            If values may overflow on the way, or n u >= 1.
        """
        rounding = self.rounding(shape)
        if rounding is None:
            raise TypeError(
                f"No bound of rounding errors is known for {self.label or type(self).__name__} on "
                f"inputs of shape {shape}; use layers that sum, compare or rearrange, on inputs "
                "of known size."
            )
        gamma = summation_error(rounding.n_terms, roundoff)
        bound = self.bound(shape)
        absolute = bound if rounding.absolute is None else rounding.absolute
        offset = np.array([rounding.offset, 0.0])
        underflow = np.array([rounding.underflow(roundoff), 0.0])
        largest = absolute * (norm + error) + offset
        if not np.all(largest <= LARGEST_NORM):
            raise ValueError(
                f"Values may overflow in {self.label or type(self).__name__}: its weights are too "
                "large or not finite."
            )
        return bound * norm + offset, bound * error + gamma * largest + underflow

    def to_keras(self, shape):
        """Make the Keras layer of this map, with its weights, for inputs of a shape."""
        raise NotImplementedError

    def to_onnx(self, graph, values, shape):
        """Add this map to an ONNX graph.

        Parameters
        ----------
        graph : ocsdf.export.graph.Graph
        values : str
            The name of what it is given, of shape (n, ...).
        shape : tuple of (int or None)
            The same without the batch.

        Returns
        -------
        str
            The name of the result.

        Raises
        ------
        TypeError
            If it has no ONNX form.
        """
        raise TypeError(
            f"{self.label or type(self).__name__} has no ONNX form yet; networks of rows made of "
            "dense layers, sorts, distances, asinh, means and minima can be exported."
        )

    def describe(self, prefix=""):
        """Describe the map as JSON and plain arrays.

        Parameters
        ----------
        prefix : str, default=""
            The arrays' names begin with it.

        Returns
        -------
        description : dict
            The kind, and all fields; an array's is its name.
        arrays : dict of str to ndarray
        """
        arrays = {}

        def plain(value, name):
            if isinstance(value, np.ndarray):
                arrays[name] = value
                return {"array": name}
            if isinstance(value, Operation):
                description, inner = value.describe(f"{name}.")
                arrays.update(inner)
                return description
            if isinstance(value, tuple):
                return [plain(item, f"{name}.{i}") for i, item in enumerate(value)]
            return value

        description = {"operation": self.kind}
        for field in fields(self):
            description[field.name] = plain(getattr(self, field.name), f"{prefix}{field.name}")
        return description, arrays

    def __reduce__(self):
        return from_description, self.describe()


def operation(kind):
    """Register a class of operations under the name that files give it, as a frozen dataclass."""

    def register(cls):
        cls.kind = kind
        _KINDS[kind] = dataclass(frozen=True, eq=False)(cls)
        return _KINDS[kind]

    return register


def from_description(description, arrays):
    """Make the operation that :meth:`Operation.describe` described.

    Errors of several kinds tell that it is no description, or that its parts do not fit together.
    """
    for module in _MODULES:
        import_module(f"ocsdf.operations.{module}")

    def value_of(value):
        if isinstance(value, list):
            return tuple(value_of(item) for item in value)
        if not isinstance(value, dict):
            return value
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return made(value)

    def made(description):
        cls = _KINDS.get(description["operation"])
        if cls is None:
            raise ValueError(f"unknown operation {description['operation']!r}")
        given = {name: value_of(v) for name, v in description.items() if name != "operation"}
        return cls(**given)

    return made(description)


def smallest_normal(roundoff=ROUNDOFF):
    """Return the number below which a format, told by its unit roundoff, loses digits."""
    if roundoff <= ROUNDOFF:
        return 2.0**-1022
    return 2.0**-14 if roundoff == 2.0**-11 else 2.0**-126
