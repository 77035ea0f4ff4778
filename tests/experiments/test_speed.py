"""The benchmarks of speed: what they count, how they judge, and that they go on after a kill."""

import importlib
import importlib.util
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from experiments.speed import (
    fits,
    growth,
    growth_worker,
    products,
    same_work,
    scoring,
    sooner,
    steps,
    suite,
    tables,
)
from experiments.speed.suite import judge
from ocsdf import OCSDF
from ocsdf.benchmark.child_process import ChildError

suite_main = importlib.import_module("experiments.speed.__main__")


def table_of(rows, names):
    return pd.DataFrame([dict(zip(names.split(), row, strict=True)) for row in rows])


class TestProducts:
    # 2 -> 4 -> 1, three rows, two Newton steps, counted by hand.
    COUNTS = {
        (3, 2, 4): 2, (3, 4, 2): 2, (6, 2, 4): 1, (2, 6, 4): 1,
        (2, 4, 2): 1, (2, 2, 2): 1, (4, 2, 2): 1,
        (3, 4, 1): 2, (3, 1, 4): 2, (6, 4, 1): 1, (4, 6, 1): 1, (6, 1, 4): 1,
        (1, 4, 1): 1, (1, 1, 1): 1, (4, 1, 1): 1,
    }  # fmt: skip

    def test_count_by_hand(self):
        counts = products.products([2, 4, 1], batch=3, newton_steps=2)
        assert counts == self.COUNTS
        assert products.flops(counts) == (192 + 192 + 80) + (96 + 144 + 18)

    def test_square_kernels_dominate_at_the_papers_width(self):
        # A square kernel of width w: T (2 B w^2 twice), 2B rows three times, three products w^3.
        width, batch, newton_steps = 512, 128, 4
        one = 2 * width**2 * (2 * newton_steps * batch + 3 * 2 * batch + 3 * width)
        counts = products.products([20, *[width] * 4, 1], batch, newton_steps)
        assert 3 * one < products.flops(counts) < 3.2 * one

    def test_seconds_are_those_of_all_products(self):
        once = products.bare_seconds({(64, 64, 64): 1})
        assert 0.0 < once < products.bare_seconds({(64, 64, 64): 1, (256, 256, 256): 50})


