"""MLflow and skops read a detector back, and score rows as it does."""

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
def test_model_folder(calibrated, rows, tmp_path):
    import mlflow.pyfunc

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
