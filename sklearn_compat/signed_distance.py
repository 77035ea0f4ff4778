"""What detectors can do that learned a signed distance: explain, sample its level sets."""

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ocsdf.certificate.metrics import certified_radius
from ocsdf.decisions.contamination import estimated_threshold
from ocsdf.sklearn_compat.detector import CertifiedDetector
from ocsdf.sklearn_compat.encoding import refuse_encoded
from ocsdf.sklearn_compat.input_checks import check_rows
from ocsdf.sklearn_compat.saved import SavedDetector
from ocsdf.utils.checks import check_count, check_number
from ocsdf.utils.types import Path, Rows

if TYPE_CHECKING:
    from ocsdf.explanation.verdicts import Explanation

# Times that rows of a level set are drawn, and how near to it they are.
_ROUNDS, _LEVEL_TOLERANCE = 20, 1e-3
# Training scores that a detector keeps, to say how common a score is.
_MOST_SCORES = 1000


class SignedDistance(SavedDetector, CertifiedDetector):
    """A certified detector that knows the scale of its features and B.

    Abstract: a subclass has ``random_state`` and ``contamination``; its ``fit`` ends with
    ``_adopt``.
    """

    _file_format = "persistence"

    def explain(
        self, X: Rows, sparse: bool = False, track: Callable[[Iterable], Iterable] = iter
    ) -> "Explanation":
        """Explain verdicts: how far the boundary is, where, and which features lead there.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in question; each takes 100 to 200 scores.
        sparse : bool, default=False
            True asks for boundary points that move few features: the fewest that were found to be
            enough, at most twice as far as the nearest boundary point found. Several times slower.
        track : callable, default=iter
            Called with a list of batches of rows, which are explained as its iterator hands them
            out: for a progress bar.

        Returns
        -------
        Explanation
            See :class:`ocsdf.explanation.verdicts.Explanation`: ``radius`` (certified) is at most
            the l2 distance to the boundary in units of the certificate, ``distance`` at least;
            ``boundary``, rows in the units of X, have the other verdict where ``converged``;
            ``shares``, ``feature_radii``. ``to_frame(top=5)`` is a table, ``sentences()`` a line
            a row. Of a table with categories, dates or missing values features are its columns:
            numbers move, categories are swapped whole, missing values stay missing.

        Raises
        ------
        ValueError
            If sparse boundary points are asked for of such a table.
        """
        return self._explain(X, self.offset_, sparse=sparse, track=track)

    def _explain(self, X, level, sparse=False, track=iter):
        """Explain the verdicts of a threshold."""
        from ocsdf.explanation.mixed import explain_mixed
        from ocsdf.explanation.verdicts import explain

        points = self._checked_points(X)[:]
        scores = self._network.score(points)
        slack = self._network.slack(points, np.abs(scores - level) / self.lipschitz_bound_)
        index = X.index if hasattr(X, "index") and hasattr(X, "iloc") else None
        radius = certified_radius(scores, level, self.lipschitz_bound_, slack)
        if self.encoder_ is not None:
            if sparse:
                raise ValueError("sparse=True is for tables of numbers without missing values.")
            return explain_mixed(
                *(self._network, points, radius, self.encoder_, self.encoder_.values(X)),
                level=level,
                units=(self.mean_, self.scale_, self.stretch_),
                index=index,
                track=track,
            )
        return explain(
            self._network,
            points,
            radius,
            level=level,
            mean=self.mean_,
            scale=self.scale_,
            stretched=self.stretch_,
            domain=self.domain_,
            within=self._within(),
            feature_names=getattr(self, "feature_names_in_", None),
            index=index,
            sparse=sparse,
            track=track,
        )

    def _within(self):
        """The set of standardized rows, convex, that the detector takes; None takes all."""
        return None

    def export(self, path: Path, dtype: Literal["float64", "float32"] = "float64") -> None:
        """Write the detector as one ONNX graph; needs the extra ``onnx``.

        Standardization, score, verdict and certified radius in one: see
        :func:`ocsdf.export.detector.detector_graph`.

        Parameters
        ----------
        path : str or os.PathLike
            Such as ``model.onnx``.
        dtype : {"float64", "float32"}, default="float64"
            Type of the input and of the computation. float32 is for runtimes without float64: the
            radius is smaller by what float32 may round.

        Raises
        ------
        TypeError
            If a part of the network has no ONNX form.
        ImportError
            Without onnx.
        """
        from ocsdf.export.detector import detector_graph
        from ocsdf.utils.files import check_output, write_whole

        check_is_fitted(self)
        refuse_encoded(self, "The exported graph")
        check_output(path)
        model = detector_graph(
            self._network, self.mean_, self.scale_, self.offset_, dtype, self.stretch_
        )
        write_whole(path, model.SerializeToString())

    def sample_level_set(self, n_samples: int, level: float = 0.0) -> NDArray[np.float64]:
        """Sample points where f has a given value, such as the edge of the data at 0.

        OCSDF Algorithm 1 from uniform seeds in B, with full Newton steps.

        Parameters
        ----------
        n_samples : int
        level : float, default=0.0
            In the units of ``score_samples``.

        Returns
        -------
        ndarray of shape (n_samples, n_features_in_), float64
            Rows in the units of X, whose scores are within 1e-3 of the level.

        Raises
        ------
        ValueError
            If n_samples is no integer >= 1, or f does not take this value on B, or not on rows
            in the units of X that float64 can tell apart.
        """
        from ocsdf.training.negatives import sample_level_set

        check_is_fitted(self)
        refuse_encoded(self, "sample_level_set")
        check_count("n_samples", n_samples)
        level = check_number("level", level)
        seeds = check_random_state(self.random_state).randint(2**31, size=_ROUNDS)
        kept = []
        for seed in seeds:
            points = sample_level_set(self._network, self.domain_, n_samples, level, int(seed))
            # As rows in float64 they may no longer be where they were.
            rows = self._rows_of(points)
            scores = self._network.score(self._points_of(rows))
            found = rows[np.abs(scores - level) <= _LEVEL_TOLERANCE]
            kept.extend(found)
            if len(kept) >= n_samples:
                return np.stack(kept[:n_samples])
            if not len(found):
                break
        raise ValueError(
            f"Only {len(kept)} of {n_samples} rows keep level {level:g} once rounded to float64: "
            "the columns' means are too large beside their standard deviations; subtract a "
            "constant from them first."
        )

    def sample_network(self, points):
        r"""Make points that stay on their level sets of f while its weights change.

        With :math:`z = (x - \text{mean}) / \text{scale}`, :math:`\theta_0` the weights now and
        :math:`c = f(z; \theta_0)`,

        .. math:: x(\theta) = x - \text{scale} \; \frac{\nabla f(z; \theta_0)}
           {\|\nabla f(z; \theta_0)\|^2} \, [f(z; \theta) - c]

        (CNLS Eq. 9). Where features are stretched, z is ``stretch_`` of that, and the scale is
        divided by the slope of each feature's map at the point. Points move at right angles to the
        level set in the units of the certificate.

        Parameters
        ----------
        points : array-like of shape (n_points, n_features)
            In the units of X, such as from :meth:`sample_level_set`; each keeps its own level.

        Returns
        -------
        SampleNetwork
            Calling it gives the points, in the units of X, at the present weights of ``model_``: a
            tensor of shape (n_points, n_features), float64, differentiable with respect to
            ``model_.trainable_variables``. See :class:`ocsdf.levelsets.SampleNetwork`.

        Notes
        -----
        Scores and certificates are of the weights that were fitted: after an update of ``model_``
        they are no longer its own. Train a copy, ``keras.models.clone_model`` with its weights.
        """
        check_is_fitted(self)
        refuse_encoded(self, "sample_network")
        rows = check_rows(self, points, reset=False)
        from ocsdf.levelsets.sample_network import SampleNetwork

        mean, scale = self.mean_, self.scale_
        if self.stretch_ is not None:
            # Near each point its features are stretched by a constant.
            scale = scale / self.stretch_.slopes_at((rows - mean) / scale)
            mean = rows - self._points_of(rows) * scale
        return SampleNetwork(self.model_, rows, mean=mean, scale=scale)

    def _adopt(self, noted, fit, mean, scale, stretched=None, encoder=None):
        """Set the fitted attributes, all at once, and say what went wrong.

        `noted` has the features of the rows, and `fit` is such as
        :class:`ocsdf.sklearn_compat.fitting.Fit`.
        """
        self._adopt_features(noted)
        self.encoder_ = encoder
        self.mean_, self.scale_, self.stretch_ = mean, scale, stretched
        self.domain_, self.margin_ = fit.domain, fit.margin
        self.history_, self.n_iter_ = fit.outcome.history, fit.outcome.n_epochs
        self._set_network(fit.network)
        self.offset_ = _offset(self.contamination, fit.scores)
        self.training_scores_ = _evenly(fit.left_out)
        if fit.outcome.interrupted:
            raise KeyboardInterrupt
        for message in fit.messages:
            warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _evenly(scores):
    """Sort scores, and keep some of them, evenly spaced in rank, where there are many."""
    ranks = np.linspace(0, len(scores) - 1, min(len(scores), _MOST_SCORES))
    return np.sort(scores)[ranks.astype(np.int64)]


def _offset(contamination, scores):
    """The threshold that an estimator's parameter asks for, from its training scores."""
    if isinstance(contamination, str):
        return 0.0 if contamination == "auto" else estimated_threshold(scores)
    return float(np.percentile(scores, 100.0 * contamination))
