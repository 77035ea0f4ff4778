"""ImageOCSDF: one-class images, with radii in pixel units."""

from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ocsdf.sklearn_compat.input_checks import (
    LazyRows,
    check_rows,
    check_rows_in_chunks,
    check_varied,
)
from ocsdf.sklearn_compat.parameter_checks import check_image_parameters, plain_parameters
from ocsdf.sklearn_compat.signed_distance import SignedDistance
from ocsdf.sklearn_compat.tracking import parts_untracked
from ocsdf.utils.types import Rows

# What rounding may have added.
_TOLERANCE = 1e-6
# As many rows as images have channels, and more channels than that: the axes are another's order.
_MOST_CHANNELS = 4


class ImageOCSDF(SignedDistance):
    r"""One Class Signed Distance Function for images of one size.

    f is 1-Lipschitz in l2 on pixels in [0, 1], so no change of an image of l2 norm below
    :math:`|f(x) - \text{offset}| / L` flips a verdict. Scores, margins and radii are in these
    units: 8/255 is a change of one pixel by 8 grey levels, or of 64 pixels by one.

    f is the mean of an exact function of the training images, the signed distance to the edge of
    cones around them (:func:`ocsdf.recipes.images.cone_part`), and of a 1-Lipschitz network, which
    the hinge Kantorovich-Rubinstein loss taught to tell the images from shuffled ones
    (:func:`ocsdf.recipes.image_negatives.shuffled_images`). It is shifted so that 1 % of a
    tenth of the images, which no cone is around, lie outside.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        (height, width, channels) of flat rows; None for images of shape
        (n, height, width, channels), or (n, height, width) where they are grey.
    margin : float, default=1.0
        m of the network's loss, in pixel units.
    hinge_weight : float, default=1.0
        lambda of the loss: how much separating counts against spreading scores. Spread is what
        radii are made of: the papers' 1000 leaves f flat.
    hidden_layer_sizes : tuple of int, default=(256, 256, 256)
        Units of the network's hidden layers.
    max_steps : int, default=600
        Batches to train on.
    batch_size : int, default=128
        Images, and negatives, a batch.
    learning_rate : float, default=3e-3
        Learning rate of RMSprop in the first epoch; it decays linearly.
    contamination : float, "auto" or "estimate", default="auto"
        As for :class:`ocsdf.OCSDF`, of the scores of the tenth.
    callbacks, random_state, verbose
        As for :class:`ocsdf.OCSDF`.

    Attributes
    ----------
    model_ : keras.Sequential
        f, from float32 rows (n, height * width * channels) to (n, 1): a mean, whose first member
        is the learned network.
    image_shape_ : tuple of int
        (height, width, channels).
    domain_ : Box
        All images: [0, 1] for each pixel.
    n_features_in_ : int
        height * width * channels.
    offset_, lipschitz_bound_, history_, n_iter_
        As those of :class:`ocsdf.OCSDF`.

    References
    ----------
    Béthune et al., Robust One-Class Classification with Signed Distance Function using
    1-Lipschitz Neural Networks, ICML 2023: Sec. 5.3, App. H.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from ocsdf import ImageOCSDF
    >>> digits = load_digits()
    >>> images = digits.images / 16.0
    >>> detector = ImageOCSDF(max_steps=60, random_state=0).fit(images[digits.target == 0])
    >>> detector.predict(images[:2])
    array([ 1, -1])
    """

    def __init__(
        self,
        image_shape=None,
        margin=1.0,
        hinge_weight=1.0,
        hidden_layer_sizes=(256, 256, 256),
        max_steps=600,
        batch_size=128,
        learning_rate=3e-3,
        contamination="auto",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.image_shape = image_shape
        self.margin = margin
        self.hinge_weight = hinge_weight
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.contamination = contamination
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Rows, y: Any = None) -> Self:
        """Learn the signed distance to the edge of the images.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]), or (n, height * width * channels)
            Dense numbers in [0, 1]; flat rows where ``image_shape`` is given.
        y : Ignored

        Returns
        -------
        ImageOCSDF
            Itself, fitted. Raises as of :meth:`ocsdf.OCSDF.fit`.
        """
        # Features are noted on a blank detector: a fit that fails leaves this one as it was.
        plain = plain_parameters(self)
        check_image_parameters(plain)
        flat, image_shape = _flat(X, plain.image_shape)
        rows = _pixels(check_rows(plain, flat, reset=True))
        check_varied(rows, rows.shape[1])
        seed = check_random_state(self.random_state).randint(2**31)
        # Imported here, so that the estimator can be made without loading TensorFlow.
        from ocsdf.sklearn_compat.image_fitting import fit_image_network

        with parts_untracked():
            fit = fit_image_network(plain, rows, image_shape, np.random.default_rng(seed))
        self.image_shape_ = image_shape
        # Pixels are taken as they are.
        self._adopt(plain, fit, np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
        return self

    def _within(self):
        # All images: B is the same box.
        return self.domain_

    def _checked_points(self, X):
        check_is_fitted(self)
        flat, _ = _flat(X, self.image_shape_)
        return LazyRows(check_rows_in_chunks(self, flat), _pixels)


def _flat(X, image_shape):
    """Return images as rows, without a copy where that is possible, and their shape."""
    shape = getattr(X, "shape", None)
    if shape is None and not issparse(X):
        X = np.asarray(X)
        shape = X.shape
    if len(shape) == 2:
        if image_shape is None:
            raise ValueError(
                f"Expected images of shape (n, height, width, channels); got rows of shape "
                f"{tuple(shape)}: give image_shape=(height, width, channels)."
            )
        if shape[1] != np.prod(image_shape):
            raise ValueError(
                f"image_shape={tuple(image_shape)} has {np.prod(image_shape)} pixels and channels; "
                f"got rows of {shape[1]}."
            )
        return X, tuple(image_shape)
    if len(shape) not in (3, 4):
        raise ValueError(
            "Expected images of shape (n, height, width, channels) or (n, height, width), or rows "
            f"with image_shape given; got an array of shape {tuple(shape)}."
        )
    found = tuple(shape[1:]) if len(shape) == 4 else (*shape[1:], 1)
    if image_shape is None and found[0] <= _MOST_CHANNELS < min(found[1:]):
        raise ValueError(
            f"Images of shape {found} look as if their channels came first, where (height, "
            "width, channels) is expected: pass np.moveaxis(X, 1, -1), or give image_shape if they "
            "are right."
        )
    if image_shape is not None and found != tuple(image_shape):
        raise ValueError(f"Expected images of shape {tuple(image_shape)}; got {found}.")
    return np.asarray(X).reshape(shape[0], -1), found


def _pixels(rows):
    """Refuse values that are no pixels in [0, 1]."""
    least, most = rows.min(initial=0.0), rows.max(initial=1.0)
    if least < -_TOLERANCE or most > 1.0 + _TOLERANCE:
        advice = "divide by 255" if most > 2.0 else "clip or rescale them"
        raise ValueError(
            f"Expected pixels in [0, 1], in whose units radii are; got values from {least:g} to "
            f"{most:g}: {advice}."
        )
    return rows
