"""Bad input: one line that says what came and how to mend it, and nothing is changed by it."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError

from ocsdf import OCSDF

TINY = {"hidden_layer_sizes": (16, 16), "epochs": 1, "random_state": 0}
ROWS = np.random.default_rng(0).normal(size=(20, 3))

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def fitted():
    return OCSDF(**TINY).fit(ROWS)


@pytest.fixture(scope="module")
def fitted_with_names():
    return OCSDF(**TINY).fit(frame(ROWS))


def with_value(value, column=1):
    rows = ROWS.copy()
    rows[0, column] = value
    return rows


def of_objects(value):
    return np.array([[value, 1, 2], [value, 3, 4]], dtype=object)


def frame(values, names="abc"):
    return pd.DataFrame(values, columns=list(names))


NOT_NUMERIC = {
    "strings": np.array([["x", "y", "z"]] * 2),
    "bytes": np.array([[b"x", b"y", b"z"]] * 2),
    "numbers as strings": np.array([["1", "2", "3"], ["4", "5", "6"]]),
    "strings in a list": [["x", 1, 2], ["y", 3, 4]],
    "objects: strings": of_objects("x"),
    "objects: numbers as strings": of_objects("1.5"),
    "objects: dicts": of_objects({}),
    "objects: lists": np.array([[[1], 1, 2], [[1, 2], 3, 4]], dtype=object),
    "objects: dates": of_objects(datetime.date(2024, 1, 1)),
    "datetime64": np.array([["2024-01-01"] * 3, ["2024-01-02"] * 3], dtype="datetime64[D]"),
    "timedelta64": np.arange(6).reshape(2, 3).astype("timedelta64[s]"),
}

# A detector is fitted on them, but not where it is told that none is a category.
MIXED = {
    "strings in pandas": pd.DataFrame({"a": ["x", "y"], "b": [1, 2], "c": [1, 2]}),
    "numbers as strings in pandas": pd.DataFrame({"a": ["1", "2"], "b": [1, 2], "c": [1, 2]}),
    "categories in pandas": pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": 1, "c": [1, 2]}),
    "dates in pandas": pd.DataFrame({"a": pd.to_datetime(["2024-01-01"] * 2), "b": 1, "c": [1, 2]}),
    "strings in polars": pl.DataFrame({"a": ["x", "y"], "b": [1, 2], "c": [1, 2]}),
}

BAD_ROWS = {
    "NaN": (with_value(np.nan), "NaN in columns 1;.*SimpleImputer"),
    "infinity": (with_value(-np.inf), "infinity in columns 1;.*not inf"),
    "both": (with_value([np.nan, np.inf], [0, 2]), "NaN and infinity in columns 0, 2;"),
    "None": (of_objects(None), "NaN in columns 0;"),
    "complex": (ROWS + 1j, "Complex data not supported.*real"),
    "complex in pandas": (frame(ROWS + 1j), "Complex data not supported"),
    "no rows": (ROWS[:0], r"0 sample\(s\)"),
    "one row without its axis": (ROWS[0], r"2D array.*reshape\(1, -1\)"),
    "three axes": (ROWS[np.newaxis], "dim 3"),
    "nothing": (None, "2D array"),
    "ragged": ([[1, 2, 3], [1, 2]], "inhomogeneous"),
}
BAD_ROWS |= {name: (rows, "numeric") for name, rows in NOT_NUMERIC.items()}

BAD_FRAMES = {
    "pandas": frame(with_value(np.nan)),
    "pandas with NA": frame(with_value(np.nan)).convert_dtypes(),
    "polars": pl.DataFrame(with_value(np.nan), list("abc")),
}

BAD_TO_FIT = {
    "one row": (ROWS[:1], "1 sample.*minimum of 2"),
    "no columns": (ROWS[:, :0], r"0 feature\(s\)"),
    "constant": (np.ones((5, 3)), "All 3 columns are constant over the 5 training rows"),
    "constant, of another width": (np.ones((5, 4)), "All 4 columns are constant"),
    "NaN, of another width": (np.full((5, 4), np.nan), "NaN in columns 0, 1, 2, 3;"),
    "NaN in many columns": (np.full((5, 9), np.nan), "columns 0, 1, 2, 3, 4 and 4 more;"),
    "NaN, under other names": (frame(with_value(np.nan), "xyz"), "NaN in columns 'y';"),
    "too large": (ROWS * 1e305, "rescale its columns"),
}

BAD_PARAMETERS = [
    ("emphasis", "speed"),
    ("emphasis", None),
    ("method", "newton"),
    ("method", None),
    ("margin", -0.1),
    ("margin", 0.0),
    ("margin", np.nan),
    ("margin", "large"),
    ("margin", True),
    ("hinge_weight", 0.0),
    ("hinge_weight", "100"),
    ("hidden_layer_sizes", ()),
    ("hidden_layer_sizes", 16),
    ("hidden_layer_sizes", (16, 0)),
    ("hidden_layer_sizes", (16, 8.0)),
    ("activation", "relu"),
    ("newton_steps", -1),
    ("newton_steps", 2.5),
    ("updates_per_batch", 0),
    ("updates_per_batch", "forever"),
    ("epochs", 0),
    ("epochs", True),
    ("max_steps", 0),
    ("uniform_epochs", -1),
    ("batch_size", 0),
    ("learning_rate", 0.0),
    ("learning_rate", np.inf),
    ("optimizer", "gradient descent"),
    ("optimizer", None),
    ("optimizer", "loss_scale_optimizer"),
    ("domain", "sphere"),
    ("seeds", "random"),
    ("orthogonality", "none"),
    ("standardize", "yes"),
    ("contamination", 0.0),
    ("contamination", 0.6),
    ("contamination", "none"),
    ("categorical_features", "auto"),
    ("categorical_features", [0.5]),
    ("missing", "mean"),
    ("callbacks", 5),
    ("callbacks", ["print"]),
    ("random_state", "seed"),
    ("verbose", 3),
]


def one_line(caught):
    message = str(caught.value)
    return message and "\n" not in message


def refuses_to_fit(fitted, X, message, **fit_arguments):
    """Check that a fit fails in one line and leaves the detector as it was."""
    before = dict(vars(fitted))
    scores = fitted.score_samples(ROWS)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        fitted.fit(X, **fit_arguments)
    assert one_line(caught)
    after = vars(fitted)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(fitted.score_samples(ROWS), scores)


@pytest.mark.parametrize(("X", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows(fitted, X, message):
    refuses_to_fit(fitted, X, message)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        fitted.score_samples(X)
    assert one_line(caught)


@pytest.mark.parametrize("X", MIXED.values(), ids=MIXED)
def test_columns_that_were_numbers_or_are_to_be(fitted, X):
    with pytest.raises(ValueError, match="numeric") as caught:
        fitted.score_samples(X)
    assert one_line(caught)
    try:
        refuses_to_fit(fitted.set_params(categorical_features=None), X, "numeric")
    finally:
        fitted.set_params(categorical_features="from_dtype")


@pytest.mark.parametrize("X", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_bad_columns_are_named(fitted, fitted_with_names, X):
    message = "NaN in columns 'b';.*SimpleImputer"
    refuses_to_fit(fitted, X, message)
    with pytest.raises(ValueError, match=message) as caught:
        fitted_with_names.score_samples(X)
    assert one_line(caught)


@pytest.mark.parametrize(("X", "message"), BAD_TO_FIT.values(), ids=BAD_TO_FIT)
def test_bad_training_rows(fitted, X, message):
    refuses_to_fit(fitted, X, message)


@pytest.mark.parametrize("X", [np.full((5, 3), np.nan), np.ones((5, 3)), ROWS * 1e305])
def test_a_failed_first_fit_leaves_nothing_fitted(X):
    detector = OCSDF(**TINY)
    with pytest.raises(ValueError, match="columns"):
        detector.fit(X)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        detector.score_samples(ROWS)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("method", ["score_samples", "predict", "certified_radius", "float_slack"])
def test_wrong_width(fitted, method, width):
    with pytest.raises(ValueError, match=f"X has {width} features, but OCSDF is expecting 3") as e:
        getattr(fitted, method)(np.zeros((2, width)))
    assert one_line(e)


def test_a_single_row_and_integers_and_booleans_are_welcome(fitted):
    assert fitted.score_samples(ROWS[:1].tolist()).shape == (1,)
    whole = np.array([[1, 2, 3]])
    expected = fitted.score_samples(whole.astype(float))
    np.testing.assert_array_equal(fitted.score_samples(whole), expected)
    np.testing.assert_array_equal(fitted.score_samples(whole.astype(object)), expected)
    np.testing.assert_array_equal(
        fitted.score_samples([[True, False, True]]), fitted.score_samples([[1.0, 0.0, 1.0]])
    )


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_bad_parameter(fitted, name, value):
    good = fitted.get_params()[name]
    try:
        refuses_to_fit(fitted.set_params(**{name: value}), ROWS, f"{name}.*got")
    finally:
        fitted.set_params(**{name: good})


def test_every_parameter_has_a_bad_value():
    assert {name for name, _ in BAD_PARAMETERS} == set(OCSDF().get_params())


def test_groupsort2_needs_even_layers(fitted):
    odd = {"activation": "groupsort2", "hidden_layer_sizes": (16, 15)}
    good = {name: fitted.get_params()[name] for name in odd}
    try:
        refuses_to_fit(fitted.set_params(**odd), ROWS, "hidden_layer_sizes must be even.*15")
    finally:
        fitted.set_params(**good)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(19), r"sample_weight.shape == \(19,\), expected \(20,\)"),
        (np.ones((20, 1)), "[Ss]ample.weight.* must be 1D"),
        (np.zeros(20), "[Ss]ample.weight.* (non-zero|positive)"),
        (np.eye(1, 20)[0], "sample_weight must be positive on at least 2 rows"),
        (-np.ones(20), "[Nn]egative values.*sample_weight"),
        (np.full(20, np.nan), "sample_weight contains NaN"),
    ],
)
def test_bad_sample_weight(fitted, weight, message):
    refuses_to_fit(fitted, ROWS, message, sample_weight=weight)


def test_rows_of_positive_weight_must_vary(fitted):
    rows = np.vstack([np.ones((2, 3)), ROWS])
    weight = np.repeat([1.0, 0.0], [2, 20])
    refuses_to_fit(fitted, rows, "constant over the 2 training rows", sample_weight=weight)


@pytest.mark.parametrize(
    "use",
    [
        lambda detector, folder: detector.score_samples(ROWS),
        lambda detector, folder: detector.decision_function(ROWS),
        lambda detector, folder: detector.predict(ROWS),
        lambda detector, folder: detector.float_slack(ROWS),
        lambda detector, folder: detector.certified_radius(ROWS),
        lambda detector, folder: detector.certified_auroc(ROWS, np.arange(20) % 2, [0.1]),
        lambda detector, folder: detector.save(folder / "file"),
    ],
)
def test_unfitted_use(use, tmp_path):
    with pytest.raises(NotFittedError, match="Call 'fit'") as caught:
        use(OCSDF(), tmp_path)
    assert one_line(caught)
    assert list(tmp_path.iterdir()) == []
