"""What labels mean and which are refused (T8, C3); what is printed of names and bounds (P5, T8)."""

import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsdf import (
    CertifiedAUROCDisplay,
    CertifiedROCDisplay,
    ScoreHistogramDisplay,
    make_outlier_scorer,
)
from ocsdf.attacks import attacked_auroc
from ocsdf.data.splits import split_one_class
from ocsdf.report.evaluation import evaluate
from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance
from ocsdf.utils.checks import check_labels, check_number, check_radii, check_rows, check_vector
from ocsdf.utils.html import certified_percent
from ocsdf.utils.rounding import percent_below, share_below, tenths_below
from ocsdf.utils.text import csv_text, markdown_text, visible

X = np.random.default_rng(0).normal(size=(12, 2)) + np.repeat([0.0, 4.0], [8, 4])[:, None]
Y = np.repeat([0, 1], [8, 4])
ANOMALY = Y == 1


@pytest.fixture(scope="module")
def detector():
    return NearestNeighborDistance().fit(X[:4])


USERS = {
    "certified_auroc": lambda d, y, **known: d.certified_auroc(X, y, [0.0, 0.1], **known),
    "attacked_auroc": lambda d, y, **known: attacked_auroc(
        d, X, y, [0.0], n_steps=1, n_restarts=1, **known
    ),
    "certified curve": lambda d, y, **known: CertifiedAUROCDisplay.from_estimator(
        d, X, y, radii=[0.1], **known
    ),
    "certified ROC": lambda d, y, **known: CertifiedROCDisplay.from_estimator(
        d, X, y, radii=[0.1], **known
    ),
    "histogram": lambda d, y, **known: ScoreHistogramDisplay.from_estimator(d, X, y, **known),
    "scorer": lambda d, y, pos_label=None: make_outlier_scorer("roc_auc", pos_label)(d, X, y),
    "evaluate": lambda d, y: evaluate(d, X, y, radii=[0.1]),
    "split": lambda d, y: split_one_class(y, 0),
}
NAMED = [name for name in USERS if name not in ("evaluate", "split")]


def with_label(value, kind=object):
    y = Y.astype(kind)
    y[2] = value
    return y


