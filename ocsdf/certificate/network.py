"""A network of operations as scores with a certificate: evaluated and bounded in float64."""

from functools import cached_property

import numpy as np

from ocsdf.operations.base import LARGEST_NORM
from ocsdf.operations.chain import Chain
from ocsdf.operations.scratch import Scratch
from ocsdf.utils.forks import check_not_stuck
from ocsdf.utils.threads import crew, slices

# Numbers that a layer makes of one pass of rows, most rows of a pass, and passes of a turn.
_CELLS = 2**18
_MOST_ROWS = 1024
_PASSES = 4


class CertifiedNetwork:
    """Evaluate a network on any number of rows in float64, and bound it in float64.

    In float64 what rounding takes from a certificate is far below any radius of interest. Rows are
    scored some at a time, by several threads, with BLAS on one thread each: the same call on the
    same machine gives the same bits. A matrix product's rounding may depend on its shape and on a
    row's place in it; any two evaluations of one row differ by less than the slack that is taken
    off its radius, on any processor. Memory does not grow with the number of rows, but for the
    scores.

    Parameters
    ----------
    network : Chain
        Maps (n, n_features) to (n, 1).
    relative_rounding : float, default=2**-52
        How far a row itself may have been rounded, relative to its norm: standardizing takes 2 u.
    absolute_rounding : float, default=0.0
        How far beyond that.

    Attributes
    ----------
    lipschitz_bound : float
        See :func:`ocsdf.networks.lipschitz.network_bound`.
    point_rounding : tuple of float
        The two of the above.
    rounding_constant, rounding_slope : float
        See :func:`ocsdf.networks.lipschitz.float_error`.

    Raises
    ------
    TypeError
        If it is no network of rows, or the rounding of an operation is not known.
    ValueError
        If values may overflow on the way.

    Examples
    --------
    The bound is that of the float64 weights, not 1 by decree:

    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.operations import Chain, Dense
    >>> line = Dense(np.array([[0.6], [0.8]]), np.array([-1.0]))
    >>> network = CertifiedNetwork(Chain([line], (2,)))
    >>> network.score(np.array([[3.0, 4.0]]))
    array([4.])
    >>> 1.0 <= network.lipschitz_bound < 1.0 + 1e-9
    True
    """

    def __init__(self, network, relative_rounding=2.0**-52, absolute_rounding=0.0):
        if len(network.input_shape) != 1 or network.output_shape() != (1,):
            raise TypeError(
                f"Expected a network of rows, (n, n_features), with one output; got "
                f"{network.input_shape} to {network.output_shape()}."
            )
        self.network = network
        self.point_rounding = relative_rounding, absolute_rounding
        self.lipschitz_bound = network.bound()
        self.rounding_constant, self.rounding_slope = network.float_error(
            relative=relative_rounding, absolute=absolute_rounding
        )

    @classmethod
    def from_keras(cls, model):
        """Translate a Keras model, with its weights as they are now.

        Parameters
        ----------
        model : keras.Sequential
            Its layers have a known bound and rounding, see :func:`ocsdf.networks.layer_bound`.

        Returns
        -------
        CertifiedNetwork

        Raises
        ------
        TypeError
            For a layer that is not known.
        """
        from ocsdf.networks.translation import translate

        return cls(translate(model))

    @property
    def n_features(self):
        """How many numbers a row has."""
        return self.network.input_shape[0]

    @property
    def model(self):
        """f as a Keras model, built when it is first asked for."""
        check_not_stuck("A Keras model")
        return self._model

    @cached_property
    def _model(self):
        from ocsdf.networks.precision import keras_in_float32

        with keras_in_float32():
            return self.network.to_keras()

    def shifted(self, constant):
        """Return the network of f plus a constant, rounded as float32 weights are.

        Parameters
        ----------
        constant : float
            What every score becomes larger by.

        Returns
        -------
        CertifiedNetwork
            With the same bound; its float slack is computed anew.
        """
        *before, last = self.network.operations
        shifted = Chain((*before, last.shifted(constant)), self.network.input_shape)
        return CertifiedNetwork(shifted, *self.point_rounding)

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
        return self._by_chunks(points, self._score_rows, np.empty(len(points)))

    def value_and_gradient(self, points):
        """Evaluate f and its gradient with respect to each row.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Rows in units of the certificate.

        Returns
        -------
        values : ndarray of shape (n_samples,), float64
        gradient : ndarray of shape (n_samples, n_features), float64
            Where f has a kink, that of one of its sides.
        """
        results = np.empty((len(points), 1 + self.n_features))
        self._by_chunks(points, self._differentiate_rows, results)
        return results[:, 0], results[:, 1:]

    def rounding_error(self, points):
        """Bound the distance of :meth:`score` from the real-valued f at the same rows.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Or anything that :meth:`score` takes.

        Returns
        -------
        ndarray of shape (n_samples,)
            Infinite for rows whose squares might overflow.
        """
        norms = np.empty(len(points))
        for chunk in self._chunks(points):
            norms[chunk] = np.linalg.norm(np.asarray(points[chunk], dtype=np.float64), axis=1)
        error = self.rounding_constant + self.rounding_slope * norms
        return np.where(norms <= LARGEST_NORM, error, np.inf)

    def slack(self, points, radius):
        r"""Bound what rounding can take from a certificate of each row.

        With :math:`a + b \|z\|` the rounding error of f at a row z,

        .. math:: 2 (a + b \|z\|) + b \, r

        covers the error at z and at any row within r of it.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Or anything that :meth:`score` takes.
        radius : float or ndarray of shape (n_samples,)
            r >= 0.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return 2.0 * self.rounding_error(points) + self.rounding_slope * radius

    def largest_slack(self, points, radii):
        """Bound what rounding can take from any of the rows, each attacked up to some radii.

        Parameters
        ----------
        points : ndarray of shape (n_samples, n_features)
            Or anything that :meth:`score` takes.
        radii : ndarray of shape (n_radii,)

        Returns
        -------
        ndarray of shape (n_radii,)
            The largest :meth:`slack` at each radius.
        """
        return self.slack(points, 0.0).max(initial=0.0) + self.rounding_slope * np.abs(radii)

    def _score_rows(self, rows, scratch):
        return self.network.evaluate(rows, scratch)[:, 0]

    def _differentiate_rows(self, rows, scratch):
        values, pull_back = self.network.linearize(rows)
        return np.concatenate([values, pull_back(np.ones_like(values))], axis=1)

    def _by_chunks(self, points, task, results):
        """Fill results, a row each, by a task that takes rows and arrays to write to."""

        def fill(chunk):
            rows, scratch = np.asarray(points[chunk], dtype=np.float64), Scratch()
            for part in slices(len(rows), self._n_rows):
                results[chunk][part] = task(np.ascontiguousarray(rows[part]), scratch)

        chunks = self._chunks(points)
        with crew(len(chunks)) as run:
            run(fill, chunks)
        return results

    def _chunks(self, points):
        return slices(len(points), _PASSES * self._n_rows)

    @cached_property
    def _n_rows(self):
        """How many rows are evaluated at a time."""
        return max(1, min(_MOST_ROWS, _CELLS // self.network.width()))
