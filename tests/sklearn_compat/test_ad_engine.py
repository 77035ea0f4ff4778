"""OCSDF in PyOD's ADEngine."""

import json

import numpy as np
import pytest
from pyod.utils.ad_engine import ADEngine
from pyod.utils.knowledge import KnowledgeBase
from sklearn.datasets import make_blobs

from ocsdf import OCSDF
from ocsdf.sklearn_compat import OCSDFDetector, knowledge_dir

SMALL = OCSDF(hidden_layer_sizes=(16, 16), max_steps=20)
PLAN = {"detector_name": "OCSDF", "params": {"estimator": SMALL}}


@pytest.fixture
def engine(tmp_path):
    return ADEngine(knowledge_dir=knowledge_dir(tmp_path / "knowledge"), random_state=0)


@pytest.fixture(scope="module")
def X():
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


def test_the_engine_builds_it_with_its_seed(engine, X):
    detector = engine.build_detector(PLAN)
    assert isinstance(detector, OCSDFDetector) and detector.random_state == 0
    again = OCSDFDetector(OCSDF(**SMALL.get_params() | {"random_state": 0})).fit(X)
    np.testing.assert_array_equal(detector.fit(X).decision_scores_, again.decision_scores_)


def test_the_engine_runs_it(engine, X):
    result = engine.run_detection(X, PLAN)
    assert result["labels_train"][-1] == 1 and np.argmax(result["scores_train"]) == len(X) - 1


def test_a_folder_that_is_there_is_written_again(tmp_path):
    (tmp_path / "algorithms.json").write_text("{")
    assert "OCSDF" in ADEngine(knowledge_dir=knowledge_dir(tmp_path)).kb.algorithms
