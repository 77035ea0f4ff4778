"""Lower bounds as numbers and text: rounded down, so that none says more than was proved."""

import math
from fractions import Fraction

import numpy as np


def share_below(part, whole):
    """Divide counts, rounded down."""
    return _not_above(Fraction(int(part), int(whole)))


def percent_below(share):
    """Turn a share into percent, rounded down."""
    return _not_above(100 * Fraction(float(share)))


def tenths_below(value):
    """Write a number with one decimal, rounded down."""
    return f"{math.floor(10 * Fraction(float(value))) / 10:.1f}"


def _not_above(exact):
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else float(np.nextafter(nearest, -np.inf))
