"""The README and docs/: what they say runs, what they name exists, tasks are two clicks away."""

import importlib.util
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
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


@pytest.mark.parametrize("path", sorted(DOCS.glob("gallery/*.py")), ids=lambda path: path.stem)
def test_displays_of_the_gallery_are_seen(path):
    # The gallery shows pyplot's figures alone.
    text = path.read_text(encoding="utf-8")
    assert text.count("Display.from_estimator") == text.count("ax=ax") == text.count("_, ax = plt")


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


ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
    # The README once more.
    if path.name != "pypi.md"
}
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
# The level sets' page runs, and is judged, in tests/levelsets/test_sample_network.py.
ELSEWHERE = {"docs/level-sets.md"}
WITH_CODE = [name for name, text in PAGES.items() if CODE.search(text) and name not in ELSEWHERE]


def commands(text):
    """The commands of a page, in indented blocks and within sentences."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    tools = r"(?:make|ocsdf|python -m) "
    yield from re.findall(rf"^ {{4}}({tools}.*)$", text, re.MULTILINE)
    yield from re.findall(rf"`({tools}[^`\n]*)`", text)


def anchor(title):
    """The fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def take_few_steps(monkeypatch):
    """Let fits end soon: what they learn is judged by the README's own and by other tests."""
    from ocsdf import OCSDF, ImageOCSDF

    for estimator in (OCSDF, ImageOCSDF):
        fit = estimator.fit
        monkeypatch.setattr(
            estimator,
            "fit",
            lambda self, X, *rest, fit=fit: fit(self.set_params(max_steps=5), X, *rest),
        )


@pytest.mark.parametrize("name", WITH_CODE)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name != "README.md":
        take_few_steps(monkeypatch)
    names = {}
    for code in CODE.findall(PAGES[name]):
        exec(code, names)
    if name == "README.md":
        detector, X, y = names["detector"], names["X"], names["y"]
        clean, attacked = detector.certified_auroc(X, y, radii=[0.0, 0.1], pos_label=0)
        assert 0.9 < clean <= 1.0
        assert attacked < clean


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    prose = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if fragment:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in map(anchor, titles), link


@pytest.mark.parametrize("name", PAGES)
def test_commands_exist(name):
    from typer.main import get_command

    from ocsdf.cli import app

    root = get_command(app)
    known, ours = root.commands, {name for one in root.params for name in one.opts}
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(PAGES[name]):
        tool, *words = shlex.split(command, comments=True)
        if tool == "make":
            assert {word for word in words if "=" not in word} <= targets, command
        elif tool == "python":
            # NAME stands for any of them.
            assert words[1].endswith(".NAME") or find_spec(words[1]), command
        elif words[0].startswith("--"):
            assert set(words) <= ours, command
        elif words[0] != "COMMAND":
            options = {name for one in known[words[0]].params for name in one.opts}
            used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert used <= options | {"--help"}, command


@pytest.mark.parametrize("name", PAGES)
def test_names_exist(name):
    for dotted in re.findall(r"`(ocsdf(?:\.\w+)+)", PAGES[name]):
        module, _, attribute = dotted.rpartition(".")
        if not find_spec(module) or not hasattr(import_module(module), attribute):
            assert find_spec(dotted), dotted


def test_the_first_commands_are_ci_s():
    for target in ("demo", "test"):
        assert f"    make {target}" in PAGES["README.md"]
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
