"""Columns as coordinates: which kind they are, and how far apart they put two values."""

import datetime
import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsdf.data.categories import LEAST_ROWS, MOST_CATEGORIES
from ocsdf.data.columns import CATEGORY_DISTANCE
from ocsdf.data.encoders import ColumnEncoder, column_from, needs_encoding

DAY = 86_400_000_000


def mixed(n=12):
    return pd.DataFrame(
        {
            "age": np.arange(n, dtype=float),
            "proto": (["tcp", "udp", "icmp"] * n)[:n],
            "when": pd.date_range("2020-01-01", periods=n, freq="D"),
            "ok": [True, False] * (n // 2),
        }
    )


class TestKinds:
    @pytest.mark.parametrize("convert", [lambda f: f, pl.from_pandas, pa.Table.from_pandas])
    def test_by_dtype_whatever_the_library(self, convert):
        frame = convert(mixed())
        encoder = ColumnEncoder().fit(frame)
        assert [c.kind for c in encoder.columns_] == ["number", "category", "date", "number"]
        rows = encoder.transform(frame)
        np.testing.assert_array_equal(rows, ColumnEncoder().fit(mixed()).transform(mixed()))
        assert encoder.coordinate_names_[:2] == ["age", "proto=icmp"]

    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            ([1, 2.5, True], "number"),
            ([1, None, 3], "number"),
            ([None, None, None], "number"),
            ([1, "a", 2], "category"),
            (["1", "2", "3"], "category"),
            ([("a", 1), ("b", 2), ("a", 1)], "category"),
        ],
    )
    def test_objects_by_their_values(self, values, kind):
        frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
        encoder = ColumnEncoder(missing="indicate").fit(frame)
        assert encoder.columns_[0].kind == kind

    @pytest.mark.parametrize(
        "series",
        [
            pd.Series(["a", "b", "a"], dtype="category"),
            pd.Series(["a", "b", "a"], dtype="string"),
            pd.Series([1, 2, 1], dtype="category"),
            pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"])),
        ],
    )
    def test_categories(self, series):
        frame = (
            pl.DataFrame({"x": series}) if isinstance(series, pl.Series) else series.to_frame("x")
        )
        assert ColumnEncoder().fit(frame).columns_[0].kind == "category"

    def test_numbers_named_as_categories(self):
        rows = np.array([[1.0, 5.0]] * 4 + [[2.0, 6.0]] * 4)
        for features in ([0], ["0"], [True, False], np.array([True, False])):
            encoder = ColumnEncoder(features).fit(rows)
            assert [c.kind for c in encoder.columns_] == ["category", "number"]
            assert encoder.columns_[0].categories == [1.0, 2.0]
            assert encoder.transform(rows).shape == (8, 4)

    @pytest.mark.parametrize("features", [["no"], [2], [-1], [1.5]])
    def test_a_feature_that_is_not_there(self, features):
        with pytest.raises(ValueError, match="categorical_features names"):
            ColumnEncoder(features).fit(mixed()[["age", "ok"]])

    def test_text_that_is_not_named(self):
        with pytest.raises(ValueError, match="Column 'proto' holds text"):
            ColumnEncoder(["ok"]).fit(mixed())

    @pytest.mark.parametrize(
        ("X", "features", "missing", "needed"),
        [
            (np.ones((3, 2)), "from_dtype", "error", False),
            (np.ones((3, 2)), [0], "error", True),
            (np.ones((3, 2)), "from_dtype", "indicate", True),
            (mixed()[["age", "ok"]], "from_dtype", "error", False),
            (mixed()[["age", "proto"]], "from_dtype", "error", True),
            (mixed()[["age", "proto"]], None, "error", False),
            (mixed()[["when"]], "from_dtype", "error", True),
            ([[1, 2], [3, 4]], "from_dtype", "error", False),
            (pd.DataFrame({"x": np.ones(3, ">f8")}), "from_dtype", "error", False),
            (pd.DataFrame({"x": np.ones(3, np.longdouble)}), "from_dtype", "error", False),
            (pd.DataFrame({"x": pd.arrays.SparseArray([0.0, 1.0])}), "from_dtype", "error", False),
            (pd.DataFrame([[1, 2]], columns=["x", "x"]), "from_dtype", "error", False),
        ],
    )
    def test_who_needs_an_encoder(self, X, features, missing, needed):
        assert needs_encoding(X, features, missing) is needed


