"""Names of columns reach terminals, spreadsheets and Markdown as texts and nothing else (P5)."""

import io
import subprocess
import sys

import pandas as pd
import pytest

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
