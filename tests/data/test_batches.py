"""Tables in batches: the rows that reading whole gives, their moments and samples (issue 22)."""

import gc
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from ocsdf import load_table
from ocsdf.data import RowSummary
from ocsdf.data import batches as module
from ocsdf.data.batches import Batches, is_large, rebatched
from ocsdf.data.features import AS_IT_IS, Reading
from ocsdf.data.summaries import Moments, summarize_rows

pytest.importorskip("pyarrow", reason="batches are read by pyarrow, the extra parquet")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 3)), columns=list("abc"))
    return frame.assign(count=rng.integers(0, 9, 500), label=(rng.random(500) < 0.1) * 1)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 64)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4096)


def write(frame, path):
    if path.name.endswith(".parquet"):
        frame.to_parquet(path, row_group_size=100)
    else:
        frame.to_csv(path, index=False)
    return path


def read(batches):
    frames = [frame for frame, _ in batches]
    return pd.concat(frames, ignore_index=True), len(frames)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.csv.bz2"])
def test_batches_are_the_rows_of_the_whole_table(name, frame, tmp_path, small_batches):
    path = write(frame, tmp_path / name)
    batches = Batches(path, AS_IT_IS, label="label")
    rows, n_batches = read(batches)
    table = load_table(path, label="label")
    assert batches.features == table.feature_names
    np.testing.assert_array_equal(rows.to_numpy(), table.X)
    anomalies = np.concatenate([anomaly for _, anomaly in batches])
    np.testing.assert_array_equal(anomalies, table.y == 1)
    assert n_batches > 4 and batches.done == pytest.approx(1.0)


def test_memory_does_not_grow_with_the_rows(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200_000, 4)), columns=list("abcd"))
    rows.to_parquet(tmp_path / "t.parquet", row_group_size=5000)
    gc.collect()  # what other tests left must not go in the middle
    held = []
    for frame, _ in Batches(tmp_path / "t.parquet", Reading(features=("a", "b", "c"))):
        assert list(frame) == ["a", "b", "c"]
        held.append(arrow.total_allocated_bytes())
    # 40 groups of 120 kB each, of which no more than a few are held at a time.
    assert max(held) - min(held) < 8 * 120_000


def test_a_folder_is_its_files_in_the_order_of_their_names(frame, tmp_path, small_batches):
    for place, part in enumerate(np.array_split(np.arange(500), [0, 7, 400])):
        write(frame.iloc[part], tmp_path / f"part-{place}.parquet")
    (tmp_path / "_SUCCESS").touch()
    rows, _ = read(Batches(tmp_path, AS_IT_IS))
    np.testing.assert_array_equal(rows.to_numpy(), frame.to_numpy())


@pytest.mark.parametrize(
    "layout", [{"sep": ";", "decimal": ","}, {"sep": "\t"}, {"sep": "|", "encoding": "utf-16"}]
)
def test_text_is_laid_out_as_reading_whole_finds_it(layout, frame, tmp_path, small_batches):
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False, **layout)
    rows, _ = read(Batches(path, AS_IT_IS))
    np.testing.assert_allclose(rows.to_numpy(), frame.to_numpy(), rtol=1e-15)


def test_integers_may_become_numbers_later_on(tmp_path, small_batches):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,\n" * 3000 + "1.5,2\n")
    rows, _ = read(Batches(path, AS_IT_IS))
    assert rows["a"].iloc[-1] == 1.5 and rows["b"].iloc[-1] == 2.0
    path.write_text("a,b\n" + "1,2\n" * 3000 + f"{2**53 + 1},2\n")
    with pytest.raises(ValueError, match="'a' holds integers of 2\\^53"):
        read(Batches(path, AS_IT_IS))


def test_keys_are_as_they_came(frame, tmp_path, small_batches):
    key = np.arange(500) + 2**60
    path = write(frame.assign(key=key), tmp_path / "t.csv")
    rows, _ = read(Batches(path, AS_IT_IS, keep=["key"]))
    np.testing.assert_array_equal(rows["key"], key)
    rows, _ = read(Batches(path, Reading(drop=("key",))))
    assert list(rows) == list(frame)
    with pytest.raises(ValueError, match="'key' holds integers"):
        read(Batches(path, AS_IT_IS))


def test_columns_are_chosen_as_ever(frame, tmp_path, small_batches):
    path = write(frame.assign(key="k"), tmp_path / "t.csv")
    reading = Reading(drop=("label",), model_features=("c", "a"))
    with pytest.warns(UserWarning, match="left out"):
        batches = Batches(path, reading, keep=["key"])
    rows, _ = read(batches)
    assert list(rows) == ["key", "c", "a"]
    with pytest.raises(ValueError, match="no column 'id'"):
        Batches(path, AS_IT_IS, keep=["id"])


def test_saved_indices_are_left_out(frame, tmp_path):
    frame.to_csv(tmp_path / "t.csv")
    frame.set_index("count").to_parquet(tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="saved index"):
        assert Batches(tmp_path / "t.csv", AS_IT_IS).features == list(frame)
    assert Batches(tmp_path / "t.parquet", AS_IT_IS).features == ["a", "b", "c", "label"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n" + "1,2\n" * 3000 + "1\n", "Expected 2 columns, got 1"),
        ("a,b\n" + "1,2\n" * 3000 + "x,2\n", "invalid value 'x'"),
        ("a,b\n", "no rows|Empty CSV"),
    ],
)
def test_a_bad_line_is_one_line(content, told, tmp_path, small_batches):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"t.csv.*({told})"):
        read(Batches(path, AS_IT_IS))


