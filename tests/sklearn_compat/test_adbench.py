"""Detectors as other frameworks run them: ADBench's class, PyOD's engine."""

import functools
import json
import pickle

import keras
import numpy as np
import pytest
from pyod.utils.ad_engine import ADEngine
from pyod.utils.knowledge import KnowledgeBase
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError

from ocsdf import OCSDF
from ocsdf.sklearn_compat import ADBenchOCSDF, OCSDFDetector, knowledge_dir

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


SMALL = OCSDF(hidden_layer_sizes=(16, 16), max_steps=20)
PLAN = {"detector_name": "OCSDF", "params": {"estimator": SMALL}}


@pytest.fixture
def engine(tmp_path):
    return ADEngine(knowledge_dir=knowledge_dir(tmp_path / "knowledge"), random_state=0)


@pytest.fixture(scope="module")
def planned():
    return np.vstack([make_blobs(100, centers=1, random_state=0)[0], [[60.0, 60.0]]])


def test_it_is_listed_beside_all_of_pyods_detectors(engine):
    names = {entry["name"] for entry in engine.list_detectors(data_type="tabular")}
    own = {entry["name"] for entry in KnowledgeBase().list_by_data_type("tabular")}
    assert names == own | {"OCSDF"}
    assert "signed distance" in json.dumps(engine.explain_detector("OCSDF")).lower()


def test_its_entry_has_what_other_entries_have(engine):
    others = KnowledgeBase().algorithms
    assert set(engine.kb.get_algorithm("OCSDF")) == set(others["DeepSVDD"])


def test_nothing_else_changes(engine):
    plain = KnowledgeBase()
    assert {name: entry for name, entry in engine.kb.algorithms.items() if name != "OCSDF"} == (
        plain.algorithms
    )
    assert engine.kb.routing_rules == plain.routing_rules
    assert engine.kb.benchmarks == plain.benchmarks


def test_the_engine_builds_it_with_its_seed(engine, planned):
    detector = engine.build_detector(PLAN)
    assert isinstance(detector, OCSDFDetector) and detector.random_state == 0
    again = OCSDFDetector(OCSDF(**SMALL.get_params() | {"random_state": 0})).fit(planned)
    np.testing.assert_array_equal(detector.fit(planned).decision_scores_, again.decision_scores_)


def test_the_engine_runs_it(engine, planned):
    result = engine.run_detection(planned, PLAN)
    assert result["labels_train"][-1] == 1 and np.argmax(result["scores_train"]) == len(planned) - 1


def test_a_folder_that_is_there_is_written_again(tmp_path):
    (tmp_path / "algorithms.json").write_text("{")
    assert "OCSDF" in ADEngine(knowledge_dir=knowledge_dir(tmp_path)).kb.algorithms
