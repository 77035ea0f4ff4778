"""Orthogonal weights on Keras 3: kept so after each update, or made so in the forward pass."""

import keras
import tensorflow as tf
from deel.lip.layers import activations as deel_activations
from deel.lip.normalizers import reshaped_kernel_orthogonalization
from keras import ops


def bjorck_step(kernel):
    r"""Move a matrix one second-order Björck step towards the nearest orthogonal one.

    .. math:: W \leftarrow W \left(I + \tfrac{1}{2} Q + \tfrac{3}{8} Q^2\right),
       \qquad Q = I - W^\top W

    A singular value :math:`1 + \delta` goes to about :math:`1 + 5\delta^3/2`. The step converges
    for singular values below 1.52, so W is first scaled down where its bound
    :math:`\sigma_{max}^2 \le \min(\|G\|_\infty, 1 + \|G - I\|_F)`, G the smaller Gram matrix,
    exceeds 2. (OCSDF App. D; Björck and Bowie, 1971, where it is the order p = 2.)

    Parameters
    ----------
    kernel : tensor of shape (n_in, n_out)

    Returns
    -------
    tensor of shape (n_in, n_out)
        Its columns (n_in >= n_out) or rows (n_in < n_out) are closer to orthonormal.
    """
    tall = kernel.shape[0] >= kernel.shape[1]
    transposed = ops.transpose(kernel)
    gram = ops.matmul(transposed, kernel) if tall else ops.matmul(kernel, transposed)
    identity = ops.eye(gram.shape[0], dtype=gram.dtype)
    bound = ops.minimum(
        ops.max(ops.sum(ops.abs(gram), axis=1)),
        1.0 + ops.sqrt(ops.sum(ops.square(gram - identity))),
    )
    shrink = ops.minimum(1.0, 2.0 / bound)
    defect = identity - shrink * gram
    polynomial = identity + 0.5 * defect + 0.375 * ops.matmul(defect, defect)
    polynomial *= ops.sqrt(shrink)
    return ops.matmul(kernel, polynomial) if tall else ops.matmul(polynomial, kernel)


@keras.saving.register_keras_serializable("ocsdf")
class Orthogonal(keras.constraints.Constraint):
    """Keep a dense kernel orthogonal: one Björck step after each update.

    The forward pass stays a plain matrix product. What the step leaves, of third order in the
    update, is removed in float64 when training ends.
    """

    def __call__(self, kernel):
        return bjorck_step(kernel)


@keras.saving.register_keras_serializable("ocsdf")
class BjorckDense(keras.layers.Dense):
    r"""Dense layer that orthogonalizes its kernel in the forward pass (OCSDF App. D).

    .. math:: y = x \, \Pi(W) + b

    where :math:`\Pi` is deel-lip's power iteration followed by Björck's iteration, differentiated
    with respect to the free weights W. The vector ``u`` warm-starts the power iteration.

    Parameters
    ----------
    units : int
        Number of outputs.
    **kwargs
        Passed to ``keras.layers.Dense``; no ``activation``, and ``use_bias`` stays True.
    """

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        if not self.use_bias or self.activation is not keras.activations.linear:
            raise ValueError("BjorckDense is affine: it takes no activation and needs its bias.")

    def build(self, input_shape):
        super().build(input_shape)
        self.u = self.add_weight(
            shape=(1, self.units), initializer="ones", trainable=False, name="u"
        )

    def orthogonal_kernel(self):
        """Return the orthogonalized kernel and the next power-iteration vector.

        Returns
        -------
        tuple of tensors of shape (n_in, units) and (1, units)
        """
        kernel, u, _ = reshaped_kernel_orthogonalization(
            ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.u), 1.0
        )
        return kernel, u

    def call(self, inputs, training=None):
        kernel, u = self.orthogonal_kernel()
        if training:
            self.u.assign(u)
        return ops.matmul(inputs, kernel) + self.bias

    # Dense stores its kernel and bias by name; u must be stored too.
    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)


@keras.saving.register_keras_serializable("ocsdf")
class FullSort(deel_activations.FullSort):
    """deel-lip's FullSort, with a gradient that reuses the sort's permutation.

    Sorting permutes a row, so it keeps distances between ordered rows and its gradient is the
    inverse permutation: 1-Lipschitz in l2.
    """

    def call(self, inputs):
        return _sort_rows(inputs) * self._get_coef()


@tf.custom_gradient
def _sort_rows(inputs):
    """Sort each row of (n, d) in ascending order."""
    descending, permutation = tf.math.top_k(-inputs, k=inputs.shape[1])

    def gradient(upstream):
        n_rows, width = tf.shape(upstream)[0], upstream.shape[1]
        position = permutation + width * tf.range(n_rows)[:, tf.newaxis]
        flat = tf.math.unsorted_segment_sum(
            tf.reshape(upstream, [-1]), tf.reshape(position, [-1]), n_rows * width
        )
        return tf.reshape(flat, tf.shape(upstream))

    return -descending, gradient


ACTIVATIONS = {"fullsort": FullSort, "groupsort2": deel_activations.GroupSort2}
