"""The reference that speed is measured against: the authors' training step on deel-lip's layers.

deel-lip's layers need Keras 2, so the reference runs in a process of its own, under tf-keras.
This module starts it and talks to it; ``reference_worker`` does the work. The network is the
authors': four SpectralDense layers that sort, one FrobeniusDense unit.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FORMS = ("authors", "kindest")
ACTIVATIONS = ("fullsort", "groupsort2")
_ROOT = Path(__file__).resolve().parents[2]
_WORKER = "experiments.speed.reference_worker"


class ReferenceProcess:
    r"""Train the method of OCSDF with deel-lip 1.5's own layers, in a process of its own.

    A step attracts a batch of negatives from uniform seeds in B by Algorithm 1 as printed (T
    Newton steps of Eq. 7 with shares :math:`\eta / T`, to the level -m), then makes one RMSprop
    update on the HKR risk of Eq. 2. It is one call of a ``tf.function``. The forms differ in how
    often the kernels are orthogonalized (power iteration, then Björck):

    * ``"authors"``: three times a step as in the authors' public code: at the first Newton step,
      for the data and for the negatives; the update differentiates through the last two. A step
      with T = 0 has no first Newton step;
    * ``"kindest"``: once, in one pass over data and negatives, differentiated. Newton steps use
      the kernels of the pass before, one update old.

    Use it as a context manager. The process has traced its steps when this returns.
    """

    def __init__(
        self,
        points,
        lower,
        upper,
        *,
        margin,
        width=512,
        activation="fullsort",
        form="authors",
        batch_size=128,
        newton_steps=4,
        hinge_weight=100.0,
        learning_rate=1e-3,
        seed=0,
    ):
        for name, value, known in (
            ("form", form, FORMS),
            ("activation", activation, ACTIVATIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {known}; got {value!r}.")
        if importlib.util.find_spec("tf_keras") is None:
            raise RuntimeError("The reference needs tf-keras: pip install -e '.[experiments]'")
        self._folder = tempfile.TemporaryDirectory()
        self._log = open(Path(self._folder.name, "log"), "w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Unbuffered, so that nothing is left to flush into a process that died.
            bufsize=0,
            cwd=_ROOT,
            env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        data = Path(self._folder.name, "data.npz")
        np.savez(data, points=points, lower=lower, upper=upper)
        try:
            self._ask(
                "start",
                data=str(data),
                width=width,
                activation=activation,
                form=form,
                batch_size=batch_size,
                newton_steps=newton_steps,
                margin=margin,
                hinge_weight=hinge_weight,
                learning_rate=learning_rate,
                seed=seed,
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def train(self, n_steps, newton_steps):
        """Train on the next batches, from shuffled passes: each row once before any twice."""
        return self._ask("train", n_steps=n_steps, newton_steps=newton_steps)["seconds"]

    def score(self, points):
        """Compute f with the present weights; training goes on as if it had not been called."""
        source, target = (Path(self._folder.name, name) for name in ("rows.npz", "scores.npz"))
        np.savez(source, points=points)
        self._ask("score", points=str(source), scores=str(target))
        with np.load(target) as arrays:
            return arrays["scores"]

    def orthogonality(self):
        """Return the largest abs(sigma - 1) over the singular values of the kernels in use.

        Kernels are those that :meth:`score` uses: orthogonalized from the present weights.
        """
        return self._ask("orthogonality")["deviation"]

    def save(self, path):
        """Write all that training depends on: weights, optimizer, negatives, order of batches."""
        self._ask("save", path=os.path.abspath(path))

    def restore(self, path):
        """Go on from what :meth:`save` wrote under the same settings, in any process."""
        self._ask("restore", path=os.path.abspath(path))

    def close(self):
        """End the process and remove its files."""
        # Nothing is left for it to do: what is to last has been saved.
        with self._process:
            self._process.kill()
        self._log.close()
        self._folder.cleanup()

    def _ask(self, command, **arguments):
        request = json.dumps({"command": command, **arguments})
        try:
            self._process.stdin.write(f"{request}\n".encode())
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            raise RuntimeError(f"The reference process died in {command!r}: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"The reference process failed in {command!r}: {answer['error']}")
        return answer

    def _last_words(self):
        """The last line the process logged, with its exit status."""
        status = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        return f"{lines[-1] if lines else 'it logged nothing'} (exit status {status})"
