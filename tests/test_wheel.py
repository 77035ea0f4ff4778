"""What pip install brings: modules, names, extras that hints name; what type checkers say of it."""

import ast
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

import ocsdf
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


STUB = Path(ocsdf.__file__).with_suffix(".pyi")
USER = """
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from ocsdf import OCSDF, ConformalDetector, ImageOCSDF, certified_auroc, certified_radius
from ocsdf import load_table, make_outlier_scorer

table = load_table("wine")
X = table.X
detector = OCSDF(margin=0.1, random_state=0).fit(X)
assert_type(detector, OCSDF)
assert_type(OCSDF.load("model.ocsdf"), OCSDF)
assert_type(detector.score_samples(X), NDArray[np.float64])
assert_type(detector.predict(X), NDArray[np.int_])
assert_type(detector.certified_radius(X), NDArray[np.float64])
assert_type(ImageOCSDF().fit(X).certified_auroc(X, [0, 1], [0.0]), NDArray[np.float64])
alarms = ConformalDetector(detector, alpha=0.05).fit(X)
assert_type(alarms.p_values(X, radius=0.1), NDArray[np.float64])
assert_type(alarms.discoveries(X), NDArray[np.bool_])
assert_type(certified_auroc([1.0], [0.0], [0.0], attacked="both"), NDArray[np.float64])
assert_type(certified_radius([1.0]), NDArray[np.float64])
assert_type(make_outlier_scorer("roc_auc", 1)(detector, X), float)
"""
WRONG = {
    'certified_auroc([1.0], [0.0], [0.0], attacked="all")': "arg-type",
    "detector.save(3)": "arg-type",
    "OCSDF(margn=0.1)": "call-arg",
    "load_table(3)": "arg-type",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package as a wheel lays it out: its parts are in two folders of the source tree."""
    folder = tmp_path_factory.mktemp("types")
    only = shutil.ignore_patterns("__pycache__", "templates")
    shutil.copytree(ROOT / "ocsdf", folder / "ocsdf", ignore=only)
    shutil.copytree(ROOT / "sklearn_compat", folder / "ocsdf" / "sklearn_compat", ignore=only)
    return folder


def test_public_names_have_types(installed):
    lines = USER.count("\n")
    (installed / "user.py").write_text(USER + "\n".join(WRONG) + "\n")
    quiet = ["--ignore-missing-imports", "--follow-imports=silent", "--no-error-summary"]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", *quiet, "--hide-error-context", "user.py"],
        cwd=installed,
        capture_output=True,
        text=True,
    )
    errors = [line for line in ran.stdout.splitlines() if ": error: " in line]
    found = [(int(line.split(":")[1]), line.rpartition("[")[2].rstrip("]")) for line in errors]
    expected = [(lines + i, kind) for i, kind in enumerate(WRONG.values(), start=1)]
    assert found == expected, ran.stdout + ran.stderr


def test_the_stub_of_the_front_door_names_what_it_hands_out():
    homes = {
        alias.asname: node.module
        for node in ast.parse(STUB.read_text(encoding="utf-8")).body
        for alias in node.names
    }
    assert set(homes) == set(ocsdf.__all__)
    for name, home in homes.items():
        assert getattr(import_module(home), name) is getattr(ocsdf, name)
    assert STUB.with_name("py.typed").exists()
