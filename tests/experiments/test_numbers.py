"""Measured numbers in the pages, that of the papers too, are those of the committed files."""

import re

import pandas as pd
import pytest

from experiments import papers
from experiments.numbers import __main__ as numbers
from experiments.numbers import markers, words

PAGES = {
    path.relative_to(markers.ROOT).as_posix(): path
    for path in markers.pages()
    if markers.PART.search(path.read_text(encoding="utf-8"))
}
# Numbers of prose that nobody measured here: versions, settings, shares, and what papers print.
SETTINGS = {
    "3.11",  # Python
    "1.0.0",  # PyOD, pinned by ADBench
    "1.13",  # torch, pinned by ADBench
    "0.05",  # the margin of the paper's settings; a level
    "0.01",  # a level
    "5 %",  # a level
    "0.9",  # one minus a delta
    "0.001",  # a level of drift
    "1 %",  # the share of training rows that lie outside
    "1.2",  # half the side of the box of fields
    "0.1",  # a radius
    "0.2",  # a radius; a lambda of the paper
    "0.3",  # l-inf radius of robust training
    "0.02",  # a lambda that was tried
    "0.005",  # a lambda that was tried
    "0.03",  # promised in Figure 1
    "0.039",  # asked for in Figure 1
    "0.55",  # the paper's Chamfer ratio
    "0.12",  # the paper's Hausdorff ratio
    "30 %",  # of the training rows lie beyond what is typical
    "0.15",  # of the default's recipe
    *("0.4", "70 %"),  # of its emphasis on contamination
    "1.415",  # a little above the square root of 2
    "99.9 %",  # of randomized smoothing's guarantee
}


def test_a_number_is_rounded_to_the_side_it_bounds():
    assert words.at_least(96.09) == "96.0" and words.at_most(96.01) == "96.1"
    # The float64 nearest to 2.3 is a little less.
    assert words.at_least(2.3) == "2.2" and words.at_most(2.3) == words.nearest(2.3) == "2.3"
    assert words.nearest(95.36) == "95.4" and words.nearest(133.4, 0) == "133"
    assert words.at_least(99.999, 2) == "99.99" and words.at_least(float("nan")) == "-"
    assert words.spread(pd.Series([1.0, 3.0])) == "2.0 ± 1.4"
    assert words.spread(pd.Series([1.0])) == "1.0"
    assert words.listed(["a"]) == "a" and words.listed("abc") == "a, b and c"


def test_parts_are_written_between_their_markers():
    text = "# T\n<!-- numbers: one -->\n<!-- end -->\nof <!-- numbers: two -->9<!-- end -->.\n"
    page = markers.fill(text, {"one": lambda: "| a |", "two": lambda: "7"})
    assert page == (
        "# T\n<!-- numbers: one -->\n\n| a |\n\n<!-- end -->\n"
        "of <!-- numbers: two -->7<!-- end -->.\n"
    )
    assert markers.fill(page, {"one": lambda: "| a |", "two": lambda: "7"}) == page
    assert re.sub(r"\s+", " ", markers.outside(page)) == "# T of . "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- numbers: none --> <!-- end -->", "no part is named 'none'"),
        ("<!-- numbers: one --> 7", "no <!-- end -->"),
        ("<!-- numbers: One --> 7 <!-- end -->", "small letters"),
    ],
)
def test_markers_that_mean_nothing_are_errors(text, message):
    with pytest.raises(ValueError, match=message):
        markers.fill(text, {"one": lambda: "7"})


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_as_the_record_has_it(name):
    text = PAGES[name].read_text(encoding="utf-8")
    assert markers.fill(text, numbers.PARTS) == text, "run make numbers"


@pytest.mark.parametrize("name", PAGES)
def test_a_marker_within_a_paragraph_does_not_begin_its_line(name):
    # There it would end the paragraph.
    lines = PAGES[name].read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.match(r"<!-- .*? -->.", line)] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_measured_number_stands_elsewhere(name):
    prose = markers.outside(PAGES[name].read_text(encoding="utf-8"))
    found = re.findall(r"(?<![\w.])\d+(?:\.\d+)*(?:\s%)?", prose)
    measured = {re.sub(r"\s", " ", number) for number in found if re.search(r"[.%]", number)}
    assert measured - SETTINGS == set()


def test_every_part_stands_on_a_page():
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES.values())
    assert {name for _, name, _, _ in markers.PART.findall(pages)} == set(numbers.PARTS)


def test_a_number_changed_by_hand_is_found_and_mended(tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    true = markers.pages()[0].read_text(encoding="utf-8")
    start, _, inner, end = markers.PART.search(true).groups()
    changed = re.sub(r"\d(?=\.\d \|)", lambda digit: str((int(digit[0]) + 1) % 10), inner, count=1)
    assert changed != inner
    page.write_text(true.replace(start + inner + end, start + changed + end), encoding="utf-8")
    monkeypatch.setattr(numbers, "pages", lambda: [page])
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    assert numbers.main(["--check"]) == 1
    assert capsys.readouterr().out == "README.md: differs from the CSV files\n"
    assert numbers.main([]) == 0
    assert page.read_text(encoding="utf-8") == true
    assert numbers.main(["--check"]) == 0


def test_the_page_of_the_package_is_the_readme_without_links_to_files():
    page = markers.PACKAGE_PAGE.read_text(encoding="utf-8")
    assert page == markers.package_page(markers.README.read_text(encoding="utf-8")), "make numbers"
    assert re.findall(r"\]\((?!https?://)[^)]*\)", page) == []
    named = re.findall(r"`((?:docs|experiments)/[\w/.-]+|[A-Z]+\.\w+)`", page)
    assert len(named) > 10 and [name for name in named if not (markers.ROOT / name).exists()] == []
    setup = (markers.ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "long_description = file: docs/pypi.md\n" in setup


def test_links_to_files_become_their_names():
    readme = "# a\n\n![x](b.png)\n\n<!-- numbers: c -->\n\n[d](e.md), [f.md](f.md) ([g](g.md)), [h](https://h)\n"
    page = markers.package_page(readme)
    assert page.endswith("unpacked.\n\nd (`e.md`), `f.md` (g, `g.md`), [h](https://h)\n")
    assert page.split("\n")[2] == "# a"


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
    settings = r"noise 0\.01|0\.1 / 0\.5( / 1)? %|radius 0\.2"
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
