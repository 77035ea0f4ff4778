"""Forked processes (P2), memory over many calls (P3), and what a fresh process loads."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from ocsdf import OCSDF
from ocsdf.utils.threads import crew
from tests.samples import load_without_tensorflow

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # TensorFlow and BLAS have threads here, which is what the tests are about.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
X = np.random.default_rng(0).normal(size=(150, 3))


@pytest.fixture(scope="module")
def detector():
    fitted = OCSDF(hidden_layer_sizes=(16, 16), epochs=1, random_state=0).fit(X)
    # TensorFlow is in use before any fork.
    assert fitted.model_(X[:2].astype(np.float32)).shape == (2, 1)
    return fitted


def in_child(action, queue):
    try:
        queue.put(("done", action()))
    except Exception as error:  # whatever it is, the parent has to see it
        queue.put((type(error).__name__, str(error)))


def forked(action):
    """What an action gives, or raises, in a forked process, or that it waits for ever."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(action, queue))
    child.start()
    try:
        return queue.get(timeout=600)
    finally:
        child.kill()
        child.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    "action",
    [
        lambda detector: detector.score_samples(X),
        lambda detector: detector.certified_radius(X),
        lambda detector: detector.explain(X[:5]).distance,
        lambda detector: detector.sample_level_set(5),
        lambda detector: detector._network.value_and_gradient(X)[1],
        lambda detector: OCSDF(random_state=0).fit(X).score_samples(X),
        lambda detector: (
            OCSDF(hidden_layer_sizes=(300, 300), epochs=1, random_state=0).fit(X).score_samples(X)
        ),
        lambda detector: (
            OCSDF(activation="groupsort2", contamination=0.1, random_state=0)
            .fit(X)
            .certified_radius(X)
        ),
    ],
    ids=["score", "radius", "explain", "sample_level_set", "gradient", "fit", "wide", "threshold"],
)
def test_P2_forked_processes_do_what_needs_no_tensorflow(detector, action):
    state, found = forked(lambda: action(detector))
    assert state == "done", found
    np.testing.assert_allclose(found, action(detector), atol=1e-9)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_P2_what_needs_tensorflow_says_so_in_a_forked_process(detector):
    fresh = OCSDF(hidden_layer_sizes=(8,), epochs=1, random_state=0).fit(X)
    # The fixture's model was built before the fork.
    for action in (
        lambda: fresh.model_,
        lambda: fresh.sample_network(X[:2]),
        lambda: detector.model_(X[:2].astype(np.float32)),
    ):
        state, message = forked(lambda action=action: action() and None)
        assert state == "RuntimeError"
        assert "A Keras model needs TensorFlow, which was in use when this process was" in message
    # The parent goes on.
    assert fresh.model_.count_params() > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("traced_before", [False, True])
def test_P2_training_by_tensorflow_says_so_in_a_forked_process(detector, traced_before):
    by_adam = OCSDF(hidden_layer_sizes=(8,), epochs=1, optimizer="adam", random_state=0)
    if traced_before:
        by_adam.fit(X)
    state, message = forked(lambda: by_adam.fit(X) and None)
    assert state == "RuntimeError"
    assert "Training by TensorFlow needs TensorFlow, which was in use when this" in message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_P2_a_forked_process_does_not_collect_what_tensorflow_left(detector):
    """Freeing a dataset's iterator there waits for threads that a fork did not copy."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    gc.disable()
    try:
        model.fit(X, X[:, :1], verbose=0)
        rows = iter(tf.data.Dataset.from_tensor_slices(X).repeat().batch(8).prefetch(2))
        next(rows)
        ring = [model, rows]
        ring.append(ring)
        del model, rows, ring
        state, collected = forked(gc.collect)
    finally:
        gc.enable()
    assert state == "done", collected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_P2_a_fork_while_another_thread_computes_does_not_wait_for_it(detector):
    begun, ends = threading.Event(), threading.Event()

    def hold():
        with crew(2):
            begun.set()
            ends.wait()

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    try:
        state, found = forked(lambda: OCSDF(random_state=0).fit(X).score_samples(X))
    finally:
        ends.set()
        other.join()
    assert state == "done", found
    np.testing.assert_array_equal(found, OCSDF(random_state=0).fit(X).score_samples(X))


def resident():
    """Megabytes of memory that this process holds."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells how much memory")
@pytest.mark.parametrize("name", ["fit", "explain", "load", "sample_level_set", "attack"])
def test_P3_memory_stays_flat_over_many_calls(detector, tmp_path, name):
    from ocsdf.attacks import pgd

    detector.save(tmp_path / "file")
    action = {
        "fit": lambda: OCSDF(hidden_layer_sizes=(16, 16), epochs=1, random_state=0).fit(X),
        "explain": lambda: detector.explain(X[:2]),
        "load": lambda: OCSDF.load(tmp_path / "file").score_samples(X[:1]),
        "sample_level_set": lambda: detector.sample_level_set(3),
        "attack": lambda: pgd(detector._network, X[:3], -1, 0.3, n_steps=5),
    }[name]
    for _ in range(5):
        action()
    before = resident()
    for _ in range(50):
        action()
    assert resident() - before < 20.0