class TestDistances:
    @given(st.data())
    @settings(max_examples=50)
    def test_a_move_of_numbers_and_k_categories(self, data):
        """sqrt(r^2 + k c^2), exactly what the certificate says."""
        n = data.draw(st.integers(6, 20))
        words = st.sampled_from(["a", "b", "c", "d"])
        frame = pd.DataFrame(
            {
                "u": data.draw(st.lists(words, min_size=n, max_size=n)),
                "x": data.draw(st.lists(st.floats(-5, 5), min_size=n, max_size=n)),
                "v": data.draw(st.lists(words, min_size=n, max_size=n)),
            }
        )
        encoder = ColumnEncoder().fit(frame)
        rows = encoder.transform(frame)
        kinds = {name: dict.fromkeys(frame[name]) for name in "uv"}
        for i in range(n):
            for j in range(i):
                code = {name: _code(encoder, name, frame[name][i]) for name in kinds}
                other = {name: _code(encoder, name, frame[name][j]) for name in kinds}
                k = sum(code[name] != other[name] for name in kinds)
                r = abs(frame["x"][i] - frame["x"][j])
                expected = math.sqrt(r**2 + k * CATEGORY_DISTANCE**2)
                got = np.linalg.norm(rows[i] - rows[j])
                assert got == pytest.approx(expected, rel=1e-12, abs=1e-12)

    def test_all_pairs_of_categories_are_equally_far(self):
        frame = pd.DataFrame({"x": ["a"] * 50 + ["b"] * 5 + ["c"] * LEAST_ROWS + ["rare"]})
        rows = ColumnEncoder().fit(frame).transform(pd.DataFrame({"x": ["a", "b", "c", "rare"]}))
        distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
        np.testing.assert_allclose(distances[~np.eye(4, dtype=bool)], CATEGORY_DISTANCE, rtol=1e-15)

    def test_rare_and_unseen_share_one_code(self):
        frame = pd.DataFrame({"x": ["a"] * 9 + ["rare"] * (LEAST_ROWS - 1)})
        rows = ColumnEncoder().fit(frame).transform(pd.DataFrame({"x": ["rare", "new", "a"]}))
        np.testing.assert_array_equal(rows[0], rows[1])
        assert np.linalg.norm(rows[0] - rows[2]) == pytest.approx(CATEGORY_DISTANCE)

    def test_the_most_frequent_have_codes(self):
        names = [f"c{i:03}" for i in range(MOST_CATEGORIES + 20)]
        frame = pd.DataFrame({"x": np.repeat(names, [3 + (i < 100) for i in range(len(names))])})
        column = ColumnEncoder().fit(frame).columns_[0]
        assert column.categories == names[:MOST_CATEGORIES]
        assert len(column.coordinates) == MOST_CATEGORIES + 1

    def test_one_and_its_text_are_two_categories(self):
        frame = pd.DataFrame({"x": pd.Series([1] * 4 + ["1"] * 4, dtype=object)})
        rows = ColumnEncoder().fit(frame).transform(frame)
        assert np.linalg.norm(rows[0] - rows[-1]) == pytest.approx(CATEGORY_DISTANCE)


def _code(encoder, name, value):
    column = next(c for c in encoder.columns_ if c.name == name)
    return value if value in column.categories else "other"


