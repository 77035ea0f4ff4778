"""Cells are kept, never done twice, and survive errors, a full disk and kills."""

import functools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from ocsdf.benchmark.store import Store, run_cells

CELLS = [{"data": name, "seed": seed} for name in ("a", "b") for seed in (0, 1)]


class Work:
    """Counts its calls in a file, so that other processes count too."""

    def __init__(self, log):
        self.log = log

    def __call__(self, data, seed):
        with open(self.log, "a") as file:
            file.write(f"{data}{seed}\n")
        return {"score": 10 * seed + ord(data)}

    def calls(self):
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "log")


def expected_rows(cells):
    return [{**cell, "score": 10 * cell["seed"] + ord(cell["data"])} for cell in cells]


class TestRunCells:
    def test_rows_hold_key_and_values_in_order(self, work, tmp_path):
        path = tmp_path / "new" / "rows.sqlite"
        assert run_cells(CELLS, work, path) == expected_rows(CELLS)
        assert work.calls() == ["a0", "a1", "b0", "b1"]
        # One file, whole once it is closed.
        assert os.listdir(path.parent) == ["rows.sqlite"]
        with Store(path) as store:
            assert store.rows() == expected_rows(CELLS)

    def test_second_call_does_nothing_again(self, work, tmp_path):
        first = run_cells(CELLS, work, tmp_path / "rows.sqlite")
        assert run_cells(CELLS, work, str(tmp_path / "rows.sqlite")) == first
        assert len(work.calls()) == 4

    def test_only_what_is_missing_is_done(self, work, tmp_path):
        run_cells(CELLS[:1], work, tmp_path / "rows.sqlite")
        # The order of a key's names does not matter.
        swapped = [dict(reversed(cell.items())) for cell in reversed(CELLS)]
        assert run_cells(swapped, work, tmp_path / "rows.sqlite") == expected_rows(swapped)
        assert sorted(work.calls()) == ["a0", "a1", "b0", "b1"]

    def test_two_at_a_time(self, work, tmp_path):
        assert run_cells(CELLS, work, tmp_path / "rows.sqlite", n_jobs=2) == expected_rows(CELLS)
        assert sorted(work.calls()) == ["a0", "a1", "b0", "b1"]

    def test_an_error_is_a_row_and_the_others_go_on(self, work, tmp_path):
        def fails_on_a1(data, seed):
            values = work(data, seed)
            if (data, seed) == ("a", 1):
                raise ZeroDivisionError("no such luck")
            return values

        rows = run_cells(CELLS, fails_on_a1, tmp_path / "rows.sqlite")
        assert rows[1] == {"data": "a", "seed": 1, "error": "ZeroDivisionError: no such luck"}
        others = [CELLS[0], *CELLS[2:]]
        assert [row for row in rows if "error" not in row] == expected_rows(others)
        # The next call does the failed cell again, and no other.
        assert run_cells(CELLS, work, tmp_path / "rows.sqlite") == expected_rows(CELLS)
        assert work.calls()[4:] == ["a1"]

    def test_a_row_that_cannot_be_written_is_done_again(self, tmp_path):
        cells = [{"seed": seed} for seed in range(30)]
        path, done = tmp_path / "rows.sqlite", []

        def work(seed):
            done.append(seed)
            return {"text": f"{seed}" * 20_000}

        run_cells(cells[:2], work, path)
        connect, disk = sqlite3.connect, path.stat().st_size + 2**16

        class Full(sqlite3.Connection):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                pages = disk // self.execute("PRAGMA page_size").fetchone()[0]
                self.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="disk is full"):
            patch.setattr("sqlite3.connect", functools.partial(connect, factory=Full))
            run_cells(cells, work, path)
        with Store(path) as store:
            kept = [row["seed"] for row in store.rows()]
        assert 2 < len(kept) < 30 and kept == list(range(len(kept)))
        assert [row["seed"] for row in run_cells(cells, work, path)] == list(range(30))
        # What was kept is not done again; the one that did not fit is.
        assert sorted(done) == sorted([*range(30), len(kept)])

    def test_time_outs_are_done_again_when_asked(self, tmp_path):
        def slow(data, seed):
            done.append(seed)
            return {"error": "late", "limit": 1} if seed else {"score": 1}

        done, path = [], tmp_path / "rows.sqlite"
        run_cells(CELLS, slow, path, again=lambda row: row["limit"] < 1)
        run_cells(CELLS, slow, path, again=lambda row: row["limit"] < 1)
        assert done == [0, 1, 0, 1]
        run_cells(CELLS, slow, path, again=lambda row: row["limit"] < 2)
        assert done == [0, 1, 0, 1, 1, 1]

    def test_values_that_are_no_json_are_an_error_of_their_cell(self, tmp_path):
        rows = run_cells(CELLS[:1], lambda data, seed: {"a": {1, 2}}, tmp_path / "rows.sqlite")
        assert rows[0]["error"].startswith("TypeError: Object of type set")

    def test_a_file_that_is_no_store_is_told(self, tmp_path):
        (tmp_path / "notes.txt").write_text("a note\n" * 200)
        with pytest.raises(ValueError, match="notes.txt holds no cells"):
            Store(tmp_path / "notes.txt")
        assert (tmp_path / "notes.txt").read_text() == "a note\n" * 200

    def test_ctrl_c_ends_the_run_and_keeps_what_is_done(self, work, tmp_path):
        def interrupted_on_b0(data, seed):
            if (data, seed) == ("b", 0):
                raise KeyboardInterrupt
            return work(data, seed)

        with pytest.raises(KeyboardInterrupt):
            run_cells(CELLS, interrupted_on_b0, tmp_path / "rows.sqlite")
        with Store(tmp_path / "rows.sqlite") as store:
            assert len(store.rows()) == 2
        assert run_cells(CELLS, work, tmp_path / "rows.sqlite") == expected_rows(CELLS)
        assert work.calls() == ["a0", "a1", "b0", "b1"]


