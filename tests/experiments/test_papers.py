"""The page of the papers: its figures are those of the committed files, and its places exist."""

import re

import pytest

from experiments import papers

ITEMS = papers.read_items()


def test_the_page_is_what_the_script_writes():
    assert papers.PAGE.read_text(encoding="utf-8") == papers.page()


@pytest.mark.parametrize("item", ITEMS, ids=[item["where"] for item in ITEMS])
def test_files_and_commands_exist(item):
    named = re.findall(r"(?:ocsdf|experiments|tests)/[\w/]+(?:\.py)?", item.get("code", ""))
    assert [name for name in named if not (papers.ROOT / name).exists()] == []
    commands = re.findall(r"(?:^|, |; )(\w+)", item.get("command", ""))
    scripts = [papers.ROOT / "experiments" / name for name in commands]
    missing = [s for s in scripts if not (s.is_dir() or s.with_suffix(".py").exists())]
    assert missing == []


def test_no_figure_of_ours_is_typed_by_hand():
    # What is no figure: names of settings.
    settings = r"noise 0\.01|0\.1 / 0\.5 / 1 %|radius 0\.2"
    for item in ITEMS:
        typed = re.sub(r"\{[^{}]*\}|" + settings, "", item.get("ours", ""))
        assert not re.search(r"\d\.\d", typed), item["where"]


def test_a_changed_figure_is_seen(monkeypatch):
    text = "{attack_audit.csv | pgd_rows_beyond |  | sum | .0f}"
    assert papers.figures(text) == "0"
    rows = papers.read("attack_audit.csv").assign(pgd_rows_beyond=1)
    monkeypatch.setattr(papers, "read", lambda file: rows)
    assert papers.figures(text) != "0"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"where": "x", "state": "done"}, "state must be one of"),
        ({"where": "x", "state": "works", "colour": "red"}, "unknown keys"),
        ({"where": "x", "state": "partly"}, "has to say what is scaled"),
    ],
)
def test_bad_items_are_refused(monkeypatch, item, message):
    monkeypatch.setattr(papers.tomllib, "loads", lambda text: {"item": [item]})
    with pytest.raises(ValueError, match=message):
        papers.read_items()
