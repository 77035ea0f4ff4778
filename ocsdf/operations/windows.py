"""Windows of images: where they lie, and one tap of all of them at a time."""

import itertools
import math
from fractions import Fraction

import numpy as np

from ocsdf.operations.base import Rounding
from ocsdf.operations.fields import as_counts


class Windows:
    """What convolutions and poolings share; a subclass has the sizes, strides and padding.

    Images have their channels last. "same" and "causal" set them in zeros, as TensorFlow does.
    """

    def _check_windows(self, paddings):
        """Check what the subclass was made with; return the sizes and the strides."""
        sizes, strides = as_counts(self.sizes, "sizes"), as_counts(self.strides, "strides")
        if not sizes or len(sizes) != len(strides) or self.padding not in paddings:
            raise ValueError(
                f"Expected a stride for each of the sizes {sizes} and a padding of {paddings}; "
                f"got {strides} and {self.padding!r}."
            )
        return sizes, strides

    def _lengths(self, shape):
        """How many windows each axis has; None where its length is unknown."""
        return tuple(n and len(starts(*axis, n)) for *axis, n in self.axes(shape))

    def axes(self, shape):
        """Return window, stride, padding and length of each axis."""
        lengths = [None] * len(self.sizes) if shape is None else shape[: len(self.sizes)]
        parts = zip(self.sizes, self.strides, lengths, strict=True)
        return [(size, stride, self.padding, length) for size, stride, length in parts]

    def _padded(self, values, fill=0.0):
        """Return images with all windows inside, and the slices of each tap of them."""
        margins, places = [], []
        for size, stride, padding, length in self.axes(values.shape[1:-1]):
            found = starts(size, stride, padding, length)
            margins.append((-found[0], max(found[-1] + size - length, 0)))
            span = stride * (len(found) - 1) + 1
            places.append([slice(tap, tap + span, stride) for tap in range(size)])
        inside = tuple(
            slice(before, before + length)
            for (before, _), length in zip(margins, values.shape[1:-1], strict=True)
        )
        padded = np.pad(values, [(0, 0), *margins, (0, 0)], constant_values=fill)
        taps = [(slice(None), *tap) for tap in itertools.product(*places)]
        return padded, taps, (slice(None), *inside)

    def _counts(self, shape):
        """How many pixels inside the image each window has, of shape (..., 1)."""
        counts = np.ones(())
        for size, stride, padding, length in self.axes(shape):
            found = windows(size, stride, padding, length)
            counts = np.multiply.outer(counts, [stop - start for start, stop in found])
        return counts[..., np.newaxis]


def starts(size, stride, padding, length):
    """Return the first pixel of each window, which may lie before the image."""
    if padding == "same":
        n_windows = -(-length // stride)
        before = max((n_windows - 1) * stride + size - length, 0) // 2
    else:
        before = size - 1 if padding == "causal" else 0
        n_windows = (length + before - size) // stride + 1
    if n_windows < 1:
        raise ValueError(f"A window of {size} pixels does not fit into {length}.")
    return [stride * i - before for i in range(n_windows)]


def windows(size, stride, padding, length):
    """Return each window's first pixel and the one after its last, cut off at the image's edges."""
    found = starts(size, stride, padding, length)
    return [(max(start, 0), min(start + size, length)) for start in found]


def window_rounding(n_terms, n_results):
    """Describe means or norms; each of their terms may underflow, as a square too."""
    if n_terms is None or n_results is None:
        return None
    return Rounding(n_terms, n_results=n_terms * n_results, n_squares=n_terms * n_results)


def over(number, values):
    """Divide; 0 where the values are 0."""
    return np.divide(number, values, out=np.zeros_like(values), where=values != 0.0)


def root_above(fraction):
    """Return the square root of a fraction, rounded up where float64 does not hold it."""
    root = math.sqrt(fraction)
    while Fraction(root) ** 2 < fraction:
        root = math.nextafter(root, math.inf)
    return root
