"""scikit-learn's own battery of checks, and that none of it is quietly skipped."""

import importlib.util

import pytest
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from ocsdf import OCSDF

TINY = OCSDF(hidden_layer_sizes=(16, 16), epochs=2)
WEIGHTS = "check_sample_weight_equivalence_on_{}_data"
EXPECTED = {
    WEIGHTS.format(kind): "weights are sampling probabilities: rows are drawn, not repeated; "
    "scikit-learn's OneClassSVM fails this check too"
    for kind in ("dense", "sparse")
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def expected_failed_checks(estimator):
    return EXPECTED


@parametrize_with_checks([TINY], expected_failed_checks=expected_failed_checks)
def test_estimator_passes_check(estimator, check):
    check(estimator)


def test_one_class_svm_fails_the_weight_check_too():
    checks = estimator_checks_generator(OneClassSVM(), mark=None)
    weight_check = next(check for _, check in checks if check.func.__name__ in EXPECTED)
    with pytest.raises(AssertionError, match="sample_weight"):
        weight_check(OneClassSVM())


def test_no_check_can_skip_for_want_of_a_library():
    # Only the array API's check may skip: it asks for an environment variable of SciPy's.
    missing = [name for name in ("pandas", "polars") if importlib.util.find_spec(name) is None]
    assert missing == [], "the battery would skip what it checks with them"
