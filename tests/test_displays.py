"""Displays keep their arrays, draw what the arrays say, and leave no global state."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ocsdf.displays import CertifiedAUROCDisplay, ScoreHistogramDisplay, TrainingHistoryDisplay


class Affine:
    """f(x) = x_0 - 1: a 1-Lipschitz score with a threshold at 0.25."""

    offset_ = 0.25
    history_ = {"loss": [3.0, 2.0, 1.5]}

    def score_samples(self, X):
        return np.asarray(X)[:, 0] - 1.0

    def certified_auroc(self, X, y, radii, pos_label=1):
        from ocsdf.certification import certified_auroc

        scores, anomalous = self.score_samples(X), np.asarray(y) == pos_label
        return certified_auroc(scores[~anomalous], scores[anomalous], radii)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 25])
    return rng.normal(size=(65, 2)) - 1.5 * y[:, None], y


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
    ],
)
def test_certified_curve_rejects_arrays_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        CertifiedAUROCDisplay(*arguments)


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
