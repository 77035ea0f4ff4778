"""Seeds for negatives of images: the images themselves, shuffled until they are others."""

import numpy as np

from ocsdf.utils.threads import slices

_MOST_DARK = 0.6
_BLOCKS = 7
# Images that are moved at a time.
_BLOCK = 512


def shuffled_images(images, n_samples, random_state):
    """Make images that have the strokes and textures of others, but not their shape.

    Negative data augmentation (Sinha et al., ICLR 2021), one of the priors that OCSDF Sec. 7 leaves
    to future work. Each sample is one of the following, with equal probability, of images that
    were turned by quarter turns, mirrored and shifted by a quarter of the image at most: one of
    them; the brighter of two, pixel by pixel; two of them side by side or one above the other; one
    with a rectangle painted over in its darkest colour; one with coarse noise; a blend of two
    that are faint.
    """
    first, second = (
        _moved(images, random_state.integers(len(images), size=n_samples), random_state)
        for _ in range(2)
    )
    kinds = random_state.integers(len(_KINDS), size=n_samples)
    for kind, change in enumerate(_KINDS):
        rows = np.flatnonzero(kinds == kind)
        first[rows] = change(first[rows], second[rows], random_state)
    return np.clip(first, 0.0, 1.0, out=first)


def _moved(images, drawn, random_state):
    """Turn, mirror and shift the images drawn, some at a time: only the result is held whole."""
    height, width = images.shape[1:3]
    n_turns = random_state.integers(4, size=len(drawn))
    mirrored = random_state.random(len(drawn)) < 0.5
    down = random_state.integers(-height // 4, height // 4 + 1, size=len(drawn))
    right = random_state.integers(-width // 4, width // 4 + 1, size=len(drawn))
    # A turn by a quarter keeps no other shape than a square.
    step = 1 if height == width else 2
    n_turns = n_turns // step * step
    from_row = (np.arange(height) - down[:, None]) % height
    from_column = (np.arange(width) - right[:, None]) % width
    moved = np.empty((len(drawn), *images.shape[1:]), dtype=np.float32)
    for block in slices(len(drawn), _BLOCK):
        turned = images[drawn[block]].astype(np.float32)
        for turns in range(0, 4, step):
            for mirror in (False, True):
                rows = np.flatnonzero((n_turns[block] == turns) & (mirrored[block] == mirror))
                some = np.rot90(turned[rows], turns, axes=(1, 2))
                turned[rows] = some[:, :, ::-1] if mirror else some
        each = np.arange(len(turned))[:, None, None]
        moved[block] = turned[each, from_row[block][:, :, None], from_column[block][:, None, :]]
    return moved


def _one(first, second, random_state):
    return first


def _brighter(first, second, random_state):
    return np.maximum(first, second)


def _side_by_side(first, second, random_state):
    height, width = first.shape[1:3]
    row, column = np.ogrid[:height, :width]
    cuts = random_state.uniform(0.2, 0.8, size=(len(first), 1, 1))
    upright = random_state.random((len(first), 1, 1)) < 0.5
    is_first = np.where(upright, column < cuts * width, row < cuts * height)
    return np.where(is_first[..., None], first, second)


def _painted_over(first, second, random_state):
    n_images, height, width = first.shape[:3]
    row, column = np.ogrid[:height, :width]
    top, left = random_state.uniform(0.0, 0.7, size=(2, n_images, 1, 1))
    tall, wide = random_state.uniform(0.2, _MOST_DARK, size=(2, n_images, 1, 1))
    inside = (row >= top * height) & (row < (top + tall) * height)
    inside = inside & (column >= left * width) & (column < (left + wide) * width)
    return np.where(inside[..., None], first.min(axis=(1, 2), keepdims=True), first)


def _noisy(first, second, random_state):
    n_images, height, width, n_channels = first.shape
    strength = random_state.uniform(0.0, 0.4, size=(n_images, 1, 1, 1))
    noise = random_state.normal(size=(n_images, _BLOCKS, _BLOCKS, n_channels)) * strength
    rows, columns = (np.arange(length) * _BLOCKS // length for length in (height, width))
    return first + noise[:, rows][:, :, columns]


def _blended(first, second, random_state):
    strength = random_state.uniform(0.2, 1.0, size=(2, len(first), 1, 1, 1))
    return strength[0] * first + 0.5 * strength[1] * second


_KINDS = (_one, _brighter, _side_by_side, _painted_over, _noisy, _blended)
