"""OCSDF behind PyOD's detector contract."""

from numbers import Real

import numpy as np
from pyod.models.base import BaseDetector
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ocsdf.sklearn_compat.conformal import ConformalDetector
from ocsdf.sklearn_compat.detector import CertifiedDetector
from ocsdf.sklearn_compat.estimator import OCSDF
from ocsdf.utils.checks import check_number


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
    contamination : float or thresholder, default=0.1
        Share of the training rows to call anomalies, in (0, 0.5]: no other row is compared with
        them. Or an object as those of
        PyThresh, whose ``fit`` labels the training scores; the threshold is then one that gives
        these labels.
    random_state : int, RandomState instance or None, default=None
        Replaces that of the clone; None leaves it.

    calibration : float, int or None, default=None
        Rows kept from the detector, a share or how many, that calibrate :meth:`p_values` and
        :meth:`discoveries`; see :class:`ocsdf.ConformalDetector`. They have no part in the
        threshold's promise: that is `contamination` of all rows.

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n_samples,)
        The training rows' scores.
    threshold_ : float
        The quantile of 1 - contamination of such scores, each row left out of what it is compared
        with; or what a thresholder chose. It may be set: verdicts
        and certificates are those of the threshold that stands here.
    labels_ : ndarray of shape (n_samples,), int
        Verdicts on the training rows: 0 is normal, 1 is an anomaly.
    calibrated_ : ConformalDetector or None
        Around ``detector_``, where there is a ``calibration``.
    detector_ : OCSDF
        The fitted clone. Its ``offset_`` is ``-threshold_`` at any time: setting either sets
        both, so that it passes the same verdicts.

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

    def __init__(self, estimator=None, contamination=0.1, random_state=None, calibration=None):
        super().__init__(contamination=contamination)
        self.estimator = estimator
        self.random_state = random_state
        self.calibration = calibration

    def fit(self, X, y=None):
        """Learn as :meth:`ocsdf.OCSDF.fit` does, set the threshold, and return the fitted detector.

        ``y`` is not looked at. Invalid parameters and input raise a ValueError or TypeError before
        any work.
        """
        detector, calibrated = self._new_detector(), None
        if self.calibration is not None:
            calibrated = ConformalDetector(
                detector, calibration=self.calibration, random_state=self.random_state
            ).fit(X)
            detector = calibrated.estimator_
        else:
            detector.fit(X)
        scores = -detector.score_samples(X)
        threshold = self._choose_threshold(detector, scores)
        self.detector_, self.decision_scores_ = detector, scores
        self.calibrated_ = calibrated
        self._set_n_classes(None)
        self._adopt_threshold(threshold)
        return self

    @property
    def threshold_(self):
        """Scores above it are anomalies."""
        return -self.detector_.offset_

    @threshold_.setter
    def threshold_(self, value):
        """Set it, and with it the offset of ``detector_``."""
        self.detector_.offset_ = -check_number("threshold_", value)

    def predict(self, X, return_confidence=False):
        """Tell normal rows (0) from anomalies (1), which score above ``threshold_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        return_confidence : bool, default=False
            Whether to return PyOD's confidence in each verdict as well.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
        confidence : ndarray of shape (n_samples,)
            Only if asked for.
        """
        check_is_fitted(self, "detector_")
        labels = (self.decision_function(X) > self.threshold_).astype(int)
        return (labels, self.predict_confidence(X)) if return_confidence else labels

    def set_params(self, **params):
        """Set parameters, also the estimator's own as ``estimator__margin``.

        Parameters
        ----------
        **params : object
            Where `estimator` is None, ``estimator__...`` makes it an OCSDF first.

        Returns
        -------
        OCSDFDetector
            Itself.
        """
        if "estimator" in params:
            super().set_params(estimator=params.pop("estimator"))
        if self.estimator is None and any(name.startswith("estimator__") for name in params):
            self.estimator = OCSDF()
        return super().set_params(**params)

    def decision_function(self, X):
        """Return minus :meth:`ocsdf.OCSDF.score_samples`: the higher, the more anomalous."""
        check_is_fitted(self, "detector_")
        return -self.detector_.score_samples(X)

    def certified_radius(self, X):
        r"""Return the l2 norm below which no change of a row flips its verdict.

        .. math:: \max(0, |{-f(x)} - \text{threshold}| - \text{float slack}) / L

        in units of the certificate, as :meth:`ocsdf.OCSDF.certified_radius` does.
        """
        check_is_fitted(self, "detector_")
        return self.detector_.certified_radius(X)

    def p_values(self, X, radius=0.0):
        """Return p-values as :meth:`ocsdf.ConformalDetector.p_values` does.

        A detector that was fitted without ``calibration`` raises a ValueError.
        """
        return self._calibrated().p_values(X, radius)

    def discoveries(self, X, fdr=0.1, radius=0.0, method="auto"):
        """Call anomalies as :meth:`ocsdf.ConformalDetector.discoveries` does.

        A detector that was fitted without ``calibration`` raises a ValueError.
        """
        return self._calibrated().discoveries(X, fdr, radius, method=method)

    def _calibrated(self):
        check_is_fitted(self, "detector_")
        if self.calibrated_ is None:
            raise ValueError(
                "p-values need rows that the detector was not fitted on: fit with a share for "
                "calibration, such as OCSDFDetector(calibration=0.2)."
            )
        return self.calibrated_

    def _new_detector(self):
        estimator = OCSDF() if self.estimator is None else self.estimator
        if not isinstance(estimator, CertifiedDetector):
            raise TypeError(f"estimator must be None or an OCSDF; got {estimator!r}.")
        contamination = self.contamination
        if isinstance(contamination, Real) and 0.0 < contamination <= 0.5:
            # PyOD tells shares from thresholders by the very class float.
            contamination = self.contamination = float(contamination)
        elif isinstance(contamination, Real) or not hasattr(contamination, "fit"):
            raise ValueError(
                "contamination must be a float in (0, 0.5], or a thresholder as those of PyThresh; "
                f"got {contamination!r}. Other thresholds can be set as threshold_ after fitting."
            )
        else:
            contamination = "auto"
        detector = clone(estimator).set_params(contamination=contamination)
        if self.random_state is not None:
            detector.set_params(random_state=self.random_state)
        return detector

    def _process_decision_scores(self):
        """Set what PyOD derives from ``decision_scores_``; its users call this, too."""
        self._adopt_threshold(self._choose_threshold(self.detector_, self.decision_scores_))
        return self

    def _adopt_threshold(self, threshold):
        self.threshold_ = threshold
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        self._mu, self._sigma = np.mean(self.decision_scores_), np.std(self.decision_scores_)

    def _choose_threshold(self, detector, scores):
        if isinstance(self.contamination, Real):
            # Training rows vouch for themselves: new ones score as those that were left out.
            left_out = -detector.training_scores_
            return np.percentile(left_out, 100.0 * (1.0 - float(self.contamination)))
        self.contamination.fit(scores)
        return _threshold_of(self.contamination, scores)


def _threshold_of(thresholder, scores):
    """Find the threshold of scores that gives a fitted thresholder's labels."""
    flagged = np.asarray(thresholder.labels_).astype(bool)
    if not flagged.any():
        return scores.max()
    lowest = scores[flagged].min()
    highest = scores[~flagged].max() if not flagged.all() else np.nextafter(lowest, -np.inf)
    if not highest < lowest:
        raise ValueError(
            f"{thresholder!r} flags scores below others that it keeps: its verdicts follow no "
            "threshold, so none of them could be certified. Use another one."
        )
    # PyThresh's own threshold is one of scores brought to [0, 1], where it has one.
    share = getattr(thresholder, "thresh_", None)
    choices = [scores.min() + share * np.ptp(scores), share] if isinstance(share, Real) else []
    choices.append(0.5 * highest + 0.5 * lowest)
    return next((choice for choice in choices if highest <= choice < lowest), highest)
