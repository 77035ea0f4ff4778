"""Fields of operations, checked as they are made: arrays that nobody can write to, numbers."""

import math

import numpy as np


def freeze(instance, **values):
    """Set fields of a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def as_array(values, n_axes, name):
    """Return a float64 array of so many axes that nobody can write to.

    A ValueError names an array with other axes, or with entries that are no finite real numbers.
    """
    values = np.asarray(values)
    if values.ndim != n_axes or values.dtype.kind not in "iuf" or values.size == 0:
        raise ValueError(
            f"{name} must be an array of {n_axes} axes of numbers; got shape {values.shape} of "
            f"{values.dtype}."
        )
    values = np.array(values, dtype=np.float64, order="C")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} has NaN or infinite entries; all weights must be finite.")
    values.setflags(write=False)
    return values


def as_number(value, name, above=-math.inf, least=-math.inf):
    """Return a finite float, above and at least so much."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not np.isfinite(number):
        raise ValueError(f"{name} must be a finite number; got {value!r}.")
    if not (number > above and number >= least):
        limit = f"> {above:g}" if above > -math.inf else f">= {least:g}"
        raise ValueError(f"{name} must be finite and {limit}; got {value!r}.")
    return float(number)


def as_counts(values, name):
    """Return a tuple of integers of at least 1."""
    counts = tuple(int(value) for value in values)
    if any(count != value or count < 1 for count, value in zip(counts, values, strict=True)):
        raise ValueError(f"{name} must be integers of at least 1; got {tuple(values)}.")
    return counts


def check_width(shape, width, name):
    """Refuse points whose last axis has another length than an operation takes."""
    if shape[-1] not in (None, width):
        raise ValueError(f"{name} takes {width} features, not points of shape {shape}.")


def readings(number):
    """Return the larger magnitude of a setting as it is and as float32 layers take it."""
    return np.maximum(np.abs(number), np.abs(np.asarray(np.float32(number), np.float64)))


def count(lengths):
    """Return how many places there are; None if a length is unknown."""
    return None if lengths is None or None in lengths else math.prod(lengths)
