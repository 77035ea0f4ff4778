"""The light environment of docs/operations.md, made anew: its size, its time, and what it says.

``make test-serving`` runs it with the project's environment: a model is fitted and saved here, and
loaded, judged and certified there.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_breast_cancer

from ocsdf import OCSDF

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "docs" / "serving-requirements.txt"
MOST_MEGABYTES, MOST_TIME, N_TRIES = 300, 1.5, 5
NEEDED = (
    "import time; start = time.process_time()\n"
    "import numpy, scipy.spatial.distance, scipy.sparse, sklearn.base, joblib, threadpoolctl\n"
    "import sklearn.utils.validation, narwhals.stable.v2\n"
    "print(time.process_time() - start)"
)
SERVED = (
    "import time; start = time.process_time()\n"
    "import json, sys; import numpy as np; from ocsdf import OCSDF\n"
    "detector, X = OCSDF.load('model.ocsdf'), np.load('rows.npy')\n"
    "told = detector.score_samples(X), detector.predict(X), detector.certified_radius(X)\n"
    "seconds = time.process_time() - start\n"
    "print(json.dumps([seconds, *(values.tolist() for values in told)]))"
)


def main():
    """Make the environment, serve a model in it, and fail where it is too large, slow or wrong."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path, help="Where the environment goes; made anew.")
    folder = arguments.parse_args().folder.resolve()
    venv.create(folder, clear=True, with_pip=False)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--requirement", str(REQUIREMENTS)], check=True)
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink()) / 1e6
    with TemporaryDirectory() as place:
        detector, X = saved(Path(place))
        ratio, told = served(python, place)
    scores, verdicts, radii = map(np.array, told)
    slack = detector.float_slack(X)
    same = np.all(np.abs(scores - detector.score_samples(X)) <= slack)
    same &= bool(np.all(radii <= detector.certified_radius(X) + 3.0 * slack))
    same &= bool(np.all(verdicts[radii > 0.0] == detector.predict(X)[radii > 0.0]))
    print(f"size: {size:.0f} MB, at most {MOST_MEGABYTES}")
    print(f"load, predict, certify: {ratio:.2f} of the imports they need, at most {MOST_TIME}")
    print(f"scores and radii as in the whole environment: {'yes' if same else 'no'}")
    return 0 if same and size <= MOST_MEGABYTES and ratio <= MOST_TIME else 1


def saved(folder):
    """Fit and save a detector, and rows; return both."""
    X, y = load_breast_cancer(return_X_y=True)
    detector = OCSDF(random_state=0).fit(X[y == 1][::2])
    detector.save(folder / "model.ocsdf")
    np.save(folder / "rows.npy", X)
    return detector, X


def served(python, folder):
    """Serve in fresh processes; return the ratio of times, the least of several, and results."""
    needed, times = [], []
    for _ in range(N_TRIES):
        needed.append(float(answer(python, NEEDED, folder)))
        seconds, *told = json.loads(answer(python, SERVED, folder))
        times.append(seconds)
    return min(times) / min(needed), told


def answer(python, code, folder):
    """What a process of the light environment prints."""
    ran = subprocess.run([str(python), "-c", code], cwd=folder, check=True, capture_output=True)
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main())
