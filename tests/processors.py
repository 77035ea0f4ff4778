"""The tests of numbers once more, computed as other processors would: ``make test-processors``.

Rounding differs between processors, as NumPy, numba, TensorFlow's oneDNN and OpenBLAS choose their
kernels when they load. Each setting below makes this machine choose another one's, in a process of
its own. A variable that the environment already sets is left alone, and what a setting promises is
looked up in such a process before the tests run, as a name that NumPy does not know is ignored.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

ROOT = Path(__file__).resolve().parents[1]
# Folders whose tests compare numbers that depend on rounding.
NUMBERS = [
    "attacks",
    "certificate",
    "decisions",
    "explanation",
    "export",
    "levelsets",
    "networks",
    "operations",
    "recipes",
    "sklearn_compat",
    "surfaces",
    "training",
]
# What else there is: files, pages, processes and tables.
OTHERS = ["benchmark", "cli", "data", "data_files", "displays", "engines", "experiments", "fuzz"]
OTHERS += ["report", "utils"]

NUMPY, ONEDNN = "NPY_DISABLE_CPU_FEATURES", "TF_ENABLE_ONEDNN_OPTS"
NUMBA, BLAS = "NUMBA_CPU_NAME", "OPENBLAS_CORETYPE"
# What a process prints of itself: NumPy's features that are on, oneDNN, numba's target, kernels.
PROBES = {
    NUMPY: "from numpy._core._multiarray_umath import __cpu_features__ as features;"
    "print(*(name for name in features if features[name]))",
    ONEDNN: "from tensorflow.python.util._pywrap_util_port import IsMklEnabled;"
    "print(int(IsMklEnabled()))",
    NUMBA: "import numba; print(numba.config.CPU_NAME)",
    BLAS: "import numpy, scipy.linalg; from threadpoolctl import threadpool_info;"
    "print(*(pool['architecture'] for pool in threadpool_info() if 'architecture' in pool))",
}


def settings():
    """Return the variable and the value of each setting, by its name."""
    levels = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    numpy = {"numpy-baseline": (NUMPY, " ".join(levels))} if levels else {}
    if len(levels) > 1:
        numpy["numpy-first-level"] = (NUMPY, " ".join(levels[1:]))
    return {
        "onednn-off": (ONEDNN, "0"),
        "onednn-on": (ONEDNN, "1"),
        **numpy,
        "numba-generic": (NUMBA, "generic"),
        "blas-haswell": (BLAS, "Haswell"),
        "blas-skylakex": (BLAS, "SkylakeX"),
        "blas-zen": (BLAS, "Zen"),
    }


def in_force(variable, value):
    """Return whether a process with this variable computes as its value says."""
    said = subprocess.run(
        [sys.executable, "-c", PROBES[variable]],
        env=os.environ | {variable: value, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if variable == NUMPY:
        known = set(__cpu_dispatch__)
        return set(value.split()) <= known and not set(value.split()) & set(said)
    return bool(said) and {word.lower() for word in said} == {value.lower()}


def run(name, variable, value, tests):
    """Run the tests under one setting, print its verdict, and return whether it is not red."""
    if variable in os.environ:
        print(f"{name}: left alone, as the environment sets {variable}={os.environ[variable]}")
        return True
    if not in_force(variable, value):
        print(f"{name}: this machine cannot compute with {variable}='{value}'")
        return variable == BLAS
    start = time.perf_counter()
    print(f"{name}: {variable}='{value}'", flush=True)
    command = [sys.executable, "-m", "pytest", "-m", "not slow", *tests]
    answer = subprocess.run(
        [*command, "--numprocesses", "auto", "--dist", "loadfile", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=os.environ | {variable: value},
        stdin=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - start
    verdict = "green" if answer.returncode == 0 else f"RED (exit status {answer.returncode})"
    print(f"{name}: {verdict} in {seconds:.0f} s", flush=True)
    return answer.returncode == 0


def main(arguments=None):
    """Run the settings that are named, or all of them, and return the exit status."""
    everything = settings()
    parser = argparse.ArgumentParser(prog="python -m tests.processors", description=__doc__)
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=", ".join(everything))
    parser.add_argument("--tests", nargs="+", help="files or folders; default: all of numbers")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.settings) - set(everything))
    if unknown:
        parser.error(f"no setting is named {', '.join(unknown)}: choose among {list(everything)}")
    folders = [f"tests/{name}" for name in NUMBERS if (ROOT / "tests" / name).is_dir()]
    verdicts = [
        run(name, *everything[name], given.tests or folders)
        for name in given.settings or everything
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
