"""OCSDF in the form that ADBench runs: ``RunPipeline(...).run(dataset, clf=ADBenchOCSDF)``."""

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ocsdf.sklearn_compat.estimator import OCSDF


class ADBenchOCSDF:
    """One Class Signed Distance Function for ADBench's ``RunPipeline``.

    Parameters
    ----------
    seed : int
        Replaces the estimator's ``random_state``.
    model_name : str or None, default=None
        Kept, not used: ADBench passes it.
    estimator : OCSDF or None, default=None
        Unfitted; it is cloned. None takes ``OCSDF()``. Give ADBench another one by
        ``functools.partial(ADBenchOCSDF, estimator=OCSDF(method="paper"))``.

    Attributes
    ----------
    detector_ : OCSDF
        The fitted clone.

    References
    ----------
    Han et al., ADBench: Anomaly Detection Benchmark, NeurIPS 2022.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.sklearn_compat import ADBenchOCSDF
    >>> make = partial(ADBenchOCSDF, estimator=OCSDF(max_steps=20))
    >>> X = load_wine().data
    >>> make(seed=0).fit(X[:50], y_train=None).predict_score(X).shape
    (178,)
    """

    def __init__(self, seed, model_name=None, estimator=None):
        self.seed = seed
        self.model_name = model_name
        self.estimator = estimator

    def fit(self, X_train, y_train=None):
        """Learn from rows alone, as :meth:`ocsdf.OCSDF.fit` does, and return the fitted object.

        ADBench passes labels, too; ``y_train`` is not looked at.
        """
        estimator = OCSDF() if self.estimator is None else clone(self.estimator)
        self.detector_ = estimator.set_params(random_state=self.seed).fit(X_train)
        return self

    def predict_score(self, X):
        """Return minus :meth:`ocsdf.OCSDF.score_samples`: the higher, the more anomalous.

        Before ``fit`` it raises :class:`sklearn.exceptions.NotFittedError`.
        """
        if not hasattr(self, "detector_"):
            raise NotFittedError("This ADBenchOCSDF is not fitted yet; call fit first.")
        return -self.detector_.score_samples(X)
