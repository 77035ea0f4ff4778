"""Numbers as words: which way they are rounded, and tables of them.

A lower bound is rounded down and an upper bound up, so that what is printed is proved as well; what
was measured is rounded to the nearest. A number is the float64 that it is: the one nearest to 0.3
is a hair less, and is at least 0.2.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import cache

import pandas as pd

from experiments.numbers.markers import ROOT
from ocsdf.utils.exactness import exact_floats

RESULTS = ROOT / "experiments" / "results"


@cache
def record(name):
    """Return the rows of an experiment: experiments/results/``name``.csv."""
    return pd.read_csv(RESULTS / f"{name}.csv", low_memory=False, **exact_floats())


def nearest(value, digits=1):
    """Round what was measured."""
    return _rounded(value, digits, ROUND_HALF_EVEN)


def at_least(value, digits=1):
    """Round a lower bound."""
    return _rounded(value, digits, ROUND_FLOOR)


def at_most(value, digits=1):
    """Round an upper bound."""
    return _rounded(value, digits, ROUND_CEILING)


def _rounded(value, digits, way):
    if pd.isna(value):
        return "-"
    return str(Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), way))


def spread(values, digits=1):
    """Return the mean and, of two values or more, their standard deviation."""
    mean = nearest(values.mean(), digits)
    return f"{mean} ± {nearest(values.std(), digits)}" if len(values) > 1 else mean


def listed(names):
    """Join words: ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def table(head, rows):
    """Return a Markdown table of texts; the first column is left, the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
