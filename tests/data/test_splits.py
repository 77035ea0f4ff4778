"""Labels, and how rows are shared out between fit and judgement: drawn, or given by a file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from ocsdf.benchmark.run import run_benchmark
from ocsdf.data.fixed_splits import load_fixed_split
from ocsdf.data.splits import (
    CONTAMINATIONS,
    PROTOCOLS,
    fixed_split,
    reduce_rows,
    split,
    split_one_class,
)
from ocsdf.data.tables import load_table


def table(n_normals, n_anomalies, seed=0):
    """Distinct rows, anomalies scattered among them."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [n_normals, n_anomalies]))
    return rng.normal(size=(len(y), 2)), y


class TestReduceRows:
    @given(
        n_normals=st.integers(0, 300), n_anomalies=st.integers(0, 300), n_rows=st.integers(40, 90)
    )
    def test_strata_and_least_anomalies(self, n_normals, n_anomalies, n_rows):
        _, y = table(n_normals, n_anomalies)
        rows = reduce_rows(y, n_rows=n_rows, least_anomalies=5)
        assert len(rows) == min(len(y), n_rows)
        assert (np.diff(rows) > 0).all()
        kept = y[rows].sum()
        if len(y) <= n_rows:
            assert kept == n_anomalies
        else:
            share = n_rows * n_anomalies / len(y)
            assert kept >= min(5, n_anomalies)
            assert abs(kept - max(share, min(5, n_anomalies))) <= 0.5

    def test_the_rule_of_the_benchmark(self):
        y = np.repeat([0, 1], [95_126, 30])
        rows = reduce_rows(y)
        assert (len(rows), y[rows].sum()) == (5_000, 20)
        np.testing.assert_array_equal(rows, reduce_rows(y))
        assert not np.array_equal(rows, reduce_rows(y, seed=1))
        few = np.repeat([0, 1], [9_993, 7])
        assert few[reduce_rows(few)].sum() == 7

    def test_only_labels_matter_not_their_order(self):
        y = np.random.default_rng(0).permutation(np.repeat([0, 1], [7_000, 700]))
        assert y[reduce_rows(y)].sum() == round(5_000 * 700 / 7_700)


class TestSplit:
    def test_ad_fits_and_judges_all(self):
        X, y = table(30, 5)
        parts = split(X, y, "ad", 3)
        np.testing.assert_array_equal(parts.train_rows, np.arange(35))
        np.testing.assert_array_equal(parts.test_rows, np.arange(35))
        assert not parts.leaks

    def test_oc_is_the_one_class_split(self):
        X, y = table(31, 5)
        for seed in (0, 1):
            parts = split(X, y, "oc", seed)
            expected = split_one_class(y, random_state=seed)
            np.testing.assert_array_equal(parts.train_rows, expected[0])
            np.testing.assert_array_equal(parts.test_rows, expected[1])

    @pytest.mark.parametrize("n_rows", [200, 1_500, 12_000])
    def test_adbench_draws_what_adbench_draws(self, n_rows):
        X, y = table(n_rows - n_rows // 10, n_rows // 10)
        # As its data generator does, on the global generator.
        np.random.seed(7)
        drawn = np.arange(n_rows)
        if n_rows < 1_000:
            drawn = np.random.choice(np.arange(n_rows), 1_000, replace=True)
        if n_rows > 10_000:
            drawn = np.random.choice(np.arange(n_rows), 10_000, replace=False)
        X_train, X_test, y_train, y_test = train_test_split(
            X[drawn], y[drawn], test_size=0.3, shuffle=True, stratify=y[drawn]
        )
        parts = split(X, y, "adbench", 7)
        np.testing.assert_array_equal(X[parts.train_rows], X_train)
        np.testing.assert_array_equal(X[parts.test_rows], X_test)
        np.testing.assert_array_equal(y[parts.test_rows], y_test)
        assert parts.leaks == (n_rows < 1_000)
        assert parts.leaks == bool(np.isin(parts.test_rows, parts.train_rows).any())

    def test_clean_has_no_row_on_both_sides(self):
        X, y = table(180, 20)
        X, y = np.concatenate([X, X[:50], X[:7]]), np.concatenate([y, y[:50], y[:7]])
        parts = split(X, y, "clean", 0)
        assert not parts.leaks
        both = np.concatenate([parts.train_rows, parts.test_rows])
        np.testing.assert_array_equal(np.sort(both), np.arange(200))
        assert (len(parts.train_rows), len(parts.test_rows)) == (140, 60)
        assert (y[parts.train_rows].sum(), y[parts.test_rows].sum()) == (14, 6)

    @given(
        n_normals=st.integers(2, 200),
        n_anomalies=st.integers(1, 80),
        share=st.floats(0.0, 0.9),
        seed=st.integers(0, 3),
    )
    def test_contaminated_share(self, n_normals, n_anomalies, share, seed):
        X, y = table(n_normals, n_anomalies)
        parts = split(X, y, "contaminated", seed, contamination=share)
        both = np.concatenate([parts.train_rows, parts.test_rows])
        np.testing.assert_array_equal(np.sort(both), np.arange(len(y)))
        added = y[parts.train_rows].sum()
        normals = parts.train_rows[y[parts.train_rows] == 0]
        assert added <= n_anomalies // 2
        assert set(normals) <= set(split(X, y, "oc", seed).train_rows)
        # One row of either kind more or less would be as near to the share, or nearer.
        left = len(normals)
        assert abs(added * (1 - share) - left * share) <= 0.5 * max(share, 1 - share) + 1e-9

    def test_contaminated_by_nothing_is_oc_and_more_keeps_the_anomalies_of_less(self):
        X, y = table(400, 100)
        splits = [split(X, y, "contaminated", 1, contamination=share) for share in CONTAMINATIONS]
        np.testing.assert_array_equal(splits[0].train_rows, split(X, y, "oc", 1).train_rows)
        added = [{row for row in parts.train_rows if y[row]} for parts in splits]
        assert [len(rows) for rows in added] == [0, 2, 11, 22, 50]
        assert all(less <= more for less, more in zip(added, added[1:], strict=False))

    @pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"fixed"}))
    def test_the_seed_decides(self, protocol):
        X, y = table(100, 30)
        share = 0.1 if protocol == "contaminated" else None
        first, again, other = (split(X, y, protocol, seed, share) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first.train_rows, again.train_rows)
        assert np.array_equal(first.train_rows, other.train_rows) == (protocol == "ad")

    def test_errors(self):
        X, y = table(20, 5)
        with pytest.raises(ValueError, match="no protocol is named 'odd': choose among ad, oc"):
            split(X, y, "odd", 0)
        with pytest.raises(ValueError, match="protocol='oc', contamination=0.1"):
            split(X, y, "oc", 0, contamination=0.1)
        with pytest.raises(ValueError, match="contamination=None"):
            split(X, y, "contaminated", 0)
        with pytest.raises(ValueError, match=r"0 <= share < 1, got 1\.0"):
            split(X, y, "contaminated", 0, contamination=1.0)


