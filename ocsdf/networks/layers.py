"""Orthogonal weights on Keras 3, kept so or made so in each forward pass, and activations."""

import math

import keras
import numpy as np
import tensorflow as tf
from deel.lip.layers import activations as deel_activations
from deel.lip.normalizers import reshaped_kernel_orthogonalization
from keras import ops

from ocsdf.operations.orthogonal import (
    FIRST_ORDER,
    MOST_STEPS,
    SECOND_ORDER,
    second_order_coefficients,
)
from ocsdf.utils.imports import check_keras

check_keras()


def orthogonalize(kernel):
    r"""Move a matrix to within 2e-2 of the nearest orthogonal one, by Björck's iteration.

    .. math:: W \leftarrow W \left(I + a Q + b Q^2\right), \qquad Q = I - W^\top W

    where :math:`I + Q/2 + 3 Q^2/8 + 5 Q^3/16 + 35 Q^4/128 + \dots` is the inverse square root of
    :math:`W^\top W`, and Q has small eigenvalues:

    * where :math:`\|Q\|_F \le 0.2`: a = 1/2 and b = 0 leave :math:`1 - 3\delta^2/2` of a singular
      value :math:`1 + \delta`;
    * else with :math:`c = \min(1/2, \|Q^2\|_F^{1/2})`: :math:`a = 1/2 + 15 c^2/64` and
      :math:`b = 3/8 + 35 c^2/128`, the next two terms being replaced by the nearest lower ones on
      [-c, c] (Chebyshev); and where that norm is above 1/2 a further step follows.

    Steps converge for singular values below 1.41, so W is first scaled down where its bound
    :math:`\sigma_{max}^2 \le \min(\|G\|_\infty, 1 + \|G - I\|_F)`, G the smaller Gram matrix,
    exceeds 2. (OCSDF App. D; Björck and Bowie, 1971.)

    Parameters
    ----------
    kernel : tensor of shape (n_in, n_out)

    Returns
    -------
    tensor of shape (n_in, n_out)
        All singular values, of its columns (n_in >= n_out) or rows, are within 2e-2 of 1.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import orthogonalize
    >>> kernel = orthogonalize(np.array([[1.1, 0.0], [0.0, 0.9]], np.float32))
    >>> np.linalg.svd(kernel, compute_uv=False).round(1)
    array([1., 1.], dtype=float32)
    """
    kernel, _ = ops.while_loop(
        lambda _, distance: distance > SECOND_ORDER,
        lambda kernel, _: _bjorck_step(kernel),
        (ops.convert_to_tensor(kernel), ops.convert_to_tensor(np.inf, kernel.dtype)),
        maximum_iterations=MOST_STEPS,
    )
    return kernel


def _bjorck_step(kernel):
    """Make one step; return also a bound of the eigenvalues of Q before it."""
    tall = kernel.shape[0] >= kernel.shape[1]
    transposed = ops.transpose(kernel)
    gram = ops.matmul(transposed, kernel) if tall else ops.matmul(kernel, transposed)
    identity = ops.eye(gram.shape[0], dtype=gram.dtype)
    distance = ops.sqrt(ops.sum(ops.square(identity - gram)))
    bound = ops.minimum(ops.max(ops.sum(ops.abs(gram), axis=1)), 1.0 + distance)
    shrink = ops.minimum(1.0, 2.0 / bound)
    defect = identity - shrink * gram
    is_near = distance <= FIRST_ORDER
    squared = ops.matmul(defect, defect)
    distance = ops.sqrt(ops.sqrt(ops.sum(ops.square(squared))))
    first, second = second_order_coefficients(ops.minimum(distance, SECOND_ORDER))
    first, second = ops.where(is_near, 0.5, first), ops.where(is_near, 0.0, second)
    polynomial = identity + first * defect + second * squared
    polynomial *= ops.sqrt(shrink)
    return ops.matmul(kernel, polynomial) if tall else ops.matmul(polynomial, kernel), distance


