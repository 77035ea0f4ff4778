"""What is printed: names of columns as texts and nothing else (P5), lower bounds as such (T8)."""

import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsdf.utils.html import certified_percent
from ocsdf.utils.rounding import percent_below, share_below, tenths_below
from ocsdf.utils.text import csv_text, markdown_text, visible


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