RNG = np.random.default_rng(0)
ARRAYS = {
    "train": RNG.normal(size=(7, 2)),
    "test": RNG.normal(size=(4, 2)),
    "test_labels": np.array([0, 1, 0, 1]),
}


def written(tmp_path, **changed):
    arrays = {name: array for name, array in (ARRAYS | changed).items() if array is not None}
    np.savez(tmp_path / "parts.npz", **arrays)
    return tmp_path / "parts.npz"


def test_training_rows_come_first_and_are_normal(tmp_path):
    table = load_fixed_split(written(tmp_path))
    assert (table.name, table.n_train) == ("parts", 7)
    np.testing.assert_array_equal(table.X, np.concatenate([ARRAYS["train"], ARRAYS["test"]]))
    assert table.y.tolist() == [0] * 7 + [0, 1, 0, 1]
    parts = fixed_split(table.y, table.n_train)
    assert parts.train_rows.tolist() == list(range(7))
    assert parts.test_rows.tolist() == [7, 8, 9, 10] and not parts.leaks


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_labels": None}, "parts.npz holds no array 'test_labels'"),
        ({"test": np.ones((4, 3))}, "do not fit together: shapes"),
        ({"test_labels": np.zeros(3)}, "do not fit together: shapes"),
        ({"test_labels": np.array([0, 1, 2, 0])}, "0"),
    ],
)
def test_parts_that_do_not_fit_are_named(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        load_fixed_split(written(tmp_path, **changed))


def test_large_parts_are_cut_by_one_draw():
    y = np.repeat([0, 0, 1], [6_000, 9_000, 30])
    first, again = fixed_split(y, 6_000), fixed_split(y, 6_000)
    assert len(first.train_rows) == 5_000 and len(first.test_rows) == 3_000
    assert first.train_rows.max() < 6_000 <= first.test_rows.min()
    # As many anomalies as 20 of them at the least, of which 30 in 9,030 are 10.
    assert y[first.test_rows].sum() == 20
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_tables_have_no_such_split(tmp_path):
    table = load_table("wine")
    with pytest.raises(ValueError, match="'fixed' takes the split of a file"):
        split(table.X, table.y, "fixed", seed=0)
    with pytest.raises(ValueError, match="needs a table with a split: wine has none"):
        run_benchmark(["wine"], ["KNN"], [0], ["fixed"], tmp_path)


@pytest.mark.parametrize("kind", [">i8", ">f4", ">i2", ">f8", "<i8", "?", ">U1"])
def test_C3_labels_of_any_byte_order(tmp_path, kind):
    labels = np.array([0, 1, 0]).astype(kind)
    np.savez(tmp_path / "table.npz", X=np.eye(3), y=labels)
    anomaly = "1" if kind == ">U1" else None
    table = load_table(tmp_path / "table.npz", anomaly=anomaly)
    np.testing.assert_array_equal(table.y, [0, 1, 0])


@pytest.mark.parametrize("name", ["None", "NA", "null", "NaN", "n/a", "N/A"])
def test_C3_class_names_that_read_as_missing(tmp_path, name):
    path = tmp_path / "table.csv"
    path.write_text(f"x,kind\n1,{name}\n2,bad\n3,{name}\n")
    np.testing.assert_array_equal(load_table(path, "kind", "bad").y, [0, 1, 0])
    np.testing.assert_array_equal(load_table(path, "kind", name).y, [1, 0, 1])
    path.write_text("x,kind\n1,good\n2,bad\n3,\n")
    with pytest.raises(ValueError, match="missing .* in 1 rows"):
        load_table(path, "kind", "bad")


@pytest.mark.parametrize("others", [["maybe"], ["maybe", "unknown"], ["a", "b", "c"], [7]])
def test_C3_a_third_value_is_told(tmp_path, others):
    path = tmp_path / "table.csv"
    path.write_text("x,kind\n1,good\n2,bad\n" + "".join(f"3,{other}\n" for other in others))
    with pytest.warns(UserWarning, match=rf"has {2 + len(others)} values: 'good', .* as normal"):
        table = load_table(path, "kind", "bad")
    assert table.y.sum() == 1