class TestVerdicts:
    def test_failed_cells_are_told_and_left_out(self):
        rows = [{"a": 1}, {"a": 2, "error": "ValueError: no"}]
        assert suite.finished(rows)["a"].tolist() == [1]
        assert suite.failures(rows) == "1 cells failed, run again to retry; the first: " + (
            "ValueError: no"
        )
        assert suite.failures(rows[:1]) == ""

    def test_steps(self):
        seconds = {"ours": 1.0, "authors": 12.0, "kindest": 6.0, "bare products": 0.6}
        rows = [
            (steps.SECONDS, 512, activation, turn, method, value * (1.0 + turn))
            for activation in steps.ACTIVATIONS
            for turn in range(3)
            for method, value in seconds.items()
        ]
        rows += [
            (steps.DEVIATION, 512, activation, 0, method, value)
            for activation, factor in (("fullsort", 1.0), ("groupsort2", 3.0))
            for method, value in ((steps.TRAINING, 1e-2 * factor), (steps.CONDENSED, 1e-7))
        ]
        table = table_of(rows, "quantity width activation round method value")
        found = steps.verdicts(table)
        # 12x suffices for FullSort, not for GroupSort2, and one worst kernel for both is judged.
        assert [verdict.met for verdict in found] == [True, False, False, False, True]
        assert str(found[0]).endswith("12 [12, 12], target >= 10 (/ the kindest form: 6 [6, 6])")
        assert "our share of it 0.6 [0.6, 0.6]" in steps.describe(table)
        assert isinstance(steps.draw(table), Figure)

    def test_same_work(self):
        rows = [("wine", "ours", s, v) for s, v in enumerate([10.0, 89.5, 99.0])]
        rows += [("wine", "reference", s, v) for s, v in enumerate([20.0, 90.0, 91.0])]
        rows += [("digits", "ours", 0, 80.0), ("digits", "reference", 0, 81.5)]
        rows += [("iris", "ours", 0, 80.0)]
        rows += [("digits", "ours", seed, 99.0) for seed in (3, 4)]
        found = same_work.verdicts(table_of(rows, "table method seed auroc"))
        # Seeds beyond those of all tables are told, and not counted.
        assert found[1].note.endswith(
            "; of all 3 seeds that were run: ours 99 [80, 99], reference 81.5 [81.5, 81.5]"
        )
        assert [verdict.met for verdict in found] == [True, False, False]
        assert found[2].measured == "not measured"

    def test_sooner(self):
        names = (
            "table turn turns authors_seconds reference_auroc kindest_seconds our_auroc our_seconds"
        )
        rows = [
            (name, turn, 2, 100.0, 80.0 + 10.0 * turn, 50.0, auroc, 2.0)
            for name, auroc in (("thyroid", 89.5), ("cardio", 88.9))
            for turn in range(2)
        ]
        rows += [("satimage-2", 0, 2, 1000.0, 90.0, 500.0, 99.0, 1.0)]
        table = table_of(rows, names).assign(steps=10)
        found = {verdict.name: verdict for verdict in sooner.verdicts(table)}
        name = "seconds of the reference to there / of our fit"
        assert found["thyroid, our AUROC"].met
        assert found[f"thyroid, {name}"].met
        assert found[f"thyroid, {name}"].measured == "100 [100, 100]"
        note = "at most; the kindest form: 50 [50, 50]; to the reference's end: 100"
        assert found[f"thyroid, {name}"].note == note
        # 100 times as fast, and not there.
        assert not found["cardio, our AUROC"].met
        assert not found[f"cardio, {name}"].met
        assert "does not count" in found[f"cardio, {name}"].note
        # The reference has not trained to its end.
        assert found[f"satimage-2, {name}"].measured == "not measured"
        assert "first seen after 200 s" in sooner.describe(table)
        assert isinstance(sooner.draw(table), Figure)

    def test_growth(self):
        names = "detector data n d width depth fit_seconds score_seconds fit_megabytes"
        rows = [
            ("OCSDF", "generated", n, 10, 128, 4, 1e-3 * n**0.5, 0.0, 800.0)
            for n in (1_000, 10_000, 100_000)
        ]
        rows += [
            ("OCSDF", "http", 567_498, 3, 128, 4, 61.0, 9.0, 1499.0),
            ("OCSDF", "generated", 2_000, 1_555, 128, 4, 119.0, 9.0, 2000.0),
            ("NearestNeighbors", "generated", 1_000, 10, None, None, 0.5, 1.5, 300.0),
        ]
        table = table_of(rows, names)
        assert [verdict.met for verdict in growth.verdicts(table)] == [False, True, True]
        curves = growth.curves(table)
        assert growth.slope(curves["n", "OCSDF"]) == pytest.approx(0.5)
        assert curves["n", "NearestNeighbors"]["seconds"].tolist() == [2.0]
        assert np.isnan(growth.slope(curves["n", "NearestNeighbors"]))
        assert "OCSDF takes 0.0316 s at n = 1000 and 0.316 s at n = 100000" in (
            growth.describe(table)
        )
        assert isinstance(growth.draw(table), Figure)

    def test_fits_with_a_failed_check_miss(self):
        for failed, met in ((0, True), (1, False)):
            rows = [("OCSDF", 0, fits.CHECKS, 80.0), ("OCSDF", 0, fits.FAILED, failed)]
            (verdict,) = fits.verdicts(table_of(rows, "detector round quantity value"))
            assert verdict.met is met


