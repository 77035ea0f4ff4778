"""Attacks on classifiers of images: each made against one model, and tried on all."""

import functools
from importlib import import_module

import numpy as np
import tensorflow as tf

from experiments.image_data import load_images
from experiments.robust_losses import ascend, cross_entropy, negative_margin, uniform_noise
from experiments.robust_problems import PROBLEMS
from experiments.robust_training import load_model, right
from ocsdf.levelsets import class_margin

LOSSES = {"PGD cross-entropy": cross_entropy, "PGD margin": negative_margin}
APGD = "APGD margin"
ATTACKS = (*LOSSES, APGD)
_BATCH = 250
_SEED = 1


def attack(attack, source, targets, n_test, steps, folder, **training):
    """Attack test images by the gradients of one model, and show the result to all.

    Returned are, for each target, ``accuracy_TARGET`` in percent, and ``right_TARGET``, the images
    still classified correctly: x and the hexadecimal form of a bit an image.
    """
    problem = PROBLEMS[training["network"]]
    _, test = load_images(problem.images)
    test = test.take(np.random.default_rng(_SEED).permutation(len(test.labels))[:n_test])
    model = load_model(folder, method=source, **training)
    if attack == APGD:
        make = make_apgd
    else:
        make = functools.partial(make_pgd, loss=LOSSES[attack], step=problem.attack_step)
    images = make(model, test.images, test.labels, radius=problem.attack_radius, n_steps=steps)
    attacked = test._replace(images=images)
    found = {}
    for name in targets.split(", "):
        kept = right(load_model(folder, method=name, **training), attacked)
        found[f"accuracy_{name}"] = 100.0 * float(np.mean(kept))
        found[f"right_{name}"] = "x" + np.packbits(kept).tobytes().hex()
    return found


def make_pgd(model, images, labels, loss, radius, step, n_steps):
    """Attack by PGD from one uniform random start; the last iterate counts."""

    @tf.function(reduce_retracing=True)
    def climb(images, labels, seed):
        starts = images + uniform_noise(images, radius, seed)
        return ascend(lambda x: loss(model, x, labels), images, starts, radius, step, n_steps)

    return np.concatenate(
        [
            climb(*map(tf.constant, (images[part], labels[part], [_SEED, part.start]))).numpy()
            for part in _parts(len(images))
        ]
    )


def make_apgd(model, images, labels, radius, n_steps):
    """Attack by ART's Auto-PGD on the difference of logits ratio, from one random start.

    Its loss, of Croce and Hein, is -F^j divided by the difference of the largest and the third
    largest logit: scaling the logits does not change it.

    The parameters and what is returned are those of :func:`make_pgd`.
    """
    evasion = import_module("art.attacks.evasion")
    classifier = _art_classifier(model)
    apgd = evasion.AutoProjectedGradientDescent(
        classifier,
        eps=radius,
        eps_step=2.0 * radius,
        max_iter=n_steps,
        nb_random_init=1,
        batch_size=_BATCH,
        verbose=False,
    )
    # ART draws from NumPy's global generator.
    np.random.seed(_SEED)  # noqa: NPY002
    return apgd.generate(images, labels)


def _art_classifier(model):
    """Give ART values and gradients of the ratio; its own code for it needs Keras 2."""
    classification = import_module("art.estimators.classification")

    @tf.function(reduce_retracing=True)
    def ratio(images, labels):
        logits = model(images)
        largest = tf.math.top_k(logits, 3).values
        return -class_margin(logits, labels) / (largest[:, 0] - largest[:, 2] + 1e-12)

    @tf.function(reduce_retracing=True)
    def slope(images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            total = tf.reduce_sum(ratio(images, labels))
        return tape.gradient(total, images)

    class Classifier(classification.TensorFlowV2Classifier):
        def loss_gradient(self, x, y, **kwargs):
            return slope(tf.constant(x), tf.constant(y.argmax(axis=1))).numpy()

        def compute_loss(self, x, y, **kwargs):
            return ratio(tf.constant(x), tf.constant(y.argmax(axis=1))).numpy()

    return Classifier(
        model, nb_classes=model.output_shape[1], input_shape=model.input_shape[1:],
        loss_object=ratio, clip_values=(0.0, 1.0),
    )  # fmt: skip


def _parts(n_images):
    return [slice(i, min(i + _BATCH, n_images)) for i in range(0, n_images, _BATCH)]
