"""The site: a newcomer's tasks are two clicks away, and broken links are found."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
TASKS = {
    "install": "quick-start.md",
    "fit": "quick-start.md",
    "threshold": "guarantees-decisions.md",
    "explain": "gallery/plot_04_explain.py",
    "auditor": "gallery/plot_02_report.py",
    "without TensorFlow": "operations.md",
    "export": "integrations.md",
    "ten million rows": "operations.md",
    "add a distance": "extending.md",
    "reproduce a table": "papers.md",
}


def links_of(name):
    """The pages that a page links to."""
    return set(LINK.findall((DOCS / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(("task", "page"), TASKS.items())
def test_newcomers_tasks_are_two_clicks_away(task, page):
    rows = (DOCS / "tasks.md").read_text(encoding="utf-8").split("\n")
    (row,) = (row for row in rows if row.startswith("| ") and task in row.split("|")[1])
    assert LINK.findall(row)[0] == page
    assert (DOCS / page).exists()
    first = links_of("index.md")
    second = set().union(*(links_of(name) for name in first if (DOCS / name).exists()))
    assert page in first | second


@pytest.fixture(scope="module")
def check_links():
    """The module that ``make docs`` checks the built site with."""
    spec = importlib.util.spec_from_file_location("check_links", DOCS / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_that_lead_nowhere_are_found(tmp_path, check_links):
    (tmp_path / "more").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">x</h1><a href="more/">a</a><a href="#top">b</a><a href="#low">c</a>'
        '<a href="https://example.org/x">d</a><img src="gone.png"><a href="more/a%20b.html#x">e</a>'
    )
    (tmp_path / "more" / "index.html").write_text('<a href="../index.html#top">up</a>')
    (tmp_path / "more" / "a b.html").write_text('<p id="y"></p>')
    assert list(check_links.broken_links(tmp_path)) == [
        "index.html: #low: no such place",
        "index.html: gone.png: no such file",
        "index.html: more/a%20b.html#x: no such place",
    ]
