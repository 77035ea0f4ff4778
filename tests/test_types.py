"""What a type checker says of code that uses the package."""

import ast
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ocsdf

ROOT = Path(__file__).parents[1]
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
