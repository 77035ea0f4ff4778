"""Reasons as tables, sentences and pictures: true of the rows, and in percent that sum to 100."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ocsdf import OCSDF, ExplanationDisplay
from ocsdf.cli.commands import app
from ocsdf.explanation.reasons import change_text
from ocsdf.explanation.shares import change_shares
from ocsdf.explanation.verdicts import Explanation
from ocsdf.utils.exactness import exact_floats


@pytest.fixture(scope="module")
def table():
    """Rows of six features of very different scales, the last ones far from the others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(230, 6)) * [1.0, 1e3, 1e-4, 5.0, 1.0, 1.0] + [
        0.0,
        3e3,
        0.0,
        60.0,
        0.0,
        1.0,
    ]
    X[200:, 1] += 9e3
    return pd.DataFrame(X, columns=["a", "income", "c", "age", "e", "f"], index=np.arange(230) + 7)


@pytest.fixture(scope="module")
def detector(table):
    return OCSDF(hidden_layer_sizes=(16, 16), epochs=3, random_state=0).fit(table[:200])


@pytest.fixture(scope="module")
def explanation(detector, table):
    return detector.explain(table[195:])


def test_flips_flip_in_raw_units(detector, table, explanation):
    assert explanation.converged.all()
    flips = pd.DataFrame(explanation.boundary, columns=table.columns)
    assert np.array_equal(detector.predict(flips), -detector.predict(table[195:]))
    assert np.array_equal(explanation.normal, detector.predict(table[195:]) == 1)
    points = detector._points_of
    moved = points(explanation.boundary) - points(table[195:].to_numpy())
    assert np.allclose(np.linalg.norm(moved, axis=1), explanation.distance, rtol=1e-6)
    assert np.all(explanation.radius <= explanation.distance)


def test_shares_are_percent_and_name_what_was_moved(explanation):
    frame = explanation.to_frame(top=2)
    assert frame.groupby("row")["share_percent"].sum().to_numpy() == pytest.approx(100.0)
    assert frame.groupby("row").size().unique().tolist() == [3]
    flagged = frame[frame["row"] >= 207].groupby("row").first()
    assert (flagged["feature"] == "income").mean() > 0.9
    assert (flagged["flip_value"] < flagged["value"]).mean() > 0.9
    assert set(frame["row"]) == set(range(202, 237))
    every = explanation.to_frame(top=6)
    assert "all other features" not in set(every["feature"]) and len(every) == 35 * 6


def test_sentences_say_what_flips_and_what_cannot(explanation):
    text = explanation.take(-1).sentences(top=1)[0]
    assert text.startswith("income ") and " -> " in text
    assert "and smaller changes of 5 more would make this row normal; no change below " in text
    assert text.endswith("units of the certificate can")
    value = float(text.split("no change below ")[1].split()[0])
    assert 0 < value <= explanation.radius[-1]


def made(rows, flips, **changes):
    rows, flips = np.array(rows, dtype=float), np.array(flips, dtype=float)
    converged = np.isfinite(flips).all(axis=1)
    facts = {
        "radius": np.full(len(rows), 0.4375),
        "distance": np.where(converged, 1.0, np.inf),
        "boundary": flips,
        "converged": converged,
        "shares": change_shares(rows, np.where(np.isnan(flips), rows + 1.0, flips)),
        "feature_radii": np.zeros(rows.shape),
        "rows": rows,
        "normal": np.zeros(len(rows), dtype=bool),
        "feature_names": ("income", "age"),
        "index": range(len(rows)),
    }
    return Explanation(**facts | changes)


