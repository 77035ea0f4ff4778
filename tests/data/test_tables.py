"""Tables from each kind of source, their labels, and every complaint about them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat
from scipy.sparse import eye_array
from sklearn import datasets

from ocsdf.data.splits import split_one_class
from ocsdf.data.tables import EMBEDDED, Table, data_home, load_table

X = np.array([[0.5, 1.0], [2.0, -3.0], [np.nan, np.inf], [7.0, 8.0]])
Y = np.array([0, 1, 0, 1])


@pytest.fixture(autouse=True)
def no_data_home(monkeypatch):
    monkeypatch.delenv("OCSDF_DATA_HOME", raising=False)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(stem):
        raise OSError(f"{stem} could not be downloaded")

    monkeypatch.setattr("ocsdf.data.tables.fetch_table", refuse)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data home with four small tables; X[0, 0] tells which is which."""
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
    (tmp_path / "adbench").mkdir()
    for i, stem in enumerate(["38_thyroid", "42_WBC", "odds_wbc", "45_wine", "7_wine"]):
        np.savez(tmp_path / "adbench" / f"{stem}.npz", X=np.full((4, 2), i), y=Y)
    return tmp_path


def csv(tmp_path, **columns):
    path = tmp_path / "table.csv"
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], **columns}).to_csv(path, index=False)
    return path


def npz(tmp_path, **arrays):
    path = tmp_path / "table.npz"
    np.savez(path, **arrays)
    return path


def assert_is_the_table(table, feature_names, y=Y):
    assert isinstance(table, Table)
    np.testing.assert_array_equal(table.X, X)
    assert table.X.dtype == np.float64
    assert table.X.flags.c_contiguous
    assert table.feature_names == feature_names
    assert table.name == "table"
    if y is None:
        assert table.y is None
    else:
        np.testing.assert_array_equal(table.y, y)
        assert table.y.dtype == np.int64


class TestEmbedded:
    @pytest.mark.parametrize(
        ("name", "n_anomalies"), [("breast_cancer", 212), ("wine", 48), ("digits", 1797 - 178)]
    )
    def test_default_anomalies(self, name, n_anomalies):
        bunch = getattr(datasets, f"load_{name}")()
        table = load_table(name)
        np.testing.assert_array_equal(table.X, bunch.data)
        assert table.y.sum() == n_anomalies
        assert set(table.y) == {0, 1}
        assert table.feature_names == list(bunch.feature_names)
        assert all(type(feature) is str for feature in table.feature_names)
        assert table.name == name
        assert name in EMBEDDED

    def test_another_anomaly(self):
        np.testing.assert_array_equal(
            load_table("breast_cancer", anomaly="benign").y, datasets.load_breast_cancer().target
        )
        np.testing.assert_array_equal(
            load_table("digits", anomaly="3").y, datasets.load_digits().target == 3
        )

    def test_complaints(self):
        with pytest.raises(
            ValueError, match="'wine' carries its own label: leave the label 'y' out"
        ):
            load_table("wine", label="y")
        with pytest.raises(
            ValueError, match=r"label of 'breast_cancer' never is 'bad', the anomaly; .*"
        ):
            load_table("breast_cancer", anomaly="bad")


class TestFrames:
    def test_csv(self, tmp_path):
        assert_is_the_table(load_table(csv(tmp_path, y=Y), label="y"), ["a", "b"])
        assert_is_the_table(load_table(str(csv(tmp_path))), ["a", "b"], y=None)

    def test_parquet(self, tmp_path):
        path = tmp_path / "table.parquet"
        pd.DataFrame({"y": Y == 1, "a": X[:, 0], "b": X[:, 1]}).to_parquet(path)
        assert_is_the_table(load_table(path, label="y"), ["a", "b"])

    def test_every_kind_of_number_is_a_feature(self, tmp_path):
        path = tmp_path / "table.parquet"
        frame = pd.DataFrame(
            {
                "flag": [True, False],
                "nullable": pd.array([3, None], dtype="Int64"),
                "maybe": pd.array([True, None], dtype="boolean"),
                "small": np.float32([0.5, 1.5]),
            }
        )
        frame.to_parquet(path)
        expected = [[1, 3, 1, 0.5], [0, np.nan, np.nan, 1.5]]
        np.testing.assert_array_equal(load_table(path).X, expected)

    def test_home_folder_is_expanded(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        csv(tmp_path)
        assert_is_the_table(load_table("~/table.csv"), ["a", "b"], y=None)

    def test_columns_that_are_not_numeric(self, tmp_path):
        texts = {name: list("pqrs") for name in ["c", "d", "e", "f", "g"]}
        path = csv(tmp_path, **texts, y=Y)
        with pytest.raises(ValueError, match="not numeric, 'c', 'd', 'e' and 2 more: drop or"):
            load_table(path, label="y")
        with pytest.raises(ValueError, match="not numeric, .*: name the label's column"):
            load_table(path)

    def test_missing_label_column(self, tmp_path):
        with pytest.raises(ValueError, match=r"no column 'z' for the label; it has 'a', 'b', 'y'"):
            load_table(csv(tmp_path, y=Y), label="z")
        path = csv(tmp_path, **{f"c{i}": Y for i in range(10)})
        with pytest.raises(ValueError, match=r"'a', 'b', 'c0', .*, 'c7' and 2 more"):
            load_table(path, label="z")

    def test_missing_pyarrow(self, tmp_path, monkeypatch):
        path = tmp_path / "table.parquet"
        pd.DataFrame(X, columns=["a", "b"]).to_parquet(path)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ImportError, match=r"needs pyarrow: pip install 'ocsdf\[parquet\]'"):
            load_table(path)


