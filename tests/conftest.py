"""What every test needs before TensorFlow loads."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine may take any time; what is true does not hang on it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# TensorFlow reads this once, when it loads; processes that tests start inherit it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# For the scripts in experiments/, which are run from the root and not installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def pytest_addoption(parser):
    parser.addoption("--fuzz-seconds", type=float, default=4.0, help="for each of tests/fuzz")


@pytest.fixture(scope="session")
def fuzz_seconds(request):
    """How long a test may look for what nobody thought of."""
    return request.config.getoption("--fuzz-seconds")


@pytest.fixture(scope="session")
def judged():
    """A small detector, the breast cancer rows it is judged on, the judgement, its setting."""
    from ocsdf import OCSDF
    from ocsdf.data.splits import split_one_class
    from ocsdf.data.tables import load_table
    from ocsdf.report.evaluation import evaluate
    from ocsdf.report.summary import Setting

    table = load_table("breast_cancer")
    train, test = split_one_class(table.y, random_state=0)
    estimator = OCSDF(hidden_layer_sizes=(16, 16), epochs=2, random_state=0).fit(table.X[train])
    judgement = evaluate(
        estimator, table.X[test], table.y[test], radii=[0.2, 0.05], n_resamples=200
    )
    setting = Setting("breast_cancer", "oc", 0, len(train), test, tuple(table.feature_names))
    return estimator, table.X[test], table.y[test], judgement, setting


@pytest.fixture(scope="session")
def examples(judged):
    """Rows to look at among those of `judged`."""
    from ocsdf.report.evaluation import ranked_examples

    estimator, X, _, judgement, _ = judged
    return ranked_examples(estimator, X, judgement, n_each=3)


@pytest.fixture(scope="session")
def anchored():
    """A network of three features, of the default's kind: a trained one's and distances' mean."""
    import keras
    import numpy as np

    from ocsdf.networks.builders import average, build_mlp, condense
    from tests.samples import build_distance, least

    rng = np.random.default_rng(0)
    learned = condense(build_mlp(3, (16, 16), seed=1))
    for layer in learned.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(rng.normal(scale=0.3, size=layer.units))
    few = build_distance(rng.normal(size=(64, 3)), (8,))
    many = build_distance(rng.normal(size=(256, 3)), (32,))
    distance = least([few, many], [2.0 / 3.0, 1.0], [-1.2, -0.8], softening=2.0)
    model = average([learned, distance], [0.25, 0.75])
    model.layers[-1].bias.assign([0.4])
    return model
