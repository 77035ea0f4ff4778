"""Training on few labels: geometric SVM, cross-entropy and hinge (CNLS Sec. 5.1, App. B.2)."""

import math
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from experiments.image_data import load_images
from ocsdf.levelsets import SampleNetwork, conv_net_2b, conv_net_4b, geometric_svm, project
from ocsdf.levelsets.rows import filled_if_empty

GEOMETRIC, GEOMETRIC_LINF = "geometric SVM", "geometric SVM, l-inf"
ENTROPY, HINGE = "cross-entropy", "hinge"
LOSSES = (GEOMETRIC, GEOMETRIC_LINF, ENTROPY, HINGE)
# Of the geometric SVM's distances; the paper's are in l-inf.
NORMS = {GEOMETRIC: "l2", GEOMETRIC_LINF: "linf"}
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4


class Course(NamedTuple):
    """How a run goes on, by shares of its epochs (Table B2).

    The learning rate is halved after each of `halvings`. The geometric SVM's lambda begins at the
    share `beginning` and has grown, linearly, to a cell's after `growth` of the epochs.
    """

    halvings: tuple
    beginning: float
    growth: float


MNIST_COURSE = Course((0.25, 0.5, 0.6, 0.7, 0.8, 0.9), 0.05, 0.25)
OWN_COURSES = {
    "mnist": MNIST_COURSE,
    "fashion_mnist": MNIST_COURSE._replace(halvings=(0.25, 0.5, 0.6)),
    "cifar10": Course((0.5,), 0.0, 0.5),
}
_HELD_OUT = 0.1
# So near to a level, in the units of F, a point is on it: a tenth of the levels' distance. Of
# tolerance 0.01, five Newton iterations miss a tenth of the points of Fashion-MNIST by a hair.
_TOLERANCE = 0.1
# The geometric SVM's gradient is no longer than this: where two levels nearly meet, that of
# lambda / Delta has no bound, and one step can undo what was learned.
_LONGEST_GRADIENT = 1.0


def train_and_judge(
    images, fraction, loss, rate, weight, seed, width, epochs, iterations, batch_size, n_test,
    course="mnist",
):  # fmt: skip
    """Train one network on few rows, and judge it.

    ``course="own"`` takes a set's own course of Table B2, else all go on as MNIST's.

    Returned are ``held_out`` and ``test``, accuracy in percent; ``held_out_loss``, the mean of
    cross-entropy, or of the hinge loss for both others; ``reached``, in percent, how often all
    three levels of a point were found (geometric SVM only); ``seconds``.
    """
    started = time.perf_counter()
    train, test = load_images(images)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(train.labels))[: round(fraction * len(train.labels))]
    n_held_out = round(_HELD_OUT * len(drawn))
    held_out, rows = train.take(drawn[:n_held_out]), train.take(drawn[n_held_out:])
    build = conv_net_4b if images == "cifar10" else conv_net_2b
    model = build(n_outputs=1, width=width, seed=rng)
    course = OWN_COURSES[images] if course == "own" else MNIST_COURSE
    reached = fit(model, rows.images, parity(rows.labels), loss, rate, weight, epochs, iterations,
                  batch_size, rng, course)  # fmt: skip
    values = predict(model, held_out.images)
    return {
        "held_out": accuracy(values, held_out.labels),
        "held_out_loss": float(
            tf.reduce_mean(_OUTPUT_LOSSES[loss](parity(held_out.labels), values))
        ),
        "test": accuracy(predict(model, test.images[:n_test]), test.labels[:n_test]),
        "reached": reached,
        "seconds": time.perf_counter() - started,
    }


def parity(labels):
    """Merge classes into two: 1.0 for even, -1.0 for odd."""
    return np.where(labels % 2 == 0, 1.0, -1.0).astype(np.float32)


def accuracy(values, labels):
    """Return how often the sign is right, in percent."""
    return 100.0 * float(np.mean(np.where(values > 0.0, 1.0, -1.0) == parity(labels)))


def predict(model, images):
    """Return F of images (n, ...), of shape (n,)."""
    return model.predict(images, batch_size=500, verbose=0)[:, 0]


