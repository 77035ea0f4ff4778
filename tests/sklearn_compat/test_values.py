"""T4, T5, T7, P7, P9: values that would pass for others, sparse rows, columns of any size."""

import datetime
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from ocsdf import OCSDF
from ocsdf.data.tables import load_table
from ocsdf.sklearn_compat import input_checks
from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance
from ocsdf.sklearn_compat.standardization import FARTHEST, standardization, standardized

ROWS = np.random.default_rng(0).normal(size=(20, 2)).round(3)
LARGE = 2**53 + 1
THIRD = np.longdouble(1) / 3
TINY = {"hidden_layer_sizes": (16, 16), "epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def detector():
    return NearestNeighborDistance().fit(ROWS)


def refuses(detector, X, message):
    for use in (OCSDF().fit, NearestNeighborDistance().fit, detector.score_samples):
        with pytest.raises(ValueError, match=message):
            use(X)


def beside_a_float(value, dtype=None):
    return {"x": [0.5, 1.5], "t": pd.Series([value, value], dtype=dtype)}


NANOSECONDS = 1_700_000_000_000_000_001
INEXACT = {
    "nanoseconds": np.array([[NANOSECONDS, 1], [2, 3]]),
    "unsigned": np.array([[2**64 - 1, 1], [2, 3]], dtype=np.uint64),
    "the most negative but one": np.array([[1 - 2**63, 1], [2, 3]]),
    "long doubles": np.array([[THIRD, 1.0], [2.0, 3.0]]),
    "beyond float64": np.array([[np.longdouble("1e4000"), 1.0], [2.0, 3.0]]),
    "Decimals": np.array([[Decimal("0.1"), 1], [2, 3]], dtype=object),
    "Fractions": np.array([[Fraction(1, 3), 1], [2, 3]], dtype=object),
    "Python integers": np.array([[LARGE, 1.5], [2, 3]], dtype=object),
    "a list with floats beside": [[LARGE, 1.5], [2, 3.5]],
    "a list of integers": [[LARGE, 1], [2, 3]],
    "NumPy scalars in a list": [[np.int64(LARGE), 1.5], [2, 3.5]],
    "a sparse matrix": scipy.sparse.csr_matrix(np.array([[LARGE, 0], [2, 3]])),
}
INEXACT_COLUMNS = {
    "pandas": pd.DataFrame(beside_a_float(LARGE)),
    "pandas, nullable": pd.DataFrame(beside_a_float(LARGE, "Int64")),
    "pandas, nullable with NA": pd.DataFrame(
        {"x": [0.5, 1.5], "t": pd.array([LARGE, None], "Int64")}
    ),
    "pandas, Decimals": pd.DataFrame(beside_a_float(Decimal("0.1"))),
    "pandas, Arrow": pd.DataFrame(beside_a_float(LARGE, "int64[pyarrow]")),
    "pandas, Arrow decimals": pd.DataFrame(
        beside_a_float(Decimal("0.1"), pd.ArrowDtype(pa.decimal128(10, 3)))
    ),
    "polars": pl.DataFrame({"x": [0.5, 1.5], "t": [LARGE, 1]}),
    "polars with null": pl.DataFrame({"x": [0.5, 1.5], "t": [LARGE, None]}),
    "polars, decimals": pl.DataFrame({"x": [0.5, 1.5], "t": [Decimal("0.1"), None]}),
    "Arrow": pa.table({"x": [0.5, 1.5], "t": [LARGE, 1]}),
    "Arrow, decimals": pa.table({"x": [0.5, 1.5], "t": [Decimal("0.1"), None]}),
}


@pytest.mark.parametrize("X", INEXACT.values(), ids=INEXACT)
def test_T4_what_float64_would_round_is_refused(detector, X):
    refuses(detector, X, "that float64 cannot hold exactly in column (0|of the sp).*astype")


@pytest.mark.parametrize("X", INEXACT_COLUMNS.values(), ids=INEXACT_COLUMNS)
def test_T4_the_column_is_named(X):
    detector = NearestNeighborDistance().fit(pd.DataFrame(ROWS, columns=["x", "t"]))
    refuses(detector, X, "cannot hold exactly in column 't', such as")


EXACT = {
    "seconds in nanoseconds": np.array([[1_700_000_000 * 10**9, 1]]),
    "powers of two": np.array([[2**62, -(2**63)]]),
    "half of a Decimal": np.array([[Decimal("0.5"), 1]], dtype=object),
    "a quarter": np.array([[Fraction(1, 4), 1]], dtype=object),
    "short long doubles": np.array([[np.longdouble(0.1), 1.0]]),
    "a large list": [[2.0**60, 2**60]],
    "half precision": np.array([[0.5, 1.0]], dtype=np.float16),
}


@pytest.mark.parametrize("X", EXACT.values(), ids=EXACT)
def test_T4_what_float64_holds_is_taken(detector, X):
    expected = detector.score_samples(np.array(X, dtype=np.float64))
    np.testing.assert_array_equal(detector.score_samples(X), expected)


def test_T4_in_a_later_chunk(detector):
    X = np.ones((200_000, 2), dtype=np.int64)
    X[-1, 1] = LARGE
    with pytest.raises(ValueError, match=f"exactly in column 1, such as {LARGE}"):
        detector.score_samples(X)
    with pytest.raises(ValueError, match=f"exactly in column 'b', such as {LARGE}"):
        named = NearestNeighborDistance().fit(pd.DataFrame(ROWS, columns=["a", "b"]))
        named.score_samples(pa.table({"a": X[:, 0] / 2, "b": X[:, 1]}))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz", "mat"])
def test_T4_in_files(tmp_path, suffix):
    frame, path = pd.DataFrame({"x": [0.5, 1.5], "t": [NANOSECONDS, 1]}), tmp_path / f"t.{suffix}"
    whole = np.array([[1, NANOSECONDS], [2, 3]])
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "npz":
        np.savez(path, X=whole)
    else:
        scipy.io.savemat(path, {"X": whole})
    with pytest.raises(ValueError, match=f"exactly in column '(t|x1)', such as {NANOSECONDS}"):
        load_table(path)


MASKED = {
    "an array": np.ma.masked_equal(np.where(ROWS > 1.0, -999.0, ROWS), -999.0),
    "of integers": np.ma.masked_array([[1, -999], [2, 3]], [[False, True], [False, False]]),
    "a list of masked rows": [np.ma.masked_array([1.0, -999.0], [False, True]), [1.0, 2.0]],
    "all of it": np.ma.masked_array(ROWS, True),
}


@pytest.mark.parametrize("X", MASKED.values(), ids=MASKED)
def test_T5_masked_values_are_refused(detector, X):
    refuses(detector, X, r"Input X has \d+ masked values.*\.filled\(\)")


def test_T5_masks_of_weights_are_refused_and_empty_masks_taken(detector):
    weights = np.ma.masked_array(np.ones(20), np.arange(20) == 0)
    with pytest.raises(ValueError, match="sample_weight has 1 masked values"):
        OCSDF(**TINY).fit(ROWS, sample_weight=weights)
    unmasked = np.ma.masked_array(ROWS, False)
    np.testing.assert_array_equal(detector.score_samples(unmasked), np.zeros(20))


DAY, HOUR = datetime.date(2024, 1, 1), datetime.time(1, 2)
DATED = {
    "dates": [DAY, DAY + datetime.timedelta(days=1)],
    "durations": [datetime.timedelta(days=1), datetime.timedelta(days=2)],
    "time stamps": [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2)],
}


