"""T8: what is printed of a lower bound is never above it, in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsdf.utils.html import certified_percent
from ocsdf.utils.rounding import percent_below, share_below, tenths_below

shares = st.floats(0.0, 1.0)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_T8_shares_of_counts(part, whole):
    part = min(part, whole)
    found = share_below(part, whole)
    assert Fraction(found) <= Fraction(part, whole) < Fraction(float(np.nextafter(found, 2.0)))


@given(shares)
def test_T8_percents_and_their_text(share):
    exact = Fraction(share)
    assert Fraction(percent_below(share)) <= 100 * exact
    assert percent_below(share) == pytest.approx(100 * share, rel=1e-15)
    for text, value in (
        (tenths_below(100 * share), 100 * share),
        (certified_percent(share).rstrip("\N{NO-BREAK SPACE}%"), 100 * exact),
    ):
        assert Fraction(text) <= value
        assert value < Fraction(text) + Fraction(101, 1000)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.29, "28.9"), (0.57, "56.9"), (0.9996, "99.9"), (1.0, "100.0"), (0.0, "0.0"), (0.5, "50.0")],
)
def test_T8_percents_that_float64_cannot_hold(share, text):
    assert certified_percent(share) == f"{text}\N{NO-BREAK SPACE}%"
