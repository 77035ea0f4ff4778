"""Pairwise tests of detectors over tables, against SciPy and Holm's rule by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from ocsdf.benchmark.rank_tests import pairwise_wilcoxon

pytest.importorskip("statsmodels")


def test_wilcoxon_with_holms_correction():
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(40, 3)) + [0.0, 0.4, 1.0], columns=list("abc"))
    found = pairwise_wilcoxon(values)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    raw = np.array([wilcoxon(values[one], values[other]).pvalue for one, other in pairs])
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * [3, 2, 1])
    expected = np.empty(3)
    expected[order] = np.minimum(stepped, 1.0)
    assert [found.loc[pair] for pair in pairs] == pytest.approx(list(expected))
    assert found.equals(found.T) and np.all(np.diag(found) == 1.0)


def test_tables_that_lack_a_figure_are_left_out_and_ties_differ_in_nothing():
    values = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [1.0, 2.0, 5.0]})
    assert pairwise_wilcoxon(values).loc["a", "b"] == 1.0
