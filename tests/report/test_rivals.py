"""What is left under attack, and what rivals do, also under the same black-box attack."""

import json

import numpy as np
import pytest

from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.certificate.metrics import certified_auroc, certified_tpr
from ocsdf.data.splits import split_one_class
from ocsdf.data.tables import load_table
from ocsdf.report.challenge import challenge_facts, make_challenge
from ocsdf.report.page import render_html, render_markdown
from ocsdf.report.rivals import Rival, attack, compare, rows_to_attack
from ocsdf.report.summary import OURS, summarize

RADII = [0.1, 0.5]
TOYS = """
import time
import numpy as np

class Toy:
    def __init__(self, seed):
        self.seed = seed

    def fit(self, X):
        self.center = X.mean(axis=0)

    def score_samples(self, X):
        return -np.linalg.norm(X - self.center, axis=1)

class Fails(Toy):
    def fit(self, X):
        raise ValueError("cannot fit this")

class Slow(Toy):
    def fit(self, X):
        time.sleep(0.0 if len(X) == 64 else 3600.0)
"""


@pytest.fixture(scope="module")
def parts():
    """Breast cancer: rows to fit on, rows to judge, their labels."""
    table = load_table("breast_cancer")
    train, test = split_one_class(table.y, random_state=0)
    return table.X[train], table.X[test], table.y[test]


@pytest.fixture
def toys(tmp_path, monkeypatch):
    (tmp_path / "toys_to_compare.py").write_text(TOYS)
    monkeypatch.syspath_prepend(tmp_path)


def test_rows_to_attack_are_drawn_by_the_seed_and_at_most_so_many_of_each_kind():
    y = np.repeat([0, 1], [1000, 30])
    rows = rows_to_attack(y, 3, most=100)
    assert (np.diff(rows) > 0).all()
    assert np.bincount(y[rows]).tolist() == [100, 30]
    np.testing.assert_array_equal(rows, rows_to_attack(y, 3, most=100))
    assert (rows[:100] != rows_to_attack(y, 4, most=100)[:100]).any()
    np.testing.assert_array_equal(rows_to_attack(y, most=2000), np.arange(1030))


def test_attacked_auroc_lies_between_the_guarantee_and_the_auroc(judged):
    estimator, X, y, judgement, _ = judged
    tracked = []
    effort = {"n_restarts": 1, "n_steps": 4}
    found = attack(
        estimator, X, y, radii=RADII, track=lambda radii: tracked.append(radii) or radii, **effort
    )
    assert (found.n_normals, found.n_anomalies) == tuple(np.bincount(y))
    assert (found.n_restarts, found.n_steps) == (1, 4)
    assert tracked == [RADII]
    assert found.auroc == judgement.ranking.certified_auroc[0]
    np.testing.assert_array_equal(found.certified_auroc, estimator.certified_auroc(X, y, RADII))
    assert (found.certified_auroc <= found.attacked_auroc).all()
    assert (found.attacked_auroc < found.auroc).all()
    assert found.attacked_auroc[1] < found.attacked_auroc[0]
    assert found.attacked_auroc[0] == attacked_auroc(estimator, X, y, RADII[0], **effort)[0]


def test_a_larger_radius_is_never_less_of_an_attack(judged, monkeypatch):
    estimator, X, y, *_ = judged
    left = iter([[0.9], [0.95]])
    monkeypatch.setattr("ocsdf.report.rivals.attacked_auroc", lambda *_, **__: next(left))
    assert attack(estimator, X, y, radii=RADII).attacked_auroc.tolist() == [0.9, 0.9]


def test_a_guarantee_against_both_sides_holds_for_one_side_at_twice_the_radius():
    """What the report says of its threat model, with a slack that grows with the radius."""
    rng = np.random.default_rng(0)
    normal, anomalies = rng.normal(1.0, 1.0, 80), rng.normal(-1.0, 1.0, 60)
    radii = np.linspace(0.01, 1.0, 30)
    for certify in (certified_auroc, certified_tpr):
        both = certify(normal, anomalies, radii, slack=0.01 + 0.1 * radii)
        for side in ("anomalies", "normals"):
            one = certify(normal, anomalies, 2 * radii, attacked=side, slack=0.01 + 0.2 * radii)
            assert (one >= both).all()
        assert both[0] > both[-1]


