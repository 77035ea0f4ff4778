"""Tables whose file holds the split: read whole, refused where their parts do not fit."""

import numpy as np
import pytest

from ocsdf.benchmark.run import run_benchmark
from ocsdf.data.fixed_splits import load_fixed_split
from ocsdf.data.splits import fixed_split, split
from ocsdf.data.tables import load_table

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
