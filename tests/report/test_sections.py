"""Sections of a report that compute: alarms, costs, subgroups, curves, seeds, origin."""

import hashlib
import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ocsdf.report.alarms import alarm_facts
from ocsdf.report.costs import check_costs, cost_facts
from ocsdf.report.curves import curve_facts
from ocsdf.report.page import render_html, render_markdown
from ocsdf.report.provenance import hash_arrays, provenance
from ocsdf.report.seeds import seed_facts
from ocsdf.report.subgroups import subgroup_facts, subgroup_labels
from ocsdf.report.summary import summarize


def test_alarms_keep_to_their_level_and_no_attack_helps(judged):
    estimator, _, _, evaluation, _ = judged
    facts = alarm_facts(evaluation, estimator.lipschitz_bound_, 0.1)
    normal = (evaluation.y == 0).sum()
    assert facts["calibration_rows"] + facts["normal_rows"] == normal
    assert facts["promised_per_1000"] == 100.0 and facts["rows_needed"] == 9
    columns = {name: [row[name] for row in facts["radii"]] for name in facts["radii"][0]}
    assert columns["radius"] == [0.0, 0.05, 0.2]
    assert columns["plain_at_most"] == sorted(columns["plain_at_most"])
    for name in ("plain_detected_at_least", "certified_detected_at_least", "certified"):
        assert columns[name] == sorted(columns[name], reverse=True)
    assert np.all(np.array(columns["certified"]) <= columns["plain_at_most"])
    # What a certified alarm keeps under attack is no more than what it has, or a plain one keeps.
    kept = np.array(columns["certified_detected_at_least"])
    assert np.all(kept <= columns["certified_detected"])
    assert np.all(kept <= columns["plain_detected_at_least"])


def test_alarms_over_many_halves_are_as_many_as_promised(judged):
    estimator, _, _, evaluation, _ = judged
    rates = [
        alarm_facts(evaluation, estimator.lipschitz_bound_, 0.1, seed)["radii"][0]["certified"]
        for seed in range(200)
    ]
    assert np.mean(rates) <= 100.0 + 4.0 * np.std(rates) / np.sqrt(200)
    assert np.mean(rates) > 60.0


def test_too_few_rows_promise_nothing(judged, examples):
    estimator, _, _, evaluation, setting = judged
    facts = alarm_facts(evaluation, estimator.lipschitz_bound_, 0.005)
    assert "radii" not in facts and facts["rows_needed"] == 199
    summary = summarize(evaluation, estimator, setting._replace(alpha=0.005), examples)
    assert "needs 199 calibration rows" in render_html(summary)
    assert "needs 199 calibration rows" in render_markdown(summary)


def test_costs_of_every_threshold_and_of_the_cheapest():
    scores, y = np.array([0.0, 1.0, 1.0, 2.0, 3.0]), np.array([1, 1, 0, 1, 0])
    facts = cost_facts(scores, y, {"own": 1.0}, cost_miss=5.0, cost_alarm=2.0)
    own, oracle = facts["thresholds"]
    counts = {"caught": 1, "missed": 2, "false_alarms": 0, "quiet": 2}
    assert own == {"name": "own", "threshold": 1.0, "cost": 10.0} | counts
    every = [
        5.0 * np.sum((scores >= t) & (y == 1)) + 2.0 * np.sum((scores < t) & (y == 0))
        for t in (0.0, 1.0, 2.0, 3.0, 4.0)
    ]
    assert oracle["cost"] == min(every) == 2.0 and oracle["threshold"] == 3.0
    assert cost_facts(scores, y, {}, 100.0, 0.0)["thresholds"][0]["missed"] == 0
    with pytest.raises(ValueError, match="cost of a miss must be a finite number >= 0; got -1"):
        check_costs(-1.0, 1.0)