class TestArrays:
    @pytest.mark.parametrize("label", [None, "y"])
    def test_npz(self, tmp_path, label):
        table = load_table(npz(tmp_path, X=np.asfortranarray(X), y=Y, other=Y), label=label)
        assert_is_the_table(table, ["x0", "x1"])

    @pytest.mark.parametrize("label", [None, "y"])
    @pytest.mark.parametrize("shape", [(4, 1), (1, 4)])
    def test_mat(self, tmp_path, label, shape):
        savemat(tmp_path / "table.mat", {"X": X, "y": Y.reshape(shape)})
        assert_is_the_table(load_table(tmp_path / "table.mat", label=label), ["x0", "x1"])

    def test_without_label(self, tmp_path):
        savemat(tmp_path / "table.MAT", {"X": X}, appendmat=False)
        for path in (npz(tmp_path, X=X), tmp_path / "table.MAT"):
            assert_is_the_table(load_table(path), ["x0", "x1"], y=None)
            with pytest.raises(ValueError, match="holds no array 'y'"):
                load_table(path, label="y")

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"y": Y}, "holds no array 'X'"),
            ({"X": X[0]}, r"X in .* must be a full \(not sparse\) 2-d array .* shape \(2,\)"),
            ({"X": X + 1j}, "X in .* real numbers, got shape .* dtype complex128"),
            ({"X": X.astype(str)}, "X in .* real numbers, got shape .* dtype <U"),
            ({"X": X, "y": Y[:3]}, r"one number or text for each of the 4 rows .* shape \(3,\)"),
            ({"X": X, "y": Y.reshape(2, 2)}, r"each of the 4 rows of X, got shape \(2, 2\)"),
            ({"X": X, "y": Y[0]}, r"each of the 4 rows of X, got shape \(\)"),
            ({"X": X[:0]}, "is empty: it holds 0 rows of 2 features"),
            ({"X": X[:, :0], "y": Y}, "is empty: it holds 4 rows of 0 features"),
        ],
    )
    def test_complaints(self, tmp_path, arrays, message):
        with pytest.raises(ValueError, match=message):
            load_table(npz(tmp_path, **arrays))

    def test_another_label_than_y(self, tmp_path):
        with pytest.raises(ValueError, match="is its array 'y': got 'target'"):
            load_table(npz(tmp_path, X=X, y=Y), label="target")

    def test_pickled_objects_are_refused(self, tmp_path):
        path = npz(tmp_path, X=np.array([[{}]], dtype=object))
        with pytest.raises(ValueError, match="cannot read .*table.npz: Object arrays cannot be"):
            load_table(path)

    def test_sparse_and_cell_arrays_of_matlab(self, tmp_path):
        path = tmp_path / "table.mat"
        savemat(path, {"X": eye_array(4, format="csc")})
        with pytest.raises(ValueError, match=r"X in .* must be a full \(not sparse\)"):
            load_table(path)
        savemat(path, {"X": X, "y": np.array(list("pqpq"), dtype=object)})
        with pytest.raises(ValueError, match="y in .* one number or text .* dtype object"):
            load_table(path)

    def test_matlab_7_3(self, tmp_path):
        path = tmp_path / "table.mat"
        path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
        with pytest.raises(ValueError, match=r"v7\.3 \(HDF5\); save it again with save"):
            load_table(path)


