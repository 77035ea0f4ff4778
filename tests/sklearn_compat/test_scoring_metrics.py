"""make_outlier_scorer: anomalies are the positives, whoever's sign the detector has."""

import pickle

import numpy as np
import pytest
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from ocsdf import OCSDF, make_outlier_scorer
from ocsdf.sklearn_compat import OCSDFDetector

FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
TINY = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, random_state=0)
FOREST = IsolationForest(n_estimators=20, random_state=0)
AUROC = make_outlier_scorer("roc_auc", 1)
# How each kind of detector tells how anomalous rows are.
ANOMALY_SCORES = {
    "IsolationForest": (FOREST, lambda d, X: -d.score_samples(X)),
    "OneClassSVM": (OneClassSVM(), lambda d, X: -d.decision_function(X)),
    "LocalOutlierFactor": (LocalOutlierFactor(novelty=True), lambda d, X: -d.score_samples(X)),
    "EllipticEnvelope": (EllipticEnvelope(random_state=0), lambda d, X: d.mahalanobis(X)),
    "OCSDF": (TINY, lambda d, X: -d.score_samples(X)),
    "OCSDFDetector": (OCSDFDetector(TINY), lambda d, X: -d.detector_.score_samples(X)),
    "PyOD KNN": (KNN(), lambda d, X: d.decision_function(X)),
    "Pipeline": (make_pipeline(StandardScaler(), FOREST), lambda d, X: -d.score_samples(X)),
    "Pipeline, PyOD": (make_pipeline(StandardScaler(), KNN()), lambda d, X: d.decision_function(X)),
    "search": (
        GridSearchCV(FOREST, {"max_samples": [0.5, 1.0]}, scoring=AUROC, cv=FOLDS),
        lambda d, X: -d.score_samples(X),
    ),
    "search, PyOD, Pipeline": (
        GridSearchCV(
            make_pipeline(StandardScaler(), KNN()),
            {"knn__n_neighbors": [2, 5]},
            scoring=AUROC,
            cv=FOLDS,
        ),
        lambda d, X: d.best_estimator_[-1].decision_function(d.best_estimator_[0].transform(X)),
    ),
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:y should not be presented:UserWarning"),
]


@pytest.fixture(scope="module")
def table():
    """Normal rows and overlapping anomalies, so that no score is 0 or 1."""
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(120, 3)), random.normal(size=(30, 3)) * 2.0 + 1.0])
    return X, np.repeat([0, 1], [120, 30])


def precision_of_the_first_ten(is_anomaly, anomaly_scores):
    return is_anomaly[np.argsort(-anomaly_scores)[:10]].mean()


def test_cross_validation_gives_the_auroc_where_scikit_learns_scorer_gives_one_minus_it(table):
    X, y = table
    scoring = {
        "auroc": AUROC,
        "precision": make_outlier_scorer("average_precision", 1),
        "sklearn": "roc_auc",
    }
    results = cross_validate(FOREST, X, y, scoring=scoring, cv=FOLDS, return_estimator=True)
    expected, precision = [], []
    for (_, test), forest in zip(FOLDS.split(X, y), results["estimator"], strict=True):
        expected.append(roc_auc_score(y[test], -forest.score_samples(X[test])))
        precision.append(average_precision_score(y[test], -forest.score_samples(X[test])))
    assert min(expected) > 0.6 and max(expected) < 1.0
    np.testing.assert_array_equal(results["test_auroc"], expected)
    np.testing.assert_array_equal(results["test_precision"], precision)
    np.testing.assert_allclose(results["test_sklearn"], 1.0 - np.array(expected), atol=1e-12)


@pytest.mark.parametrize("kind", ANOMALY_SCORES)
def test_sign_of_every_kind_of_detector(table, kind):
    X, y = table
    detector, anomaly_scores = ANOMALY_SCORES[kind]
    detector = clone(detector).fit(X, y)
    expected = roc_auc_score(y, anomaly_scores(detector, X))
    assert abs(expected - 0.5) > 0.1
    assert AUROC(detector, X, y) == pytest.approx(expected, abs=1e-12)


def test_pyods_forest_is_scored_like_scikit_learns(table):
    X, y = table
    ours = AUROC(IForest(n_estimators=20, random_state=0).fit(X), X, y)
    assert ours == pytest.approx(AUROC(clone(FOREST).fit(X), X, y), abs=1e-12)