def test_labels_need_their_anomaly_and_their_values(frame, tmp_path):
    named = frame.assign(label=np.where(frame["label"] == 1, "bad", "good"))
    path = write(named, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="--anomaly"):
        read(Batches(path, AS_IT_IS, label="label"))
    found = np.concatenate([a for _, a in Batches(path, AS_IT_IS, label="label", anomaly="bad")])
    np.testing.assert_array_equal(found, frame["label"] == 1)
    path = write(named.assign(label=named["label"].where(named.index > 3)), path)
    with pytest.raises(ValueError, match="missing"):
        read(Batches(path, AS_IT_IS, label="label", anomaly="bad"))


def test_rebatched_rows_do_not_depend_on_the_batches(frame):
    parts = [frame[:1], frame[1:1], frame[1:333], frame[333:]]
    found = list(rebatched(parts, 120))
    assert [len(part) for part in found] == [120] * 4 + [20]
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), frame)
    assert all(part.index[0] == 0 for part in found)


def test_which_tables_are_large(frame, tmp_path, monkeypatch):
    parquet, text = write(frame, tmp_path / "t.parquet"), write(frame, tmp_path / "t.csv")
    assert not any(map(is_large, [parquet, text, "wine", "-", tmp_path / "none.csv"]))
    assert is_large(tmp_path)
    monkeypatch.setattr(module, "_MOST_NUMBERS", 2000)
    monkeypatch.setattr(module, "_MOST_BYTES", 10_000)
    assert is_large(parquet) and is_large(text)
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    assert is_large(packed)


def test_a_folder_of_other_files_is_refused(frame, tmp_path):
    with pytest.raises(ValueError, match="files of one kind"):
        Batches(tmp_path, AS_IT_IS)
    write(frame, tmp_path / "t.parquet")
    (tmp_path / "t.npz").touch()
    with pytest.raises(ValueError, match="t.npz"):
        Batches(tmp_path, AS_IT_IS)
    with pytest.raises(FileNotFoundError, match="no file"):
        Batches(tmp_path / "none.parquet", AS_IT_IS)


ROWS = np.random.default_rng(0).normal(loc=5.0, size=(1000, 3)) * [1.0, 1e-3, 1e6]
FRAME = pd.DataFrame(ROWS, columns=list("abc"))


def parts(cuts):
    edges = [0, *sorted(cuts), 1000]
    return [FRAME.iloc[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 1000), max_size=6))
def test_chunks_of_any_size_make_the_same_summary(cuts):
    whole, summary = summarize_rows([FRAME], 1, 50), summarize_rows(parts(cuts), 1, 50)
    pd.testing.assert_frame_equal(summary.rows, whole.rows)
    for name, (mean, deviation) in summary.standardization().items():
        assert mean == pytest.approx(FRAME[name].mean(), rel=1e-12)
        assert deviation == pytest.approx(FRAME[name].std(ddof=0), rel=1e-9)


@settings(max_examples=25)
@given(st.permutations(range(4)))
def test_merged_parts_do_not_depend_on_the_order(order):
    def merged(places):
        total = RowSummary(0, 40)
        for place in places:
            total.merge(RowSummary((0, place), 40).update(parts([10, 10, 700])[place]))
        return total

    expected, found = merged(range(4)), merged(order)
    pd.testing.assert_frame_equal(found.rows, expected.rows)
    assert found.n_seen == 1000
    mean, deviation = found.standardization()["c"]
    assert (mean, deviation) == pytest.approx((FRAME["c"].mean(), FRAME["c"].std(ddof=0)))


def test_every_row_is_as_likely_to_be_kept():
    frame = pd.DataFrame({"row": np.arange(40)})
    kept = np.concatenate(
        [summarize_rows([frame[:13], frame[13:]], seed, 10).rows["row"] for seed in range(400)]
    )
    counts = np.bincount(kept, minlength=40)
    assert counts.sum() == 4000
    # Without replacement counts vary less than multinomial ones: the test is on the safe side.
    assert chisquare(counts).pvalue > 1e-4


def test_rows_are_those_that_came_and_each_once():
    rows = summarize_rows(parts([300]), 0, 200).rows
    assert len(rows) == 200 and not rows.duplicated().any()
    assert set(map(tuple, rows.to_numpy())) <= set(map(tuple, ROWS))


def test_all_rows_are_kept_where_there_is_room():
    rows = summarize_rows(parts([300]), 0).rows
    np.testing.assert_array_equal(np.sort(rows.to_numpy(), axis=0), np.sort(ROWS, axis=0))


def test_values_that_are_not_there_do_not_count():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "t": ["x", "y", None], "i": [1, 2, 3]})
    summary = summarize_rows([frame[:2], frame[2:]])
    assert set(summary.standardization()) == {"i"}
    assert summary.unfit() == (["a"], [])
    moments = Moments.of(frame[["a"]].to_numpy())
    assert (moments.count[0], moments.mean[0], moments.deviation[0]) == (2.0, 2.0, 1.0)
    assert summarize_rows([frame.assign(i=np.inf)]).unfit() == (["a"], ["i"])


@pytest.mark.parametrize("make", [pd.DataFrame, np.asarray], ids=["frames", "arrays"])
def test_chunks_of_other_columns_are_refused(make):
    with pytest.raises(ValueError, match="same columns"):
        summarize_rows([make(ROWS), make(ROWS[:, :2])])


def test_no_rows_are_one_line():
    with pytest.raises(ValueError, match="no rows"):
        _ = RowSummary().rows
    summary = summarize_rows([FRAME[:0], FRAME])
    assert summary.n_seen == 1000