class TestMissing:
    VALUES = [1.0, 2.0, None, 4.0, 9.0]

    @pytest.mark.parametrize(
        "series",
        [
            pd.Series(VALUES),
            pd.Series([1, 2, None, 4, 9], dtype="Int64"),
            pd.Series(VALUES, dtype=object),
            pl.Series(VALUES),
            pl.Series([1, 2, None, 4, 9]),
        ],
    )
    def test_the_median_and_a_code(self, series):
        frame = (
            pl.DataFrame({"x": series}) if isinstance(series, pl.Series) else series.to_frame("x")
        )
        with pytest.raises(ValueError, match="Column 'x' has missing values: fill them"):
            ColumnEncoder().fit(frame)
        encoder = ColumnEncoder(missing="indicate").fit(frame)
        rows = encoder.transform(frame)
        np.testing.assert_array_equal(rows[:, 0], [1, 2, 3, 4, 9])
        np.testing.assert_array_equal(rows[:, 1], CATEGORY_DISTANCE * np.array([0, 0, 1, 0, 0]))
        np.testing.assert_array_equal(encoder.is_code_, [False, True])
        moved = np.linalg.norm(rows[2] - rows[3])
        assert moved == pytest.approx(math.sqrt((4 - 3) ** 2 + CATEGORY_DISTANCE**2))

    def test_categories(self):
        frame = pd.DataFrame({"x": ["a", "a", "a", None, float("nan"), pd.NA]})
        encoder = ColumnEncoder(missing="indicate").fit(frame)
        rows = encoder.transform(frame)
        assert encoder.coordinate_names_ == ["x=a", "x=other", "x=missing"]
        np.testing.assert_array_equal(rows[3:], [[0, 0, 1]] * 3)

    def test_all_are_missing(self):
        frame = pd.DataFrame({"x": [None] * 4, "y": [1.0, 2.0, 3.0, 4.0]})
        rows = ColumnEncoder(missing="indicate").fit(frame).transform(frame)
        np.testing.assert_array_equal(rows[:, :2], [[0, CATEGORY_DISTANCE]] * 4)

    @pytest.mark.parametrize(
        ("given", "now"),
        [
            ([1.0, 2.0], [1.0, None]),
            (["a", "b"], ["a", None]),
            (pd.date_range("2020", periods=2), [pd.NaT, pd.Timestamp("2020")]),
        ],
    )
    def test_missing_where_training_had_none(self, given, now):
        encoder = ColumnEncoder().fit(pd.DataFrame({"x": given}))
        with pytest.raises(ValueError, match="'x' has missing values, and had none in fit"):
            encoder.transform(pd.DataFrame({"x": now}))
        # A split or a fold may have left none in training: they have a code all the same.
        encoder = ColumnEncoder(missing="indicate").fit(pd.DataFrame({"x": given}))
        rows = encoder.transform(pd.DataFrame({"x": [*given, *now]}))
        codes = rows[:, encoder.is_code_]
        lacking = pd.isna(pd.Series([*given, *now])).to_numpy()
        distances = np.linalg.norm(codes[lacking] - codes[:1], axis=1)
        np.testing.assert_allclose(distances, CATEGORY_DISTANCE, rtol=1e-15)


