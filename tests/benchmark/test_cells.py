"""Cells are kept, never done twice, and survive errors, a full disk and kills."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ocsdf.benchmark.cells import run_cells

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
        folder = tmp_path / "new" / "rows"
        assert run_cells(CELLS, work, folder) == expected_rows(CELLS)
        assert work.calls() == ["a0", "a1", "b0", "b1"]
        files = sorted(folder.iterdir())
        assert len(files) == 4
        kept = [json.loads(file.read_text()) for file in files]
        assert sorted(kept, key=str) == sorted(expected_rows(CELLS), key=str)

    def test_second_call_does_nothing_again(self, work, tmp_path):
        first = run_cells(CELLS, work, tmp_path / "rows")
        assert run_cells(CELLS, work, str(tmp_path / "rows")) == first
        assert len(work.calls()) == 4

    def test_only_what_is_missing_is_done(self, work, tmp_path):
        run_cells(CELLS[:1], work, tmp_path / "rows")
        # The order of a key's names does not matter.
        swapped = [dict(reversed(cell.items())) for cell in reversed(CELLS)]
        assert run_cells(swapped, work, tmp_path / "rows") == expected_rows(swapped)
        assert sorted(work.calls()) == ["a0", "a1", "b0", "b1"]

    def test_two_at_a_time(self, work, tmp_path):
        assert run_cells(CELLS, work, tmp_path / "rows", n_jobs=2) == expected_rows(CELLS)
        assert sorted(work.calls()) == ["a0", "a1", "b0", "b1"]

    def test_an_error_is_a_row_and_the_others_go_on(self, work, tmp_path):
        def fails_on_a1(data, seed):
            values = work(data, seed)
            if (data, seed) == ("a", 1):
                raise ZeroDivisionError("no such luck")
            return values

        rows = run_cells(CELLS, fails_on_a1, tmp_path / "rows")
        assert rows[1] == {"data": "a", "seed": 1, "error": "ZeroDivisionError: no such luck"}
        others = [CELLS[0], *CELLS[2:]]
        assert [row for row in rows if "error" not in row] == expected_rows(others)
        # The next call does the failed cell again, and no other.
        assert run_cells(CELLS, work, tmp_path / "rows") == expected_rows(CELLS)
        assert work.calls()[4:] == ["a1"]

    def test_a_row_that_cannot_be_written_is_done_again(self, work, tmp_path, monkeypatch):
        def no_space(source, target):
            raise OSError("No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr("os.replace", no_space)
            run_cells(CELLS, work, tmp_path / "rows")
        assert os.listdir(tmp_path / "rows") == []
        assert run_cells(CELLS, work, tmp_path / "rows") == expected_rows(CELLS)
        assert work.calls() == ["a0", "a0", "a1", "b0", "b1"]

    def test_ctrl_c_ends_the_run_and_keeps_what_is_done(self, work, tmp_path):
        def interrupted_on_b0(data, seed):
            if (data, seed) == ("b", 0):
                raise KeyboardInterrupt
            return work(data, seed)

        with pytest.raises(KeyboardInterrupt):
            run_cells(CELLS, interrupted_on_b0, tmp_path / "rows")
        assert len(list((tmp_path / "rows").iterdir())) == 2
        assert run_cells(CELLS, work, tmp_path / "rows") == expected_rows(CELLS)
        assert work.calls() == ["a0", "a1", "b0", "b1"]


SCRIPT = """
import sys, time
from ocsdf.benchmark.cells import run_cells

def work(seed):
    with open(sys.argv[2], "a") as log:
        log.write(f"{seed}\\n")
    time.sleep(0.1)
    return {"token": time.time_ns()}

run_cells([{"seed": seed} for seed in range(12)], work, sys.argv[1])
"""


def test_kills_lose_nothing_and_double_nothing(tmp_path):
    rows, log = tmp_path / "rows", tmp_path / "log"

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, rows, log], stdout=subprocess.DEVNULL
        )

    def kept():
        return {file.name: file.read_text() for file in rows.glob("*.json")}

    survivors, n_killed = {}, 0
    for n_rows in (2, 5, 8):
        process = start()
        deadline = time.monotonic() + 60
        while len(kept()) < n_rows and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        now = kept()
        assert n_rows <= len(now) < 12
        assert survivors.items() <= now.items()
        survivors = now
    assert n_killed == 3
    assert start().wait(timeout=60) == 0
    final = kept()
    assert survivors.items() <= final.items()
    assert sorted(json.loads(row)["seed"] for row in final.values()) == list(range(12))
    # Only the cell that each kill hit was begun again.
    begun = log.read_text().split()
    assert set(begun) == {str(seed) for seed in range(12)}
    assert len(begun) <= 12 + 3
