"""A detector and its rivals under the same black-box attack."""

import json

import numpy as np
import pytest

from ocsdf.data.splits import split_one_class
from ocsdf.data.tables import load_table
from ocsdf.report.challenge import challenge_facts, make_challenge
from ocsdf.report.page import render_html, render_markdown
from ocsdf.report.rivals import Rival, compare, rows_to_attack
from ocsdf.report.summary import OURS, summarize

RADII = [0.05, 0.2]
EFFORT = {"n_restarts": 1, "n_steps": 3}


@pytest.fixture(scope="module")
def challenged(judged):
    """A challenge of 20 rows of each kind, and those rows."""
    estimator, X, y, _, _ = judged
    table = load_table("breast_cancer")
    train, _ = split_one_class(table.y, random_state=0)
    rows = rows_to_attack(y, 0, 20)
    challenge = make_challenge(estimator, table.X[train], X[rows], y[rows], radii=RADII)
    return challenge._replace(n_queries=20), X[rows], (table.X[train], X, y)


def test_what_is_known_by_its_scores_alone_is_attacked_alike(judged, challenged):
    estimator, *_ = judged
    challenge, rows, parts = challenged
    by_scores = challenge(estimator.score_samples)
    assert by_scores == pytest.approx(challenge.search(estimator._network), abs=1e-9)
    assert by_scores == sorted(by_scores, reverse=True) and by_scores[-1] < by_scores[0]
    certified = estimator.certified_auroc(rows, challenge.y, RADII)
    assert np.all(certified <= by_scores[1:])
    assert len(challenge.landmarks) == len(parts[0])


def test_scores_that_are_no_numbers_are_refused(challenged):
    challenge, *_ = challenged
    with pytest.raises(ValueError, match="scores under attack are NaN or infinite"):
        challenge(lambda rows: np.full(len(rows), np.nan))


def test_rivals_are_attacked_in_their_child_and_stand_beside_the_model(
    judged, challenged, examples
):
    estimator, _, _, evaluation, setting = judged
    challenge, rows, parts = challenged
    names = ["sklearn.ensemble:IsolationForest", "KNN", "ECOD"]
    forest, knn, ecod = compare(names, *parts, radii=RADII, protocol="oc", challenge=challenge)
    for rival in (forest, knn):
        assert rival.error is None and rival.attack_error is None
        assert len(rival.attacked_auroc) == 3
        assert rival.attacked_auroc == sorted(rival.attacked_auroc, reverse=True)
        assert rival.attacked_auroc[2] < rival.attacked_auroc[0]
    assert ecod.attacked_auroc is None and "depends on the other rows" in ecod.attack_error
    broken = Rival("broken", None, None, None, False, False, "cannot be fitted")
    rivals = [forest, knn, ecod, broken]
    facts = challenge_facts(estimator, challenge, rows, rivals, **EFFORT)
    by_gradient, searched, *others = facts["detectors"]
    assert (facts["normal_rows"], facts["anomalies"], facts["queries"]) == (20, 20, 20)
    assert by_gradient["scores_a_row"] == 4 and searched["scores_a_row"] == 20
    for own in (by_gradient, searched):
        assert own["auroc"] == pytest.approx(challenge(estimator.score_samples)[0])
        assert np.all(np.array(own["certified_auroc"]) <= own["attacked_auroc"])
    assert [one["certified_auroc"] for one in others] == [None] * 4
    summary = summarize(evaluation, estimator, setting, examples, rivals=rivals, challenged=facts)
    summary = json.loads(json.dumps(summary))
    assert summary["challenge"]["detectors"][0]["detector"] == OURS
    for text in (render_html(summary), render_markdown(summary)):
        for words in ("under the same attack", "20 scores", "any: certified", "l2 PGD"):
            assert words in text
        assert "not attacked: a row" in text and "it was not fitted" in text


def test_an_attack_that_fails_costs_the_rival_nothing_else(challenged):
    challenge, _, parts = challenged
    broken = challenge._replace(radii=np.array([-1.0]))
    (rival,) = compare(["KNN"], *parts, radii=RADII, protocol="oc", challenge=broken)
    assert rival.error is None and rival.auroc > 0.5
    assert rival.attacked_auroc is None and "radius" in rival.attack_error
