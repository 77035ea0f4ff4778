"""Columns that are no features (C2): saved indices, named ones, identifiers; chosen ones."""

import warnings

import numpy as np
import pandas as pd
import pytest

from ocsdf import load_table
from ocsdf.data.tables import load_features
from ocsdf.utils.exactness import exact_floats

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(40, 2)), columns=["a", "b"]).assign(y=np.repeat([0, 1], 20))


def quiet(source, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_table(source, **options)


@pytest.mark.parametrize(
    "index",
    [
        range(40),
        range(1, 41),
        np.arange(40)[::-1],
        RNG.permutation(40),
        np.tile(np.arange(20), 2),
        [f"row {number}" for number in range(40)],
        pd.date_range("2026-01-01", periods=40),
    ],
)
def test_C2_a_saved_index_is_left_out_with_a_word(tmp_path, index):
    path = tmp_path / "t.csv"
    FRAME.set_axis(list(index)).to_csv(path)
    with pytest.warns(UserWarning, match="'Unnamed: 0' has no name .* saved index: it is left out"):
        table = load_table(path, label="y")
    assert table.feature_names == ["a", "b"]
    np.testing.assert_array_equal(table.X, FRAME[["a", "b"]])
    with pytest.warns(UserWarning, match="saved index"):
        assert load_features(path, drop="y").feature_names == ["a", "b"]


@pytest.mark.parametrize("times", [2, 3])
def test_C2_an_index_that_was_saved_again(tmp_path, times):
    path = tmp_path / "t.csv"
    FRAME.to_csv(path)
    for _ in range(times - 1):
        pd.read_csv(path, **exact_floats()).to_csv(path)
    with pytest.warns(UserWarning, match="saved index"):
        assert load_table(path, label="y").feature_names == ["a", "b"]
    FRAME.reset_index(names="Unnamed: 0").to_parquet(tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="saved index"):
        assert load_table(tmp_path / "t.parquet", label="y").feature_names == ["a", "b"]


def test_C2_what_is_asked_for_stays(tmp_path):
    path = tmp_path / "t.csv"
    FRAME.set_axis(RNG.integers(5, size=40)).to_csv(path)
    table = quiet(path, features=["Unnamed: 0", "b"])
    assert table.feature_names == ["Unnamed: 0", "b"]
    np.testing.assert_array_equal(table.X[:, 1], FRAME["b"])


def test_C2_a_column_of_measurements_without_a_name_stays(tmp_path):
    path = tmp_path / "t.csv"
    FRAME.rename(columns={"a": ""}).to_csv(path, index=False)
    assert quiet(path, label="y").feature_names == ["Unnamed: 0", "b"]
    path.write_text("a,,b\n" + "1,2,3\n" * 3)
    assert quiet(path).feature_names == ["a", "Unnamed: 1", "b"]


@pytest.mark.parametrize("header", ["a,b,", "a,,b", ",,a,b", "a,b,,,"])
def test_C1_columns_without_names_and_values_are_left_out(tmp_path, header):
    path = tmp_path / "t.csv"
    row = ",".join("1.5" if name else "" for name in header.split(","))
    path.write_text(f"{header}\n{row}\n{row}\n")
    with pytest.warns(UserWarning, match="columns without a name or a value are left out"):
        assert load_table(path).feature_names == ["a", "b"]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(40),
        np.arange(40) * 7 + 1000,
        np.arange(40)[::-1],
        RNG.permutation(40),
        np.arange(40) + 1.7e9,
    ],
)
def test_C2_a_column_that_numbers_the_rows_is_asked_about(tmp_path, values):
    path = tmp_path / "t.parquet"
    FRAME.assign(id=values).to_parquet(path)
    with pytest.warns(UserWarning, match=r"'id': integers, another in each row: .*--drop"):
        table = load_table(path, label="y")
    assert table.feature_names == ["a", "b", "id"]
    assert quiet(path, label="y", drop=["id"]).feature_names == ["a", "b"]
    # To score rows nothing is asked: the model knows its features.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_features(path, drop=["y"])