def fit(
    model, images, labels, loss, rate, weight, epochs, iterations, batch_size, rng,
    course=MNIST_COURSE,
):  # fmt: skip
    """Train a network by SGD with Nesterov's momentum, as App. B.2 does."""
    longest = _LONGEST_GRADIENT if loss in NORMS else None
    optimizer = keras.optimizers.SGD(
        rate, momentum=MOMENTUM, nesterov=True, global_clipnorm=longest
    )
    step = _make_step(model, loss, iterations, optimizer)
    n_batches = math.ceil(len(images) / batch_size)
    halvings = [round(share * epochs) for share in course.halvings]
    found = []
    for epoch in range(epochs):
        optimizer.learning_rate = rate * 0.5 ** sum(epoch >= at for at in halvings)
        growth = min(1.0, epoch / (course.growth * epochs))
        now = weight * (course.beginning + growth * (1.0 - course.beginning))
        for batch in np.array_split(rng.permutation(len(images)), n_batches):
            parts = images[batch], labels[batch], np.float32(now)
            found.append(step(*map(tf.constant, parts)))
    return 100.0 * float(np.mean(found)) if loss in NORMS else None


def _make_step(model, loss, iterations, optimizer):
    """Make the function that trains on a batch, and returns the share of points that count."""
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(reduce_retracing=True)
    def step(images, labels, weight):
        prepare = _on_levels(NORMS[loss]) if loss in NORMS else _on_outputs(loss)
        mean, share = prepare(model, images, labels, weight, iterations)
        with tf.GradientTape() as tape:
            total = mean()
        gradients = tape.gradient(total, variables)
        # PyTorch's weight decay, which the paper's networks had: a part of the gradient.
        decayed = [g + WEIGHT_DECAY * v for g, v in zip(gradients, variables, strict=True)]
        optimizer.apply(decayed, variables)
        return share

    return step


def _entropy(labels, values):
    return tf.nn.softplus(-labels * values)


def _hinge(labels, values):
    return tf.nn.relu(1.0 - labels * values)


_OUTPUT_LOSSES = {ENTROPY: _entropy, HINGE: _hinge} | dict.fromkeys(NORMS, _hinge)


def _on_outputs(loss):
    def prepare(model, images, labels, weight, iterations):
        return lambda: tf.reduce_mean(_OUTPUT_LOSSES[loss](labels, model(images)[:, 0])), 1.0

    return prepare


def _on_levels(norm):
    """Prepare the geometric SVM (CNLS Eq. 11), and the hinge loss of points without levels.

    For affine F the first part of Eq. 11 is the hinge loss. Left out, points whose levels Newton
    does not find would never be learned: after one long step they can be all there are.
    """

    def prepare(model, images, labels, weight, iterations):
        model = filled_if_empty(model)
        zero = project(model, images, 0.0, max_iter=iterations, tol=_TOLERANCE)
        n_images = tf.shape(images)[0]
        levels = tf.concat([tf.ones((n_images, 1)), -tf.ones((n_images, 1))], axis=0)
        sides = project(
            model, tf.tile(zero.points, (2, 1, 1, 1)), levels, max_iter=iterations, tol=_TOLERANCE
        )
        above, below = tf.split(sides.points, 2)
        reached = zero.converged & tf.reduce_all(tf.reshape(sides.converged, (2, -1)), axis=0)
        places = [tf.boolean_mask(part, reached) for part in (zero.points, above, below)]
        points, classes = (tf.boolean_mask(part, reached) for part in (images, labels))
        others, their_classes = (tf.boolean_mask(part, ~reached) for part in (images, labels))
        values = model(points)
        sample = SampleNetwork(model, tf.concat(places, axis=0))

        def mean():
            on_levels = tf.split(sample(), 3)
            losses = geometric_svm(classes, values, points, on_levels, weight, norm=norm)
            rest = _hinge(their_classes, model(others)[:, 0])
            return (tf.reduce_sum(losses) + tf.reduce_sum(rest)) / tf.cast(n_images, tf.float32)

        return mean, tf.reduce_mean(tf.cast(reached, tf.float32))

    return prepare
