"""Detectors by name, one sign for their scores, and baselines that work as their authors mean."""

import re
import sys

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KernelDensity

from ocsdf.benchmark.detectors import DETECTORS, find_detector, fit, is_pyod, score_of, spell
from ocsdf.benchmark.evaluate import _fit_and_score

PAPER = [
    *("PCA", "OCSVM", "LOF", "CBLOF", "COF", "HBOS", "KNN"),
    *("SOD", "COPOD", "ECOD", "DeepSVDD", "LODA", "IForest", "MCD"),
]
# Numba compiles the one for seconds, torch belongs to an extra.
HEAVY = {"SOD", "DeepSVDD"}


@pytest.fixture(scope="module")
def rows():
    """240 rows of two blobs, of which the last 10 are far out."""
    X = np.random.default_rng(0).normal(size=(240, 4))
    X[:100] += 6.0
    X[-10:] *= 12.0
    return X, np.repeat([0, 1], [230, 10])


class ADBenchForm:
    """What ADBench's pipeline calls."""

    def __init__(self, seed, model_name=None):
        self.seed, self.model_name = seed, model_name

    def fit(self, X_train, y_train):
        self.X_train, self.y_train = X_train, y_train
        return self

    def predict_score(self, X):
        return np.linalg.norm(X, axis=1)


BESIDE = {"OCSDF paper", "nearest neighbour", "random subsamples", "DTE-NP", "INNE", "LUNAR"}


def test_the_papers_fourteen_and_ours():
    assert set(DETECTORS) == {*PAPER, "OCSDF", *BESIDE}
    flagged = {name for name in DETECTORS if DETECTORS[name].transductive}
    assert flagged == {"COF", "SOD", "COPOD", "ECOD"}
    assert {name for name in DETECTORS if DETECTORS[name].joint} == {"COF", "SOD"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in PAPER],
)
def test_outliers_score_high_and_only_random_ones_heed_the_seed(name, rows):
    if name == "DeepSVDD":
        pytest.importorskip("torch")
    X, y = rows
    scores = []
    for seed in (0, 0, 1):
        np.random.seed(seed)  # DeepSVDD shuffles with the global generator
        detector = DETECTORS[name].build(seed, X.shape[1], X)
        assert is_pyod(detector)
        fit(detector, X)
        scores.append(score_of(detector, X))
    assert scores[0].dtype == np.float64
    assert roc_auc_score(y, scores[0]) > 0.9
    np.testing.assert_array_equal(scores[0], scores[1])
    # CBLOF's clusters and MCD's subset are found whatever the seed on rows as simple as these.
    if name not in ("CBLOF", "MCD"):
        assert np.array_equal(scores[0], scores[2]) == (not DETECTORS[name].random)


def test_ocsdf_is_the_default_with_the_seed():
    detector = DETECTORS["OCSDF"].build(5, 3, None)
    assert detector.get_params() == type(detector)(random_state=5).get_params()


def test_the_papers_method_has_a_label_free_margin():
    detector = DETECTORS["OCSDF paper"].build(5, 3, None)
    expected = type(detector)(method="paper", margin="auto", random_state=5)
    assert detector.get_params() == expected.get_params()


def test_distances_have_a_certificate_and_only_subsamples_heed_the_seed(rows):
    X, y = rows
    for name in ("nearest neighbour", "random subsamples"):
        detectors = [DETECTORS[name].build(seed, X.shape[1], X[:200]) for seed in (0, 0, 1)]
        for detector in detectors:
            fit(detector, X[:200])
        scores = [score_of(detector, X[200:]) for detector in detectors]
        np.testing.assert_array_equal(scores[0], scores[1])
        assert np.array_equal(scores[0], scores[2]) == (not DETECTORS[name].random)
        certified = detectors[0].certified_auroc(X[200:], y[200:], [0.0, 0.5, 1e3])
        auroc = roc_auc_score(y[200:], scores[0])
        assert certified[0] == pytest.approx(auroc, abs=1e-12) and auroc > 0.9
        assert 0.5 < certified[1] <= certified[0] and certified[2] == 0.0


class TestPCA:
    def test_components_without_variance_are_left_out(self, rows):
        X = rows[0][:, [0, 1, 2, 0, 1]]
        X[:, 4] += X[:, 2]
        X = np.column_stack([X, np.full(len(X), 3.0)])
        detector = DETECTORS["PCA"].build(0, X.shape[1], X)
        fit(detector, X)
        assert detector.n_components_ == 3
        assert 0.0 < score_of(detector, X).max() < 1e4
        # Left to itself it divides by nothing, or next to it.
        with np.errstate(all="ignore"):
            alone = type(detector)().fit(X)
            assert score_of(alone, X).min() > 1e12

    def test_other_tables_are_left_to_pyod(self, rows):
        X = rows[0]
        detector = DETECTORS["PCA"].build(0, X.shape[1], X)
        fit(detector, X)
        np.testing.assert_allclose(
            score_of(detector, X), type(detector)().fit(X).decision_scores_, rtol=1e-9
        )


