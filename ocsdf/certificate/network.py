"""A trained network as scores with a certificate: evaluated and bounded in float64."""

import keras
import numpy as np
from deel.lip.layers.activations import GroupSort
from numba import njit

from ocsdf.networks.cones import Cones
from ocsdf.networks.distances import SubsampleDistance
from ocsdf.networks.ensembles import ScaledMinimum, WeightedMean
from ocsdf.networks.layers import Asinh, Centered, GroupSort2
from ocsdf.networks.lipschitz import float_error, layers_in_order, network_bound
from ocsdf.utils.threads import crew, slices

# Rows of one matrix product, and the products of one NumPy call.
_BLOCK = 128
_PRODUCTS = 8
# Rows and numbers of one thread's turn.
_MOST_ROWS = 32 * _BLOCK
_MOST_CELLS = 2**18


class CertifiedNetwork:
    """Evaluate a network on any number of rows in float64, and bound it in float64.

    In float64 what rounding takes from a certificate is far below any radius of interest, and
    NumPy sorts rows faster than TensorFlow does. A matrix product's rounding may depend on its
    shape and on the number of BLAS threads, so every product has one shape, a block of 128 rows,
    and one thread; other threads take other rows. A row's score is the same, to the last bit,
    alone and among others. Memory does not grow with the number of rows, but for the scores.

    Parameters
    ----------
    model : keras.Sequential
        Of layers with a known bound, see :func:`ocsdf.networks.lipschitz.layer_bound`; maps (n,
        n_features) to (n, 1). Its weights must not change afterwards, but by :meth:`shift`.

    Attributes
    ----------
    lipschitz_bound : float
        See :func:`ocsdf.networks.lipschitz.network_bound`.
    rounding_constant, rounding_slope : float
        See :func:`ocsdf.networks.lipschitz.float_error`.
    """

    def __init__(self, model):
        self.model = model
        self._take_weights()

    def shift(self, constant):
        """Add a constant to f, in place.

        Parameters
        ----------
        constant : float
        """
        bias = self.model.layers[-1].bias
        bias.assign(bias + constant)
        self._take_weights()

    def score(self, points):
        """Evaluate f.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Or anything of that shape whose slices of rows are such arrays; each is taken once,
            from several threads: no more than joblib counts processors, nor than BLAS may use.

        Returns
        -------
        ndarray of shape (n_samples,), float64
        """
        scores = np.empty(len(points))

        def fill(chunk):
            scores[chunk] = self._score_chunk(points[chunk])

        chunks = _chunks(points)
        with crew(len(chunks)) as run:
            run(fill, chunks)
        return scores

    def rounding_error(self, points):
        """Bound the distance of :meth:`score` from the real-valued f at the same rows.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Or anything that :meth:`score` takes.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        norms = np.empty(len(points))
        for chunk in _chunks(points):
            rows = np.asarray(points[chunk], dtype=np.float64)
            norms[chunk] = np.linalg.norm(rows, axis=1)
        return self.rounding_constant + self.rounding_slope * norms

    def _take_weights(self):
        self.lipschitz_bound = network_bound(self.model)
        self.rounding_constant, self.rounding_slope = float_error(self.model)
        self._steps = _float64_steps(self.model)

    def _score_chunk(self, rows):
        scores = np.empty(len(rows))
        room = _Room()
        for part in slices(len(rows), _PRODUCTS * _BLOCK):
            scores[part] = self._score_blocks(rows[part], room)
        return scores

    def _score_blocks(self, rows, room):
        """Score rows, padded to whole blocks for the products."""
        n_rows = len(rows)
        values = np.zeros((-(-n_rows // _BLOCK) * _BLOCK, rows.shape[1]))
        values[:n_rows] = rows
        return _follow(self._steps, values, n_rows, room)[:n_rows, 0]


class _Room:
    """Arrays that a thread's products are written to: fresh memory takes as long as a product."""

    def __init__(self):
        self._pairs = {}

    def beside(self, values, width):
        """Return an array of as many rows that shares no memory with `values`."""
        shape = (len(values), width)
        if shape not in self._pairs:
            self._pairs[shape] = np.empty(shape), np.empty(shape)
        first, second = self._pairs[shape]
        return second if values is first else first


def _float64_steps(model):
    if len(model.input_shape) != 2:
        raise TypeError(f"Expected a network of rows, (n, n_features); got {model.input_shape}.")
    return [_float64_step(layer) for layer in layers_in_order(model)]


def _follow(steps, values, n_rows, room):
    for step in steps:
        values = step(values, n_rows, room)
    return values


