"""Compiled functions where nothing can be kept (P4)."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from ocsdf.utils import compiled as module
from ocsdf.utils.compiled import compiled


@pytest.mark.parametrize("options", [{}, {"error_model": "numpy"}, {"fastmath": True}])
def test_P4_what_cannot_be_kept_is_compiled_anew(monkeypatch, options):
    asked = []

    def njit(**settings):
        asked.append(settings.pop("cache", False))
        if asked[-1]:
            raise RuntimeError("cannot cache function: no locator available for file")
        return numba.njit(**settings)

    monkeypatch.setattr(module, "njit", njit)
    double = compiled(**options)(lambda x: 2 * x)
    np.testing.assert_array_equal(double(np.arange(3.0)), [0.0, 2.0, 4.0])
    assert asked == [True, False]


def test_P4_a_folder_that_cannot_be_written_to(tmp_path):
    """Numba finds no place for a cache: neither beside the module nor in a home folder."""
    (tmp_path / "square.py").write_text(
        "from ocsdf.utils.compiled import compiled\n@compiled\ndef square(x):\n    return x * x\n"
    )
    code = (
        "import numba.core.caching as caching\n"
        "for cls in (caching.CompileResultCacheImpl, caching.CacheImpl):\n"
        "    cls._locator_classes = []\n"
        "from square import square; print(square(3.0))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(tmp_path / "none")},
    )
    assert ran.stdout == "9.0\n", ran.stderr


def test_P4_nothing_else_asks_numba_to_keep():
    from pathlib import Path

    import ocsdf

    places = [
        path
        for path in Path(ocsdf.__file__).parent.rglob("*.py")
        if "cache=True" in path.read_text(encoding="utf-8") and path.name != "compiled.py"
    ]
    assert places == []
