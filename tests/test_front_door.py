"""``import ocsdf``: quick, lazy, and clear about what is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ocsdf

PACKAGE = Path(ocsdf.__file__).parent
NAMES = {
    "OCSDF",
    "CertifiedAUROCDisplay",
    "ScoreHistogramDisplay",
    "__version__",
    "certified_auroc",
    "certified_radius",
    "certified_recall",
    "certified_tpr",
    "load_table",
}
# Installed in place or not, only what stands on the path is found.
WITHOUT_INSTALLATION = (
    "import sys; from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder;"
    "sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder];"
    "sys.path = [place for place in sys.path if not place.startswith('__editable__')];"
)


def python(code, folder):
    command = [sys.executable, "-W", "ignore", "-c", code]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split("\n")[:-1]


def test_import_is_quick(tmp_path):
    code = (
        "import sys, time; start = time.perf_counter(); import ocsdf;"
        "print(time.perf_counter() - start); print('sklearn' in sys.modules)"
    )
    answers = [python(code, tmp_path) for _ in range(3)]
    assert min(float(seconds) for seconds, _ in answers) < 0.5
    assert {loaded for _, loaded in answers} == {"False"}


def test_an_unfitted_detector_does_not_load_tensorflow(tmp_path):
    code = (
        "import sys; from ocsdf import OCSDF; from sklearn.base import clone;"
        "detector = clone(OCSDF(margin=0.3)).set_params(epochs=3); repr(detector);"
        "print(*sorted({'tensorflow', 'keras', 'deel'} & set(sys.modules)))"
    )
    assert python(code, tmp_path) == [""]


def test_scores_are_certified_without_tensorflow(tmp_path):
    code = (
        "import sys; from ocsdf import certified_auroc, load_table; load_table('wine');"
        "print(certified_auroc([1.0], [0.0], [0.0, 0.6]).tolist());"
        "print('tensorflow' in sys.modules)"
    )
    assert python(code, tmp_path) == ["[1.0, 0.0]", "False"]


def test_names():
    assert set(ocsdf.__all__) >= NAMES
    assert dir(ocsdf) == sorted(ocsdf.__all__)
    assert len(set(ocsdf.__all__)) == len(ocsdf.__all__)
    for name in ocsdf.__all__:
        assert getattr(ocsdf, name) is not None, name


def test_version():
    from importlib.metadata import version

    assert ocsdf.__version__ == version("ocsdf")


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'ocsdf' has no attribute 'OneClass'"):
        ocsdf.OneClass  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'OneClass'"):
        from ocsdf import OneClass  # noqa: F401


@pytest.mark.parametrize(
    "statement",
    [
        "import ocsdf; ocsdf.OCSDF",
        "from ocsdf import OCSDF",
        "from ocsdf.sklearn_compat import OCSDF",
        "import ocsdf.sklearn_compat",
        "import ocsdf.sklearn_compat.estimator",
        "from ocsdf.sklearn_compat.pyod_detector import OCSDFDetector",
        "from ocsdf import make_outlier_scorer",
    ],
)
def test_P9_source_tree_without_installation_says_what_to_do(tmp_path, statement):
    # An installed wheel holds the sub-package, a source tree keeps it beside the package.
    left_out = shutil.ignore_patterns("__pycache__", "sklearn_compat")
    shutil.copytree(PACKAGE, tmp_path / "ocsdf", ignore=left_out)
    code = WITHOUT_INSTALLATION + (
        "import ocsdf; print(ocsdf.__file__)\n"
        "print(ocsdf.certified_auroc([1.0], [0.0], 0.0)[0])\n"
        f"try: {statement}\n"
        "except ModuleNotFoundError as error: print(error.name, error, sep='\\n')"
    )
    place, value, missing, *message = python(code, tmp_path)
    assert Path(place) == tmp_path / "ocsdf" / "__init__.py"
    assert (value, missing) == ("1.0", "ocsdf.sklearn_compat")
    assert len(message) == 1 and "pip install -e ." in message[0]


def test_P9_help_names_the_public_things():
    import pydoc

    description = pydoc.plain(pydoc.render_doc("ocsdf")).split("PACKAGE CONTENTS")[0]
    assert [name for name in ocsdf.__all__ if name not in description] == ["__version__"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version"], 0, f"ocsdf {ocsdf.__version__}"),
        (["--help"], 0, "Usage: "),
        (["fit", "--help"], 0, "Fit a model and save it."),
        (["none"], 2, "No such command"),
        (["score", "none.ocsdf", "none.csv"], 2, "error: "),
    ],
)
def test_P9_python_m_ocsdf_is_the_command(tmp_path, words, code, said):
    command = [sys.executable, "-m", "ocsdf", *words]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == code
    assert said in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_command_names_what_a_light_environment_lacks(tmp_path):
    code = "import sys; sys.modules['typer'] = None; from ocsdf.cli import main; main()"
    command = [sys.executable, "-c", code, "--help"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == (
        "error: the command ocsdf needs typer, which is not installed here: pip install typer\n"
    )


def test_another_missing_library_is_named(tmp_path):
    code = (
        "import sys; sys.modules['sklearn'] = None; import ocsdf\n"
        "try: ocsdf.OCSDF\n"
        "except ModuleNotFoundError as error: print(error.name.split('.')[0])"
    )
    assert python(code, tmp_path) == ["sklearn"]


def test_loading_and_scoring_take_only_what_they_need(tmp_path, judged):
    """Terminals, pictures, pages, other detectors and training load where they are used."""
    estimator, X, *_ = judged
    estimator.save(tmp_path / "model.ocsdf")
    code = (
        # joblib and scikit-learn load some of them where they are there.
        "import sys, joblib, sklearn.preprocessing; before = set(sys.modules);"
        "import numpy as np; from ocsdf import OCSDF;"
        f"detector, X = OCSDF.load('model.ocsdf'), np.zeros((2, {X.shape[1]}));"
        "detector.predict(X), detector.certified_radius(X);"
        "loaded = set(sys.modules) - before;"
        "print(*sorted(loaded & {'psutil', 'typer', 'rich', 'jinja2', 'matplotlib', 'pyod',"
        " 'pooch', 'keras', 'tensorflow', 'deel', 'ocsdf.displays', 'ocsdf.training.trainer'}))"
    )
    assert python(code, tmp_path) == [""]
