"""Columns brought to mean 0 and standard deviation 1, whatever size their numbers have."""

import numpy as np
from sklearn.preprocessing import StandardScaler

# Coordinates beyond are clipped, a 1-Lipschitz map, so that float32 stays finite.
FARTHEST = 1e30
# Powers of two between which squares of a column are summed as they are.
_PLAIN = 400
_LARGEST = 1e300


def standardization(rows):
    """Return each column's mean and standard deviation, 1 for a constant one.

    Squares of columns of very large or very small numbers leave float64: these are scaled by a
    power of two first, which rounds nothing. A ValueError says that differences overflow.
    """
    largest = np.abs(rows).max(axis=0)
    if largest.max(initial=0.0) > _LARGEST:
        raise ValueError(
            f"X has values above {_LARGEST:g}, so large that their differences overflow; rescale "
            "its columns first."
        )
    exponents = np.frexp(largest)[1]
    exponents[np.abs(exponents) <= _PLAIN] = 0
    scaler = StandardScaler().fit(np.ldexp(rows, -exponents) if exponents.any() else rows)
    # What is constant but for rounding has the scale 1, and keeps it.
    constant = (scaler.scale_ == 1.0) & (scaler.var_ < 0.5)
    scale = np.ldexp(scaler.scale_, np.where(constant, 0, exponents))
    return np.ldexp(scaler.mean_, exponents), scale


def standardized(rows, mean, scale):
    """Return ``(rows - mean) / scale``, clipped to 1e30 on either side."""
    # Halves of large numbers have differences that do not overflow, and the same quotient.
    # Halves of subnormal ones are rounded, so that each column is by itself.
    half = np.where(scale > 2.0**_PLAIN, 0.5, 1.0)
    with np.errstate(over="ignore"):
        return np.clip((half * rows - half * mean) / (half * scale), -FARTHEST, FARTHEST)