class TestThreeKinds:
    def test_scikit_learn_is_turned_round(self, rows):
        X, y = rows
        for detector in (IsolationForest(random_state=0), KernelDensity()):
            fit(detector, X)
            np.testing.assert_array_equal(score_of(detector, X), -detector.score_samples(X))
            assert roc_auc_score(y, score_of(detector, X)) > 0.9

    def test_adbench_learns_no_label(self, rows):
        detector = ADBenchForm(seed=0)
        fit(detector, rows[0])
        np.testing.assert_array_equal(detector.y_train, np.zeros(240, dtype=np.int64))
        np.testing.assert_array_equal(score_of(detector, rows[0]), np.linalg.norm(rows[0], axis=1))

    def test_others_are_refused(self):
        with pytest.raises(
            TypeError, match="predict_score, be a PyOD .* score_samples; got object"
        ):
            score_of(object(), np.zeros((2, 2)))


class TestFindDetector:
    def test_a_class_gets_the_seed_by_either_name(self):
        forest = find_detector("sklearn.ensemble:IsolationForest").build(7, 2, None)
        assert (type(forest), forest.random_state) == (IsolationForest, 7)
        ours = find_detector(f"{__name__}:ADBenchForm").build(7, 2, None)
        assert (ours.seed, ours.model_name) == (7, None)
        assert find_detector("sklearn.neighbors:KernelDensity").build(7, 2, None).bandwidth == 1.0

    def test_a_pyod_class_is_known_as_one(self):
        assert is_pyod(find_detector("pyod.models.hbos:HBOS").build(7, 2, None))

    def test_errors_name_the_choices(self):
        listed = re.escape("choose among PCA, OCSVM, LOF")
        with pytest.raises(ValueError, match=f"no detector is named 'forest': {listed}"):
            find_detector("forest")
        with pytest.raises(ValueError, match="cannot import the detector 'no_such:Thing'"):
            find_detector("no_such:Thing")
        with pytest.raises(ValueError, match="no attribute 'Thing'"):
            find_detector("sklearn.ensemble:Thing")


def test_names_are_spelled_as_in_the_table_and_each_is_kept_once():
    named = ["knn", " Iforest ", "KNN", "NEAREST neighbour", "pyod.models.hbos:HBOS"]
    assert spell(named) == ["KNN", "IForest", "nearest neighbour", "pyod.models.hbos:HBOS"]
    with pytest.raises(ValueError, match="no detector is named 'kkn': choose among"):
        spell(["knn", "kkn"])


@pytest.mark.parametrize("name", ["DeepSVDD", "LUNAR"])
def test_a_library_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("deep_svdd", "lunar"):
        monkeypatch.delitem(sys.modules, f"pyod.models.{module}", raising=False)
    with pytest.raises(ImportError, match=f"^{name} needs torch: pip install torch "):
        DETECTORS[name].build(0, 3, np.zeros((5, 3)))


@pytest.mark.slow
def test_the_later_networks_scores_hang_on_the_seed(rows):
    pytest.importorskip("torch")

    def scores(seed):
        return _fit_and_score("LUNAR", seed, "oc", rows[0], rows[0])["scores"]

    np.testing.assert_array_equal(scores(0), scores(0))
    assert np.ptp(scores(0) - scores(1)) > 0.0


@pytest.mark.slow
def test_deep_svdd_is_trained(rows, capsys):
    torch = pytest.importorskip("torch")
    X = rows[0]

    def fitted(epochs):
        np.random.seed(0)
        detector = DETECTORS["DeepSVDD"].build(0, X.shape[1], X)
        detector.set_params(epochs=epochs, verbose=1)
        torch.manual_seed(0)
        fit(detector, X)
        return detector

    trained = fitted(100)
    losses = [float(loss) for loss in re.findall(r"Loss: (\S+)", capsys.readouterr().out)]
    assert len(losses) == 100
    assert losses[-1] < 0.5 * losses[0]
    start, end = (list(one.model_.parameters()) for one in (fitted(0), trained))
    assert all(not torch.equal(a, b) for a, b in zip(start, end, strict=True))
    assert np.ptp(score_of(trained, X)) > 0.0
