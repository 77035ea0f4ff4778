"""The benchmark's cells: figures, rows, labels, failures, time limit, kills and the command."""

import json
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

from ocsdf.benchmark.evaluate import score_metrics
from ocsdf.benchmark.run import run_benchmark, split_hash, tables_at_hand
from ocsdf.benchmark.store import Store
from ocsdf.cli.commands import app
from ocsdf.data.splits import reduce_rows, split
from ocsdf.data.tables import Table, load_table

# Detectors that need no import of PyOD, which takes children seconds.
MODULE = """
import os, pickle, time
from pathlib import Path
import numpy as np

class Center:
    "A scikit-learn estimator with a bound: 1-Lipschitz in the rows as they are."

    def fit(self, X):
        self.mean_ = X.mean(axis=0)
        return self

    def score_samples(self, X):
        return -np.linalg.norm(X - self.mean_, axis=1)

    def certified_auroc(self, X, y, radii):
        from ocsdf import certified_auroc
        scores = self.score_samples(X)
        return certified_auroc(scores[y == 0], scores[y == 1], radii)

class Noisy(Center):
    "Draws from the global generator, and warns."

    def score_samples(self, X):
        import warnings
        warnings.warn("very noisy")
        warnings.warn("old", DeprecationWarning)
        return np.random.normal(size=len(X))

class Told:
    "ADBench's form: keeps all it is told."

    def __init__(self, seed, model_name=None):
        self.seed = seed

    def fit(self, X_train, y_train):
        self.told = X_train, y_train
        return self

    def predict_score(self, X):
        content = pickle.dumps((self.seed, *self.told, X))
        Path(os.environ["TOLD"], f"{hash(content)}.pickle").write_bytes(content)
        return np.linalg.norm(X, axis=1)

class Holes(Center):
    def score_samples(self, X):
        return np.where(np.arange(len(X)) < 3, np.nan, 0.0)

class Slow(Center):
    def fit(self, X):
        if len(X) != 64:
            with open(Path(os.environ["TOLD"], "slow"), "a") as file:
                file.write("begun ")
            time.sleep(3600.0)

class Fails(Center):
    def fit(self, X):
        raise ValueError("cannot fit this")

class Scaled(Center):
    def __init__(self, factor=1.0):
        self.factor = factor

class Mended(Center):
    def fit(self, X):
        if not Path(os.environ["TOLD"], "mended").exists():
            raise ValueError("not yet")
        return super().fit(X)
"""
TIMES = ["fit_seconds", "score_seconds", "peak_mb"]


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toy_detectors.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Returns what the detector Told was told since the last call, by seed."""
    folder = tmp_path / "told"
    folder.mkdir()
    monkeypatch.setenv("TOLD", str(folder))

    def read():
        files = list(folder.glob("*.pickle"))
        found = [pd.read_pickle(file) for file in files]
        for file in files:
            file.unlink()
        return sorted((one for one in found if len(one[1]) != 64), key=lambda one: one[0])

    return read


def small(n=60, n_anomalies=12, name="small", seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [n - n_anomalies, n_anomalies]))
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + 2.0 * y[:, None]
    return Table(X, y, ["a", "b", "c"], name)


def toy(*names):
    return [f"toy_detectors:{name}" for name in names]


class TestScoreMetrics:
    def test_counted_by_hand(self):
        # Ranked: a n a n n; recalls 1/2, 1/2, 1, precisions 1, 1/2, 2/3.
        metrics = score_metrics([1, 0, 1, 0, 0], [5.0, 4.0, 3.0, 2.0, 1.0])
        assert metrics == pytest.approx(
            {"auroc": 100 * 5 / 6, "aupr": 100 * (1 / 2 + 1 / 3), "fpr95": 100 / 3}
        )

    def test_fpr_at_95_percent_needs_19_of_20(self):
        y = np.repeat([1, 0], [20, 10])
        scores = np.concatenate([np.full(19, 5.0), [0.0], np.full(3, 6.0), np.full(7, 1.0)])
        assert score_metrics(y, scores)["fpr95"] == pytest.approx(30.0)
        scores[:2] = 0.0
        assert score_metrics(y, scores)["fpr95"] == pytest.approx(100.0)

    def test_holes_are_counted(self):
        with pytest.raises(ValueError, match="2 of 3 scores are NaN or infinite"):
            score_metrics([0, 1, 0], [np.nan, 1.0, np.inf])


class TestRows:
    def test_a_row_says_what_a_hand_made_fit_says(self, tmp_path):
        table = small()
        rows = run_benchmark([table], toy("Center"), [3], ["oc"], tmp_path)
        assert len(rows) == 1
        row = rows.iloc[0]
        train, test, _ = split(table.X, table.y, "oc", 3)
        scores = np.linalg.norm(table.X[test] - table.X[train].mean(axis=0), axis=1)
        expected = score_metrics(table.y[test], scores)
        assert row[list(expected)].to_dict() == pytest.approx(expected)
        certified = row[[f"certified_auroc_{radius}" for radius in (0.1, 0.2, 0.5)]].tolist()
        assert row["auroc"] > certified[0] > certified[1] > certified[2] > 0
        assert row[["n_train", "n_train_anomalies", "n_test", "n_anomalies"]].tolist() == [
            *(24, 0, 36, 12)
        ]
        assert (row["table"], row["protocol"], row["seed"]) == ("small", "oc", 3)
        assert (row["transductive"], row["leaks"], row["n_features"]) == (False, False, 3)
        assert 0 <= row["fit_seconds"] < 1 and 0 <= row["score_seconds"] < 1
        assert pd.isna(row["error"]) and pd.isna(row["warnings"])

    def test_a_certificate_is_of_the_rows_as_they_were_scored(self, tmp_path):
        """Under "adbench" and "clean" these are scaled to [0, 1], and so are its radii."""
        plain = small()
        table = plain._replace(X=plain.X * [1.0, 100.0, 0.01] + [0.0, 0.0, 50.0])
        rows = run_benchmark([table], toy("Center"), [0], ["adbench", "clean"], tmp_path)
        for _, row in rows.iterrows():
            certified = row[[f"certified_auroc_{radius}" for radius in (0.1, 0.2, 0.5)]].tolist()
            assert row["auroc"] > certified[0] > certified[1] > certified[2]

    def test_a_cell_each_and_one_seed_for_what_uses_none(self, tmp_path):
        tables = [small(), small(name="other", seed=1)]
        detectors = ["PCA", *toy("Center")]
        rows = run_benchmark(tables, detectors, range(2), ["ad", "oc", "contaminated"], tmp_path)
        counts = rows.groupby(["protocol", "detector"]).size().to_dict()
        assert counts == {
            ("ad", "PCA"): 2,
            ("ad", detectors[1]): 4,
            **{("oc", name): 4 for name in detectors},
            **{("contaminated", name): 20 for name in detectors},
        }
        assert rows["error"].isna().all()
        shares = rows[rows["protocol"] == "contaminated"].groupby("contamination")
        added = (shares["n_train_anomalies"].mean() / shares["n_train"].mean()).to_dict()
        assert list(added) == [0.0, 0.01, 0.05, 0.1, 0.2]
        assert added == pytest.approx({share: share for share in added}, abs=0.025)

    def test_split_is_hashed_in_the_tables_numbering(self, tmp_path):
        table = small(6_000, 40)
        rows = run_benchmark([table], toy("Center"), [0, 1], ["oc"], tmp_path)
        kept = reduce_rows(table.y)
        parts = [split(table.X[kept], table.y[kept], "oc", seed) for seed in (0, 1)]
        expected = [split_hash(kept[part.train_rows], kept[part.test_rows]) for part in parts]
        assert rows["split"].tolist() == expected and expected[0] != expected[1]
        assert split_hash([1, 2], [3]) != split_hash([1], [2, 3])

    def test_a_changed_table_is_done_anew(self, tmp_path):
        run = (toy("Center"), [0], ["oc"], tmp_path)
        first = run_benchmark([small()], *run)
        second = run_benchmark([small(seed=1)], *run)
        assert first["auroc"].tolist() != second["auroc"].tolist()
        assert first["table_hash"].tolist() != second["table_hash"].tolist()
        # Neither has taken the other's place.
        pd.testing.assert_frame_equal(run_benchmark([small()], *run), first)
        labels = small()._replace(y=1 - small().y)
        assert run_benchmark([labels], *run)["auroc"].tolist() != first["auroc"].tolist()

    def test_changed_parameters_and_versions_are_done_anew(self, tmp_path, toys, monkeypatch):
        import toy_detectors

        run = ([small()], toy("Scaled"), [0], ["oc"], tmp_path)
        first = run_benchmark(*run)
        monkeypatch.setattr(toy_detectors.Scaled.__init__, "__defaults__", (2.0,))
        second = run_benchmark(*run)
        assert first["parameters_hash"].tolist() != second["parameters_hash"].tolist()
        monkeypatch.setattr("ocsdf.benchmark.detectors.__version__", "99")
        assert run_benchmark(*run)["versions"][0].startswith("ocsdf 99, pyod ")
        with Store(tmp_path / "cells.sqlite") as store:
            assert len(store.rows()) == 3

    def test_detectors_judged_on_different_rows_are_noticed(self, tmp_path, monkeypatch):
        run_benchmark([small()], toy("Center"), [0], ["oc"], tmp_path)
        monkeypatch.setattr("ocsdf.benchmark.run.split_hash", lambda train, test: "other")
        with pytest.raises(ValueError, match=r"different rows \(oc, small, 0\): take a new folder"):
            run_benchmark([small()], toy("Center", "Noisy"), [0], ["oc"], tmp_path)

    def test_all_rows_for_linear_time(self, tmp_path):
        table = small(6_000, 40)
        run = (["KNN", *toy("Center")], [0], ["ad"], tmp_path)
        reduced = run_benchmark([table], *run)
        assert reduced["n_train"].tolist() == [5_000, 5_000]
        lifted = run_benchmark([table], *run, all_rows=True)
        assert lifted["n_train"].tolist() == [5_000, 6_000]
        assert lifted["rows"].fillna("").tolist() == ["", "all"]
        pd.testing.assert_frame_equal(run_benchmark([table], *run), reduced)

    def test_same_cell_same_row_whatever_ran_before(self, tmp_path):
        names = toy("Noisy", "Center")
        one = run_benchmark([small()], names, [0, 1], ["oc"], tmp_path / "a")
        other = run_benchmark([small()], names[::-1], [1, 0], ["oc"], tmp_path / "b", n_jobs=2)
        key = ["detector", "seed"]
        pd.testing.assert_frame_equal(
            one.sort_values(key, ignore_index=True).drop(columns=TIMES),
            other.sort_values(key, ignore_index=True).drop(columns=TIMES),
        )
        assert one["warnings"].fillna("").tolist() == ["UserWarning: very noisy"] * 2 + ["", ""]


class TestLabelsAndScales:
    def test_swapped_labels_change_nothing_that_a_detector_sees(self, tmp_path, told):
        table = small()
        swapped = table._replace(y=1 - table.y)
        rows = run_benchmark([table], toy("Told"), [0, 1], ["ad"], tmp_path / "a")
        first = told()
        rows_swapped = run_benchmark([swapped], toy("Told"), [0, 1], ["ad"], tmp_path / "b")
        for one, other in zip(first, told(), strict=True):
            assert one[0] == other[0]
            for a, b in zip(one[1:], other[1:], strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(one[2], np.zeros(60))
        assert (rows["auroc"] + rows_swapped["auroc"]).tolist() == pytest.approx([100.0, 100.0])

    def test_rows_are_raw_but_for_pyod_and_minmax(self, tmp_path, told):
        table = small()
        run_benchmark([table], toy("Told"), [0], ["oc", "clean"], tmp_path)
        by_rows = {len(one[1]): one for one in told()}
        train, test, _ = split(table.X, table.y, "oc", 0)
        np.testing.assert_array_equal(by_rows[24][1], table.X[train])
        np.testing.assert_array_equal(by_rows[24][3], table.X[test])
        X_train = by_rows[42][1]
        np.testing.assert_allclose(X_train.min(axis=0), 0.0, atol=1e-12)
        np.testing.assert_allclose(X_train.max(axis=0), 1.0)
        assert by_rows[42][3].max() > 1.0 or by_rows[42][3].min() < 0.0

    def test_pyod_is_standardized_on_the_rows_to_fit_on(self, tmp_path):
        from pyod.models.cof import COF
        from pyod.models.knn import KNN

        table = small()
        rows = run_benchmark([table], ["KNN", "COF"], [0], ["ad", "oc"], tmp_path)
        auroc = rows.set_index(["protocol", "detector"])["auroc"]
        train, test, _ = split(table.X, table.y, "oc", 0)
        mean, scale = table.X[train].mean(axis=0), table.X[train].std(axis=0)
        X_train, X_test = ((table.X[part] - mean) / scale for part in (train, test))
        everything = (table.X - table.X.mean(axis=0)) / table.X.std(axis=0)
        by_hand = {
            ("ad", "KNN"): (table.y, KNN().fit(everything).decision_scores_),
            ("ad", "COF"): (table.y, COF().fit(everything).decision_scores_),
            ("oc", "KNN"): (table.y[test], KNN().fit(X_train).decision_function(X_test)),
            # It scores what it is fitted on and nothing else.
            ("oc", "COF"): (
                table.y[test],
                COF().fit(np.concatenate([X_train, X_test])).decision_scores_[len(train) :],
            ),
        }
        for cell, (y, scores) in by_hand.items():
            assert auroc[cell] == pytest.approx(score_metrics(y, scores)["auroc"]), cell
        assert rows["transductive"].tolist() == [False, True, False, True]


class TestFailures:
    def test_each_failure_is_a_row_and_the_others_go_on(self, tmp_path, told):
        names = toy("Holes", "Fails", "Slow", "Center")
        rows = run_benchmark([small()], names, [0], ["oc"], tmp_path, time_limit=4.0)
        assert rows["error"].fillna("").tolist() == [
            "3 of 36 scores are NaN or infinite",
            "ValueError: cannot fit this",
            "over the time limit of 4 s",
            "",
        ]
        assert rows["n_test"].tolist() == [36] * 4
        assert rows["auroc"].notna().tolist() == [False, False, False, True]

    def test_a_failure_is_tried_again_and_a_time_out_is_not(self, tmp_path, told):
        run = ([small()], toy("Mended", "Slow"), [0], ["oc"], tmp_path / "run")
        log = tmp_path / "told" / "slow"
        first = run_benchmark(*run, time_limit=4.0)
        assert first["error"].tolist() == ["ValueError: not yet", "over the time limit of 4 s"]
        (tmp_path / "told" / "mended").touch()
        second = run_benchmark(*run, time_limit=4.0)
        assert second["error"].fillna("").tolist() == ["", "over the time limit of 4 s"]
        assert log.read_text().split() == ["begun"]
        third = run_benchmark(*run, time_limit=4.1)
        assert third["error"].fillna("").tolist() == ["", "over the time limit of 4.1 s"]
        assert log.read_text().split() == ["begun"] * 2

    def test_what_does_not_exist_is_said_before_any_work(self, tmp_path):
        folder = tmp_path / "run"
        with pytest.raises(ValueError, match="no protocol is named 'odd'"):
            run_benchmark([small()], toy("Center"), [0], ["odd"], folder)
        with pytest.raises(ValueError, match="no detector is named 'Odd'"):
            run_benchmark([small()], ["Odd"], [0], ["ad"], folder)
        with pytest.raises(ValueError, match="no table is named 'odd'"):
            run_benchmark(["odd"], toy("Center"), [0], ["ad"], folder)
        with pytest.raises(ValueError, match="two tables are named 'small'"):
            run_benchmark([small(), small()], toy("Center"), [0], ["ad"], folder)
        with pytest.raises(ValueError, match="small has no labels"):
            run_benchmark([small()._replace(y=None)], toy("Center"), [0], ["ad"], folder)
        assert not folder.exists()


def test_another_backend_of_joblib(tmp_path):
    # Not a toy: joblib's processes may be older than the folder the toys are in.
    run = ([small()], ["sklearn.neighbors:KernelDensity"], range(2), ["oc"])
    with joblib.parallel_config(backend="loky"):
        rows = run_benchmark(*run, tmp_path / "processes", n_jobs=2)
    assert rows["error"].isna().all()
    threads = run_benchmark(*run, tmp_path / "threads", n_jobs=2)
    pd.testing.assert_frame_equal(rows.drop(columns=TIMES), threads.drop(columns=TIMES))


@pytest.mark.slow
def test_two_dask_workers(tmp_path):
    distributed = pytest.importorskip("distributed")
    run = ([small()], ["sklearn.neighbors:KernelDensity"], range(4), ["oc"])
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        with joblib.parallel_config(backend="dask"):
            rows = run_benchmark(*run, tmp_path / "dask", n_jobs=2)
        children = client.run(lambda: len(psutil.Process().children()))
    assert len(children) == 2 and min(children.values()) >= 1  # both workers have had cells
    threads = run_benchmark(*run, tmp_path / "threads", n_jobs=2)
    pd.testing.assert_frame_equal(rows.drop(columns=TIMES), threads.drop(columns=TIMES))


SCRIPT = """
import sys
from ocsdf.benchmark.run import run_benchmark
folder, toys = sys.argv[1:]
sys.path.insert(0, toys)
detectors = ["logged_detector:Logged", "sklearn.neighbors:KernelDensity"]
run_benchmark(["wine", "breast_cancer"], detectors, range(5), ["oc"], folder, n_jobs=2)
"""
LOGGED = """
import os, time
import numpy as np

