"""Hints name extras that exist, and a way to install them that works today (P9)."""

import configparser
import re
from pathlib import Path

import pytest

from ocsdf.utils.extras import how_to_install

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for folder in ("ocsdf", "sklearn_compat", "experiments")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def extras():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return set(parser["options.extras_require"])


@pytest.mark.parametrize("extra", ["parquet", "attacks", "surfaces", "experiments"])
def test_P9_hints_install_from_the_folder(extra):
    assert extra in extras()
    assert how_to_install(extra) == f"pip install -e '.[{extra}]'"


def test_P9_no_hint_names_a_package_that_no_index_has():
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES}
    assert [path for path, text in texts.items() if re.search(r"install '?ocsdf\[", text)] == []
    named = {
        name
        for text in texts.values()
        for name in re.findall(r"how_to_install\('(\w+)'\)|install -e '\.\[(\w+)\]", text)
        for name in name
        if name
    }
    assert named <= extras()


def test_P9_what_the_readmes_own_line_needs_is_in_the_base():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert re.search(r"^pooch>=", parser["options"]["install_requires"], re.MULTILINE)
