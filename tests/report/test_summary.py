"""The page is whole, safe and self-contained."""

import re

import numpy as np
import pytest

from ocsdf.report.page import render_html, render_markdown
from ocsdf.report.rivals import AttackedRanking, Rival
from ocsdf.report.summary import summarize
from ocsdf.utils.html import at_least, at_most, certified_percent, percent
from tests.samples import Page


def render(*arguments, **more):
    return render_html(summarize(*arguments, **more))


@pytest.mark.parametrize(
    ("share", "near", "proved"),
    [(0.9996, "100.0", "99.9"), (1.0, "100.0", "100.0"), (0.29, "29.0", "28.9"), (0, "0.0", "0.0")],
)
def test_certified_shares_are_rounded_down(share, near, proved):
    assert percent(share) == f"{near}\N{NO-BREAK SPACE}%"
    assert certified_percent(share) == f"{proved}\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (0.12345678, "0.1234", "0.1235"),
        (0.5, "0.5", "0.5"),
        (4.00001e-11, "4.000e-11", "4.001e-11"),
        (98765.0, "9.876e+4", "9.877e+4"),
        (0.0, "0", "0"),
    ],
)
def test_bounds_are_rounded_to_the_safe_side(value, down, up):
    assert (at_least(value), at_most(value)) == (down, up)
    assert float(down) <= value <= float(up)


ATTACKED = AttackedRanking(
    n_normals=5,
    n_anomalies=4,
    n_restarts=3,
    n_steps=50,
    auroc=0.95,
    radii=np.array([0.05, 0.2]),
    certified_auroc=np.array([0.9, 0.41237]),
    attacked_auroc=np.array([0.93, 0.61876]),
)
RIVALS = [
    Rival("KNN", 0.97, 0.96, None, False, False, None),
    Rival("nearest neighbour", 0.94, 0.93, np.array([0.8, 0.70199]), False, False, None),
    Rival("COF", 0.91, 0.9, None, True, True, None),
    Rival("late", None, None, None, False, False, "over <the> limit"),
]


@pytest.mark.parametrize("more", [{}, {"attacked": ATTACKED, "rivals": RIVALS}])
def test_page_is_self_contained_and_well_formed(judged, examples, more):
    estimator, _, _, judgement, setting = judged
    text = render(judgement, estimator, setting, examples, **more)
    page = Page(text)
    assert all(reference.startswith("#") for reference in page.references)
    assert not re.search(r"url\((?!#)|@import|<script|<link", text)
    assert page.mismatched == []
    assert page.open == []
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == (6 if more else 5)
    assert '<html lang="en">' in text
    assert text.count('role="img" aria-label="') >= 3


def test_page_says_what_was_found(judged, examples):
    estimator, _, y, judgement, setting = judged
    text = render(judgement, estimator, setting, examples)
    assert f"{100 * judgement.ranking.certified_auroc[0]:.1f}\N{NO-BREAK SPACE}%" in text
    assert f"{judgement.certified_verdicts[0]} of {len(y)}" in text
    assert "Lipschitz bound L" in text
    assert "mean fractal dimension" in text
    assert "trained on the rows it is judged on" not in text.lower()
    assert (
        "trained on the rows it is judged on"
        in render(judgement, estimator, setting._replace(protocol="ad"), examples).lower()
    )


def test_page_escapes_names_and_shows_warnings(judged, examples):
    estimator, _, _, judgement, setting = judged
    names = ("<script>alert(1)</script>", *setting.feature_names[1:])
    text = render(
        judgement,
        estimator,
        setting._replace(name="a<b>&c", feature_names=names, warnings=("f <collapsed>",)),
        examples,
    )
    assert "<script>" not in text
    assert "a&lt;b&gt;&amp;c" in text
    assert "f &lt;collapsed&gt;" in text


def text_of(page):
    """A page's words, without tags."""
    text = re.sub(r"<[^>]*>", " ", page[page.index("<main>") :])
    return " ".join(text.split())  # no-break spaces become spaces


def test_sections_that_nobody_asked_for_are_left_out(judged, examples):
    estimator, _, _, judgement, setting = judged
    text = render(judgement, estimator, setting, examples)
    assert "Under attack" not in text
    assert "Beside other detectors" not in text
    summary = summarize(judgement, estimator, setting, examples)
    assert not {"attack", "comparison"} & set(summary)


