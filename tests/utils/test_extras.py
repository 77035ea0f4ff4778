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
def test_hints_name_the_package_that_is_installed(extra):
    assert extra in extras()
    assert how_to_install(extra) == f"pip install 'ocsdf[{extra}]'"


def test_hints_work_without_the_folder():
    # pip takes an installed package's extras from itself, wherever that came from; "-e ." needs the
    # project's folder, which a wheel does not bring.
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES}
    assert [path for path, text in texts.items() if "install -e '.[" in text] == []
    named = {
        name
        for text in texts.values()
        for hint in re.findall(r"how_to_install\('(\w+)'\)|install '?ocsdf\[(\w+)\]", text)
        for name in hint
        if name
    }
    assert named and named <= extras()


def test_P9_what_the_readmes_own_line_needs_is_in_the_base():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert re.search(r"^pooch>=", parser["options"]["install_requires"], re.MULTILINE)
