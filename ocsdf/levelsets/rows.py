"""Networks of points of any shape, such as images, seen as networks of flat rows."""

import keras
import numpy as np
import tensorflow as tf


def as_tensor(points):
    """Turn points into a tensor of real numbers, of their precision; integers get that of Keras.

    A ValueError tells of a tensor with no axis but that of the points.
    """
    points = tf.convert_to_tensor(points)
    if not points.dtype.is_floating:
        points = tf.cast(points, keras.config.floatx())
    if points.shape.rank is not None and points.shape.rank < 2:
        raise ValueError(
            f"points must have shape (n, n_features), or (n, ...) as the network takes them; got "
            f"shape {tuple(points.shape)}."
        )
    return points


def in_precision(numbers, dtype):
    """Turn numbers, array-like or a tensor, into a tensor of a type."""
    if tf.is_tensor(numbers):
        return tf.cast(numbers, dtype)
    return tf.convert_to_tensor(np.asarray(numbers, dtype=dtype.as_numpy_dtype))


def flatten(points):
    """Flatten points of shape (n, ...) to rows of shape (n, d)."""
    return tf.reshape(points, (tf.shape(points)[0], points.shape[1:].num_elements()))


def filled_if_empty(network):
    """See a network as one that takes no points, too.

    In TensorFlow's graphs, convolutions by oneDNN refuse an empty batch, as is left where all
    points have stopped or none is on a level set. The network gets one point of zeros then.
    """

    def outputs(points, *args):
        if points.shape[0]:
            return network(points, *args)
        n_points = tf.shape(points)[0]
        missing = tf.cast(n_points == 0, tf.int32)
        return network(*(_add_zeros(part, missing) for part in (points, *args)))[:n_points]

    return outputs


def _add_zeros(rows, n_more):
    rows = tf.convert_to_tensor(rows)
    # Not by tf.pad, which oneDNN merges with a convolution as if it padded images.
    zeros = tf.zeros(tf.concat([[n_more], tf.shape(rows)[1:]], axis=0), rows.dtype)
    return tf.concat([rows, zeros], axis=0)


def on_rows(network, shape, args=()):
    r"""See a network as one of flat rows (n, d), with a column for each output.

    It maps points (n, \*shape), and args with a row for each, to (n, l), or to (n,) if l = 1.
    """
    filled = filled_if_empty(network)

    def outputs(rows):
        values = filled(tf.reshape(rows, (-1, *shape)), *args)
        if values.shape.rank == 1:
            values = values[:, tf.newaxis]
        if values.shape.rank != 2:
            raise ValueError(
                "network must map n points to shape (n, l), or (n,) for one output; it gave shape "
                f"{tuple(values.shape)}."
            )
        return tf.cast(values, rows.dtype)

    return outputs
