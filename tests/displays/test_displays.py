"""Displays keep arrays, draw what they say, leave no global state, look through pipelines (C3)."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler

from ocsdf.certificate.metrics import certified_tpr
from ocsdf.displays import (
    CertifiedAUROCDisplay,
    CertifiedROCDisplay,
    ScoreHistogramDisplay,
    SignedDistanceDisplay,
    TrainingHistoryDisplay,
)
from ocsdf.sklearn_compat.distance_detectors import SubsampleDistanceDetector


class Affine:
    """f(x) = x_0 - 1: a 1-Lipschitz score with a threshold at 0.25."""

    offset_ = 0.25
    lipschitz_bound_ = 1.0
    n_features_in_ = 2
    history_ = {"loss": [3.0, 2.0, 1.5]}

    def score_samples(self, X):
        return np.asarray(X)[:, 0] - 1.0

    def attack_slack(self, X, radii):
        return 1e-3 * (1.0 + np.asarray(radii))

    def certified_auroc(self, X, y, radii, pos_label=None):
        from ocsdf.certificate.metrics import certified_auroc
        from ocsdf.utils.checks import check_labels

        scores, anomalous = self.score_samples(X), check_labels(y, pos_label)
        return certified_auroc(scores[~anomalous], scores[anomalous], radii)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 25])
    return rng.normal(size=(65, 2)) - 1.5 * y[:, None], y


def test_a_notebook_shows_figures_that_pyplot_does_not_know(rows):
    X, y = rows
    display = CertifiedAUROCDisplay.from_estimator(Affine(), X, y, radii=[0.0, 0.1])
    assert display._repr_png_().startswith(b"\x89PNG")
    assert CertifiedAUROCDisplay(display.radii, display.certified_auroc)._repr_png_() is None
    figure, ax = plt.subplots()
    assert display.plot(ax)._repr_png_() is None
    plt.close(figure)


def test_certified_curve_draws_its_arrays_and_starts_at_the_auroc(rows):
    X, y = rows
    display = CertifiedAUROCDisplay.from_estimator(Affine(), X, y, radii=[0.5, 0.0, 0.1])
    np.testing.assert_array_equal(display.radii, [0.0, 0.1, 0.5])
    assert display.certified_auroc[0] == pytest.approx(roc_auc_score(y, -X[:, 0]))
    line = display.ax_.get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), display.radii)
    np.testing.assert_array_equal(line.get_ydata(), display.certified_auroc)
    assert display.ax_.get_xlabel() == "attack radius eps (scaled l2)"


def test_certified_curve_from_predictions_scales_with_the_lipschitz_bound(rows):
    X, y = rows
    normal, anomalies = X[y == 0, 0], X[y == 1, 0]
    once = CertifiedAUROCDisplay.from_predictions(normal, anomalies, radii=[0.0, 0.4])
    twice = CertifiedAUROCDisplay.from_predictions(
        normal, anomalies, radii=[0.0, 0.2], lipschitz=2.0
    )
    np.testing.assert_array_equal(once.certified_auroc, twice.certified_auroc)


def test_interval_is_drawn_as_a_band():
    display = CertifiedAUROCDisplay([0, 1], [0.9, 0.8], [0.8, 0.7], [0.95, 0.85]).plot()
    (band,) = display.ax_.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == 0.7
    assert heights.max() == 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0.9]), r"certified_auroc must have the shape of radii, \(2,\); got \(1,\)"),
        (([0], [0.9], [0.8], [1, 1]), r"upper must have the shape of radii"),
        (([0], [0.9], [0.8]), "lower and upper must be given together"),
        (([0], [0.9], None, None, [1, 1]), r"attacked must have the shape of radii"),
    ],
)
def test_certified_curve_rejects_arrays_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        CertifiedAUROCDisplay(*arguments)


def test_attacked_curve_is_drawn_beside_the_certified_one():
    radii, certified, attacked = [0.0, 1.0], [0.9, 0.6], [0.9, 0.7]
    display = CertifiedAUROCDisplay(radii, certified, attacked=attacked).plot()
    np.testing.assert_array_equal(display.attacked, attacked)
    lines = {line.get_label(): line.get_ydata() for line in display.ax_.get_lines()}
    np.testing.assert_array_equal(lines["certified AUROC"], certified)
    np.testing.assert_array_equal(lines["attacked AUROC"], attacked)
    assert display.ax_.get_ylabel() == "AUROC"


def reached(y, scores, rates):
    """True positive rate of the ROC curve at false positive rates, with no point in between."""
    fpr, tpr, _ = roc_curve(y, -scores, drop_intermediate=False)
    return np.array([tpr[fpr <= rate].max() for rate in rates])


def test_clean_roc_is_that_of_scikit_learn(rows):
    X, y = rows
    display = CertifiedROCDisplay.from_predictions(X[y == 0, 0], X[y == 1, 0], radii=[0.0])
    np.testing.assert_array_equal(display.radii, [0.0])
    np.testing.assert_array_equal(display.fpr, np.arange(41) / 40)
    np.testing.assert_allclose(display.tpr[0], reached(y, X[:, 0], display.fpr))


def test_certified_roc_is_below_the_curve_of_the_worst_attack_and_touches_it(rows):
    X, y = rows
    eps = 0.3
    display = CertifiedROCDisplay.from_predictions(X[y == 0, 0], X[y == 1, 0], radii=[eps])
    np.testing.assert_array_equal(display.radii, [0.0, eps])
    worst = reached(y, X[:, 0] + np.where(y == 1, eps, -eps), display.fpr)
    np.testing.assert_allclose(display.tpr[1], worst)
    assert (display.tpr[1] <= display.tpr[0]).all()
    assert (display.tpr[1] < display.tpr[0]).any()


def test_certified_roc_from_an_estimator_takes_its_slack_into_account(rows):
    X, y = rows
    display = CertifiedROCDisplay.from_estimator(Affine(), X, y, radii=[0.5, 0.1])
    np.testing.assert_array_equal(display.radii, [0.0, 0.1, 0.5])
    scores = Affine().score_samples(X)
    for rate, tpr in zip(display.fpr[:-1], display.tpr.T, strict=False):
        slack = 1e-3 * (1.0 + display.radii)
        expected = certified_tpr(
            scores[y == 0], scores[y == 1], display.radii, fpr=rate, slack=slack
        )
        np.testing.assert_array_equal(tpr, expected)
    np.testing.assert_array_equal(display.tpr[:, -1], 1.0)


def test_certified_roc_draws_steps_and_says_norm_and_units(rows):
    X, y = rows
    display = CertifiedROCDisplay.from_estimator(Affine(), X, y, radii=[0.1])
    clean, certified, chance = display.ax_.get_lines()
    labels = [line.get_label() for line in (clean, certified, chance)]
    assert labels == ["clean", "eps = 0.1", "chance"]
    for line, tpr in zip((clean, certified), display.tpr, strict=True):
        assert line.get_drawstyle() == "steps-post"
        np.testing.assert_array_equal(line.get_xdata(), display.fpr)
        np.testing.assert_array_equal(line.get_ydata(), tpr)
    title = display.ax_.get_legend().get_title().get_text()
    assert title == "certified for any attack up to eps (scaled l2)"


def test_a_long_roc_curve_has_few_points_all_of_whole_rows():
    rng = np.random.default_rng(1)
    normals, anomalies = rng.normal(size=1003), rng.normal(size=10)
    fpr = CertifiedROCDisplay.from_predictions(normals, anomalies, radii=[0.1]).fpr
    assert len(fpr) == 201
    assert fpr[0] == 0.0
    assert fpr[-1] == 1.0
    np.testing.assert_allclose(fpr * 1003, np.round(fpr * 1003), atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: CertifiedROCDisplay([0, 1], [[0, 1]], [0, 0.1]),
            r"one row per radius and one column per fpr, \(2, 2\); got \(1, 2\)",
        ),
        (
            lambda: CertifiedROCDisplay.from_predictions([], [1.0], radii=[0.1]),
            "normal_scores must be a non-empty",
        ),
        (
            lambda: CertifiedROCDisplay.from_estimator(
                Affine(), np.zeros((1, 2)), [0, 1], radii=[0.1]
            ),
            r"y must have 1 labels, one a row; got shape \(2,\)",
        ),
    ],
)
def test_roc_rejects_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_histogram_shows_each_group_as_shares_and_the_threshold(rows):
    X, y = rows
    display = ScoreHistogramDisplay.from_estimator(Affine(), X, y)
    np.testing.assert_array_equal(display.scores_by_group["anomaly"], X[y == 1, 0] - 1.0)
    outlines = [patch for patch in display.ax_.patches if not patch.get_fill()]
    assert [patch.get_label() for patch in outlines] == ["normal (40)", "anomaly (25)"]
    for patch in outlines:
        assert patch.get_data().values.sum() == pytest.approx(1.0)
    assert list(display.ax_.get_lines()[0].get_xdata()) == [0.25, 0.25]
    assert display.ax_.get_xlabel() == "score (signed distance, scaled l2)"


def test_histogram_holds_extreme_scores_in_its_end_bins():
    scores = np.append(np.linspace(-1.0, 1.0, 999), -1e6)
    display = ScoreHistogramDisplay.from_predictions(scores)
    (outline,) = [patch for patch in display.ax_.patches if not patch.get_fill()]
    assert outline.get_data().edges[0] > -2.0
    assert outline.get_data().values.sum() == pytest.approx(1.0)


def test_a_group_without_rows_is_left_out():
    display = ScoreHistogramDisplay.from_predictions([1.0, 2.0], y=[0, 0])
    assert list(display.scores_by_group) == ["normal"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "at least one group of scores; got none"),
        ({"a": []}, "group 'a' has 0 scores"),
        ({"b": [1.0, np.nan]}, "group 'b' has 2 scores, 1 of them finite"),
    ],
)
def test_histogram_rejects_scores_it_cannot_draw(groups, message):
    with pytest.raises(ValueError, match=message):
        ScoreHistogramDisplay(groups)


def test_history_counts_epochs_from_one():
    display = TrainingHistoryDisplay.from_estimator(Affine())
    line = display.ax_.get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [3.0, 2.0, 1.5])


def test_map_keeps_f_on_its_grid_and_draws_the_boundary_at_the_threshold(rows):
    X, y = rows
    display = SignedDistanceDisplay.from_estimator(Affine(), X, y, grid_resolution=31)
    assert display.response.shape == (31, 31)
    np.testing.assert_allclose(display.response, display.xx0 - 1.0)
    assert display.xx0.min() < X[:, 0].min()
    assert display.xx1.max() > X[:, 1].max()
    np.testing.assert_array_equal(display.rows_by_group["anomaly"], X[y == 1])
    drawn = {len(part.get_offsets()) for part in display.ax_.collections}
    assert {40, 25} <= drawn
    # f = x_0 - 1 meets the threshold 0.25 on the line x_0 = 1.25.
    boundary = display.ax_.collections[2].get_paths()[0].vertices
    np.testing.assert_allclose(boundary[:, 0], 1.25)


def test_map_says_units_and_the_features_names(rows):
    import pandas as pd

    class Named(Affine):
        feature_names_in_ = np.array(["length", "width"], dtype=object)

        def score_samples(self, X):
            assert list(X.columns) == ["length", "width"]
            return X["length"].to_numpy() - 1.0

    table = pd.DataFrame(rows[0], columns=["length", "width"])
    display = SignedDistanceDisplay.from_estimator(Named(), table, grid_resolution=5)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("length", "width")
    bar = display.figure_.axes[1]
    assert bar.get_ylabel() == "score - threshold (scaled l2)"
    plain = SignedDistanceDisplay.from_estimator(Affine(), rows[0], grid_resolution=5)
    assert plain.ax_.get_xlabel() == "feature 0"
    assert list(plain.rows_by_group) == ["all rows"]


@pytest.mark.filterwarnings("error")
def test_map_without_a_boundary_draws_none():
    xx0, xx1 = np.meshgrid([0.0, 1.0], [0.0, 1.0])
    display = SignedDistanceDisplay(xx0, xx1, xx0 - 5.0).plot()
    assert len(display.ax_.get_lines()) == 0
    assert display.ax_.get_legend() is None


class Wide(Affine):
    n_features_in_ = 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: SignedDistanceDisplay.from_estimator(Wide(), np.zeros((4, 3))),
            "needs a detector of 2 features; this one was fitted on 3. Fit one on two of them",
        ),
        (
            lambda: SignedDistanceDisplay.from_estimator(Affine(), np.zeros((4, 3))),
            r"X must have 2 features, as the detector; got shape \(4, 3\)",
        ),
        (
            lambda: SignedDistanceDisplay.from_estimator(Affine(), np.zeros((4, 2)), [0, 1]),
            "y must have 4 labels, one a row",
        ),
        (
            lambda: SignedDistanceDisplay(np.eye(2), np.eye(2), np.eye(3)),
            "2-d arrays of one shape",
        ),
        (
            lambda: SignedDistanceDisplay(*[np.eye(2)] * 3, {"a": np.zeros(3)}),
            r"rows must have two features; group 'a' is \(3,\)",
        ),
    ],
)
def test_map_rejects_what_has_other_than_two_features(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_plot_draws_on_the_axes_given_and_returns_itself():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    display = TrainingHistoryDisplay([1.0])
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_matplotlib_is_loaded_by_plot_only_and_pyplot_never():
    code = (
        "import sys; from ocsdf.displays import TrainingHistoryDisplay as T; "
        "before = 'matplotlib' in sys.modules; T([1.0]).plot(); "
        "print(before, 'matplotlib.pyplot' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)) + np.repeat([0.0, 3.0], [45, 15])[:, None]
Y = np.repeat([0, 1], [45, 15])


class Search:
    """What a search is, to a display."""

    def __init__(self, best):
        self.best_estimator_ = best


def fit(*steps, rows=X):
    return make_pipeline(*steps, SubsampleDistanceDetector(random_state=0)).fit(rows[:40])


FRAME = pd.DataFrame(X, columns=["a", "b"])
PIPELINES = {
    "a scaler": lambda: (fit(RobustScaler()), X),
    "two steps before": lambda: (fit(RobustScaler(), PCA(2)), X),
    "no step before": lambda: (fit(), X),
    "a pipeline within": lambda: (fit(Pipeline([("scale", RobustScaler())])), X),
    "a data frame": lambda: (fit(RobustScaler(), rows=FRAME), FRAME),
    "a search": lambda: (Search(fit(RobustScaler())), X),
}


@pytest.mark.parametrize("make", PIPELINES.values(), ids=PIPELINES)
def test_C3_displays_of_pipelines(make):
    pipeline, rows = make()
    whole = getattr(pipeline, "best_estimator_", pipeline)
    detector, seen = whole[-1], whole[:-1].transform(rows) if len(whole) > 1 else rows
    curve = CertifiedAUROCDisplay.from_estimator(pipeline, rows, Y, radii=[0.0, 0.2])
    expected = detector.certified_auroc(seen, Y, [0.0, 0.2])
    np.testing.assert_array_equal(curve.certified_auroc, expected)
    roc = CertifiedROCDisplay.from_estimator(pipeline, rows, Y, radii=[0.2])
    direct = CertifiedROCDisplay.from_estimator(detector, seen, Y, radii=[0.2])
    np.testing.assert_array_equal(roc.tpr, direct.tpr)
    histogram = ScoreHistogramDisplay.from_estimator(pipeline, rows, Y)
    assert histogram.offset == detector.offset_
    np.testing.assert_allclose(
        histogram.scores_by_group["anomaly"], detector.score_samples(seen)[Y == 1]
    )
    if whole is pipeline:
        shown = SignedDistanceDisplay.from_estimator(pipeline, rows, Y, grid_resolution=5)
        assert shown.offset == detector.offset_ and np.isfinite(shown.response).all()
