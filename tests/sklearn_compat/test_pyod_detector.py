"""OCSDFDetector: PyOD's contract, kept, and a certificate for PyOD's verdict."""

import copy
import inspect
import pickle
import subprocess
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest
from pyod.models.base import BaseDetector
from pyod.models.knn import KNN
from pyod.models.lscp import LSCP
from pyod.utils.utility import standardizer
from sklearn.base import BaseEstimator, clone, is_outlier_detector
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from ocsdf import OCSDF, certified_radius
from ocsdf.sklearn_compat import OCSDFDetector

TINY = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, random_state=0)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    # Of an odd number of rows, the median is one.
    rows = np.random.default_rng(0).normal(size=(151, 3))
    rows[:15] *= 5.0
    return rows * [1.0, 10.0, 0.1] + [0.0, 5.0, -1.0]


@pytest.fixture(scope="module")
def fitted(X):
    return OCSDFDetector(TINY, contamination=0.2).fit(X)


@pytest.fixture(scope="module")
def new_rows():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    return rows * [3.0, 30.0, 0.3] + [0.0, 5.0, -1.0]


# PyOD's contract


def test_scores_are_those_of_ocsdf_with_the_sign_of_pyod(fitted, X, new_rows):
    expected = clone(TINY).set_params(contamination=0.2).fit(X)
    np.testing.assert_array_equal(fitted.decision_scores_, -expected.score_samples(X), strict=True)
    scores = fitted.decision_function(new_rows)
    np.testing.assert_array_equal(scores, -expected.score_samples(new_rows), strict=True)
    np.testing.assert_array_equal(fitted.decision_function(X), fitted.decision_scores_)


def test_threshold_and_labels(fitted, X, new_rows):
    left_out = -fitted.detector_.training_scores_
    assert fitted.threshold_ == pytest.approx(np.percentile(left_out, 80.0))
    assert fitted.labels_.sum() == 30
    np.testing.assert_array_equal(fitted.labels_, fitted.decision_scores_ > fitted.threshold_)
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    verdicts = fitted.predict(new_rows)
    assert set(verdicts) == {0, 1}
    np.testing.assert_array_equal(verdicts, fitted.decision_function(new_rows) > fitted.threshold_)


