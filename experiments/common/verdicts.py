"""Targets, and whether what was measured meets them."""

from typing import NamedTuple

import pandas as pd


class Verdict(NamedTuple):
    """What became of one target: the median [min, max] of what was measured, and if it was met."""

    name: str
    measured: str
    target: str
    met: bool
    note: str = ""

    def __str__(self):
        note = f" ({self.note})" if self.note else ""
        state = "met   " if self.met else "missed"
        return f"{state}  {self.name}: {self.measured}, target {self.target}{note}"


def judge(name, values, *, least=None, most=None, note=""):
    """Hold the median of what was measured, a value a round, against its least or its most.

    Without any value, the target is missed.
    """
    values = pd.Series(values, dtype=float).dropna()
    target = f">= {least:g}" if most is None else f"<= {most:g}"
    if values.empty:
        return Verdict(name, "not measured", target, False, note)
    median = values.median()
    met = median >= least if most is None else median <= most
    return Verdict(name, spread(values), target, bool(met), note)


def spread(values):
    """Write numbers as their median [min, max]."""
    return f"{values.median():.3g} [{values.min():.3g}, {values.max():.3g}]"


def tabulate(verdicts):
    """Write verdicts as a table in Markdown."""
    body = [
        ["met" if v.met else "**missed**", v.name, v.measured, v.target, v.note] for v in verdicts
    ]
    header = ["", "target", "measured", "wanted", "note"]
    return pd.DataFrame(body, columns=header).to_markdown(index=False, disable_numparse=True)
