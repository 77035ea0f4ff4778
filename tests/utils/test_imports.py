"""TensorFlow and Keras as this package loads them (P4): silent, by one backend, in float32."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from ocsdf import OCSDF

FIT = (
    "import numpy as np; from ocsdf import OCSDF; X = np.random.default_rng(0).normal(size=(60, 2))"
    ";detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0).fit(X);"
)
MAKE = "from ocsdf.networks import build_mlp; model = build_mlp(2, (8, 8));"


def run(code, folder, **variables):
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env=env | variables | {"HOME": str(folder)},
    )


@pytest.mark.parametrize(
    "code",
    [
        FIT + "detector.explain(X[:2])",
        "import ocsdf.levelsets.projection, tensorflow as tf; tf.constant(1.0) + 1.0",
    ],
)
def test_P4_nothing_on_stderr(tmp_path, code):
    """Nothing is told on stderr by C++ code, and nothing stays set."""
    watched = (
        "import os, sys, logging, warnings;"
        "level = 'TF_CPP_MIN_LOG_LEVEL';"
        "now = lambda: (os.fstat(2).st_ino, logging.root.level, level in os.environ);"
        f"before = now(); {code}; assert now() == before; os.write(2, b'heard')"
    )
    ran = run(watched, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "heard"


def test_P4_a_users_own_import_is_left_alone(tmp_path):
    code = (
        "import ocsdf, sys; from importlib.machinery import SourceFileLoader as loader;"
        "from ocsdf.utils.imports import KerasForUs;"
        "print(KerasForUs.find_spec('tensorflow'), KerasForUs.find_spec('numpy'))"
    )
    assert run(code, tmp_path).stdout == "None None\n"


def test_P4_a_process_without_stderr_fits(tmp_path):
    code = "import os, sys; os.close(2); sys.stderr = None\n" + MAKE + "print(len(model.layers))"
    assert run(code, tmp_path).stdout == "5\n"


@pytest.mark.parametrize(
    ("backend", "way"),
    [
        *(("jax", "variable"), ("none", "variable"), ("numpy", "file")),
        ("numpy", "imported before"),
    ],
)
def test_P4_another_backend_is_one_line(tmp_path, backend, way):
    if way == "file":
        (tmp_path / ".keras").mkdir()
        (tmp_path / ".keras" / "keras.json").write_text(json.dumps({"backend": backend}))
    variables = {"KERAS_BACKEND": backend} if way == "variable" else {}
    first = "import keras; keras.config.backend = lambda: 'numpy'\n"  # as if it were
    first = first if way == "imported before" else ""
    code = f"{first}try:\n    {MAKE}\nexcept ImportError as error:\n    print(error.name, error)"
    ran = run(code, tmp_path, **variables)
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    assert line.startswith("None ocsdf trains by TensorFlow, and Keras is set to")
    assert repr(backend) in line and "KERAS_BACKEND=tensorflow" in line


@pytest.fixture
def keras_settings():
    """Keras's own settings, put back afterwards."""
    import keras

    kept = keras.config.floatx(), keras.config.dtype_policy()
    yield keras.config
    keras.config.set_floatx(kept[0])
    keras.config.set_dtype_policy(kept[1])


def scores(optimizer):
    rows = np.random.default_rng(0).normal(size=(60, 2))
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, optimizer=optimizer, random_state=0)
    detector.fit(rows)
    assert np.asarray(detector.model_(rows.astype(np.float32))).dtype == np.float32
    return detector.score_samples(rows)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_P4_scores_do_not_depend_on_keras_settings(keras_settings, optimizer):
    expected = scores(optimizer)
    for floatx in ("bfloat16", "float16", "float64"):
        keras_settings.set_floatx(floatx)
        np.testing.assert_array_equal(scores(optimizer), expected, err_msg=floatx)
    keras_settings.set_floatx("float32")
    for policy in ("mixed_float16", "mixed_bfloat16", "float64"):
        keras_settings.set_dtype_policy(policy)
        np.testing.assert_array_equal(scores(optimizer), expected, err_msg=policy)


def test_P4_a_fit_gives_no_warning_about_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        scores("rmsprop")