def _float64_step(layer):
    """Return a layer as a function of float64 blocks, how many rows are no padding, and room.

    What it is given it may change.
    """
    if isinstance(layer, WeightedMean):
        return _mean_step(layer)
    if isinstance(layer, ScaledMinimum):
        return _minimum_step(layer)
    if isinstance(layer, SubsampleDistance):
        return _distance_step(layer)
    if isinstance(layer, Cones):
        return _cones_step(layer)
    if isinstance(layer, Centered):
        return lambda values, n_rows, room: values - values.mean(axis=1, keepdims=True)
    if isinstance(layer, Asinh):
        return lambda values, n_rows, room: layer.scale * np.arcsinh(values / layer.scale)
    if isinstance(layer, GroupSort):
        halves = isinstance(layer, GroupSort2)
        return _sorting_step(layer.n, layer._get_coef(), halves)
    if type(layer) is not keras.layers.Dense or layer.activation is not keras.activations.linear:
        raise TypeError(
            f"Scores of layer {layer.name!r} of type {type(layer).__name__} are not computed in "
            "float64; use linear Dense layers and GroupSort, GroupSort2 or FullSort."
        )
    kernel = layer.kernel.numpy().astype(np.float64)
    bias = layer.bias.numpy().astype(np.float64) if layer.use_bias else 0.0
    if layer.units == 1:
        # Not a matrix-vector product, whose rounding may depend on the row's place.
        return lambda values, n_rows, room: (
            (values * kernel[:, 0]).sum(axis=1, keepdims=True) + bias
        )

    def affine(values, n_rows, room):
        products = _products(values, kernel, room)
        products[:n_rows] += bias
        return products

    return affine


def _products(values, kernel, room):
    """Multiply a stack one block at a time, as NumPy does: each product has the one shape."""
    products = room.beside(values, kernel.shape[1])
    stack = values.reshape(-1, _BLOCK, values.shape[1])
    np.matmul(stack, kernel, out=products.reshape(len(stack), _BLOCK, -1))
    return products


def _mean_step(layer):
    members = [_float64_steps(member) for member in layer.members]
    bias = layer.bias.numpy().astype(np.float64)

    def mean(values, n_rows, room):
        total = 0.0
        for share, steps in zip(layer.shares, members, strict=True):
            total = total + share * _follow(steps, values.copy(), n_rows, room)
        return total + bias

    return mean


def _minimum_step(layer):
    members = [_float64_steps(member) for member in layer.members]
    levels = layer.levels.numpy().astype(np.float64)

    def minimum(values, n_rows, room):
        parts = zip(layer.scales, members, levels, strict=True)
        return np.minimum.reduce(
            [
                scale * (_follow(steps, values.copy(), n_rows, room) - level)
                for scale, steps, level in parts
            ]
        )

    return minimum


def _cones_step(layer):
    bases = layer.bases.numpy().astype(np.float64)

    def measure(values, n_rows, room):
        distances = np.zeros((len(values), 1))
        coordinates = _products(values, bases, room)
        distances[:n_rows] = layer.evaluate(coordinates[:n_rows], values[:n_rows])
        return distances

    return measure


def _distance_step(layer):
    references = layer.arranged_references()

    def measure(values, n_rows, room):
        distances = np.zeros((len(values), 1))
        distances[:n_rows] = layer.evaluate(values[:n_rows], references)
        return distances

    return measure


def _sorting_step(group_size, coefficient, halves):
    def sort_groups(values, n_rows, room):
        rows = values[:n_rows]
        if halves:
            _sort_pairs(rows)
        else:
            rows.reshape(n_rows, -1, group_size).sort(axis=2)
        if coefficient != 1.0:
            rows *= coefficient
        return values

    return sort_groups


@njit(nogil=True, cache=True)
def _sort_pairs(rows):
    """Sort units i of the two halves of each row, in place; many times faster than a sort."""
    middle = rows.shape[1] // 2
    for row in range(len(rows)):
        first, second = rows[row, :middle], rows[row, middle : 2 * middle]
        for i in range(middle):
            a, b = first[i], second[i]
            first[i] = a if a < b else b
            second[i] = b if a < b else a


def _chunks(points):
    """Slices of rows, of whole blocks but for the last."""
    n_rows, n_features = points.shape
    n_blocks = max(1, min(_MOST_ROWS, _MOST_CELLS // max(1, n_features)) // _BLOCK)
    return slices(n_rows, n_blocks * _BLOCK)