class TestPerform:
    @pytest.fixture
    def benchmark(self):
        return SimpleNamespace(
            NAME="toy",
            ROUNDS=2,
            REQUIRES=(),
            run=lambda rounds, folder: [{"turn": turn} for turn in range(rounds)],
            describe=lambda table: f"{len(table)} rows",
            verdicts=lambda table: [judge("turn", table["turn"], least=0.0)],
            draw=lambda table: Figure(),
        )

    def test_files_and_lines(self, benchmark, tmp_path):
        folder = tmp_path / "new"
        text, verdicts = suite.perform(benchmark, None, folder)
        assert text.startswith("2 rows\nRows entered the record at commit: ")
        assert [verdict.met for verdict in verdicts] == [True]
        assert pd.read_csv(folder / "speed_toy.csv")["turn"].tolist() == [0, 1]
        assert (folder / "speed_toy.png").read_bytes().startswith(b"\x89PNG")
        assert sorted(file.name for file in folder.iterdir()) == ["speed_toy.csv", "speed_toy.png"]
        benchmark.run = None
        assert suite.perform(benchmark, None, folder, render=True) == (text, verdicts)

    def test_a_benchmark_without_its_tables_says_so(self, benchmark, tmp_path, monkeypatch):
        monkeypatch.delenv("OCSDF_DATA_HOME", raising=False)
        benchmark.REQUIRES = (suite.DATA_HOME,)
        text, verdicts = suite.perform(benchmark, None, tmp_path)
        assert text.startswith("toy is skipped: it needs the tables: set OCSDF_") and not verdicts
        monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
        assert suite.why_not(benchmark.REQUIRES) == ""

    def test_a_benchmark_without_tf_keras_says_so(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert "pip install 'ocsdf[experiments]'" in suite.why_not([suite.REFERENCE])

    def test_rows_are_kept_before_a_picture_fails(self, benchmark, tmp_path):
        benchmark.draw = lambda table: 1 / 0
        with pytest.raises(ZeroDivisionError):
            suite.perform(benchmark, None, tmp_path)
        assert len(pd.read_csv(tmp_path / "speed_toy.csv")) == 2

    def test_the_others_go_on(self, benchmark, tmp_path, capsys, monkeypatch):
        def find(name):
            if name == "steps":
                raise RuntimeError("no such luck")
            return benchmark

        monkeypatch.setattr(suite_main, "find", find)
        only = ["--only", "growth", "steps", "--rounds", "3", "--output", str(tmp_path)]
        suite_main.main(only)
        printed = capsys.readouterr()
        assert "RuntimeError: no such luck" in printed.err
        text = (tmp_path / "speed.md").read_text()
        assert printed.out == text + "\n"
        assert "| met | turn     | 1 [0, 2]   | >= 0     |" in text
        assert "## steps\n\n```\nIt failed: RuntimeError('no such luck')\n```" in text
        assert "## growth\n\n```\n3 rows\nRows entered" in text

    @pytest.mark.parametrize("name", suite_main.BENCHMARKS)
    def test_all_are_found(self, name):
        benchmark = suite_main.find(name)
        assert name == benchmark.NAME
        assert benchmark.ROUNDS >= 1
        assert set(benchmark.REQUIRES) <= {suite.DATA_HOME, suite.REFERENCE}

    def test_scoring_is_judged_as_the_others(self):
        rates = {"OCSDF": 5.0, "OCSDF fullsort": 9.0, "IsolationForest": 10.0}
        rates |= {"NearestNeighbors": 1.0, "PyOD KNN": 0.5}
        rows = [(scoring.TABLE, name, 0, rate) for name, rate in rates.items()]
        table = table_of(rows, "benchmark detector round rows_per_second")
        found = scoring.verdicts(table)
        assert [verdict.met for verdict in found] == [False, True, True, True]
        assert str(found[1]) == (
            "met     rows scored a second, OCSDF fullsort / IsolationForest: 0.9 [0.9, 0.9], "
            "target >= 0.5"
        )
        assert isinstance(scoring.draw(table), Figure)


class TestProblem:
    PROBLEM = tables.Problem(np.zeros((3772, 2)), np.repeat([0, 1], [3700, 72]))

    def test_steps_are_those_of_training(self):
        assert self.PROBLEM.steps_per_epoch() == 30
        # 600 steps are shared equally by 40 epochs.
        assert self.PROBLEM.steps_per_epoch(600) == 15

    def test_low_scores_mean_anomaly(self):
        assert self.PROBLEM.auroc(-self.PROBLEM.y) == 100.0


def test_same_work_is_not_done_twice(tmp_path, monkeypatch):
    done = []

    def work(table, method, seed, width, max_steps):
        done.append((table, method, seed))
        return {"auroc": 50.0}

    monkeypatch.setattr(same_work, "train_and_judge", work)
    assert len(same_work.run(2, tmp_path, ["wine"])) == 4
    # In turn, a seed after the other.
    assert done == [("wine", m, s) for s in (0, 1) for m in ("ours", "reference")]
    same_work.run(3, tmp_path, ["wine"])
    assert done[4:] == [("wine", "ours", 2), ("wine", "reference", 2)]


class TestRace:
    """The reference of ``sooner`` goes on where it was killed."""

    class Reference:
        """Counts its steps; its scores are their number."""

        killed_at = None
        closed = 0

        def __init__(self):
            self.steps = 0

        def train(self, n_steps, newton_steps):
            if self.killed_at is not None and self.steps + n_steps > self.killed_at:
                raise KeyboardInterrupt
            self.steps += n_steps
            return 2.0 * n_steps if newton_steps else 1.0 * n_steps

        def score(self, points):
            return self.steps

        def save(self, path):
            np.savez(path, steps=self.steps)

        def restore(self, path):
            self.steps = int(np.load(path)["steps"])

        def close(self):
            type(self).closed += 1

    @pytest.fixture
    def reference(self, monkeypatch, tmp_path):
        reference = type("Reference", (self.Reference,), {})
        fit = {"auroc": 90.0, "seconds": 1.0}
        problem = SimpleNamespace(
            reference=lambda width, form, seed: reference(),
            fit_and_judge=lambda **parameters: fit,
            steps_per_epoch=lambda: 3,
            points=lambda: None,
            auroc=float,
        )
        monkeypatch.setattr(sooner, "Problem", SimpleNamespace(load=lambda name: problem))
        monkeypatch.setattr(sooner, "BUILD", tmp_path)
        return reference

    def test_parts_hold_every_epoch_once(self):
        assert sooner.parts(40, 5, 8) == [(5, 0), *[(0, 5)] * 7]
        assert sooner.parts(40, 5, 3) == [(5, 9), (0, 13), (0, 13)]

    def test_a_killed_run_goes_on(self, reference, tmp_path):
        whole = sooner.run(4, tmp_path / "whole", ["wine"])
        assert [row["reference_auroc"] for row in whole] == [30.0, 60.0, 90.0, 120.0]
        assert [row["authors_seconds"] for row in whole] == [45.0, 60.0, 60.0, 60.0]
        # 5 of 10 epochs with T = 0 at 1 s a step, all others at 2 s.
        assert [row["kindest_seconds"] for row in whole] == [45.0, 60.0, 60.0, 60.0]
        reference.killed_at = 70
        with pytest.raises(KeyboardInterrupt):
            sooner.run(4, tmp_path / "killed", ["wine"])
        reference.killed_at = None
        resumed = sooner.run(4, tmp_path / "killed", ["wine"])
        started = [row.pop("first_fit_seconds", None) for row in resumed]
        assert started == [1.0, None, 1.0, None]
        assert [row | {"first_fit_seconds": 1.0} for row in resumed[:1]] == whole[:1]
        assert resumed[1:] == whole[1:]
        # Nothing is left behind: three times two processes, and no state.
        assert reference.closed == 6
        assert list(tmp_path.rglob("*.npz")) == []


class TestGrowth:
    def test_each_fit_is_listed_once(self, monkeypatch):
        monkeypatch.delenv("OCSDF_DATA_HOME", raising=False)
        cells = growth.all_cells()
        assert len({tuple(cell.values()) for cell in cells}) == len(cells)
        assert cells[-1]["data"] == "generated"
        ours = [cell for cell in cells if cell["detector"] == "OCSDF"]
        for axis, values in (("n", growth.ROWS), ("d", growth.FEATURES)):
            assert set(values) <= {cell[axis] for cell in ours}
        for axis, values in (("width", growth.WIDTHS), ("depth", growth.DEPTHS)):
            square = [c for c in ours if (c["n"], c["d"]) == (growth.N_FEW, growth.D_FEW)]
            assert {cell[axis] for cell in square} == set(values)

    def test_a_fit_apart_is_measured_and_kept(self, tmp_path):
        cell = growth._cell(growth.FOREST, 50, 3)
        (row,) = growth.run(1, tmp_path, [cell])
        assert row["fit_seconds"] > 0.0
        assert row["score_seconds"] > 0.0
        # Its own peak: this process, with TensorFlow, holds more.
        assert 0.0 < row["megabytes_before"] <= row["fit_megabytes"] <= row["megabytes"]
        assert row["megabytes"] < growth_worker.memory()
        assert growth.run(1, tmp_path, [cell]) == [row]

    def test_a_fit_that_takes_too_long_is_a_row(self, monkeypatch, tmp_path):
        monkeypatch.setitem(growth._MOST_SECONDS, growth.NEIGHBORS, 0.01)
        (row,) = growth.run(1, tmp_path, [growth._cell(growth.NEIGHBORS, 50, 3)])
        assert row["note"] == "over 0.01 s"

    def test_a_fit_that_fails_says_why(self):
        with pytest.raises(ChildError, match=r"^FileNotFoundError: "):
            growth.fit_apart(**growth._cell(growth.FOREST, 50, 3, data="no_such_table.npz"))

    def test_data_of_another_size_are_refused(self):
        cell = growth._cell(growth.FOREST, 50, 3, data="wine")
        with pytest.raises(ValueError, match=r"wine has the shape \(178, 13\); expected \(50, 3\)"):
            growth_worker.measure(*map(cell.get, growth._MEASURED))


class TestFits:
    def test_checks_are_counted(self, monkeypatch):
        def check_estimator(estimator, expected_failed_checks, **_):
            assert isinstance(estimator, OCSDF)
            return [{"status": status} for status in ("passed", "failed", "xfail", "skipped")]

        monkeypatch.setattr(fits, "check_estimator", check_estimator)
        rows = {row["quantity"]: row["value"] for row in fits._checked()}
        assert rows[fits.FAILED] == 1
        assert rows[fits.CHECKS] >= 0.0

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_memory_is_noted_after_each_fit(self):
        rows = fits._held(2)
        assert [row["round"] for row in rows] == [0, 1]
        assert all(0.0 < row["value"] <= growth_worker.memory() + 1.0 for row in rows)

    @pytest.mark.slow
    def test_all_of_it(self, tmp_path):
        small = OCSDF(**fits.SMALL, random_state=0)
        rows = fits.run(1, tmp_path, sizes=(100,), n_fits=2, checks=False, searched=small)
        table = suite.finished(rows)
        assert (table["value"] > 0.0).all()
        for words in ("n_jobs=1 / n_jobs=2", "fit on 100 rows", "memory over 2 fits"):
            assert words in fits.describe(table)
        assert isinstance(fits.draw(table), Figure)


class TestSteps:
    def test_deviation_is_that_of_the_worst_kernel(self):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)])
        rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
        model.layers[0].set_weights([rotation * [1.25, 1.0], np.zeros(2)])
        model.layers[1].set_weights([np.array([[0.0], [0.875]]), np.zeros(1)])
        assert steps.deviation(model) == pytest.approx(0.25, abs=1e-6)

    def test_every_step_is_watched(self):
        rows = steps._watched(width=8, activation="groupsort2", n_steps=3)
        methods = [steps.TRAINING] * 3 + [steps.CONDENSED]
        assert [row["method"] for row in rows] == methods
        assert rows[-1]["value"] < 1e-6 < rows[0]["value"]

    @pytest.mark.slow
    def test_all_take_their_turns(self, tmp_path):
        pytest.importorskip("tf_keras")
        rows = steps.run(2, tmp_path, [8], our_steps=2, reference_steps=1, watched_steps=1)
        table = pd.DataFrame(rows)
        timed = table[table["quantity"] == steps.SECONDS]
        assert set(timed["method"]) == {"ours", "authors", "kindest", "bare products"}
        assert (timed.groupby(["activation", "method"])["round"].nunique() == 2).all()
        assert (table["value"] > 0.0).all()
