"""The reference that speed is measured against: the authors' training step on deel-lip's layers.

deel-lip's layers need Keras 2, so the reference runs in a process of its own, under tf-keras.
This module starts it and talks to it; ``reference_worker`` does the work. The network is the
authors': four SpectralDense layers that sort, one FrobeniusDense unit.
"""

import importlib.util
import os

from ocsdf.benchmark.child_process import Child, ChildError

FORMS = ("authors", "kindest")
ACTIVATIONS = ("fullsort", "groupsort2")


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
            raise RuntimeError("The reference needs tf-keras: pip install 'ocsdf[experiments]'")
        settings = {
            "width": width,
            "activation": activation,
            "form": form,
            "batch_size": batch_size,
            "newton_steps": newton_steps,
            "margin": margin,
            "hinge_weight": hinge_weight,
            "learning_rate": learning_rate,
            "seed": seed,
        }
        self._child = Child(variables={"TF_USE_LEGACY_KERAS": "1"})
        try:
            self._call("start", _start, points, lower, upper, settings)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def train(self, n_steps, newton_steps):
        """Train on the next batches, from shuffled passes: each row once before any twice."""
        return self._ask("train", n_steps, newton_steps)

    def score(self, points):
        """Compute f with the present weights; training goes on as if it had not been called."""
        return self._ask("score", points)

    def orthogonality(self):
        """Return the largest abs(sigma - 1) over the singular values of the kernels in use.

        Kernels are those that :meth:`score` uses: orthogonalized from the present weights.
        """
        return self._ask("orthogonality")

    def save(self, path):
        """Write all that training depends on: weights, optimizer, negatives, order of batches."""
        self._ask("save", os.path.abspath(path))

    def restore(self, path):
        """Go on from what :meth:`save` wrote under the same settings, in any process."""
        self._ask("restore", os.path.abspath(path))

    def close(self):
        """End the process: what is to last has been saved."""
        self._child.close()

    def _ask(self, command, *arguments):
        return self._call(command, _do, command, *arguments)

    def _call(self, command, function, *arguments):
        try:
            return self._child.call(function, *arguments)[0]
        except ChildError as error:
            told = f"The reference process failed in {command!r}: {error}"
            raise RuntimeError(told) from None


# What follows runs in the child.

_running = {}


def _start(points, lower, upper, settings):
    from experiments.speed.reference_worker import Reference

    _running["reference"] = Reference(points, lower, upper, **settings)


def _do(command, *arguments):
    return getattr(_running["reference"], command)(*arguments)