def log(what):
    with open(os.environ["LOG"], "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

class Logged:
    def fit(self, X):
        if len(X) != 64:
            log("begin")
            with open(os.environ["LOG"]) as file:
                if file.read().count("end") >= int(os.environ["HELD_AFTER"]):
                    log("held")
                    time.sleep(3600.0)
            log("end")

    def score_samples(self, X):
        return -np.linalg.norm(X, axis=1)
"""


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_kills_lose_nothing_and_double_nothing(tmp_path, monkeypatch):
    folder, log = tmp_path / "run", tmp_path / "log"
    (tmp_path / "logged_detector.py").write_text(LOGGED)
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.setenv("LOG", str(log))

    def start(held_after):
        """Start a run, which ends none of its logged cells after so many ends of any run."""
        words = [sys.executable, tmp_path / "script.py", folder, tmp_path]
        variables = os.environ | {"HELD_AFTER": str(held_after)}
        return subprocess.Popen(
            words, stderr=subprocess.DEVNULL, start_new_session=True, env=variables
        )

    def kept():
        path = folder / "cells.sqlite"
        if not path.exists():
            return {}
        with Store(path) as store:
            return {json.dumps(row): row for row in store.rows()}

    def logged(what):
        return [line.split() for line in log.read_text().splitlines() if line.startswith(what)]

    def wait_until(condition):
        deadline = time.monotonic() + 600
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    log.touch()
    survivors = {}
    for n_kills, n_ended in enumerate((1, 3, 6), 1):
        process = start(held_after=n_ended)
        # In the middle of the cells of both jobs, with all others kept.
        wait_until(lambda n_held=2 * n_kills: len(logged("held")) == n_held)
        wait_until(lambda: len(kept()) >= len(logged("end")))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        children = {int(pid) for _, pid in logged("begin")}
        wait_until(lambda children=children: not any(map(is_running, children)))
        now = kept()
        assert survivors.items() <= now.items()
        assert n_ended <= len(now) < 20
        survivors = now
    assert len(logged("begin")) == len(logged("end")) + 6
    assert start(held_after=1000).wait(timeout=600) == 0
    final = kept()
    assert survivors.items() <= final.items()
    rows = list(final.values())
    assert len(rows) == len({(row["table"], row["detector"], row["seed"]) for row in rows}) == 20
    assert not any("error" in row for row in rows)
    # A cell is done a second time only where a kill came between its end and its row.
    assert 10 <= len(logged("end")) <= 10 + 2 * 3


class TestCommand:
    @pytest.fixture
    def run(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("OCSDF_DATA_HOME", raising=False)
        return lambda *words: CliRunner().invoke(app, ["bench", *map(str, words)])

    def test_means_ranks_and_files(self, run, tmp_path):
        names = ",".join(toy("Center", "Fails", "Noisy"))
        result = run("wine", "breast_cancer", "--detectors", names, "--seeds", 2)
        assert result.exit_code == 0, result.stderr
        table = pd.read_csv(tmp_path / "ocsdf-bench" / "benchmark.csv")
        assert len(table) == 3 * 2 * 2 * 2
        lines = result.stdout.splitlines()
        assert any("ad: 2 tables" in line for line in lines)
        mean = table[(table["protocol"] == "oc") & table["detector"].eq(toy("Center")[0])]
        mean = f"{mean['auroc'].mean():.1f}"
        assert any(mean in line and "Center" in line for line in lines)
        assert "8 of 24 cells failed" in result.stdout
        assert str(tmp_path / "ocsdf-bench" / "benchmark.csv") in lines

    def test_without_any_figure_it_ends_in_failure(self, run):
        result = run("wine", "--detectors", toy("Fails")[0])
        assert result.exit_code == 1
        assert "2 of 2 cells failed" in result.stdout

    def test_without_tables_those_at_hand(self, run, tmp_path, monkeypatch):
        result = run("--detectors", toy("Center")[0], "--protocols", "ad")
        assert result.exit_code == 0, result.stderr
        assert "$OCSDF_DATA_HOME/adbench" in result.stderr.splitlines()[0]
        assert set(pd.read_csv("ocsdf-bench/benchmark.csv")["table"]) == {
            *("breast_cancer", "wine", "digits")
        }
        home = tmp_path / "home"
        (home / "adbench").mkdir(parents=True)
        table = load_table("wine")
        np.savez(home / "adbench" / "7_mine.npz", X=table.X, y=table.y)
        (home / "adbench" / "notes.txt").touch()
        monkeypatch.setenv("OCSDF_DATA_HOME", str(home))
        assert tables_at_hand() == [home / "adbench" / "7_mine.npz"]

    @pytest.mark.parametrize(
        "words, message",
        [
            (["digits", "--detectors", "Odd"], "no detector is named 'Odd': choose among PCA, "),
            (["digits", "--protocols", "odd"], "no protocol is named 'odd': choose among ad, oc"),
            (["odd"], "no table is named 'odd': expected an embedded set ('breast_cancer', "),
        ],
    )
    def test_unknown_names_are_one_line(self, run, words, message, tmp_path):
        result = run(*words)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert message in result.stderr
        assert list(tmp_path.iterdir()) == []