def test_a_fresh_process_explains_without_tensorflow(detector, tmp_path):
    detector.save(tmp_path / "file")
    code = "detector.explain([[0.0, 0.0, 9.0]]); print(len(detector.sample_level_set(3)))"
    assert load_without_tensorflow(tmp_path / "file", code) == "3\n"


BLOCKED = "import sys\nfor name in ('tensorflow', 'keras', 'deel'):\n    sys.modules[name] = None\n"
FIT = """
import warnings
import numpy as np
from ocsdf import OCSDF
warnings.simplefilter("error")
X = np.random.default_rng(0).normal(size=(150, 3))
detector = OCSDF({parameters}).fit(X)
far = [[0.0, 0.0, 9.0]]
assert detector.predict(far) == -1
assert detector.score_samples(X).shape == detector.certified_radius(X).shape == (150,)
assert detector.certified_auroc(X, np.arange(150) % 2, [0.1]).shape == (1,)
assert detector.explain(far).converged.all()
assert detector.sample_level_set(3, level=-0.5).shape == (3, 3)
detector.save(sys.argv[1])
same = OCSDF.load(sys.argv[1])
np.testing.assert_array_equal(same.score_samples(X), detector.score_samples(X))
"""


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "random_state=0, contamination=0.1, verbose=2",
        "activation='groupsort2', domain='ball', updates_per_batch='converged', random_state=0",
        "hidden_layer_sizes=(300, 300), max_steps=20, seeds='uniform', standardize=False",
    ],
    ids=["default", "threshold", "settings", "wide"],
)
def test_T2_the_default_needs_neither_tensorflow_nor_keras(tmp_path, parameters):
    code = BLOCKED + FIT.format(parameters=parameters)
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stderr == ""


def test_T2_commands_need_neither_tensorflow_nor_keras(tmp_path):
    rows = "\n".join(",".join(map(repr, row)) for row in X.tolist())
    (tmp_path / "table.csv").write_text(f"a,b,c\n{rows}\n")
    code = BLOCKED + (
        "sys.argv = ['ocsdf', *sys.argv[1:]]; from ocsdf.cli.commands import main; main()"
    )
    for words in (
        "fit table.csv --output model.ocsdf --epochs 1",
        "score model.ocsdf table.csv --output scores.csv",
        "explain model.ocsdf table.csv --all --output reasons.csv",
        "report breast_cancer --output report.html --epochs 1",
    ):
        command = [sys.executable, "-c", code, *words.split()]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("method", ["anchored", "paper"])
def test_T2_a_callback_of_keras_changes_no_bit(method):
    settings = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0, "method": method}
    watched = OCSDF(callbacks=[keras.callbacks.Callback()], **settings).fit(X)
    plain = OCSDF(**settings).fit(X)
    np.testing.assert_array_equal(watched.score_samples(X), plain.score_samples(X))


PRELUDE = """
import gc, io, pickle, tempfile, warnings
import numpy as np, psutil
warnings.simplefilter("ignore")
from ocsdf import OCSDF
from ocsdf.attacks import pgd
X = np.random.default_rng(0).normal(size=(200, 4))
small = dict(hidden_layer_sizes=(16, 16), epochs=1, random_state=0)
detector = OCSDF(**small).fit(X)
path = tempfile.mkdtemp() + "/model.ocsdf"
detector.save(path)
level = float(np.median(detector.score_samples(X)))
def use(): {call}
def held():
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20
for _ in range(5): use()
first = held()
for _ in range(45): use()
print(held() - first)
"""
CALLS = {
    "fit": "OCSDF(**small).fit(X)",
    "fit as published": "OCSDF('paper', margin=0.3, **small).fit(X)",
    "score": "detector.certified_radius(X)",
    "explain": "detector.explain(X[:4])",
    "load": "OCSDF.load(path).score_samples(X)",
    "save": "detector.save(path)",
    "pickle": "pickle.loads(pickle.dumps(detector)).score_samples(X)",
    "sample a level set": "detector.sample_level_set(5, level=level)",
    "attack": "pgd(detector, X[:8], None, 0.1, n_steps=3)",
    "certified AUROC": "detector.certified_auroc(X, np.arange(200) % 2, [0.1])",
}


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_P3_memory_is_flat_after_the_first_calls(call):
    """Fifty calls; the last 45 hold at most 20 MB, as a new process measures them."""
    code = PRELUDE.replace("{call}", call)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) < 20.0