class TestDates:
    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "Europe/Paris"])
    def test_microseconds_since_1970(self, unit, zone):
        days = pd.Series(pd.to_datetime(["1970-01-02", "2020-02-29", "1969-12-31"]))
        days = days.dt.as_unit(unit)
        days = days if zone is None else days.dt.tz_localize("UTC").dt.tz_convert(zone)
        rows = ColumnEncoder().fit(days.to_frame("t")).transform(days.to_frame("t"))
        np.testing.assert_array_equal(rows[:, 0], [DAY, 18_321 * DAY, -DAY])

    def test_nanoseconds_are_rounded_and_it_is_said(self):
        times = pd.Series(pd.to_datetime([1_499, 1_500, -1_501, 0], unit="ns"))
        encoder = ColumnEncoder().fit(times.to_frame("t"))
        rows = encoder.transform(times.to_frame("t"))
        np.testing.assert_array_equal(rows[:, 0], [1, 2, -2, 0])
        exact = np.array([1.499, 1.5, -1.501, 0.0])
        assert np.all(np.abs(rows[:, 0] - exact) <= encoder.rounding_[0])

    def test_polars_dates_and_durations(self):
        frame = pl.DataFrame(
            {
                "d": [datetime.date(1970, 1, 2), datetime.date(1970, 1, 3)],
                "w": [datetime.timedelta(days=1), datetime.timedelta(microseconds=3)],
            }
        )
        rows = ColumnEncoder().fit(frame).transform(frame)
        np.testing.assert_array_equal(rows, [[DAY, DAY], [2 * DAY, 3]])

    def test_dates_too_far(self):
        frame = pd.DataFrame({"t": np.array(["2400-01-01"], "datetime64[us]")})
        with pytest.raises(ValueError, match="over 285 years from 1970"):
            ColumnEncoder().fit(frame)


class TestOtherKinds:
    @pytest.mark.parametrize(
        ("given", "now", "message"),
        [
            ([1.0, 2.0], ["a", "2"], "'x' held numbers in fit, and holds text now, such as 'a'"),
            ([1.0, 2.0], pd.to_datetime(["2020", "2021"]), "held numbers in fit, and holds dates"),
            (pd.to_datetime(["2020", "2021"]), [1.0, 2.0], "held dates in fit, and holds numbers"),
            (["a"] * 4, [1, 2, 3, 4], "held text in fit, and holds numbers"),
        ],
    )
    def test_a_column_that_changed(self, given, now, message):
        encoder = ColumnEncoder().fit(pd.DataFrame({"x": given}))
        with pytest.raises(ValueError, match=message):
            encoder.transform(pd.DataFrame({"x": now}))

    def test_numbers_of_other_types_beside_text(self):
        frame = pd.DataFrame(
            {
                "a": np.array([1.0, 2.0, 3.0], ">f8"),
                "b": pd.arrays.SparseArray([0.0, 1.0, 0.0]),
                "c": pd.array([1, 2, 3], dtype="int64[pyarrow]"),
                "d": list("xyz"),
            }
        )
        rows = ColumnEncoder().fit(frame).transform(frame)
        np.testing.assert_array_equal(rows[:, :3], [[1, 0, 1], [2, 1, 2], [3, 0, 3]])

    def test_integers_that_float64_rounds(self):
        frame = pd.DataFrame({"x": [2**53 + 1, 1], "y": ["a", "b"]})
        with pytest.raises(ValueError, match="cannot hold exactly in column 'x'"):
            ColumnEncoder().fit(frame)

    def test_another_number_of_columns(self):
        with pytest.raises(ValueError, match="X has 1 columns; fit had 4"):
            ColumnEncoder().fit(mixed()).transform(mixed()[["age"]])


class TestDescription:
    def test_goes_through_json(self):
        frame = mixed()
        frame.loc[3, "age"] = np.nan
        frame.loc[4, "proto"] = None
        encoder = ColumnEncoder(missing="indicate").fit(frame)
        text = json.dumps(encoder.describe(), allow_nan=False)
        again = ColumnEncoder.from_description(json.loads(text))
        np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))
        np.testing.assert_array_equal(again.is_code_, encoder.is_code_)
        assert again.coordinate_names_ == encoder.coordinate_names_

    @pytest.mark.parametrize(
        "description",
        [
            None,
            {},
            {"kind": "colour", "name": "x"},
            {"kind": "number"},
            {"kind": "number", "name": 3},
            {"kind": "number", "name": "x", "median": float("inf")},
            {"kind": "category", "name": "x", "categories": None},
            {"kind": "category", "name": "x", "categories": ["a"], "more": 1},
        ],
    )
    def test_damaged_ones(self, description):
        with pytest.raises(ValueError, match="this describes no column"):
            column_from(description)