def test_a_sentence_word_for_word():
    both = made([[3100.0, 61.0]], [[2870.0, 58.0]])
    assert both.sentences() == [
        "income 3,100 -> 2,870 and age 61 -> 58 would make this row normal; "
        "no change below 0.4375 units of the certificate can"
    ]
    close = made([[1.0000001, 5.0]], [[1.0000002, 5.0]], normal=np.array([True]))
    assert close.sentences()[0].startswith(
        "income 1.0000001 -> 1.0000002 would make this row an anomaly"
    )
    lost = made([[1.0, 2.0]], [[np.nan, np.nan]])
    assert lost.sentences()[0].startswith("no change was found that would make this row normal;")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (3100.0, 2870.0, "3,100 -> 2,870"),
        (12345.6, 5204.0, "12,346 -> 5,204"),
        (0.1, -0.25, "0.1 -> -0.25"),
        (0.0, 1e-7, "0 -> 1e-07"),
        (2.0, 2.0, "2 -> 2"),
        (1234567.8, 1234567.2, "1,234,568 -> 1,234,567"),
    ],
)
def test_numbers_as_people_write_them(before, after, text):
    assert change_text(before, after) == text


def test_sparse_flips_move_few_features_and_flip_the_returned_row(detector, table, explanation):
    sparse = detector.explain(table[195:], sparse=True)
    assert sparse.converged.all()
    flips = pd.DataFrame(sparse.boundary, columns=table.columns)
    assert np.array_equal(detector.predict(flips), -detector.predict(table[195:]))
    moved = sparse.boundary != sparse.rows
    assert moved.any(axis=1).all() and moved.sum(axis=1).mean() < 3.0
    # What is not moved has no share, and is named nowhere.
    assert np.all(sparse.shares[~moved] == 0.0)
    assert sparse.shares.sum(axis=1) == pytest.approx(1.0)
    assert np.all(sparse.distance <= 2.0 * explanation.distance)
    assert np.all(sparse.distance >= sparse.radius)
    assert sparse.to_frame().groupby("row").size().max() == moved.sum(axis=1).max()
    assert not any("smaller changes" in line for line in sparse.sentences(top=6))
    points = detector._points_of
    length = np.linalg.norm(points(sparse.boundary) - points(sparse.rows), axis=1)
    assert np.allclose(length, sparse.distance, rtol=1e-6)


def test_bad_top(explanation):
    for top in (0, 1.5, True):
        with pytest.raises(ValueError, match="top must be an integer >= 1"):
            explanation.to_frame(top)


def test_waterfall_adds_up(explanation):
    display = ExplanationDisplay.from_explanation(explanation, row=-1, top=3)
    bars = display.ax_.patches
    assert len(bars) == 4
    assert bars[0].get_x() == 0.0
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert [bar.get_x() for bar in bars[1:]] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(100.0)
    assert "income" in display.labels[0]
    with pytest.raises(ValueError, match="labels and shares must be as many"):
        ExplanationDisplay(["a"], [0.5, 0.5])


def test_command_explains_flagged_rows(detector, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    detector.save("m.ocsdf")
    table.to_csv("rows.csv", index=False)
    words = ["explain", "m.ocsdf", "rows.csv", "--top", "2", "--output", "reasons.csv"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    flagged = np.flatnonzero(detector.predict(table) == -1)
    assert list(facts["sentences"]) == list(map(str, flagged))
    reasons = pd.read_csv("reasons.csv", **exact_floats())
    assert sorted(set(reasons["row"])) == flagged.tolist()
    assert set(reasons["verdict"]) == {"anomaly"}
    printed = CliRunner().invoke(app, ["explain", "m.ocsdf", "rows.csv"]).stdout
    assert f"row {flagged[-1]}: income" in printed
    assert f"{len(flagged)} of 230 rows are called anomalies" in printed
    words = ["explain", "m.ocsdf", "rows.csv", "--sparse", "--top", "6"]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert not any("smaller changes" in line for line in lines)
    table[:1].to_csv("one.csv", index=False)
    result = CliRunner().invoke(app, ["explain", "m.ocsdf", "one.csv"])
    assert result.stdout.strip() == "0 of 1 rows are called anomalies"


def test_no_keras_model_is_made_or_traced(detector, table, tmp_path):
    detector.save(tmp_path / "m.ocsdf")
    fresh = OCSDF.load(tmp_path / "m.ocsdf")
    fresh.explain(table[:3])
    assert "model" not in vars(fresh._network)