@keras.saving.register_keras_serializable("ocsdf")
class Orthogonal(keras.constraints.Constraint):
    """Keep a dense kernel orthogonal within 2e-2, see :func:`orthogonalize`, after each update.

    The forward pass stays a plain matrix product. What remains is removed in float64 when
    training ends.

    Examples
    --------
    >>> import keras
    >>> from ocsdf.networks import Orthogonal
    >>> layer = keras.layers.Dense(8, kernel_constraint=Orthogonal())
    >>> type(layer.kernel_constraint).__name__
    'Orthogonal'
    """

    def __call__(self, kernel):
        return orthogonalize(kernel)


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

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import BjorckDense
    >>> layer = BjorckDense(4)
    >>> layer(np.ones((1, 8), np.float32)).numpy().shape
    (1, 4)
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

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import FullSort
    >>> FullSort()(np.array([[3.0, 1.0, 2.0]])).numpy()
    array([[1., 2., 3.]], dtype=float32)
    """

    def call(self, inputs):
        return _sort_rows(inputs) * self._get_coef()


@keras.saving.register_keras_serializable("ocsdf")
class GroupSort2(deel_activations.GroupSort2):
    """Sort pairs along the last axis: unit i of the first half with unit i of the second.

    deel-lip's GroupSort2 with other pairs, whose units lie side by side: on contiguous halves the
    minimum, the maximum and their gradient cost little. 1-Lipschitz in l2, as every sort.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import GroupSort2
    >>> GroupSort2()(np.array([[3.0, 1.0, 2.0, 4.0]])).numpy()
    array([[2., 1., 3., 4.]], dtype=float32)
    """

    def call(self, inputs):
        return _sort_halves(inputs) * self._get_coef()


@keras.saving.register_keras_serializable("ocsdf")
class Asinh(keras.layers.Layer):
    r"""Draw far values in: :math:`x \mapsto s \, \mathrm{asinh}(x / s)`, elementwise, 1-Lipschitz.

    About x where :math:`|x| \ll s`, and a logarithm far out, where one extreme feature would
    drown the others in a distance.

    Parameters
    ----------
    scale : float
        s > 0.
    **kwargs
        Passed to ``keras.layers.Layer``.

    Raises
    ------
    ValueError
        If the scale is not a finite number > 0.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import Asinh
    >>> Asinh(2.0)(np.array([[0.01, 1_000.0]])).numpy().round(2)
    array([[1.000e-02, 1.382e+01]], dtype=float32)
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 < scale < math.inf:
            raise ValueError(f"scale must be a finite number > 0; got {scale!r}.")
        self.scale = float(scale)

    def call(self, inputs):
        return self.scale * ops.arcsinh(inputs / self.scale)

    def get_config(self):
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable("ocsdf")
class Centered(keras.layers.Layer):
    r"""Take the mean of a row's features from each: :math:`x \mapsto x - \bar x`, 1-Lipschitz.

    An orthogonal projection: of an image, all but its brightness.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.networks import Centered
    >>> Centered()(np.array([[1.0, 2.0, 6.0]])).numpy()
    array([[-2., -1.,  3.]], dtype=float32)
    """

    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=1, keepdims=True)


@tf.custom_gradient
def _sort_rows(inputs):
    """Sort along the last axis in ascending order."""
    width = inputs.shape[-1]
    descending, permutation = tf.math.top_k(-inputs, k=width)

    def gradient(upstream):
        rows = tf.reshape(permutation, (-1, width))
        n_rows = tf.shape(rows)[0]
        position = rows + width * tf.range(n_rows)[:, tf.newaxis]
        flat = tf.math.unsorted_segment_sum(
            tf.reshape(upstream, [-1]), tf.reshape(position, [-1]), n_rows * width
        )
        return tf.reshape(flat, tf.shape(upstream))

    return -descending, gradient


@tf.custom_gradient
def _sort_halves(inputs):
    """Sort the pairs (i, i + d/2) of the last axis, of length d."""
    first, second = tf.split(inputs, 2, axis=-1)
    swap = first > second

    def gradient(upstream):
        lower, upper = tf.split(upstream, 2, axis=-1)
        return tf.concat([tf.where(swap, upper, lower), tf.where(swap, lower, upper)], axis=-1)

    return tf.concat([tf.minimum(first, second), tf.maximum(first, second)], axis=-1), gradient


ACTIVATIONS = {"fullsort": FullSort, "groupsort2": GroupSort2}
