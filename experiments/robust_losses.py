"""Losses of robust training of classifiers: Madry, TRADES and CNLS Eq. 12, passes counted."""

import functools

import tensorflow as tf

from ocsdf.levelsets import SampleNetwork, axis_distance, class_margin, project, robust
from ocsdf.levelsets.rows import filled_if_empty

# Madry and TRADES: steps of the attack in training.
TRAIN_STEPS = 7
# TRADES: the start's noise, and 1 / lambda of its paper.
_TRADES_NOISE, _TRADES_WEIGHT = 1e-3, 6.0
# Ours: one step less, for what false position takes.
OUR_STEPS = 6
# So near to 0, in the units of the logits, a point is on the decision boundary.
_TOLERANCE = 1e-2


class Counted:
    """A network that counts the images that pass through it, forwards and backwards.

    One image of zeros counts where the sample network stands it in for no image.
    """

    def __init__(self, model):
        self.model = model
        self.forward, self.backward = (
            tf.Variable(0, dtype=tf.int64, trainable=False) for _ in range(2)
        )

    def __call__(self, images):
        """Return the logits (n, n_classes) of images (n, ...)."""
        self.forward.assign_add(tf.shape(images, tf.int64)[0])

        @tf.custom_gradient
        def watched(logits):
            def back(slope):
                self.backward.assign_add(tf.shape(slope, tf.int64)[0])
                return slope

            return tf.identity(logits), back

        return watched(filled_if_empty(self.model)(images))

    def lead(self, images, labels):
        """Return F^j of the labels' classes (CNLS Eq. 1)."""
        return class_margin(self(images), labels)


def cross_entropy(network, images, labels):
    """Return the cross-entropy of each image."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))


def negative_margin(network, images, labels):
    """Return -F^j of each image: positive where it is misclassified."""
    return -class_margin(network(images), labels)


def ascend(loss, images, starts, radius, step, n_steps):
    """Climb a loss by steps of sign(gradient) within the l-inf ball around images, and in [0,
    1].

    Projected gradient descent (PGD) of Madry et al., as CNLS Sec. 5.2 uses it.
    """
    points = _confine(starts, images, radius)
    for _ in tf.range(n_steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            total = tf.reduce_sum(loss(points))
        points = _confine(points + step * tf.sign(tape.gradient(total, points)), images, radius)
    return points


def _confine(points, images, radius):
    return tf.clip_by_value(tf.clip_by_value(points, images - radius, images + radius), 0.0, 1.0)


def uniform_noise(images, radius, seed):
    """Draw l-inf noise of the images' shape from a seed of two numbers."""
    return tf.random.stateless_uniform(tf.shape(images), seed, -radius, radius)


def standard_loss(network, images, labels, seed, iterations, problem):
    """Prepare the cross-entropy of the images: returns a function that gives its mean."""
    return lambda: tf.reduce_mean(cross_entropy(network, images, labels))


def madry_loss(network, images, labels, seed, iterations, problem):
    """Prepare the cross-entropy of images attacked by PGD from a random start."""
    starts = images + uniform_noise(images, problem.radius, seed)
    loss = functools.partial(cross_entropy, network, labels=labels)
    moved = ascend(loss, images, starts, problem.radius, problem.train_step, TRAIN_STEPS)
    return standard_loss(network, moved, labels, seed, iterations, problem)


def trades_loss(network, images, labels, seed, iterations, problem):
    """Prepare cross-entropy plus 6 KL(p(x) || p(x')), where PGD on that divergence finds x'."""
    clean = tf.nn.softmax(network(images))
    starts = images + _TRADES_NOISE * tf.random.stateless_normal(tf.shape(images), seed)

    def divergence(points):
        return _divergence(clean, network(points))

    moved = ascend(divergence, images, starts, problem.radius, problem.train_step, TRAIN_STEPS)

    def mean():
        logits = network(images)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        apart = _divergence(tf.nn.softmax(logits), network(moved))
        return tf.reduce_mean(entropy + _TRADES_WEIGHT * apart)

    return mean


def _divergence(probabilities, logits):
    entropy = -tf.math.xlogy(probabilities, probabilities)
    cross = -probabilities * tf.nn.log_softmax(logits)
    return tf.reduce_sum(cross - entropy, axis=1)


def our_loss(network, images, labels, seed, iterations, problem):
    """Prepare CNLS Eq. 12 with the rho distance to points on the decision boundaries.

    A point on the boundary lies between an image and an attacked one on the other side: found by
    false position. Of images that the attack does not move over the boundary, correctly classified
    ones are taken to lose nothing, and cost no further passes. The others lose their cross-entropy:
    a class that the network gives to no image has no boundary within reach, and by level sets alone
    it is never learned. The few on the boundary itself lose in full, but without a gradient.
    """
    radius = problem.our_radius
    values, ends = across(network, images, labels, radius, problem.train_step, OUR_STEPS, seed)
    found = project(
        network.lead, images, 0.0, "false_position", iterations, _TOLERANCE,
        ends=ends, args=(labels,),
    )  # fmt: skip
    # An image on the boundary itself takes no iteration, like one whose search does not cross.
    crossed = found.converged | (found.n_iter > 0)
    far = ~crossed & (values < 0.0)
    far_images, far_labels = tf.boolean_mask(images, far), tf.boolean_mask(labels, far)
    images, labels, values, places = (
        tf.boolean_mask(part, crossed) for part in (images, labels, values, found.points)
    )
    sample = SampleNetwork(network.lead, places, args=(labels,))
    n_images = tf.cast(tf.shape(found.n_iter)[0], tf.float32)

    def mean():
        distances = axis_distance(images, sample(), sample.pseudo_inverse)
        losses = robust(values, distances, radius, problem.our_weight)
        rest = cross_entropy(network, far_images, far_labels)
        return (tf.reduce_sum(losses) + tf.reduce_sum(rest)) / n_images

    return mean


def across(network, images, labels, radius, step, n_steps, seed):
    """Look for points on the other side of the decision boundary, by PGD on the margin.

    Correctly classified images move within the l-inf ball, others within [0, 1] alone. Each
    stops as soon as it is across, and costs nothing any more.
    """
    values = network.lead(images, labels)
    side = tf.sign(values)
    reach = tf.where(side > 0.0, radius, 1.0)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    ends = _confine(images + uniform_noise(images, step, seed), images, reach)
    rows = tf.range(tf.shape(images)[0])
    for _ in range(n_steps):
        points, of_rows = tf.gather(ends, rows), tf.gather(labels, rows)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            lead = network.lead(points, of_rows)
        slope = tape.gradient(lead, points)
        on_side = tf.gather(side, rows)
        here = lead * on_side >= 0.0
        downhill = -on_side[:, tf.newaxis, tf.newaxis, tf.newaxis] * tf.sign(slope)
        moved = _confine(points + step * downhill, tf.gather(images, rows), tf.gather(reach, rows))
        moved, rows = tf.boolean_mask(moved, here), tf.boolean_mask(rows, here)
        ends = tf.tensor_scatter_nd_update(ends, rows[:, tf.newaxis], moved)
    return values, ends


# Each prepares a batch, outside of the gradient tape, and returns its loss as a function.
PREPARE = {
    "Standard": standard_loss,
    "Madry": madry_loss,
    "TRADES": trades_loss,
    "ours": our_loss,
}