def test_subgroups_part_the_rows(judged):
    estimator, X, y, evaluation, _ = judged
    for column in (X[:, 0], (X[:, 1] > X[:, 1].mean()) * 1.0):
        labels, names = subgroup_labels(column)
        facts = subgroup_facts(evaluation, estimator.lipschitz_bound_, "radius", column)
        assert [group["group"] for group in facts["groups"]] == names
        assert sum(group["rows"] for group in facts["groups"]) == len(y)
        for group in facts["groups"]:
            rows = labels == group["group"]
            assert group["anomalies"] == y[rows].sum()
            if group["auroc"] is not None:
                expected = roc_auc_score(y[rows], -evaluation.scores[rows])
                assert group["auroc"] == pytest.approx(expected)
                assert group["certified_auroc"] <= group["auroc"]
    ends = np.array([0.0, 1.0])
    assert subgroup_labels(ends)[1] == ["0", "1"]


def test_curves_are_scikit_learns_and_shrink_with_the_radius(judged):
    estimator, _, y, evaluation, _ = judged
    curves = curve_facts(evaluation, estimator.lipschitz_bound_)
    areas = [np.trapezoid(curve["tpr"], curve["fpr"]) for curve in curves]
    assert areas[0] == pytest.approx(roc_auc_score(y, -evaluation.scores), abs=5e-3)
    at = np.searchsorted(evaluation.ranking.radii, evaluation.radii)
    assert areas[1:] == pytest.approx(list(evaluation.ranking.certified_auroc[at]), abs=5e-3)
    precision = evaluation.ranking.certified_precision
    assert precision[0] == pytest.approx(average_precision_score(y, -evaluation.scores))
    assert np.all(np.diff(precision) <= 1e-12)


def test_spread_over_seeds(judged):
    estimator, X, y, evaluation, _ = judged
    first = {"seed": 0, "auroc": 1.0, "certified_auroc": [0.9, 0.8]}
    asked = []

    def fit(seed):
        asked.append(seed)
        return estimator

    facts = seed_facts(fit, X, y, radii=[0.05, 0.2], seeds=[4, 5], first=first)
    ranking = evaluation.ranking
    assert asked == [4, 5]
    assert facts["auroc"]["highest"] == 1.0
    assert facts["auroc"]["lowest"] == ranking.certified_auroc[0]
    assert len(facts["certified_auroc"]) == 2


def test_origin_is_hashed(tmp_path, monkeypatch):
    file = tmp_path / "data.csv"
    file.write_text("a,b\n1,2\n")
    monkeypatch.setattr("sys.argv", ["/somewhere/ocsdf", "report", "my data.csv"])
    made = provenance(file, file)
    assert made["data_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert made["model_sha256"] == made["data_sha256"]
    assert made["command"] == "ocsdf report 'my data.csv'"
    assert made["date"].endswith("+00:00")
    rows = np.arange(6.0).reshape(2, 3)
    assert provenance("wine", None, (rows, None))["data_sha256"] == hash_arrays((rows, None))
    assert len({hash_arrays((rows,)), hash_arrays((rows.T,)), hash_arrays((rows, rows))}) == 3


def test_summary_is_json_and_pages_are_made_from_it_alone(judged, examples):
    estimator, X, _, evaluation, setting = judged
    setting = setting._replace(by=("mean radius", X[:, 0]), made=provenance("breast_cancer"))
    summary = json.loads(json.dumps(summarize(evaluation, estimator, setting, examples)))
    page, text = render_html(summary), render_markdown(summary)
    for words in ("By mean radius", "What the verdicts cost", "sign-off", summary["made"]["date"]):
        assert words in page and words in text
    assert "Precision and recall" in page
    assert "Model card" in page and "Model card" in text
    assert "<" not in text.replace("&lt;", "")


def test_names_do_not_break_markdown(judged, examples):
    estimator, X, _, evaluation, setting = judged
    setting = setting._replace(name="a | <b>\n# c", by=("x|y", X[:, 0]))
    text = render_markdown(summarize(evaluation, estimator, setting, examples))
    assert text.splitlines()[0] == "# a \\| &lt;b> # c: anomaly detection with a certificate"
    assert "## By x\\|y" in text
