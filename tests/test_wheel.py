"""What ``pip install`` brings: modules, templates, names that resolve, extras that hints name."""

import configparser
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from ocsdf.utils.extras import how_to_install

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"ocsdf": "ocsdf", "sklearn_compat": "ocsdf/sklearn_compat"}
PACKAGES = sorted(
    ".".join((home.replace("/", "."), *path.parent.relative_to(ROOT / folder).parts))
    for folder, home in HOMES.items()
    for path in (ROOT / folder).rglob("__init__.py")
)


def shipped():
    """The files of the source tree, by their names in the wheel."""
    return {
        f"{home}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, home in HOMES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_every_module_and_template(tmp_path):
    for folder in HOMES:
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / "docs").mkdir()
    for name in ("setup.cfg", "pyproject.toml", "docs/pypi.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("ocsdf-*.whl")
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == shipped()
    assert any(name.endswith(".html.j2") for name in held)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_resolve_to_the_same_object_each_time(package):
    module = import_module(package)
    for name in getattr(module, "__all__", ()):
        first, again = getattr(module, name), getattr(module, name)
        assert first is again, name
        assert not isinstance(first, ModuleType), name
        assert name in dir(module)


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


def test_the_oldest_versions_that_are_tried_are_those_that_are_allowed():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    needed = parser["options"]["install_requires"] + parser["options.extras_require"]["test"]
    allowed = dict(re.findall(r"^([\w-]+)>=([\d.]+)", needed, re.MULTILINE))
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    tried = dict(line.removesuffix(".*").split("==") for line in lines if not line.startswith("#"))
    assert len(allowed) == len(needed.split()) and tried.keys() == allowed.keys()
    for name, version in tried.items():
        digits = version.split(".")
        lowest = allowed[name].split(".")
        assert digits == lowest + ["0"] * (len(digits) - len(lowest)), name
