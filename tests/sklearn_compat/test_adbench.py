"""ADBenchOCSDF: what ADBench's RunPipeline calls, in its order, and no label looked at."""

import functools
import pickle

import keras
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from ocsdf import OCSDF
from ocsdf.sklearn_compat import ADBenchOCSDF

TINY = OCSDF(hidden_layer_sizes=(16, 16), epochs=2)
# A class as RunPipeline.run(clf=...) takes it.
CLF = functools.partial(ADBenchOCSDF, estimator=TINY)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(150, 4))


@pytest.fixture(scope="module")
def y():
    return np.random.default_rng(1).integers(0, 2, size=150)


def run(X, y, seed=1):
    """Fit and score as RunPipeline does: by keywords, with the seed a NumPy integer."""
    detector = CLF(seed=np.arange(9)[seed], model_name="Customized")
    detector = detector.fit(X_train=X, y_train=y)
    scores = detector.predict_score(X)
    keras.backend.clear_session()
    return scores


def test_scores_are_those_of_ocsdf_with_the_sign_of_adbench(X, y):
    expected = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, random_state=1).fit(X)
    scores = run(X, y)
    np.testing.assert_array_equal(scores, -expected.score_samples(X), strict=True)
    assert np.ptp(scores) > 0.0


def test_labels_never_reach_the_fit(X, y):
    scores = run(X, y)
    for labels in (1 - y, np.zeros(150), np.full(150, "?"), None):
        np.testing.assert_array_equal(run(X, labels), scores, strict=True)


def test_the_seed_counts(X, y):
    assert np.any(run(X, y, seed=1) != run(X, y, seed=2))


def test_fit_returns_itself_and_leaves_the_estimator_alone(X, y):
    detector = CLF(seed=3)
    assert detector.fit(X, y) is detector
    assert (detector.seed, detector.model_name, detector.estimator) == (3, None, TINY)
    assert TINY.random_state is None and not hasattr(TINY, "model_")
    assert detector.detector_.random_state == 3


def test_default_is_the_default_ocsdf(X, monkeypatch):
    fitted = []
    monkeypatch.setattr(OCSDF, "fit", lambda self, rows: fitted.append(self) or self)
    ADBenchOCSDF(seed=4).fit(X, None)
    assert [detector.get_params() for detector in fitted] == [OCSDF(random_state=4).get_params()]


def test_pickle(X, y):
    detector = CLF(seed=5).fit(X, y)
    copied = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(copied.predict_score(X), detector.predict_score(X))


def test_not_fitted(X):
    with pytest.raises(NotFittedError, match="ADBenchOCSDF is not fitted yet; call fit first"):
        ADBenchOCSDF(seed=0).predict_score(X)
