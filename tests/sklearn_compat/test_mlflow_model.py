"""MLflow and skops read a detector back, and score rows as it does."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF, ConformalDetector
from ocsdf.sklearn_compat import score_frame
from ocsdf.sklearn_compat.mlflow_model import save_mlflow_model


@pytest.fixture(scope="module")
def rows():
    return pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=list("abc"))


@pytest.mark.parametrize("calibrated", [False, True])
def test_model_folder(calibrated, rows, tmp_path, monkeypatch):
    import mlflow.pyfunc

    # MLflow 2 makes a folder of runs where it is.
    monkeypatch.chdir(tmp_path)
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0)
    detector = ConformalDetector(detector, random_state=0) if calibrated else detector
    detector.fit(rows[:150])
    save_mlflow_model(detector, tmp_path / "model")
    scored = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(rows[150:])
    pd.testing.assert_frame_equal(scored, score_frame(detector, rows[150:]))
    assert ("p_value" in scored) == calibrated
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert "detector.ocsdf" in names
    assert not any(name.endswith((".pkl", ".pickle", ".joblib")) for name in names)


AUTOLOG = """
import json, os, sys
import numpy as np, mlflow, mlflow.sklearn

os.chdir(sys.argv[1])
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/runs.db")
mlflow.sklearn.autolog(silent=True)
from sklearn.neighbors import NearestNeighbors
from ocsdf import ImageOCSDF, OCSDF

rows = np.random.default_rng(0).normal(size=(60, 2))
OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(rows)
images = np.random.default_rng(1).uniform(size=(40, 16))
ImageOCSDF(image_shape=(4, 4, 1), max_steps=1, random_state=0).fit(images)
ours = len(mlflow.search_runs(search_all_experiments=True))
NearestNeighbors().fit(rows)
runs = mlflow.search_runs(search_all_experiments=True)
print(json.dumps([ours, list(runs["tags.estimator_name"])]))
"""


@pytest.mark.slow
def test_autologging_does_not_take_a_part_for_the_model(tmp_path):
    # The small package has no store that autologging writes to.
    pytest.importorskip("alembic", reason="needs the whole of MLflow: pip install mlflow")
    command = [sys.executable, "-c", AUTOLOG, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # A user's own estimator is logged before and after as it was.
    assert json.loads(done.stdout.splitlines()[-1]) == [0, ["NearestNeighbors"]]


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_autologging_is_back_after_a_fit(rows, monkeypatch, error):
    from mlflow.utils import autologging_utils

    def states():
        return autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED

    seen = []

    def fit(*_, **__):
        seen.append(states())
        raise error or KeyError

    monkeypatch.setattr("ocsdf.sklearn_compat.fitting.fit_network", fit)
    with pytest.raises(error or KeyError):
        OCSDF().fit(rows)
    assert seen == [True] and not states()


def test_without_mlflow_it_is_named(rows, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(ImportError, match="pip install mlflow-skinny"):
        save_mlflow_model(OCSDF(), tmp_path / "model")


@pytest.mark.parametrize("domain", ["box", "ball"])
def test_types_that_skops_has_to_trust(rows, domain):
    import skops.io

    settings = {"hidden_layer_sizes": (8, 8), "epochs": 1, "random_state": 0}
    detector = OCSDF(domain=domain, **settings).fit(rows)
    content = skops.io.dumps(detector)
    trusted = [
        "ocsdf.sklearn_compat.estimator.OCSDF",
        f"ocsdf.training.domain.{domain.capitalize()}",
    ]
    assert skops.io.get_untrusted_types(data=content) == trusted
    again = skops.io.loads(content, trusted=trusted)
    assert np.array_equal(again.certified_radius(rows), detector.certified_radius(rows))