class TestLabels:
    @pytest.mark.parametrize(
        ("values", "anomaly"),
        [
            ([0, 1, 0, 1], None),
            ([0.0, 1.0, 0.0, 1.0], "1"),
            ([False, True, False, True], None),
            ([False, True, False, True], "True"),
            ([False, True, False, True], True),
            ([True, False, True, False], "false"),
            ([1, 2, 1, 2], "2"),
            ([1, 2, 3, 2], "2.0"),
            ([1.5, -2, 1.5, -2], -2),
            (["benign", "malignant", "benign", "malignant"], "malignant"),
            (["1st", "2", "3rd", "2"], 2),
            ([1, 0, 1, 0], 0),
        ],
    )
    def test_the_anomaly_is_1(self, tmp_path, values, anomaly):
        path = csv(tmp_path, kind=values)
        assert_is_the_table(load_table(path, label="kind", anomaly=anomaly), ["a", "b"])
        path = npz(tmp_path, X=X, y=np.array(values))
        assert_is_the_table(load_table(path, anomaly=anomaly), ["x0", "x1"])

    @pytest.mark.parametrize(
        "values",
        [
            pd.Categorical([0, 1, 0, 1]),
            pd.Categorical([False, True, False, True]),
            pd.array([0, 1, 0, 1], dtype="Int64"),
            pd.array([False, True, False, True], dtype="boolean"),
        ],
    )
    def test_typed_columns_of_parquet(self, tmp_path, values):
        path = tmp_path / "table.parquet"
        pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": values}).to_parquet(path)
        assert_is_the_table(load_table(path, label="y"), ["a", "b"])

    @pytest.mark.parametrize(
        ("values", "anomaly", "message"),
        [
            ([1, 2, 1, 2], None, r"label 'y' of .* is not 0/1: say which .* --anomaly, 1, 2$"),
            (list("pqpq"), None, r"is not 0/1: .*, 'p', 'q'$"),
            ([1, 2, 1, 2], "3", r"never is '3', the anomaly; its values are 1, 2$"),
            ([1, 2, 1, 2], "two", "never is 'two', the anomaly"),
            (list("pqpq"), "Q", r"never is 'Q', the anomaly; its values are 'p', 'q'$"),
            ([0, 0, 0, 0], None, "has one class only, 0: normal and anomaly are needed"),
            (list("pppp"), "p", "has one class only, 'p'"),
            ([0, 1, np.nan, np.nan], None, r"is missing \(NaN\) in 2 rows: fill or drop them"),
            (["p", None, "q", "q"], "q", r"is missing \(NaN\) in 1 rows"),
        ],
    )
    def test_complaints(self, tmp_path, values, anomaly, message):
        with pytest.raises(ValueError, match=message):
            load_table(csv(tmp_path, y=values), label="y", anomaly=anomaly)

    def test_at_most_ten_values_are_listed(self, tmp_path):
        path = npz(tmp_path, X=np.zeros((13, 1)), y=np.arange(13))
        with pytest.raises(ValueError, match=r"0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more$"):
            load_table(path)

    def test_an_anomaly_needs_a_label(self, tmp_path):
        with pytest.raises(ValueError, match="the anomaly 1 was given but no label"):
            load_table(csv(tmp_path), anomaly=1)