def test_probabilities(fitted, new_rows):
    lowest, highest = fitted.decision_scores_.min(), fitted.decision_scores_.max()
    share = (fitted.decision_function(new_rows) - lowest) / (highest - lowest)
    probabilities = fitted.predict_proba(new_rows)
    np.testing.assert_allclose(probabilities[:, 1], np.clip(share, 0.0, 1.0), atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    unified = fitted.predict_proba(new_rows, method="unify")[:, 1]
    order = np.argsort(fitted.decision_function(new_rows))
    assert np.all(np.diff(unified[order]) >= 0.0)
    assert 0.0 <= unified.min() < unified.max() <= 1.0


def test_confidence_and_rejection(fitted, new_rows):
    confidence = fitted.predict_confidence(new_rows)
    assert confidence.shape == (60,)
    assert np.all((confidence >= 0.0) & (confidence <= 1.0))
    farthest = np.argmax(fitted.decision_function(new_rows))
    assert confidence[farthest] > 0.99
    verdicts = fitted.predict_with_rejection(new_rows, T=2, c_r=0.1)
    kept = verdicts != -2
    assert kept[farthest]
    np.testing.assert_array_equal(verdicts[kept], fitted.predict(new_rows)[kept])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_fit_predict_gives_the_labels(fitted, X):
    np.testing.assert_array_equal(clone(fitted).fit_predict(X), fitted.labels_)


def test_labels_never_reach_the_fit(fitted, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        again = clone(fitted).fit(X, np.zeros(len(X)))
    assert [str(w.message) for w in caught if "y should not" in str(w.message)] == []
    np.testing.assert_array_equal(again.decision_scores_, fitted.decision_scores_)
    assert again.predict_proba(X).shape == (151, 2)


def test_works_in_an_ensemble_of_pyod(fitted, X, new_rows):
    # Of detectors that agree, whichever is chosen: their standardized score.
    ensemble = LSCP([clone(fitted), clone(fitted)], n_bins=2, random_state=0).fit(X)
    scores, train = fitted.decision_function(new_rows)[:, None], fitted.decision_scores_[:, None]
    expected = standardizer(train, scores)[1].ravel()
    np.testing.assert_allclose(ensemble.decision_function(new_rows), expected)
    mixed = LSCP([clone(fitted), KNN()], n_bins=2, random_state=0).fit(X)
    assert not np.allclose(mixed.decision_function(new_rows), expected)


def test_ends_a_pipeline(X):
    pipeline = make_pipeline(RobustScaler(), OCSDFDetector(TINY)).fit(X)
    expected = OCSDFDetector(TINY).fit(RobustScaler().fit_transform(X))
    np.testing.assert_array_equal(pipeline.decision_function(X), expected.decision_scores_)


# The certificate


def test_certified_radius_is_the_distance_to_the_threshold(fitted, X, new_rows):
    for rows in (X, new_rows):
        expected = certified_radius(
            -fitted.decision_function(rows),
            offset=-fitted.threshold_,
            lipschitz=fitted.detector_.lipschitz_bound_,
            slack=fitted.detector_.float_slack(rows),
        )
        radii = fitted.certified_radius(rows)
        np.testing.assert_array_equal(radii, expected, strict=True)
        distances = np.abs(fitted.decision_function(rows) - fitted.threshold_)
        assert np.all(radii * fitted.detector_.lipschitz_bound_ <= distances)
        np.testing.assert_allclose(radii, distances, rtol=1e-3, atol=1e-6)


def test_no_change_below_the_radius_flips_a_verdict(fitted, new_rows):
    radii, verdicts = fitted.certified_radius(new_rows), fitted.predict(new_rows)
    steps = np.random.default_rng(2).normal(size=(40, 60, 3))
    # The steepest way to the boundary, by central differences, among the random ones.
    for axis in range(3):
        h = 1e-3 * np.eye(3)[axis] * fitted.detector_.scale_
        steps[0, :, axis] = fitted.decision_function(new_rows + h) - fitted.decision_function(
            new_rows - h
        )
    steps[0, verdicts == 1] *= -1.0
    steps *= radii[:, None] / np.linalg.norm(steps, axis=2, keepdims=True)
    points, rows_of = fitted.detector_._points_of(new_rows), fitted.detector_._rows_of
    attacked = rows_of((points + (1.0 - 1e-9) * steps).reshape(-1, 3))
    np.testing.assert_array_equal(fitted.predict(attacked), np.tile(verdicts, 40))
    # Thrice as far, the steepest way does flip some, so that the first attack was one.
    assert np.any(fitted.predict(rows_of(points + 3.0 * steps[0])) != verdicts)


@pytest.mark.parametrize("contamination", [0.5, 0.03, np.float64(0.2)])
def test_the_detector_inside_passes_the_same_verdicts(X, new_rows, contamination):
    fitted = OCSDFDetector(TINY, contamination=contamination).fit(X)
    for rows in (X, new_rows):
        inside = fitted.detector_.predict(rows)
        np.testing.assert_array_equal(inside, 1 - 2 * fitted.predict(rows))


def test_a_row_at_the_threshold_is_normal_and_certifies_nothing(X):
    fitted = OCSDFDetector(TINY, contamination=0.5).fit(X)
    fitted.threshold_ = fitted.decision_scores_[7]
    at = X[7:8]
    assert fitted.predict(at) == [0]
    assert fitted.certified_radius(at) == [0.0]


# Parameters and copies


def test_is_a_detector_with_few_parameters():
    assert issubclass(OCSDFDetector, BaseDetector)
    assert is_outlier_detector(OCSDFDetector())
    assert list(inspect.signature(OCSDFDetector).parameters) == [
        *("estimator", "contamination", "random_state", "calibration")
    ]
    plain = {"estimator": None, "contamination": 0.1, "random_state": None, "calibration": None}
    assert OCSDFDetector().get_params() == plain


def test_parameters_of_the_estimator_are_reached():
    detector = OCSDFDetector(OCSDF(margin=0.3), contamination=0.25)
    inside = OCSDF(margin=0.3).get_params()
    own = {"contamination": 0.25, "estimator": detector.estimator, "random_state": None}
    own["calibration"] = None
    assert detector.get_params() == own | {
        f"estimator__{name}": value for name, value in inside.items()
    }
    copied = clone(detector).set_params(estimator__random_state=7, contamination=0.4)
    assert (copied.estimator.random_state, copied.contamination) == (7, 0.4)
    assert (detector.estimator.random_state, detector.contamination) == (None, 0.25)
    assert repr(copied.estimator) in repr(copied)


def test_fit_leaves_the_estimator_alone(X):
    estimator = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, contamination=0.3, random_state=0)
    before = estimator.get_params()
    fitted = OCSDFDetector(estimator).fit(X)
    assert estimator.get_params() == before
    assert not hasattr(estimator, "model_")
    assert fitted.detector_.contamination == 0.1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_are_as_good(fitted, new_rows, duplicate):
    copied = duplicate(fitted)
    for method in ("decision_function", "predict", "predict_proba", "certified_radius"):
        expected = getattr(fitted, method)(new_rows)
        np.testing.assert_array_equal(getattr(copied, method)(new_rows), expected, strict=True)
    assert copied.threshold_ == fitted.threshold_
    np.testing.assert_array_equal(copied.labels_, fitted.labels_)


# Errors


@pytest.mark.parametrize("contamination", [0.0, 0.51, -0.1, float("nan")])
def test_contamination_out_of_range(X, contamination):
    with pytest.raises(ValueError, match=r"contamination must be in \(0, 0.5\]"):
        OCSDFDetector(contamination=contamination)
    detector = OCSDFDetector(TINY).set_params(contamination=contamination)
    with pytest.raises(
        ValueError,
        match=r"^contamination must be a float in \(0, 0.5\], or a thr.*; got .*\.$",
    ):
        detector.fit(X)


def test_contamination_that_is_no_number(X):
    with pytest.raises(ValueError, match="got 'auto'. Other thresholds can be set as threshold_"):
        OCSDFDetector(TINY, contamination="auto").fit(X)


@pytest.mark.parametrize("estimator", [OCSDF, IsolationForest(), "OCSDF"])
def test_estimator_of_another_kind(X, estimator):
    with pytest.raises(TypeError, match=r"^estimator must be None or an OCSDF; got .*\.$"):
        OCSDFDetector(estimator).fit(X)


@pytest.mark.parametrize(
    "method", ["decision_function", "predict", "predict_proba", "certified_radius"]
)
def test_not_fitted(X, method):
    with pytest.raises(NotFittedError, match="OCSDFDetector instance is not fitted"):
        getattr(OCSDFDetector(), method)(X)


# T3: after threshold_ is set


def set_directly(detector):
    detector.threshold_ = np.float32(-np.median(detector.detector_.training_scores_))


def set_on_the_estimator(detector):
    detector.detector_.offset_ = float(np.median(detector.detector_.training_scores_))


def processed_anew(detector):
    detector.contamination = 0.4
    detector._process_decision_scores()


def set_on_a_copy(detector):
    copied = pickle.loads(pickle.dumps(detector))
    set_directly(copied)
    return copied


def set_twice(detector):
    detector.threshold_ = 1e6
    set_directly(detector)


CHANGES = [set_directly, set_on_the_estimator, processed_anew, set_on_a_copy, set_twice]


@pytest.mark.parametrize("change", CHANGES)
def test_T3_certificates_follow_the_threshold(fitted, new_rows, change):
    detector = copy.deepcopy(fitted)
    detector = change(detector) or detector
    scores = detector.decision_function(new_rows)
    assert detector.threshold_ == -detector.detector_.offset_ != fitted.threshold_
    verdicts = detector.predict(new_rows)
    np.testing.assert_array_equal(verdicts, scores > detector.threshold_)
    assert 0 < verdicts.sum() < len(verdicts)
    radii = detector.certified_radius(new_rows)
    np.testing.assert_allclose(radii, np.abs(scores - detector.threshold_), atol=1e-9)
    counts = detector.detector_.verdict_counts(new_rows, [0.0])
    assert counts.normal[0] + counts.anomalous[0] == np.count_nonzero(radii)
    assert abs(counts.anomalous[0] - verdicts.sum()) <= np.count_nonzero(radii == 0.0)
    explained = detector.detector_.explain(new_rows[:8])
    np.testing.assert_array_equal(explained.radius, radii[:8])
    flipped = detector.predict(explained.boundary[explained.converged])
    np.testing.assert_array_equal(flipped, 1 - verdicts[:8][explained.converged])


@pytest.mark.parametrize("value", [np.nan, np.inf, "high", None, [0.5]])
def test_T3_a_threshold_is_a_finite_number(fitted, value):
    detector = copy.deepcopy(fitted)
    with pytest.raises(ValueError, match="^threshold_ must be a finite number"):
        detector.threshold_ = value
    assert detector.threshold_ == fitted.threshold_


class Thresholder(BaseEstimator):
    """Labels scores as PyThresh's do: above a share of their range, or by a function."""

    def __init__(self, rule):
        self.rule = rule

    def fit(self, scores):
        self._range = scores.min(), np.ptp(scores)
        self.thresh_ = self.rule if isinstance(self.rule, float) else None
        self.labels_ = self.predict(scores)
        return self

    def predict(self, scores):
        if callable(self.rule):
            return self.rule(scores).astype(int)
        return ((scores - self._range[0]) / self._range[1] > self.rule).astype(int)


RULES = {
    "a share of the range": 0.5,
    "a rule without a threshold": lambda scores: scores > np.median(scores),
    "all are normal": lambda scores: scores > np.inf,
    "all are anomalies": lambda scores: scores > -np.inf,
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_P6_thresholders_as_contamination(X, new_rows, rule):
    detector = clone(OCSDFDetector(TINY, contamination=Thresholder(rule))).fit(X)
    np.testing.assert_array_equal(detector.labels_, detector.contamination.labels_)
    np.testing.assert_array_equal(detector.predict(X), detector.labels_)
    verdicts, confidence = detector.predict(new_rows, return_confidence=True)
    scores = detector.decision_function(new_rows)
    np.testing.assert_array_equal(verdicts, scores > detector.threshold_)
    if isinstance(rule, float):
        np.testing.assert_array_equal(verdicts, detector.contamination.predict(scores))
    assert confidence.shape == verdicts.shape
    distance = np.abs(scores - detector.threshold_)
    np.testing.assert_allclose(detector.certified_radius(new_rows), distance, atol=1e-9)


def test_P6_a_thresholder_without_a_threshold_is_refused(fitted, X):
    detector = copy.deepcopy(fitted)
    detector.contamination = Thresholder(lambda scores: scores < np.median(scores))
    with pytest.raises(ValueError, match="flags scores below others that it keeps"):
        detector.fit(X)
    np.testing.assert_array_equal(detector.predict(X), fitted.labels_)


@pytest.mark.parametrize("share", [np.float32(0.25), Fraction(1, 4), np.float16(0.25)])
def test_P6_shares_of_other_kinds(X, share):
    detector = OCSDFDetector(TINY, contamination=share).fit(X)
    left_out = -detector.detector_.training_scores_
    assert detector.threshold_ == pytest.approx(np.percentile(left_out, 75.0))
    np.testing.assert_array_equal(detector.predict(X), detector.labels_)
    assert detector.predict_confidence(X).shape == (len(X),)


@pytest.mark.parametrize(
    "given",
    [
        {"estimator__margin": 0.3},
        {"estimator__margin": 0.3, "contamination": 0.2},
        {"estimator": OCSDF(margin=0.1), "estimator__margin": 0.3},
        {"estimator__margin": 0.3, "estimator": clone(TINY)},
    ],
)
def test_P6_parameters_of_an_estimator_that_is_none(given):
    detector = OCSDFDetector().set_params(**given)
    assert detector.estimator.margin == 0.3
    assert detector.get_params()["estimator__margin"] == 0.3
    assert OCSDFDetector().set_params(contamination=0.2).estimator is None
    with pytest.raises(ValueError, match="Invalid parameter"):
        OCSDFDetector().set_params(estimator__edge=1)


def test_failed_fit_leaves_a_fitted_detector_as_it_was(fitted, X):
    detector = copy.deepcopy(fitted)
    with pytest.raises(ValueError, match="contains NaN"):
        detector.fit(np.full((5, 3), np.nan))
    np.testing.assert_array_equal(detector.predict(X), fitted.labels_)


# Import


def imported(code, folder):
    code = (
        f"import sys; {code}; print(*sorted({{'tensorflow', 'torch', 'pyod'}} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()


def test_neither_tensorflow_nor_torch_loads_before_fit(tmp_path):
    code = (
        "from ocsdf.sklearn_compat import *; from sklearn.base import clone;"
        "clone(OCSDFDetector(OCSDF())); ADBenchOCSDF(seed=0); make_outlier_scorer('roc_auc', 1)"
    )
    assert imported(code, tmp_path) == ["pyod"]


def test_pyod_loads_only_with_its_detector(tmp_path):
    code = "from ocsdf import OCSDF, make_outlier_scorer; OCSDF()"
    assert imported(code, tmp_path) == []


def test_unknown_name():
    import ocsdf.sklearn_compat

    assert dir(ocsdf.sklearn_compat) == sorted(ocsdf.sklearn_compat.__all__)
    with pytest.raises(AttributeError, match="'ocsdf.sklearn_compat' has no attribute 'OneClass'"):
        ocsdf.sklearn_compat.OneClass  # noqa: B018


def test_p_values_and_discoveries():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    estimator = OCSDF(hidden_layer_sizes=(8, 8), epochs=1)
    detector = OCSDFDetector(estimator, random_state=0, calibration=0.25).fit(X[:300])
    assert len(detector.decision_scores_) == 300
    assert len(detector.calibrated_.calibration_.scores[None]) == 75
    p = detector.p_values(np.vstack([X[300:], X[:20] + 30.0]))
    assert np.all(p[100:] == 1 / 76) and np.mean(p[:100] <= 0.1) < 0.25
    assert np.all(detector.p_values(X[300:], radius=0.2) >= p[:100])
    called = detector.discoveries(np.vstack([X[300:320], X[:20] + 30.0]), fdr=0.2)
    assert called[20:].all()
    with pytest.raises(ValueError, match="fit with a share for calibration"):
        OCSDFDetector(estimator).fit(X).p_values(X)
