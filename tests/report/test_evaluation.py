"""The judgement agrees with scikit-learn at radius 0 and with its oracles beyond."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ocsdf.report.evaluation import _bootstrap_interval, evaluate, increasing_radii, ranked_examples
from ocsdf.report.page import render_html
from ocsdf.report.summary import summarize

RADII = [0.2, 0.05]


def render(*arguments):
    return render_html(summarize(*arguments))


def test_ranking_at_radius_zero_is_that_of_scikit_learn(judged):
    _, _, y, judgement, _ = judged
    assert judgement.ranking.certified_auroc[0] == pytest.approx(
        roc_auc_score(y, -judgement.scores)
    )
    expected = average_precision_score(y, -judgement.scores)
    assert judgement.ranking.certified_precision[0] == pytest.approx(expected)


def test_certified_auroc_is_the_estimators_and_never_grows(judged):
    estimator, X, y, judgement, _ = judged
    ranking = judgement.ranking
    assert {0.0, *RADII} <= set(ranking.radii)
    np.testing.assert_array_equal(
        ranking.certified_auroc, estimator.certified_auroc(X, y, ranking.radii)
    )
    for curve in (ranking.certified_auroc, ranking.certified_tpr, ranking.certified_recall):
        assert (np.diff(curve) <= 0).all()


def test_intervals_hold_the_estimate(judged):
    ranking = judged[3].ranking
    assert ranking.lower[0] < ranking.certified_auroc[0] < ranking.upper[0]
    assert (ranking.lower <= ranking.certified_auroc).all()
    assert (ranking.certified_auroc <= ranking.upper).all()
    # The same pairs are counted as in the estimate, so it lies about in the middle.
    middle = (ranking.lower + ranking.upper) / 2.0
    np.testing.assert_allclose(middle, ranking.certified_auroc, atol=0.015)


def test_verdicts_are_counted_by_radius(judged):
    estimator, X, y, judgement, _ = judged
    radii = estimator.certified_radius(X)
    assert judgement.radii.tolist() == sorted(RADII)
    assert judgement.certified_verdicts.tolist() == [(radii > r).sum() for r in sorted(RADII)]
    np.testing.assert_array_equal(judgement.inside, estimator.predict(X) == 1)
    # The certified recall at r is the share of anomalies with the verdict anomaly and radius > r.
    for radius, recall in zip(judgement.radii, judgement_recalls(judgement), strict=True):
        stable = ~judgement.inside & (radii > radius) & (y == 1)
        assert recall == pytest.approx(stable.sum() / y.sum())


def judgement_recalls(judgement):
    ranking = judgement.ranking
    return ranking.certified_recall[np.searchsorted(ranking.radii, judgement.radii)]


def test_rows_outside_the_domain_are_counted(judged):
    estimator, X, *_ = judged
    far = np.vstack([estimator.mean_, estimator.mean_ + 1e4 * estimator.scale_])
    assert evaluate(estimator, far, radii=[0.1]).outside_domain == 1


def test_without_labels_there_is_no_ranking(judged, examples):
    estimator, X, _, judgement, setting = judged
    plain = evaluate(estimator, X, radii=RADII)
    assert plain.ranking is None
    np.testing.assert_array_equal(plain.scores, judgement.scores)
    summary = summarize(plain, estimator, setting._replace(protocol="unlabelled"), examples)
    assert "auroc" not in summary
    assert "label" not in summary["examples"]["most_normal"][0]
    page = render(plain, estimator, setting._replace(protocol="unlabelled"), examples)
    assert "No labels." in page
    assert "ertified AUROC" not in page


def test_examples_are_ranked_and_bracket_the_distance_to_the_boundary(judged, examples):
    estimator, X, _, judgement, _ = judged
    scores, radii = judgement.scores, judgement.certified_radii
    order = np.argsort(scores, kind="stable")
    np.testing.assert_array_equal(examples["most_normal"].rows, order[::-1][:3])
    np.testing.assert_array_equal(examples["least_normal"].rows, order[:3])
    np.testing.assert_array_equal(
        np.sort(examples["nearest_boundary"].rows), np.sort(np.argsort(radii)[:3])
    )
    for some in examples.values():
        np.testing.assert_array_equal(some.radius, radii[some.rows])
        assert (some.radius <= some.distance).all()
    nearest = examples["nearest_boundary"]
    explained = estimator.explain(X[nearest.rows])
    assert explained.converged.all()
    flipped = estimator.predict(explained.boundary) == 1
    np.testing.assert_array_equal(flipped, ~judgement.inside[nearest.rows])
    np.testing.assert_allclose(explained.distance, nearest.distance, rtol=1e-6)


def test_fewer_rows_than_examples_are_all_shown(judged):
    estimator, X, *_ = judged
    few = ranked_examples(estimator, X[:2], evaluate(estimator, X[:2], radii=RADII))
    assert [len(some.rows) for some in few.values()] == [2, 2, 2]


def test_labels_must_hold_both_kinds(judged):
    estimator, X, *_ = judged
    with pytest.raises(ValueError, match="y needs both anomalies .* got only normal rows"):
        evaluate(estimator, X, np.zeros(len(X)), radii=RADII)


@pytest.mark.parametrize("radii", [[], [0.0], [-1.0, 2.0], [np.nan], [np.inf]])
def test_radii_must_be_positive_and_finite(radii):
    with pytest.raises(ValueError, match="radii must be"):
        increasing_radii(radii)


def test_bootstrap_agrees_with_a_plain_resampling_of_scores():
    rng = np.random.default_rng(1)
    normal, anomalies = rng.normal(1.0, 1.0, 60), np.round(rng.normal(0.0, 1.0, 40), 1)
    normal[:20] = np.round(normal[:20], 1)  # ties
    margins = np.array([0.0, 0.5])
    plain = []
    for _ in range(4000):
        a, b = rng.choice(normal, 60), rng.choice(anomalies, 40)
        gap = a[:, None] - b
        plain.append([np.mean(gap > m) + 0.5 * np.mean(gap == m) for m in margins])
    expected = np.quantile(plain, [0.025, 0.975], axis=0)
    interval = _bootstrap_interval(normal, anomalies, margins, 0, 4000)
    np.testing.assert_allclose(interval, expected, atol=0.01)


def test_bootstrap_of_parted_groups_is_certain_and_of_single_rows_undefined():
    apart = _bootstrap_interval(np.arange(5.0) + 10, np.arange(4.0), np.array([0.0, 50.0]), 0, 50)
    np.testing.assert_array_equal(apart, [[1.0, 0.0], [1.0, 0.0]])
    assert np.isnan(_bootstrap_interval(np.arange(5.0), np.array([1.0]), np.zeros(2), 0, 50)).all()
