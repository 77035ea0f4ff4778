"""P3: what is done again and again holds no more memory than the first times."""

import subprocess
import sys

import pytest

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