@pytest.mark.parametrize(
    ("normal", "anomaly"), [(0, 1), (1, -1), ("inlier", "outlier"), (False, True), (1, 0)]
)
def test_any_labels(table, normal, anomaly):
    X, y = table
    forest = clone(FOREST).fit(X)
    labels = np.where(y == 1, np.array(anomaly), np.array(normal))
    for metric in ("roc_auc", "average_precision"):
        scorer = make_outlier_scorer(metric, pos_label=anomaly)
        score = scorer(forest, X, labels)
        assert type(score) is float
        assert (
            score == make_outlier_scorer(metric, 1)(forest, X, y) == scorer(forest, X, list(labels))
        )


def test_callable_metric(table):
    X, y = table
    forest = clone(FOREST).fit(X)
    scorer = make_outlier_scorer(precision_of_the_first_ten, 1)
    assert scorer(forest, X, y) == y[np.argsort(forest.score_samples(X))[:10]].mean() > 0.5


def test_pickled_scorer_gives_the_same(table):
    X, y = table
    forest = clone(FOREST).fit(X)
    for metric in ("average_precision", precision_of_the_first_ten):
        scorer = make_outlier_scorer(metric, 1)
        assert pickle.loads(pickle.dumps(scorer))(forest, X, y) == scorer(forest, X, y)


@pytest.mark.slow
def test_works_in_parallel(table):
    X, y = table
    alone, parallel = (
        cross_val_score(FOREST, X, y, scoring=AUROC, cv=FOLDS, n_jobs=n_jobs) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(alone, parallel)


def test_repr_is_how_it_was_made():
    assert repr(AUROC) == "make_outlier_scorer('roc_auc', pos_label=1)"
    scorer = pickle.loads(pickle.dumps(make_outlier_scorer(precision_of_the_first_ten, "bad")))
    assert repr(scorer) == "make_outlier_scorer(precision_of_the_first_ten, pos_label='bad')"


def test_grid_search_of_the_network(table):
    X, y = table
    grid = {"margin": [0.05, 0.5]}
    search = GridSearchCV(TINY, grid, scoring=AUROC, cv=FOLDS, error_score="raise").fit(X, y)
    margins = [
        (margin, train, test) for margin in grid["margin"] for train, test in FOLDS.split(X, y)
    ]
    expected = [
        AUROC(clone(TINY).set_params(margin=margin).fit(X[train]), X[test], y[test])
        for margin, train, test in margins
    ]
    means = np.mean(np.reshape(expected, (2, 3)), axis=1)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], means)
    assert search.best_params_ == {"margin": grid["margin"][np.argmax(means)]}
    assert len(set(expected)) > 1


# Errors


@pytest.mark.parametrize("metric", ["auc", None, 3])
def test_unknown_metric(metric):
    with pytest.raises(ValueError, match="'roc_auc', 'average_precision' or a callable .*; got "):
        make_outlier_scorer(metric, 1)


@pytest.mark.parametrize(
    ("pos_label", "rows"), [(1, slice(0, 100)), (0, slice(0, 100)), ("anomaly", slice(None))]
)
def test_missing_class(table, pos_label, rows):
    X, y = table
    message = (
        rf"^y needs both anomalies \(label {pos_label!r}\) and normal rows; got only "
        f"{'anomalies' if pos_label == 0 else 'normal rows'}. .*StratifiedKFold.*$"
    )
    with pytest.raises(ValueError, match=message):
        make_outlier_scorer("roc_auc", pos_label)(clone(FOREST).fit(X), X[rows], y[rows])


def test_more_than_two_classes(table):
    X, _ = table
    with pytest.raises(ValueError, match="y must hold two classes; got 3"):
        AUROC(clone(FOREST).fit(X), X, np.arange(150) % 3)


def test_missing_labels(table):
    X, _ = table
    with pytest.raises(ValueError, match="y must be a list of labels, one a row; got None"):
        cross_val_score(FOREST, X, scoring=AUROC, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"got shape \(150, 2\)"):
        AUROC(clone(FOREST).fit(X), X, np.zeros((150, 2)))


def test_no_outlier_detector(table):
    X, y = table
    with pytest.raises(TypeError, match="must be an outlier detector; got LogisticRegression"):
        AUROC(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y)
    with pytest.raises(TypeError, match="LocalOutlierFactor has neither .*novelty=True"):
        AUROC(LocalOutlierFactor().fit(X), X, y)
