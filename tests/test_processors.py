"""Other processors' rounding: what a setting switches off is off, and no folder is forgotten."""

import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from tests import processors


def test_every_folder_of_tests_is_of_numbers_or_is_not():
    folders = {path.name for path in (processors.ROOT / "tests").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} <= {*processors.NUMBERS, *processors.OTHERS}
    assert set(processors.NUMBERS) & set(processors.OTHERS) == set()


@pytest.mark.parametrize(
    ("variable", "value"),
    [item for name, item in processors.settings().items() if name.startswith("num")],
)
def test_settings_are_in_force(variable, value):
    assert processors.in_force(variable, value)


def test_kernels_of_the_algebra_are_told():
    command = [sys.executable, "-c", processors.PROBES[processors.BLAS]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    here = {pool["architecture"] for pool in threadpool_info() if "architecture" in pool}
    assert set(said) == here


def test_a_name_that_numpy_would_ignore_is_not_in_force():
    assert not processors.in_force(processors.NUMPY, "X86_V3_MISSPELLED")


def test_a_feature_that_is_still_on_is_told(monkeypatch):
    monkeypatch.setattr(processors, "__cpu_dispatch__", ["AVX9"])
    monkeypatch.setattr(processors, "PROBES", {processors.NUMPY: "print('AVX2 AVX9')"})
    assert not processors.in_force(processors.NUMPY, "AVX9")


def test_what_the_environment_sets_is_left_alone(monkeypatch, capsys):
    monkeypatch.setenv(processors.BLAS, "Sandybridge")
    monkeypatch.setattr(processors.subprocess, "run", None)
    assert processors.main(["blas-zen"]) == 0
    assert "left alone, as the environment sets OPENBLAS_CORETYPE" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "word"), [(0, "green"), (1, "RED")])
def test_a_red_setting_is_red(code, word, monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(processors.NUMBA, raising=False)
    (tmp_path / "test_one.py").write_text(f"def test_one():\n    assert {code} == 0\n")
    assert processors.main(["numba-generic", "--tests", str(tmp_path)]) == code
    assert f"numba-generic: {word}" in capsys.readouterr().out


def test_settings_are_named_right(capsys):
    with pytest.raises(SystemExit):
        processors.main(["onednn"])
    assert "no setting is named onednn" in capsys.readouterr().err
