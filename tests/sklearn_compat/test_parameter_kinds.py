"""P6: NumPy's scalars, arrays, fractions as parameters; scikit-learn's own checks."""

import importlib.util
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from ocsdf import OCSDF, ImageOCSDF
from ocsdf.sklearn_compat.distance_detectors import (
    NearestNeighborDistance,
    SubsampleDistanceDetector,
)
from ocsdf.sklearn_compat.parameter_checks import plain_parameters

ROWS = np.random.default_rng(0).normal(size=(60, 3))
TINY = {"hidden_layer_sizes": (16, 16), "epochs": 1, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = {
    "layer sizes": ({"hidden_layer_sizes": (np.int64(16), np.int32(16))}, {}),
    "an array of layer sizes": ({"hidden_layer_sizes": np.array([16, 16])}, {}),
    "a list of layer sizes": ({"hidden_layer_sizes": [np.int8(16), 16]}, {}),
    "learning rate": ({"learning_rate": np.float32(0.25)}, {"learning_rate": 0.25}),
    "a fraction": ({"learning_rate": Fraction(1, 4)}, {"learning_rate": 0.25}),
    "a long double": ({"margin": np.longdouble(0.5)}, {"margin": 0.5}),
    "contamination": ({"contamination": np.float16(0.25)}, {"contamination": 0.25}),
    "a fraction of rows": ({"contamination": Fraction(1, 4)}, {"contamination": 0.25}),
    "weights, counts, choices": (
        {
            "hinge_weight": np.float32(50),
            "epochs": np.int16(2),
            "batch_size": np.uint8(32),
            "newton_steps": np.int64(1),
            "uniform_epochs": np.int64(0),
            "max_steps": np.int64(3),
            "verbose": np.int64(0),
            "standardize": np.bool_(True),
            "domain": np.str_("ball"),
            "random_state": np.int64(3),
        },
        {
            "hinge_weight": 50.0,
            "epochs": 2,
            "batch_size": 32,
            "newton_steps": 1,
            "uniform_epochs": 0,
            "max_steps": 3,
            "domain": "ball",
            "random_state": 3,
        },
    ),
}


@pytest.mark.parametrize(("given", "plain"), KINDS.values(), ids=KINDS)
def test_P6_parameters_of_other_kinds_fit_as_plain_ones(given, plain):
    detector = OCSDF(**TINY).set_params(**given).fit(ROWS)
    expected = OCSDF(**TINY).set_params(**plain).fit(ROWS)
    np.testing.assert_array_equal(detector.predict(ROWS), expected.predict(ROWS))
    np.testing.assert_array_equal(detector.score_samples(ROWS), expected.score_samples(ROWS))
    assert detector.offset_ == expected.offset_
    assert all(detector.get_params()[name] is value for name, value in given.items())
    kinds = (str, bool, int, float, tuple, type(None))
    for value in plain_parameters(detector).get_params().values():
        parts = value if isinstance(value, tuple) else (value,)
        assert {type(part) for part in parts} <= set(kinds)


def test_P6_they_are_saved_as_plain_ones(tmp_path):
    given = {"hidden_layer_sizes": np.array([16, 16]), "margin": Fraction(1, 4)}
    given |= {"hinge_weight": np.longdouble(50), "random_state": np.int64(1)}
    detector = OCSDF(**TINY).set_params(**given).fit(ROWS)
    detector.save(tmp_path / "model.ocsdf")
    loaded = OCSDF.load(tmp_path / "model.ocsdf")
    assert loaded.get_params() == plain_parameters(detector).get_params()
    np.testing.assert_array_equal(loaded.score_samples(ROWS), detector.score_samples(ROWS))


def test_P6_images_take_them_too():
    images = np.random.default_rng(0).random((40, 4, 4))
    plain = {"hidden_layer_sizes": (16,), "max_steps": 2, "random_state": 0}
    given = {"hidden_layer_sizes": np.array([16]), "max_steps": np.int64(2)}
    given |= {"margin": Fraction(1), "learning_rate": np.float64(3e-3), "random_state": np.int8(0)}
    expected = ImageOCSDF(**plain).fit(images).score_samples(images)
    flat = ImageOCSDF(image_shape=np.array([4, 4, 1]), **given).fit(images.reshape(40, 16))
    np.testing.assert_array_equal(flat.score_samples(images), expected)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": np.array([16.0])},
        {"hidden_layer_sizes": np.array([[16, 16]])},
        {"learning_rate": np.float32(0)},
        {"contamination": Fraction(2, 3)},
        {"margin": np.nan},
        {"epochs": np.bool_(True)},
    ],
)
def test_P6_what_is_wrong_stays_so(change):
    with pytest.raises(ValueError, match=f"^{next(iter(change))} must be"):
        OCSDF(**TINY).set_params(**change).fit(ROWS)


REFUSED = {
    "another width": np.full((20, 5), np.nan),
    "the same width": np.full((20, 3), np.inf),
    "other names": pd.DataFrame(np.full((20, 3), np.nan), columns=list("abc")),
    "one row": ROWS[:1],
    "text": np.array([["a", "b", "c"]] * 4),
}


@pytest.mark.parametrize("X", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("kind", [NearestNeighborDistance, SubsampleDistanceDetector])
def test_P6_a_refused_fit_leaves_a_distance_detector_as_it_was(kind, X):
    detector = kind().fit(ROWS)
    scores, before = detector.score_samples(ROWS), dict(vars(detector))
    with pytest.raises(ValueError, match="."):
        detector.fit(X)
    assert vars(detector).keys() == before.keys()
    assert all(vars(detector)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(detector.score_samples(ROWS), scores)
    named = pd.DataFrame(ROWS, columns=list("abc"))
    assert list(detector.fit(named).feature_names_in_) == list("abc")
    assert not hasattr(detector.fit(ROWS), "feature_names_in_")


def test_P6_a_refused_seed_leaves_it_as_it_was():
    detector = SubsampleDistanceDetector(random_state=0).fit(ROWS)
    with pytest.raises(ValueError, match="seed"):
        detector.set_params(random_state="seed").fit(ROWS[:, :2])
    assert detector.n_features_in_ == 3
    assert detector.score_samples(ROWS).shape == (60,)


CHECKED = OCSDF(hidden_layer_sizes=(16, 16), epochs=2)
WEIGHTS = "check_sample_weight_equivalence_on_{}_data"
EXPECTED = {
    WEIGHTS.format(kind): "weights are sampling probabilities: rows are drawn, not repeated; "
    "scikit-learn's OneClassSVM fails this check too"
    for kind in ("dense", "sparse")
}


def expected_failed_checks(estimator):
    return EXPECTED


@parametrize_with_checks([CHECKED], expected_failed_checks=expected_failed_checks)
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