SCRIPT = """
import sys, time
from ocsdf.benchmark.store import run_cells

def work(seed):
    with open(sys.argv[2], "a") as log:
        log.write(f"{seed}\\n")
    if seed == int(sys.argv[3]):
        time.sleep(3600.0)
    return {"token": time.time_ns()}

run_cells([{"seed": seed} for seed in range(12)], work, sys.argv[1])
"""


def test_kills_lose_nothing_and_double_nothing(tmp_path):
    rows, log = tmp_path / "rows.sqlite", tmp_path / "log"

    def start(held=-1):
        """Start a run, which does not end the cell of the seed `held`."""
        command = [sys.executable, "-c", SCRIPT, rows, log, str(held)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kept():
        if not rows.exists():
            return {}
        with Store(rows) as store:
            return {row["seed"]: row["token"] for row in store.rows()}

    log.touch()
    survivors, n_killed = {}, 0
    for n_rows in (2, 5, 8):
        process = start(held=n_rows)
        deadline = time.monotonic() + 600
        while log.read_text().split()[-1:] != [str(n_rows)] and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        now = kept()
        assert sorted(now) == list(range(n_rows))
        assert survivors.items() <= now.items()
        survivors = now
    assert n_killed == 3
    assert start().wait(timeout=600) == 0
    final = kept()
    assert survivors.items() <= final.items()
    assert sorted(final) == list(range(12))
    # Only the cell that each kill hit was begun again.
    begun = log.read_text().split()
    assert set(begun) == {str(seed) for seed in range(12)}
    assert len(begun) == 12 + 3


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path):
    path = tmp_path / "rows.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ends = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    ends.start()
    with Store(path) as store:
        assert store.rows() == []
    ends.join()
    other.close()


def test_two_processes_share_a_file(tmp_path):
    rows, log = tmp_path / "rows.sqlite", tmp_path / "log"
    command = [sys.executable, "-c", SCRIPT, rows, log, "-1"]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    with Store(rows) as store:
        found = store.rows()
    assert [row["seed"] for row in found] == list(range(12))
    # They started at once and may have done a cell at the same time, but not the run twice.
    assert 12 <= len(log.read_text().split()) <= 24