@pytest.mark.parametrize(
    "values", [np.repeat(np.arange(20), 2), np.linspace(0, 1, 40), np.ones(40), RNG.normal(size=40)]
)
def test_C2_other_columns_are_not(tmp_path, values):
    path = tmp_path / "t.parquet"
    FRAME.assign(c=values).to_parquet(path)
    quiet(path, label="y")
    FRAME.assign(c=np.arange(40)).head(19).assign(y=[0, 1] * 9 + [0]).to_parquet(path)
    quiet(path, label="y")


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ({"drop": ["a"]}, ["b", "c, d", "y"]),
        ({"drop": "a"}, ["b", "c, d", "y"]),
        ({"drop": ["a,y"]}, ["b", "c, d"]),
        ({"drop": ["a", "y"]}, ["b", "c, d"]),
        ({"drop": ["c, d", "b , y"]}, ["a"]),
        ({"features": ["b", "a"]}, ["b", "a"]),
        ({"features": "b,a"}, ["b", "a"]),
        ({"features": ["c, d"]}, ["c, d"]),
        ({"features": ["a", "b"], "drop": ["y"]}, ["a", "b"]),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_C2_columns_are_chosen(tmp_path, reading, expected, suffix):
    path = tmp_path / f"t{suffix}"
    frame = FRAME.assign(**{"c, d": 1.0})[["a", "b", "c, d", "y"]]
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    table = quiet(path, **reading)
    assert table.feature_names == expected
    np.testing.assert_array_equal(table.X, frame[expected])


def test_C2_columns_of_arrays_and_embedded_sets_are_chosen(tmp_path):
    np.savez(tmp_path / "t.npz", X=FRAME.to_numpy())
    table = quiet(tmp_path / "t.npz", drop=["x2"])
    np.testing.assert_array_equal(table.X, FRAME[["a", "b"]])
    assert quiet("wine", features=["hue", "alcohol"]).X.shape == (178, 2)


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (
            {"drop": ["z"]},
            "there is no column 'z', which is to be dropped; there are 'a', 'b', 'y'",
        ),
        ({"features": ["a,z"]}, "there is no column 'z', which is a feature"),
        ({"features": ["a", "y"], "label": "y"}, "'y' is asked for as a feature, and as the label"),
        ({"features": ["a"], "drop": ["a"]}, "'a' is asked for as a feature, and"),
        ({"features": ["a", "a"]}, "a feature is asked for twice"),
    ],
)
def test_C2_complaints_about_columns(tmp_path, reading, message):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ValueError, match=message):
        load_table(tmp_path / "t.csv", **reading)


@pytest.mark.parametrize("names", [["id"], ["id", "day"], ["y"]])
def test_C2_a_named_index_of_parquet(tmp_path, names):
    path = tmp_path / "t.parquet"
    frame = FRAME.assign(id=RNG.integers(9, size=40), day=RNG.integers(3, size=40))
    frame.set_index(names).to_parquet(path)
    others = [name for name in frame if name not in {*names, "y"}]
    if names == ["y"]:
        table = quiet(path, label="y")
        np.testing.assert_array_equal(table.y, FRAME["y"])
    else:
        with pytest.warns(UserWarning, match=r"the table's index '.*' is no feature"):
            table = load_table(path, label="y")
        kept = quiet(path, features=["a", *names])
        np.testing.assert_array_equal(kept.X, frame[["a", *names]])
        quiet(path, label="y", drop=names)
    assert table.feature_names == others


@pytest.mark.parametrize(
    ("values", "anomaly", "normal"),
    [
        (["no", "yes", "maybe", "no"], "yes", "'no', 'maybe'"),
        ([0, 1, 2, 0], "1", "0, 2"),
        ([-1, 1, 0, 1], "-1", "1, 0"),
        (["a", "b", "c", "d"], "d", "'a', 'b', 'c'"),
    ],
)
def test_C3_a_third_value_of_the_label_counts_as_normal_with_a_word(
    tmp_path, values, anomaly, normal
):
    path = tmp_path / "t.csv"
    FRAME.head(4).assign(y=values).to_csv(path, index=False)
    with pytest.warns(UserWarning, match=f"has [34] values: {normal} count as normal"):
        load_table(path, label="y", anomaly=anomaly)


@pytest.mark.parametrize(
    ("values", "anomaly"),
    [([0, 0], None), ([False, False], None), (["no"] * 2, "yes"), ([1, 1], "-1")],
)
def test_C3_normal_rows_only_are_enough_where_they_are_asked_for(tmp_path, values, anomaly):
    path = tmp_path / "t.csv"
    FRAME.head(2).assign(y=values).to_csv(path, index=False)
    np.testing.assert_array_equal(quiet(path, label="y", anomaly=anomaly, both=False).y, [0, 0])
    with pytest.raises(ValueError, match="has one class only"):
        load_table(path, label="y", anomaly=anomaly)


@pytest.mark.parametrize(
    ("values", "anomaly"), [([1, 1], None), (["yes"] * 2, "yes"), ([True] * 2, "true")]
)
def test_C3_anomalies_only_are_not(tmp_path, values, anomaly):
    path = tmp_path / "t.csv"
    FRAME.head(2).assign(y=values).to_csv(path, index=False)
    with pytest.raises(ValueError, match="the anomaly, in every row: normal ones are needed"):
        load_table(path, label="y", anomaly=anomaly, both=False)