@pytest.mark.parametrize("values", DATED.values(), ids=DATED)
@pytest.mark.parametrize("library", [pl.DataFrame, pa.table, pd.DataFrame])
def test_T5_dates_of_data_frames_are_read_as_such_or_refused(library, values):
    """Never as bare integers: a day more is a day more, or the column is named."""
    X = library({"x": [0.5, 1.5], "t": values})
    try:
        fitted = OCSDF(**TINY).fit(X)
    except ValueError as error:
        assert library is pd.DataFrame and "Column 't' holds dates or durations" in str(error)
    else:
        assert fitted.encoder_ is not None and np.all(np.isfinite(fitted.score_samples(X)))
    numbers = OCSDF(**TINY).fit(library({"x": [0.5, 1.5], "t": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="'t'"):
        numbers.score_samples(X)


@pytest.mark.parametrize("library", [pl.DataFrame, pa.table, pd.DataFrame])
def test_T5_times_of_day_are_refused(library):
    X = library({"x": [0.5, 1.5], "t": [HOUR, HOUR]})
    with pytest.raises(ValueError, match="'t'"):
        OCSDF(**TINY).fit(X)


DATED_OBJECTS = {
    "timedelta64": np.timedelta64(5, "s"),
    "datetime64": np.datetime64("2024-01-01"),
    "a time": HOUR,
    "a duration": datetime.timedelta(days=1),
    "pandas' duration": pd.Timedelta(1, "D"),
    "NaT": pd.NaT,
}


@pytest.mark.parametrize("value", DATED_OBJECTS.values(), ids=DATED_OBJECTS)
def test_T5_dates_among_objects_are_refused(detector, value):
    for X in (
        np.array([[value, 1.0], [value, 2.0]], dtype=object),
        [[value, 1.5], [value, 2.5]],
    ):
        refuses(detector, X, "holds dates or durations")
    frame = pd.DataFrame({"t": pd.Series([value] * 2, dtype=object), "x": [0.5, 1.5]})
    with pytest.raises(ValueError, match="'t'"):
        OCSDF(**TINY).fit(frame)


SPARSE = {
    "CSR matrix": scipy.sparse.csr_matrix,
    "CSC array": scipy.sparse.csc_array,
    "COO array": scipy.sparse.coo_array,
    "lists": scipy.sparse.lil_matrix,
    "float32": lambda rows: scipy.sparse.csr_matrix(rows.astype(np.float32)),
    "integers": lambda rows: scipy.sparse.csr_matrix(rows.astype(np.int8)),
}


def sparse_rows(n_rows, n_features=8):
    return np.random.default_rng(1).integers(-2, 3, size=(n_rows, n_features)).clip(0).astype(float)


@pytest.mark.parametrize("make", SPARSE.values(), ids=SPARSE)
def test_P7_sparse_rows_score_as_dense_ones(make):
    X = sparse_rows(60)
    dense, sparse = NearestNeighborDistance().fit(X), NearestNeighborDistance().fit(make(X))
    rows = sparse_rows(40_000)
    for method in ("score_samples", "predict", "certified_radius"):
        expected = getattr(dense, method)(rows)
        np.testing.assert_array_equal(getattr(sparse, method)(make(rows)), expected)


def test_P7_a_fit_on_sparse_rows_is_that_on_dense_ones():
    X = sparse_rows(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense, sparse = OCSDF(**TINY).fit(X), OCSDF(**TINY).fit(scipy.sparse.csr_array(X))
    np.testing.assert_array_equal(
        sparse.score_samples(scipy.sparse.csr_array(X)), dense.score_samples(X)
    )
    assert np.isfinite(sparse.explain(scipy.sparse.csr_array(X[:2])).radius).all()


def test_P7_a_large_dense_copy_is_announced_and_bad_entries_are_named(monkeypatch):
    X = scipy.sparse.csr_array(sparse_rows(60))
    monkeypatch.setattr(input_checks, "_MOST_DENSE", 3839)
    with pytest.warns(UserWarning, match="dense copy of the sparse X: 0.0 GiB. .*TruncatedSVD"):
        detector = NearestNeighborDistance().fit(X)
    large = scipy.sparse.csr_array(np.random.default_rng(0).binomial(1, 0.1, (60_000, 8)) * 0.5)
    large.data[-1] = np.nan
    with pytest.raises(ValueError, match="NaN in columns "):
        detector.score_samples(large)
    with pytest.raises(ValueError, match="X has 7 features"):
        detector.score_samples(large[:, :7])
    with pytest.raises(ValueError, match="Complex data"):
        detector.score_samples(large * 1j)


@pytest.mark.parametrize(
    "series",
    [pd.Series(ROWS[:, 0]), pl.Series(ROWS[:, 0].tolist()), pd.Index(ROWS[:, 0]), pd.Series(["a"])],
)
def test_P9_a_series_is_no_table(detector, series):
    kind = type(series).__name__
    refuses(detector, series, rf"got a {kind} of \d+ values: pass X.to_frame\(\)")


COLUMNS = np.random.default_rng(0).normal(size=(200, 3)) + [0.0, 3.0, -1.0]


@pytest.mark.parametrize(
    "exponent", [-1015, -600, -541, -500, -399, 0, 399, 401, 508, 520, 531, 532, 600, 900, 990]
)
def test_T7_a_power_of_two_changes_no_bit(exponent):
    mean, scale = standardization(COLUMNS)
    scaled = np.ldexp(COLUMNS, exponent)
    large_mean, large_scale = standardization(scaled)
    np.testing.assert_array_equal(large_mean, np.ldexp(mean, exponent))
    np.testing.assert_array_equal(large_scale, np.ldexp(scale, exponent))
    expected = standardized(COLUMNS, mean, scale)
    np.testing.assert_allclose(standardized(scaled, large_mean, large_scale), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "size", [1e153, 1e156, 1e160, 1e200, 1e299, 1e-153, 1e-163, 1e-200, 1e-300]
)
def test_T7_columns_of_any_size_have_finite_distances(size):
    X = COLUMNS * [1.0, size, 1.0]
    detector = NearestNeighborDistance().fit(X)
    assert detector.scale_[1] == pytest.approx(size * COLUMNS[:, 1].std(), rel=1e-12)
    expected = NearestNeighborDistance().fit(COLUMNS).score_samples(COLUMNS + 0.1)
    found = detector.score_samples((COLUMNS + 0.1) * [1.0, size, 1.0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("cell", [1e160, -1e200, 1e299])
def test_T7_one_large_cell_is_standardized(cell):
    X = COLUMNS.copy()
    X[7, 1] = cell
    mean, scale = standardization(X)
    assert mean[1] == pytest.approx(cell / 200, rel=1e-9)
    assert scale[1] == pytest.approx(abs(cell) * np.sqrt(199) / 200, rel=1e-9)
    assert np.isfinite(standardized(X, mean, scale)).all()


@pytest.mark.parametrize("value", [0.0, 5.0, 1e160, 1e-163, -1e299])
def test_T7_a_constant_column_has_scale_one(value):
    X = COLUMNS.copy()
    X[:, 2] = value
    mean, scale = standardization(X)
    assert scale[2] == 1.0
    assert mean[2] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("value", [1.1e300, 1e308, -1.7e308])
def test_T7_numbers_whose_differences_overflow_are_refused(value):
    X = COLUMNS.copy()
    X[0, 0] = value
    with pytest.raises(ValueError, match="values above 1e\\+300, so large that their differences"):
        standardization(X)


def test_T7_differences_of_large_numbers_do_not_overflow():
    found = standardized(
        np.array([[1.7e308, 0.0]]), np.array([-1e300, 0.0]), np.array([1e300, 1.0])
    )
    assert found[0, 0] == pytest.approx(1.7e8, rel=1e-6)
    assert standardized(np.array([[1e308]]), np.zeros(1), np.ones(1)) == FARTHEST


def test_T7_subnormal_columns_beside_large_ones_are_not_halved():
    tiny = np.nextafter(0.0, 1.0)
    rows = np.array([[3.0 * tiny, 1e200], [7.0 * tiny, -1e200]])
    found = standardized(rows, np.array([tiny, 0.0]), np.array([4.0 * tiny, 1e200]))
    np.testing.assert_array_equal(found, [[0.5, 1.0], [1.5, -1.0]])
