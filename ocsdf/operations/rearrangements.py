"""Operations that only move numbers, add zeros or leave numbers out: exact, 1-Lipschitz."""

import itertools

import numpy as np

from ocsdf.operations.base import EXACT, Operation, operation
from ocsdf.operations.fields import as_counts, count, freeze


class _Rearrangement(Operation):
    """A map that computes nothing; a subclass has ``evaluate`` and ``_restored``."""

    def linearize(self, values):
        return self.evaluate(values), lambda upstream: self._restored(upstream, values.shape)

    def _bound(self, shape):
        return 1.0

    def rounding(self, shape):
        return EXACT


@operation("reshape")
class Reshape(_Rearrangement):
    """Give points another shape; one length may be -1."""

    target: tuple

    def __post_init__(self):
        as_counts([n for n in self.target if n != -1], "target")
        if list(self.target).count(-1) > 1:
            raise ValueError(f"target may hold one -1; got {tuple(self.target)}.")
        freeze(self, target=tuple(self.target))

    def output_shape(self, shape):
        total = count(shape)
        if -1 not in self.target:
            return self.target
        others = -count(self.target)
        return tuple(n if n != -1 else total and total // others for n in self.target)

    def evaluate(self, values, scratch=None):
        return values.reshape(len(values), *self.output_shape(values.shape[1:]))

    def _restored(self, upstream, shape):
        return upstream.reshape(shape)

    def to_keras(self, shape):
        import keras

        return keras.layers.Reshape(self.target, dtype="float32")


@operation("permute")
class Permute(_Rearrangement):
    """Order the axes of points anew, counted from 1 as by Keras."""

    axes: tuple

    def __post_init__(self):
        if sorted(self.axes) != list(range(1, len(self.axes) + 1)):
            raise ValueError(f"axes must be 1 to n in some order; got {tuple(self.axes)}.")
        freeze(self, axes=tuple(self.axes))

    def output_shape(self, shape):
        return tuple(shape[axis - 1] for axis in self.axes)

    def evaluate(self, values, scratch=None):
        return values.transpose(0, *self.axes)

    def _restored(self, upstream, shape):
        return upstream.transpose(np.argsort((0, *self.axes)))

    def to_keras(self, shape):
        import keras

        return keras.layers.Permute(self.axes, dtype="float32")


@operation("pad")
class Pad(_Rearrangement):
    """Set images in zeros, or, by negative numbers, leave their edges out.

    `margins` are pairs, before and after, of each axis but the channels.
    """

    margins: tuple

    def __post_init__(self):
        margins = tuple(tuple(int(n) for n in pair) for pair in self.margins)
        if any(len(pair) != 2 for pair in margins):
            raise ValueError(f"margins must be pairs of integers; got {self.margins}.")
        freeze(self, margins=margins)

    def output_shape(self, shape):
        *lengths, n_channels = shape
        sums = zip(lengths, self.margins, strict=True)
        return (*(n and n + sum(pair) for n, pair in sums), n_channels)

    def evaluate(self, values, scratch=None):
        return _with_margins(values, self.margins)

    def _restored(self, upstream, shape):
        return _with_margins(upstream, [(-before, -after) for before, after in self.margins])

    def to_keras(self, shape):
        import keras

        # A layer adds or leaves out; both at once are never made here.
        kind = "Cropping" if min(min(pair) for pair in self.margins) < 0 else "ZeroPadding"
        sizes = [tuple(abs(n) for n in pair) for pair in self.margins]
        layer = getattr(keras.layers, f"{kind}{len(sizes)}D")
        return layer(sizes[0] if len(sizes) == 1 else tuple(sizes), dtype="float32")


def _with_margins(values, margins):
    zeros = [(0, 0), *((max(a, 0), max(b, 0)) for a, b in margins), (0, 0)]
    cuts = [slice(max(-a, 0), b if b < 0 else None) for a, b in margins]
    return np.pad(values, zeros)[(slice(None), *cuts)]


@operation("down_sampling")
class DownSampling(_Rearrangement):
    """Make each window of an image one pixel, of more channels."""

    window: tuple

    def __post_init__(self):
        freeze(self, window=as_counts(self.window, "window"))

    def output_shape(self, shape):
        lengths = [n and n // k for n, k in zip(shape[:-1], self.window, strict=True)]
        return (*lengths, shape[-1] and shape[-1] * count(self.window))

    def evaluate(self, values, scratch=None):
        return np.concatenate([values[place] for place in self._places()], axis=-1)

    def _restored(self, upstream, shape):
        values = np.zeros(shape)
        parts = np.split(upstream, count(self.window), axis=-1)
        for place, part in zip(self._places(), parts, strict=True):
            values[place] = part
        return values

    def _places(self):
        offsets = itertools.product(*map(range, self.window))
        for starts in offsets:
            pairs = zip(starts, self.window, strict=True)
            yield (slice(None), *(slice(start, None, step) for start, step in pairs))

    def to_keras(self, shape):
        from deel.lip.layers import InvertibleDownSampling

        return InvertibleDownSampling(self.window, dtype="float32")
