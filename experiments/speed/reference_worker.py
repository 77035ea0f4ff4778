"""deel-lip's layers under tf-keras: what the process of ``experiments.speed.reference`` runs."""

import functools
import io
import json
import time
from contextlib import contextmanager

import deel.lip.activations
import deel.lip.layers
import deel.lip.model
import numpy as np
import tensorflow as tf
import tf_keras

from ocsdf.utils.files import write_whole

ACTIVATIONS = {
    "fullsort": deel.lip.activations.FullSort,
    "groupsort2": deel.lip.activations.GroupSort2,
}
_HIDDEN_LAYERS = 4
_SCORE_ROWS = 1024


def newton_negatives(network, seeds, box, level, eta, steps):
    r"""Algorithm 1 of OCSDF as printed: T steps of Eq. 7, each clipped to B.

    .. math:: z \leftarrow z + \frac{\eta}{T}\, (c - f(z))\,
       \frac{\nabla f(z)}{\|\nabla f(z)\|^2}
    """
    points = seeds
    for step in range(steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            values = network(points, step == 0)
        gradient = tape.gradient(values, points)
        square = tf.reduce_sum(gradient**2, axis=1)
        length = tf.math.divide_no_nan(eta / steps * (level - values[:, 0]), square)
        points = tf.clip_by_value(points + length[:, tf.newaxis] * gradient, *box)
    return points


def hkr_risk(scores, negative_scores, margin, hinge_weight):
    """OCSDF Eq. 2: the mean HKR loss of the data plus that of the negatives."""
    risks = [
        tf.reduce_mean(hinge_weight * tf.nn.relu(margin - agreement) - agreement)
        for agreement in (scores, -negative_scores)
    ]
    return risks[0] + risks[1]


class Reference:
    """The network, its optimizer, its traced steps and its source of batches."""

    def __init__(self, points, lower, upper, **settings):
        self.settings = settings
        self.points = points.astype(np.float32)
        self.box = lower.astype(np.float32), upper.astype(np.float32)
        seed = settings["seed"]
        tf_keras.utils.set_random_seed(seed)
        self.model = _build(self.points.shape[1], settings["width"], settings["activation"])
        self.optimizer = tf_keras.optimizers.RMSprop(settings["learning_rate"])
        self.optimizer.build(self.model.trainable_variables)
        self.generator = tf.random.Generator.from_seed(seed, alg="philox")
        self.random_state = np.random.default_rng(seed)
        self.rows = np.empty(0, dtype=np.int64)
        self.batch_size = min(settings["batch_size"], len(self.points))
        self.variables = [
            *self.model.variables,
            *self.optimizer.variables,
            self.generator.state,
        ]
        self.steps = {}
        for newton_steps in sorted({0, settings["newton_steps"]}):
            step = functools.partial(self._step, newton_steps=newton_steps)
            self.steps[newton_steps] = tf.function(step, autograph=False).get_concrete_function(
                tf.TensorSpec((self.batch_size, self.points.shape[1]), tf.float32)
            )
            # TensorFlow plans a graph in its first run.
            with self._unchanged():
                self.steps[newton_steps](tf.constant(self.points[: self.batch_size]))

    def train(self, n_steps, newton_steps):
        if newton_steps not in self.steps:
            raise ValueError(
                f"newton_steps is one of {sorted(self.steps)} in this process; got {newton_steps}."
            )
        step = self.steps[newton_steps]
        start = time.perf_counter()
        for _ in range(n_steps):
            loss = step(tf.constant(self.points[self._next_rows()]))
            # The authors log the loss of each batch.
            loss.numpy()
        return time.perf_counter() - start

    def score(self, points):
        with self._unchanged():
            self._refresh_kernels()
            rows = points.astype(np.float32)
            return self.model.predict(rows, batch_size=_SCORE_ROWS, verbose=0)[:, 0]

    def orthogonality(self):
        with self._unchanged():
            self._refresh_kernels()
            kernels = [layer.wbar.numpy() for layer in self.model.layers if hasattr(layer, "wbar")]
        singular_values = [np.linalg.svd(k.astype(np.float64), compute_uv=False) for k in kernels]
        return float(np.abs(np.concatenate(singular_values) - 1.0).max())

    def save(self, path):
        state = {str(i): variable.numpy() for i, variable in enumerate(self.variables)}
        order = json.dumps(self.random_state.bit_generator.state)
        settings = json.dumps(self.settings)
        write_whole(path, _file_of(order=order, settings=settings, rows=self.rows, **state))

    def restore(self, path):
        with np.load(path) as state:
            saved = json.loads(str(state["settings"]))
            if saved != self.settings:
                raise ValueError(f"{path} was saved with other settings: {saved}.")
            for i, variable in enumerate(self.variables):
                variable.assign(state[str(i)])
            self.rows = state["rows"]
            self.random_state.bit_generator.state = json.loads(str(state["order"]))

    def _step(self, data, newton_steps):
        """Attract negatives, update once; return the risk before the update."""
        settings = self.settings
        seeds = self.generator.uniform(data.shape, dtype=tf.float32)
        lower, upper = self.box
        negatives = newton_negatives(
            self._attract_with,
            lower + seeds * (upper - lower),
            self.box,
            -settings["margin"],
            self.generator.uniform(data.shape[:1]),
            newton_steps,
        )
        with tf.GradientTape() as tape:
            scores, negative_scores = self._judge(data, negatives)
            risk = hkr_risk(scores, negative_scores, settings["margin"], settings["hinge_weight"])
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(risk, variables), variables, strict=True))
        return risk

    def _attract_with(self, points, first):
        """The authors orthogonalize in the first Newton step; the kindest form never does here."""
        return self.model(points, training=first and self.settings["form"] == "authors")

    def _judge(self, data, negatives):
        """The authors orthogonalize for the data and for the negatives; the kindest form once."""
        if self.settings["form"] == "authors":
            return self.model(data, training=True), self.model(negatives, training=True)
        return tf.split(self.model(tf.concat([data, negatives], axis=0), training=True), 2)

    def _next_rows(self):
        """Row numbers of the next batch, from shuffled passes: each row once before any twice."""
        while len(self.rows) < self.batch_size:
            again = self.random_state.permutation(len(self.points))
            self.rows = np.concatenate([self.rows, again])
        batch, self.rows = np.split(self.rows, [self.batch_size])
        return batch

    def _refresh_kernels(self):
        """Cached kernels are those from before the last update; make them the present ones."""
        self.model(tf.constant(self.points[:1]), training=True)

    @contextmanager
    def _unchanged(self):
        """Put all variables back afterwards."""
        before = [variable.numpy() for variable in self.variables]
        try:
            yield
        finally:
            for variable, value in zip(self.variables, before, strict=True):
                variable.assign(value)


def _build(n_features, width, activation):
    """The authors' tabular network: SpectralDense layers that sort, one FrobeniusDense unit."""
    layers = [tf_keras.layers.InputLayer((n_features,))]
    for _ in range(_HIDDEN_LAYERS):
        layers += [deel.lip.layers.SpectralDense(width), ACTIVATIONS[activation]()]
    return deel.lip.model.Sequential([*layers, deel.lip.layers.FrobeniusDense(1)])


def _file_of(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