class TestFilesThatCannotBeRead:
    @pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".mat"])
    def test_empty(self, tmp_path, suffix):
        path = tmp_path / f"table{suffix}"
        path.touch()
        with pytest.raises(ValueError, match=rf"cannot read .*table\{suffix}: .* \(expected a "):
            load_table(path)

    @pytest.mark.parametrize("suffix", [".parquet", ".npz", ".mat"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
    def test_truncated(self, tmp_path, suffix, share):
        path = tmp_path / f"table{suffix}"
        values = np.random.default_rng(0).normal(size=(200, 3))
        if suffix == ".parquet":
            pd.DataFrame(values, columns=list("abc")).to_parquet(path)
        elif suffix == ".npz":
            np.savez_compressed(path, X=values)
        else:
            savemat(path, {"X": values}, do_compression=True)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"table\.") as caught:
            load_table(path)
        assert "\n" not in str(caught.value)

    def test_csv_that_is_no_table(self, tmp_path):
        path = tmp_path / "table.csv"
        path.write_text("a,b\n1,2\n3,4,5\n")
        with pytest.raises(ValueError, match=r"table.csv: line 3 has 3 fields and .* 2.* CSV"):
            load_table(path)
        path.write_bytes(b"a,b\n\xff\xfe,1\n")
        with pytest.raises(ValueError, match="cannot read .*table.csv: .*utf-8"):
            load_table(path)
        path.write_text("a,b\n")
        with pytest.raises(ValueError, match="is empty: it holds 0 rows of 2 features"):
            load_table(path)

    def test_missing_and_unsupported(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no file at .*none.csv: check the path"):
            load_table(tmp_path / "none.csv")
        with pytest.raises(
            ValueError, match=r"its suffix is '.xlsx', not one of .csv, .tsv, .txt, .parquet"
        ):
            load_table("table.xlsx")
        with pytest.raises(ValueError, match="cannot read .*: its suffix is ''"):
            load_table(tmp_path)
        with pytest.raises(TypeError, match="source must be a name or a path, got ndarray"):
            load_table(X)


class TestDataHome:
    def test_is_the_environment_variable(self, monkeypatch):
        assert data_home() is None
        monkeypatch.setenv("OCSDF_DATA_HOME", "")
        assert data_home() is None
        monkeypatch.setenv("OCSDF_DATA_HOME", "~/tables")
        assert data_home() == Path.home() / "tables"

    @pytest.mark.parametrize(
        ("name", "stem", "value"),
        [
            ("thyroid", "38_thyroid", 0),
            ("38_thyroid", "38_thyroid", 0),
            ("WBC", "42_WBC", 1),
            ("wbc", "odds_wbc", 2),
            ("45_wine", "45_wine", 3),
        ],
    )
    def test_a_bare_name_finds_one_table(self, home, name, stem, value):
        table = load_table(name)
        assert table.name == stem
        assert table.X[0, 0] == value
        np.testing.assert_array_equal(table.y, Y)

    def test_an_exact_stem_comes_first(self, home):
        for stem in ("glass", "14_glass"):
            np.savez(home / "adbench" / f"{stem}.npz", X=X)
        assert load_table("glass").name == "glass"

    def test_embedded_names_win(self, home):
        assert load_table("wine").X.shape == (178, 13)

    def test_an_ambiguous_name(self, home):
        for stem in ("1_twin", "2_twin"):
            np.savez(home / "adbench" / f"{stem}.npz", X=X)
        with pytest.raises(ValueError, match=r"'twin' may be any of '1_twin', '2_twin' in .*adben"):
            load_table("twin")

    def test_an_unknown_name(self, home, monkeypatch):
        for name in ("roid", "thyroids"):
            with pytest.raises(ValueError, match=rf"named '{name}': .*'digits'.* in .*adbench$"):
                load_table(name)
        monkeypatch.delenv("OCSDF_DATA_HOME")
        with pytest.raises(ValueError, match=r"'breast_cancer', 'wine', .*OCSDF_DATA_HOME is not"):
            load_table("thyroid")


class TestSplit:
    @pytest.mark.parametrize("n_normals", [2, 3, 10, 101])
    def test_half_of_the_normals_train_and_all_else_tests(self, n_normals):
        y = np.random.default_rng(0).permutation(np.repeat([0, 1], [n_normals, 7]))
        train, test = split_one_class(y, 0)
        assert len(train) == n_normals // 2
        assert (y[train] == 0).all()
        assert y[test].sum() == 7
        np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(y)))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()

    def test_the_seed_decides(self):
        y = np.repeat([0, 1], [100, 5])
        train = split_one_class(y, 0)[0]
        np.testing.assert_array_equal(train, split_one_class(y, np.random.default_rng(0))[0])
        assert not np.array_equal(train, split_one_class(y, 1)[0])

    def test_every_normal_row_is_as_likely(self):
        y = np.repeat([0, 1], [10, 2])
        rng = np.random.default_rng(0)
        counts = np.bincount(
            np.concatenate([split_one_class(y, rng)[0] for _ in range(2000)]), minlength=10
        )
        np.testing.assert_allclose(counts, 1000, atol=5 * np.sqrt(2000) / 2)

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            ([1, -1, -1], "y holds -1, 1: say with pos_label"),
            ([[0, 1]], r"y must be a list of labels, one a row; got shape \(1, 2\)"),
            (None, "y must be a list of labels, one a row; got None"),
            ([0, 1, 1], "at least 2 normal rows and 1 anomaly, got 1 and 2"),
            ([0, 0, 0], "at least 2 normal rows and 1 anomaly, got 3 and 0"),
        ],
    )
    def test_complaints(self, y, message):
        with pytest.raises(ValueError, match=message):
            split_one_class(y, 0)


def test_import_is_light():
    heavy = "{'pandas', 'scipy', 'sklearn'}"
    code = f"import sys, ocsdf.data.tables; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