MISSING = {
    "NaN": with_label(np.nan, float),
    "None": with_label(None),
    "NaN among objects": with_label(np.nan),
    "pandas' NA": pd.Series(with_label(pd.NA), dtype="Int64"),
    "NaT": pd.Series(with_label(pd.NaT)),
    "a null of polars": pl.Series(with_label(None).tolist()),
    "None in a list": with_label(None).tolist(),
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("labels", MISSING)
def test_T8_missing_labels_are_no_normal_rows(detector, user, labels):
    with pytest.raises(ValueError, match=r"^y has 1 missing labels \(NaN or None\) of 12: fill"):
        USERS[user](detector, MISSING[labels])


@pytest.mark.parametrize("user", USERS)
def test_T5_masked_labels_are_refused(detector, user):
    with pytest.raises(ValueError, match="^y has 2 masked values"):
        USERS[user](detector, np.ma.masked_array(Y, mask=np.arange(12) < 2))


UNSAID = {
    "as predict gives them": (np.where(ANOMALY, -1, 1), -1),
    "as a list of floats": (np.where(ANOMALY, -1.0, 1.0).tolist(), -1),
    "one and two": (Y + 1, 2),
    "text": (np.where(ANOMALY, "bad", "good"), "bad"),
    "digits as text": (Y.astype(str), "1"),
    "text objects": (np.where(ANOMALY, "bad", "good").astype(object), "bad"),
    "categories": (pd.Categorical(np.where(ANOMALY, "bad", "good")), "bad"),
    "class names that read as missing": (np.where(ANOMALY, "None", "NA"), "None"),
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("labels", UNSAID)
def test_T8_what_is_not_0_and_1_has_to_be_named(detector, user, labels):
    y, _ = UNSAID[labels]
    with pytest.raises(ValueError, match=r"^y holds .*: say with pos_label which label the anom"):
        USERS[user](detector, y)


@pytest.mark.parametrize("labels", UNSAID)
def test_T8_what_is_named_is_obeyed(detector, labels):
    y, pos_label = UNSAID[labels]
    expected = detector.certified_auroc(X, Y, [0.0, 0.1])
    assert expected[0] > 0.9
    np.testing.assert_array_equal(
        detector.certified_auroc(X, y, [0.0, 0.1], pos_label=pos_label), expected
    )
    for user in NAMED:
        USERS[user](detector, y, pos_label=pos_label)
    np.testing.assert_array_equal(check_labels(y, pos_label), ANOMALY)


KNOWN = {
    "integers": Y,
    "booleans": ANOMALY,
    "floats": Y.astype(float),
    "big-endian": Y.astype(">i8"),
    "big-endian floats": Y.astype(">f4"),
    "boxed booleans": ANOMALY.astype(object),
    "NumPy scalars": [np.int8(value) for value in Y],
    "a nullable column": pd.Series(Y, dtype="Int64"),
    "a column of polars": pl.Series(Y),
}


@pytest.mark.parametrize("labels", KNOWN)
def test_C3_zero_and_one_of_any_kind_need_no_name(labels):
    np.testing.assert_array_equal(check_labels(KNOWN[labels]), ANOMALY)


def test_T8_no_third_class_and_no_single_one():
    with pytest.raises(ValueError, match=r"two classes; got 3, 'bad', 'good', 'maybe'\.$"):
        check_labels(["good", "bad", "maybe"], "bad")
    with pytest.raises(ValueError, match=r"needs both anomalies \(label 1\) .*only anomalies"):
        check_labels([1, 1])
    with pytest.raises(ValueError, match="got only normal rows"):
        check_labels(["good", "good"], "bad")
    assert check_labels([0, 0], both=False).tolist() == [False, False]
    with pytest.raises(ValueError, match=r"y must have 3 labels, one a row; got shape \(2, 1\)"):
        check_labels([[0], [1]], n_rows=3)


@pytest.mark.parametrize("check", [check_vector, check_rows, lambda name, v: check_radii(v, name)])
def test_T5_masked_numbers_are_refused(check):
    values = np.ma.masked_array([[1.0, -999.0]], [[False, True]])
    for masked in (values, [values[0]], values[0]):
        with pytest.raises(ValueError, match="^it has 1 masked values"):
            check("it", masked)
    unmasked = np.ma.masked_array([1.0, 2.0], False)
    np.testing.assert_array_equal(check_vector("it", unmasked), [1.0, 2.0])


def test_numbers_are_checked_against_their_bounds():
    assert check_number("it", np.float32(0.5), least=0.5) == 0.5
    for bad in (0.0, -1, np.nan, "1", None, [1.0]):
        with pytest.raises(ValueError, match="^it must be a finite number"):
            check_number("it", bad, above=0.0)


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred", "a\x07b", "\x9b2J", "\u202eevil", "\u2066x", "\x00", "\r over", "\ud800"],
)
def test_P5_a_terminal_is_shown_what_it_would_obey(text):
    shown = visible(text)
    assert shown.isprintable()
    assert shown != text and "\\" in shown


@pytest.mark.parametrize("text", ["größe", "[bold]a[/bold]", "数", "a b", "1\N{NO-BREAK SPACE}%"])
def test_P5_other_texts_stay(text):
    assert visible(text) == text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_P5_formulas_are_texts(start):
    text = f"{start}1+1"
    frame = pd.DataFrame({text: [text, "x"], "b": [-1.5, 2.0]}, index=[text, "row"])
    read = pd.read_csv(io.StringIO(csv_text(frame)), index_col=0)
    assert list(read.columns) == [f"'{text}", "b"] and read.index[0] == f"'{text}"
    assert read.iloc[0, 0] == f"'{text}" and read["b"].tolist() == [-1.5, 2.0]


@pytest.mark.parametrize("text", ["<img src=x onerror=y>", "a|b", "[x](http://y)", "`rm`", "a\nb"])
def test_P5_markdown_is_text(text):
    escaped = markdown_text(text)
    assert "<" not in escaped and "\n" not in escaped
    assert all(f"\\{sign}" in escaped for sign in "|[]`" if sign in text)


@pytest.mark.parametrize("encoding", ["gbk", "cp932", "ascii", "utf-8"])
def test_P5_every_encoding_takes_what_the_command_prints(tmp_path, encoding):
    code = (
        "from rich.table import Table; from ocsdf.cli import console, commands; import typer\n"
        "def probe():\n"
        "    table = Table()\n"
        "    table.add_column(console.plain('[red]\\x1b[31m\\u00e9 \\U0001f600'))\n"
        "    table.add_row('99.5\\u00a0%'); console.print_table(table)\n"
        "    console.say('\\u2013 \\x1b')\n"
        "commands.app = probe; commands.main()"
    )
    ran = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        capture_output=True,
        env={"PYTHONIOENCODING": encoding, "COLUMNS": "80", "PATH": ""},
    )
    assert ran.returncode == 0, ran.stderr.decode()
    text = ran.stdout.decode(encoding, errors="replace")  # of ASCII click makes UTF-8
    assert "99.5 %" in text and "[red]\\x1b[31m" in text and "\x1b" not in text


shares = st.floats(0.0, 1.0)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_T8_shares_of_counts(part, whole):
    part = min(part, whole)
    found = share_below(part, whole)
    assert Fraction(found) <= Fraction(part, whole) < Fraction(float(np.nextafter(found, 2.0)))


@given(shares)
def test_T8_percents_and_their_text(share):
    exact = Fraction(share)
    assert Fraction(percent_below(share)) <= 100 * exact
    assert percent_below(share) == pytest.approx(100 * share, rel=1e-15)
    for text, value in (
        (tenths_below(100 * share), 100 * share),
        (certified_percent(share).rstrip("\N{NO-BREAK SPACE}%"), 100 * exact),
    ):
        assert Fraction(text) <= value
        assert value < Fraction(text) + Fraction(101, 1000)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.29, "28.9"), (0.57, "56.9"), (0.9996, "99.9"), (1.0, "100.0"), (0.0, "0.0"), (0.5, "50.0")],
)
def test_T8_percents_that_float64_cannot_hold(share, text):
    assert certified_percent(share) == f"{text}\N{NO-BREAK SPACE}%"