def test_attack_stands_beside_the_guarantee_of_the_same_rows(judged, examples):
    estimator, _, y, judgement, setting = judged
    n_normals, n_anomalies = np.bincount(y)
    page = text_of(render(judgement, estimator, setting, examples, attacked=ATTACKED))
    assert f"5 of {n_normals} normal rows and 4 of {n_anomalies} anomalies" in page
    assert "50 steps from each of 3 starts" in page
    # Radius, clean, attacked, and rounded down what is guaranteed.
    assert "0.2 95.0 % 61.9 % 41.2 %" in page
    everything = ATTACKED._replace(n_normals=int(n_normals), n_anomalies=int(n_anomalies))
    page = text_of(render(judgement, estimator, setting, examples, attacked=everything))
    assert "All rows judged were attacked." in page
    facts = summarize(judgement, estimator, setting, examples, ATTACKED)["attack"]
    assert (facts["normal_rows"], facts["anomalies"], facts["auroc"]) == (5, 4, 0.95)
    assert facts["radii"][1] == {
        "radius": 0.2,
        "certified_auroc": 0.41237,
        "attacked_auroc": 0.61876,
    }


def test_comparison_begins_with_the_model_and_says_none_where_nothing_is_certified(
    judged, examples
):
    estimator, _, _, judgement, setting = judged
    text = render(judgement, estimator, setting, examples, rivals=RIVALS)
    page = text_of(text)
    assert "KNN 97.0 % 96.0 % none" in page
    assert "nearest neighbour 94.0 % 93.0 % 80.0 % 70.1 %" in page
    assert "COF: a row's score depends on the other rows judged" in page
    assert "COF: fitted on the rows judged as well, without their labels" in page
    assert "late – – none" in page
    assert "late failed:</strong> over &lt;the&gt; limit" in text
    summary = summarize(judgement, estimator, setting, examples, rivals=RIVALS)
    ours, knn, nearest, *_ = summary["comparison"]
    assert ours["detector"] == "this model"
    assert ours["auroc"] == summary["auroc"]["value"]
    assert ours["certified_auroc"] == [row["certified_auroc"]["value"] for row in summary["radii"]]
    assert (knn["detector"], knn["certified_auroc"]) == ("KNN", None)
    assert nearest["certified_auroc"] == [0.8, 0.70199]


def test_page_says_what_a_signature_stands_for(judged, examples):
    estimator, _, _, judgement, setting = judged
    page = text_of(render(judgement, estimator, setting, examples))
    for words in (
        "l2 norms in standardized and stretched features (“scaled l2”)",
        "both sides are attacked",
        "Where only the anomalies can be changed, or only the normal rows, what is given for r "
        "holds up to 2r",
        "The labels are right",
        "That a verdict is right: only that it is stable",
        "mixed-integer programming (MILP) and by branch and bound",
    ):
        assert words in page
    plain = judgement._replace(ranking=None, y=None)
    plain = text_of(render(plain, estimator, setting._replace(protocol="unlabelled"), examples))
    assert "both sides are attacked" not in plain
    assert "The labels are right" not in plain
    assert "Not guaranteed" in plain


def test_raw_units_are_sound_where_features_are_stretched(judged, examples):
    """A raw change of one feature by the last column's length counts as no more than the radius."""
    estimator, X, _, judgement, setting = judged
    facts = summarize(judgement, estimator, setting, examples)
    assert facts["model"]["stretched"]
    radius, rows = facts["radii"][0]["radius"], np.asarray(X, dtype=float)[:50]
    points = estimator._checked_points(rows)[:]
    for j, one in enumerate(facts["model"]["features"]):
        assert one["slope"] >= 1.0
        for sign in (-1.0, 1.0):
            moved = rows.copy()
            moved[:, j] += sign * radius * one["scale"] / one["slope"]
            length = np.linalg.norm(estimator._checked_points(moved)[:] - points, axis=1)
            assert length.max() <= radius * (1.0 + 1e-9) + 1e-12
    page = text_of(render(judgement, estimator, setting, examples))
    assert "largest slope" in page
    markdown = render_markdown(facts)
    assert "radii are l2 norms in standardized and stretched features (scaled l2)" in markdown


def test_examples_are_listed_with_both_bounds_of_their_distance(judged, examples):
    estimator, _, y, judgement, setting = judged
    lost = examples["nearest_boundary"]
    lost = lost._replace(distance=np.where(np.arange(3) == 1, np.inf, lost.distance))
    examples = examples | {"nearest_boundary": lost}
    facts = summarize(judgement, estimator, setting, examples)["examples"]
    assert list(facts) == ["most_normal", "least_normal", "nearest_boundary"]
    first = facts["least_normal"][0]
    place = judgement.scores.argmin()
    assert first["row"] == setting.rows[place]
    assert first["score"] == judgement.scores[place]
    assert first["certified_radius"] <= first["boundary_within"]
    assert first["label"] == ("anomaly" if y[place] else "normal")
    assert facts["nearest_boundary"][1]["boundary_within"] is None
    page = text_of(render(judgement, estimator, setting, examples))
    assert "Nearest to the boundary" in page
    assert page.count("not found") == 1
