"""Any outlier detector with p-values, alarms at a level, and false-discovery control."""

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_random_state, get_tags, indexable
from sklearn.utils.validation import _num_samples, check_is_fitted

from ocsdf.decisions.calibration import Calibration, group_labels
from ocsdf.decisions.checks import check_replaced, check_share, lowered, raised
from ocsdf.sklearn_compat.calibrated import CalibratedDetector
from ocsdf.sklearn_compat.chunks import come_in_chunks, summarize_chunks
from ocsdf.sklearn_compat.evaluations import evaluate
from ocsdf.sklearn_compat.saved import SavedDetector
from ocsdf.utils.types import Rows

_FEATURES = ("n_features_in_", "feature_names_in_")


class ConformalDetector(SavedDetector, CalibratedDetector):
    r"""Turn any outlier detector's scores into decisions with a guarantee.

    A part of the training rows is kept from the detector and calibrates it: with f its score,
    high for normal rows, and f_1 ... f_n those of the n calibration rows,

    .. math:: p(x) = \frac{1 + \#\{i : f_i \le f(x)\}}{n + 1}

    is a p-value of the hypothesis that x is one more row of the same source, whatever the
    detector: :math:`P(p(x) \le \alpha) \le \alpha`. ``predict`` raises an alarm where it is at
    most `alpha`. If the detector has a proven Lipschitz constant, as :class:`ocsdf.OCSDF` has,
    ``radius`` makes p-values, discoveries and alarms hold under every l2 attack of that radius.

    Parameters
    ----------
    estimator : outlier detector
        Has ``fit`` and ``score_samples``, higher for normal rows. It is cloned and fitted on the
        rows that are not kept for calibration; a ``sklearn.frozen.FrozenEstimator`` is taken as
        it is, and all rows calibrate it.
    alpha : float, default=0.05
        Level of ``predict``: the rate of false alarms.
    calibration : float or int, default=0.2
        Rows kept for calibration, drawn at random: a share, or how many. `alpha` needs at least
        :math:`1 / \alpha - 1`: 19 at 0.05, 99 at 0.01.
    delta : float or None, default=None
        None: the rate of false alarms is at most `alpha` on average over calibration sets. A
        number: with probability 1 - delta over the calibration rows it is at most `alpha` for
        the set at hand (PAC), for which a lower threshold is taken.
    replaced : int, default=0
        Calibration rows that an attacker may have chosen; p-values and thresholds allow for
        them. The detector itself is taken to be fitted on clean rows.
    random_state : int, RandomState instance or None, default=None
        Draws the calibration rows. The detector has its own.

    Attributes
    ----------
    estimator_ : estimator
        The fitted detector.
    calibration_ : Calibration
        ``scores``: those of the calibration rows, less their rounding, increasing, by group; the
        only group is None where ``fit`` was given none.
    thresholds_ : dict of group to float
        Rows with a lower score raise an alarm; -inf where there are too few calibration rows.
    offset_ : float
        ``decision_function = score_samples - offset_``: the threshold, without groups only.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Only where the detector has them.

    References
    ----------
    Bates et al., Testing for Outliers with Conformal p-values, Annals of Statistics, 2023.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.ensemble import IsolationForest
    >>> from ocsdf import ConformalDetector
    >>> X, _ = make_blobs(500, centers=1, random_state=0)
    >>> forest = IsolationForest(random_state=0)
    >>> detector = ConformalDetector(forest, alpha=0.05, random_state=0).fit(X)
    >>> detector.predict([X.mean(axis=0), [50.0, 50.0]])
    array([ 1, -1])
    """

    _file_format = "conformal_file"

    def __init__(
        self, estimator, alpha=0.05, calibration=0.2, delta=None, replaced=0, random_state=None
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.calibration = calibration
        self.delta = delta
        self.replaced = replaced
        self.random_state = random_state

    def fit(self, X: Rows, y: Any = None, groups: ArrayLike | None = None) -> Self:
        """Fit the detector on a part of the rows and calibrate it on the rest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Normal rows, exchangeable: in no order that means anything. Where they come in chunks
            (see :meth:`OCSDF.fit`), a random sample of them is fitted and calibrated on.
        y : Ignored
        groups : array-like of shape (n_samples,) or None, default=None
            Segments that are calibrated each by its own rows, so that the guarantees hold in
            each of them (Mondrian); then they are asked for wherever rows are judged.

        Returns
        -------
        ConformalDetector
            Itself, fitted.

        Raises
        ------
        ValueError, TypeError
            For an invalid parameter or input.

        Warns
        -----
        UserWarning
            If a group has too few calibration rows for `alpha`: it never raises an alarm.
        """
        self._check_parameters()
        if come_in_chunks(X):
            X = summarize_chunks(X, check_random_state(self.random_state).randint(2**31)).rows
        (X,) = indexable(X)
        n_rows = _num_samples(X)
        groups = group_labels(groups, n_rows)
        fitted, kept = self._share_out(n_rows)
        if isinstance(self.estimator, FrozenEstimator):
            estimator = self.estimator.fit(X, None).estimator
        else:
            estimator = clone(self.estimator).fit(_safe_indexing(X, fitted))
        evaluated = evaluate(estimator, _safe_indexing(X, kept))
        lower, labels = lowered(evaluated.scores, evaluated.error), dict.fromkeys(groups.tolist())
        self._adopt(estimator, Calibration(lower, groups[kept], labels))
        return self

    def score_samples(self, X: Rows) -> NDArray[np.float64]:
        """Return the scores of ``estimator_``, plus what rounding may have taken from them.

        Parameters
        ----------
        X : array-like
            Rows as the detector takes them.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            The lower the more abnormal.
        """
        check_is_fitted(self)
        evaluated = evaluate(self.estimator_, X)
        return raised(evaluated.scores, evaluated.error)

    def decision_function(self, X: Rows, groups: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return scores less the threshold: negative for alarms.

        Parameters
        ----------
        X, groups : array-like
            As for :meth:`p_values`.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            Infinite where there are too few calibration rows for an alarm.
        """
        scores = self.score_samples(X)
        return scores - self._row_thresholds(groups, len(scores))

    def predict(self, X: Rows, groups: ArrayLike | None = None) -> NDArray[np.int_]:
        """Tell normal rows (+1) from alarms (-1), by the sign of :meth:`decision_function`.

        Alarms are where ``p_values(X, groups=groups) <= alpha``; where ``delta`` is given, below
        the PAC threshold.
        """
        return np.where(self.decision_function(X, groups) >= 0.0, 1, -1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

    def _check_parameters(self):
        if not hasattr(self.estimator, "score_samples"):
            raise TypeError(
                f"estimator must have score_samples, higher for normal rows; "
                f"{type(self.estimator).__name__} has not (LocalOutlierFactor has with "
                "novelty=True)."
            )
        check_share(self.alpha, "alpha")
        if self.delta is not None:
            check_share(self.delta, "delta")
        check_replaced(self.replaced)
        share = self.calibration
        count = isinstance(share, Integral) and not isinstance(share, bool) and share >= 1
        if not (count or (isinstance(share, Real) and 0.0 < share < 1.0)):
            raise ValueError(
                f"calibration must be a share in (0, 1) or an integer >= 1; got {share!r}."
            )

    def _share_out(self, n_rows):
        """Draw the numbers of the rows to fit on, in order, and of those to calibrate on."""
        if isinstance(self.estimator, FrozenEstimator):
            return np.arange(0), np.arange(n_rows)
        share = self.calibration
        n_kept = int(share) if isinstance(share, Integral) else int(np.ceil(share * n_rows))
        if n_rows - n_kept < 1:
            raise ValueError(
                f"calibration={share!r} leaves no row to fit on; got n_samples={n_rows}."
            )
        order = check_random_state(self.random_state).permutation(n_rows)
        return np.sort(order[n_kept:]), np.sort(order[:n_kept])

    def _adopt(self, estimator, calibration):
        """Set the fitted attributes from a fitted detector and its calibration."""
        thresholds, messages = calibration.thresholds(self.alpha, self.delta, self.replaced)
        for name in ("offset_", *_FEATURES):
            self.__dict__.pop(name, None)
        self.estimator_, self.calibration_, self.thresholds_ = estimator, calibration, thresholds
        for name in _FEATURES:
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))
        if None in thresholds:
            self.offset_ = thresholds[None]
        for message in messages:
            warnings.warn(message, stacklevel=3)