def test_rivals_have_a_certificate_or_none(parts):
    X_train, X_test, y_test = parts
    names, tracked = ["KNN", "nearest neighbour"], []
    plain, certified = compare(
        names,
        *parts,
        radii=RADII,
        protocol="oc",
        track=lambda names: tracked.append(names) or names,
    )
    assert tracked == [names]
    assert [plain.name, certified.name] == names
    assert plain.certified_auroc is None
    assert (plain.error, certified.error) == (None, None)
    assert 0.5 < plain.average_precision < plain.auroc + 0.1 <= 1.1
    from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance

    detector = NearestNeighborDistance().fit(X_train)
    expected = detector.certified_auroc(X_test, y_test, [0.0, *RADII])
    assert certified.auroc == pytest.approx(expected[0])
    np.testing.assert_allclose(certified.certified_auroc, expected[1:])


def test_rivals_of_pyod_get_standardized_rows(parts):
    from pyod.models.knn import KNN
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.preprocessing import StandardScaler

    X_train, X_test, y_test = parts
    (rival,) = compare(["KNN"], *parts, radii=RADII, protocol="oc")
    scaler = StandardScaler().fit(X_train)
    scores = KNN().fit(scaler.transform(X_train)).decision_function(scaler.transform(X_test))
    assert rival.auroc == pytest.approx(roc_auc_score(y_test, scores))
    assert rival.average_precision == pytest.approx(average_precision_score(y_test, scores))


def test_a_rival_that_fails_or_is_late_says_so_and_stops_nothing(parts, toys):
    names = [f"toys_to_compare:{name}" for name in ("Fails", "Slow", "Toy")]
    fails, slow, toy = compare(names, *parts, radii=RADII, protocol="oc", time_limit=4)
    assert "cannot fit this" in fails.error
    assert slow.error == "over the time limit of 4 s"
    assert (fails.auroc, slow.auroc, slow.certified_auroc) == (None, None, None)
    assert toy.error is None
    assert toy.auroc > 0.5


def test_a_detector_that_only_scores_rows_it_was_fitted_on_is_marked(parts):
    X_train, X_test, y_test = parts
    some = np.r_[:20, -20:0]
    rows = (X_train, X_test[some], y_test[some])
    (rival,) = compare(["COF"], *rows, radii=RADII, protocol="oc")
    assert rival.transductive
    assert rival.joint
    assert rival.error is None
    (same_rows,) = compare(["COF"], rows[1], *rows[1:], radii=RADII, protocol="ad")
    assert not same_rows.joint
    assert same_rows.error is None


FEW_RADII = [0.05, 0.2]
EFFORT = {"n_restarts": 1, "n_steps": 3}


@pytest.fixture(scope="module")
def challenged(judged):
    """A challenge of 20 rows of each kind, and those rows."""
    estimator, X, y, _, _ = judged
    table = load_table("breast_cancer")
    train, _ = split_one_class(table.y, random_state=0)
    rows = rows_to_attack(y, 0, 20)
    challenge = make_challenge(estimator, table.X[train], X[rows], y[rows], radii=FEW_RADII)
    return challenge._replace(n_queries=20), X[rows], (table.X[train], X, y)


def test_what_is_known_by_its_scores_alone_is_attacked_alike(judged, challenged):
    estimator, *_ = judged
    challenge, rows, parts = challenged
    by_scores = challenge(estimator.score_samples)
    assert by_scores == pytest.approx(challenge.search(estimator._network), abs=1e-9)
    assert by_scores == sorted(by_scores, reverse=True) and by_scores[-1] < by_scores[0]
    certified = estimator.certified_auroc(rows, challenge.y, FEW_RADII)
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
    forest, knn, ecod = compare(names, *parts, radii=FEW_RADII, protocol="oc", challenge=challenge)
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
    (rival,) = compare(["KNN"], *parts, radii=FEW_RADII, protocol="oc", challenge=broken)
    assert rival.error is None and rival.auroc > 0.5
    assert rival.attacked_auroc is None and "radius" in rival.attack_error
