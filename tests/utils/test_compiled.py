"""Compiled functions where nothing can be kept (P4); tasks shared among threads."""

import importlib
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from ocsdf.operations import nearest_filter
from ocsdf.utils import compiled as module
from ocsdf.utils import threads
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


PAIRS = {
    "ocsdf.operations.sorting": ["sort_pairs"],
    "ocsdf.operations.distances": ["_nearest_l1"],
    "ocsdf.operations.piecewise": ["_follow", "_slopes_at"],
    "ocsdf.operations.nearest": ["_offsets"],
}


def arguments_of(name):
    """Arguments for a compiled function, with ties and with values beyond all others."""
    rng = np.random.default_rng(0)
    rows, references = rng.normal(size=(50, 4)), rng.normal(size=(60, 4))
    rows[0], rows[1] = references[7], 100.0
    knots, starts = np.array([-1.0, 0.0, 2.0, 0.5, 0.0, 1.0, 0.0]), np.array([0, 3, 4, 6, 7])
    rows[2], slopes = [0.0, 0.5, 1.0, 0.0], rng.uniform(0.5, 2.0, size=11)
    return {
        "sort_pairs": (rows.copy(),),
        "_nearest_l1": (rows, np.ascontiguousarray(references.T), 5),
        "_follow": (rows, knots, rng.normal(size=7), slopes, starts),
        "_slopes_at": (rows, knots, slopes, starts),
        "_offsets": (rows, knots, starts),
    }[name]  # fmt: skip


@pytest.mark.parametrize(
    ("home", "name"), [(home, name) for home, names in PAIRS.items() for name in names]
)
def test_numpy_computes_the_same_without_numba(home, name):
    home = importlib.import_module(home)
    told, expected = arguments_of(name), arguments_of(name)
    by_numpy = getattr(home, f"_{name.removeprefix('_')}_by_numpy")
    found, by_numba = by_numpy(*told), getattr(home, name)(*expected)
    # Sums of four terms in another order: 4 u of numbers up to 400.
    for one, other in zip((found, *told), (by_numba, *expected), strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=0.0, atol=400 * 4 * 2.0**-53)


def test_numpy_finds_the_same_nearest_without_numba(monkeypatch):
    rng = np.random.default_rng(0)
    rows, references = rng.normal(size=(50, 4)), rng.normal(size=(200, 4))
    found = [np.empty(50, np.int64), np.empty(50), np.empty(50, np.int64), np.empty(50)]
    search = nearest_filter.ReferenceFilter(references, rng.uniform(size=200))
    scratch = np.empty(len(references) * len(rows), np.float32)
    search.find(rows, *found[:2], scratch)
    monkeypatch.setattr(nearest_filter, "_choose", nearest_filter._choose_by_numpy)
    search.find(rows, *found[2:], scratch)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[1], found[3], rtol=16 * 2.0**-53)


def test_without_numba_what_only_scores_works_and_the_rest_says_so(tmp_path):
    """A saved detector scores the same to within its slack; training asks for numba."""
    from ocsdf import OCSDF

    X = np.random.default_rng(0).normal(size=(80, 3)).round(1)
    detector = OCSDF(max_steps=5, random_state=0).fit(X)
    detector.save(tmp_path / "model.ocsdf")
    np.save(tmp_path / "rows.npy", X)
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name in ('numba', 'pandas'): raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Missing)\n"
        "import numpy as np; from ocsdf import OCSDF\n"
        "X = np.load('rows.npy'); detector = OCSDF.load('model.ocsdf')\n"
        "print(*detector.score_samples(X).tolist())\n"
        "print(*detector.certified_radius(X).tolist())\n"
        "print(len({'tensorflow', 'keras'} & set(sys.modules)))\n"
        "try: OCSDF(max_steps=5).fit(X)\n"
        "except ImportError as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    scores, radii, loaded, said = ran.stdout.splitlines()
    slack = detector.float_slack(X)
    assert np.all(np.abs(np.float64(scores.split()) - detector.score_samples(X)) <= slack)
    gap = np.abs(np.float64(radii.split()) - detector.certified_radius(X))
    assert np.all(gap * detector.lipschitz_bound_ <= 3.0 * slack)
    assert (loaded, said.partition(":")[0]) == (
        "0",
        "training and surfaces need numba, which is not installed here",
    )


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_tasks", [0, 1, 7])
def test_results_come_in_order(n_threads, n_tasks, monkeypatch):
    monkeypatch.setattr(threads, "_n_allowed", lambda: n_threads)
    with threads.crew(n_threads) as run:
        for _ in range(3):
            assert run(lambda x: 2 * x, range(n_tasks)) == list(range(0, 2 * n_tasks, 2))


@pytest.mark.parametrize("n_threads", [1, 3])
def test_after_a_failure_no_task_begins(n_threads, monkeypatch):
    monkeypatch.setattr(threads, "_n_allowed", lambda: n_threads)
    begun = []

    def fail(number):
        begun.append(number)
        raise ZeroDivisionError("this one")

    with pytest.raises(ZeroDivisionError, match="this one"), threads.crew(n_threads) as run:
        run(fail, range(100))
    assert len(begun) <= n_threads
