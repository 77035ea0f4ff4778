"""OCSDF behind PyOD's detector contract."""

from pyod.models.base import BaseDetector
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ocsdf.sklearn_compat.detector import CertifiedDetector
from ocsdf.sklearn_compat.estimator import OCSDF


class OCSDFDetector(BaseDetector):
    r"""One Class Signed Distance Function as a PyOD detector, with its certificate.

    Scores have PyOD's sign, the higher the more anomalous: they are :math:`-f(x)`, with f of
    :class:`ocsdf.OCSDF`, and a row is an anomaly where

    .. math:: -f(x) > \text{threshold}.

    Parameters
    ----------
    estimator : OCSDF or None, default=None
        Unfitted; holds all parameters of the method, such as ``margin``, which is then
        ``estimator__margin``. It is cloned, and of the clone ``contamination`` is replaced.
        None takes ``OCSDF()``.
    contamination : float, default=0.1
        Share of the training rows to call anomalies, in (0, 0.5].
    random_state : int, RandomState instance or None, default=None
        Replaces that of the clone; None leaves it.

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n_samples,)
        The training rows' scores.
    threshold_ : float
        Their quantile of 1 - contamination.
    labels_ : ndarray of shape (n_samples,), int
        Verdicts on the training rows: 0 is normal, 1 is an anomaly.
    detector_ : OCSDF
        The fitted clone. Its ``offset_`` is ``-threshold_``, so that it passes the same verdicts.

    References
    ----------
    Béthune et al., Robust One-Class Classification with Signed Distance Function using
    1-Lipschitz Neural Networks, ICML 2023.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from ocsdf import OCSDF
    >>> from ocsdf.sklearn_compat import OCSDFDetector
    >>> X, _ = make_blobs(200, centers=1, random_state=0)
    >>> detector = OCSDFDetector(OCSDF(hidden_layer_sizes=(32, 32), random_state=0)).fit(X)
    >>> detector.predict([X.mean(axis=0), [50.0, 50.0]])
    array([0, 1])
    """

    def __init__(self, estimator=None, contamination=0.1, random_state=None):
        super().__init__(contamination=contamination)
        self.estimator = estimator
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the signed distance to the edge of the data, and set the threshold.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers that float64 can hold. Of sparse rows a dense copy is made.
        y : Ignored

        Returns
        -------
        OCSDFDetector
            Itself, fitted.

        Raises
        ------
        ValueError, TypeError
            For an invalid parameter or input, before any work.
        """
        detector = self._new_detector().fit(X)
        self.detector_ = detector
        self._set_n_classes(None)
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        # The same quantile of the same scores, but for the last bits: PyOD's are binding.
        detector.offset_ = -float(self.threshold_)
        return self

    def decision_function(self, X):
        """Return ``-score_samples(X)``: the higher, the more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), float64
            In standardized units.
        """
        check_is_fitted(self, "detector_")
        return -self.detector_.score_samples(X)

    def certified_radius(self, X):
        r"""Return the l2 norm below which no change of a row flips its verdict.

        .. math:: \max(0, |{-f(x)} - \text{threshold}| - \text{float slack}) / L

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            l2 radius in standardized units, that is on
            ``(X - detector_.mean_) / detector_.scale_``.
        """
        check_is_fitted(self, "detector_")
        return self.detector_.certified_radius(X)

    def _new_detector(self):
        estimator = OCSDF() if self.estimator is None else self.estimator
        if not isinstance(estimator, CertifiedDetector):
            raise TypeError(f"estimator must be None or an OCSDF; got {estimator!r}.")
        contamination = self.contamination
        if not (isinstance(contamination, float) and 0.0 < contamination <= 0.5):
            raise ValueError(
                f"contamination must be a float in (0, 0.5]; got {contamination!r}. Other "
                "thresholds can be set on decision_scores_ after fitting."
            )
        detector = clone(estimator).set_params(contamination=contamination)
        if self.random_state is not None:
            detector.set_params(random_state=self.random_state)
        return detector
