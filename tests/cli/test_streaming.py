"""Tables in batches on the command line: the same scores, written as they come (issue 22)."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ocsdf import OCSDF
from ocsdf.cli import streaming
from ocsdf.cli.commands import app
from ocsdf.data import batches
from ocsdf.sklearn_compat import SegmentedDetector, score_frame
from ocsdf.utils.exactness import exact_floats

pytest.importorskip("pyarrow", reason="batches are read by pyarrow, the extra parquet")

N_ROWS = 1000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(N_ROWS, 2)), columns=["a", "b"])
    frame["key"] = np.arange(N_ROWS) + 10**6
    frame["fraud"] = (rng.random(N_ROWS) < 0.05) * 1
    frame.loc[frame["fraud"] == 1, "a"] += 9.0
    return frame


@pytest.fixture(scope="module")
def model(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.ocsdf"
    rows = frame.loc[frame["fraud"] == 0, ["a", "b"]]
    OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(rows).save(path)
    return path


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command in an empty folder, as if 100 rows were many."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streaming, "PART_ROWS", 128)
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    monkeypatch.setattr(batches, "_MOST_NUMBERS", 100)
    monkeypatch.setattr(batches, "_MOST_BYTES", 100)

    def call(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert "Traceback" not in result.stderr
        return result

    return call


@pytest.fixture
def data(frame, tmp_path):
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=300)
    return tmp_path / "rows.parquet"


def read(path):
    return pd.read_csv(path, **exact_floats()) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.fixture(scope="module")
def expected(model, frame):
    return score_frame(OCSDF.load(model), frame[["a", "b"]])


def agree(scores, expected):
    assert list(scores["row"]) == list(range(N_ROWS))
    for name in ("score", "certified_radius"):
        np.testing.assert_allclose(scores[name], expected[name], rtol=1e-9, atol=1e-9)
    assert list(scores["verdict"]) == list(expected["verdict"])


@pytest.mark.parametrize("output", ["s.csv", "s.parquet", "scores"])
@pytest.mark.parametrize("kind", ["parquet", "csv.gz"])
def test_scores_of_parts_are_those_of_the_whole(kind, output, run, model, data, frame, expected):
    source = data
    if kind == "csv.gz":
        source = data.with_name("rows.csv.gz")
        frame.to_csv(source, index=False)
    result = run("score", model, source, "--label", "fraud", "--keep", "key", "--output", output)
    assert result.exit_code == 0, result.stderr
    scores = read(data.with_name(output))
    agree(scores, expected)
    assert list(scores["key"]) == list(frame["key"])
    n_anomalies = (expected["verdict"] == "anomaly").sum()
    assert f"{n_anomalies:,} of 1,000 rows are called anomalies" in result.stdout
    left = {path.name for path in data.parent.iterdir()} - {data.name, source.name, output}
    assert left == set()
    if output == "scores":
        assert len(list(data.with_name(output).glob("part-*.parquet"))) == 8
        summary = json.loads((data.with_name(output) / "_summary.json").read_text())
        assert summary["rows"] == N_ROWS


def test_without_an_output_the_parts_are_printed_as_one_table(run, model, data, expected):
    result = run("score", model, data, "--drop", "fraud,key")
    (data.parent / "s.csv").write_text(result.stdout)
    agree(pd.read_csv(data.parent / "s.csv", **exact_floats()), expected)
    assert run("score", model, data, "--json").exit_code == 2


def test_reasons_stand_beside_anomalies_alone(run, model, data):
    assert run("score", model, data, "--reasons", 1, "--output", "s.parquet").exit_code == 0
    scores = pd.read_parquet("s.parquet")
    assert ((scores["reasons"] != "") == (scores["verdict"] == "anomaly")).all()
    assert scores["reasons"].str.startswith("a ").any()


class TestResume:
    def stopped_after(self, n_parts, run, monkeypatch, *words):
        """Run a command that fails in the middle of its work."""
        calls, scored = [], streaming._scored

        def fail(*arguments):
            if len(calls) == n_parts:
                raise OSError("the disk is full")
            calls.append(1)
            return scored(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(streaming, "_scored", fail)
            assert run(*words).exit_code == 2
        return calls

    @pytest.mark.parametrize("output", ["s.csv", "s.parquet", "scores"])
    def test_whole_parts_are_kept(self, output, run, model, data, expected, monkeypatch):
        words = ("score", model, data, "--output", output)
        self.stopped_after(3, run, monkeypatch, *words)
        folder = data.with_name(output if output == "scores" else f"{output}.parts")
        (folder / ".ocsdf-0123.part").write_bytes(b"a part that was cut off")
        rows, scored = [], streaming._scored
        monkeypatch.setattr(streaming, "_scored", lambda *a: rows.append(len(a[1])) or scored(*a))
        result = run(*words)
        assert result.exit_code == 0, result.stderr
        assert "going on after 384 rows" in result.stderr
        assert sum(rows) == N_ROWS - 3 * 128
        agree(read(data.with_name(output)), expected)
        n_anomalies = (expected["verdict"] == "anomaly").sum()
        assert f"{n_anomalies:,} of 1,000" in result.stdout

    def test_parts_of_another_run_are_refused(self, run, model, data, frame, monkeypatch):
        words = ("score", model, data, "--output", "scores")
        self.stopped_after(2, run, monkeypatch, *words)
        result = run(*words, "--keep", "key")
        assert result.exit_code == 2 and "another model, table or option" in result.stderr
        frame[:900].to_parquet(data)
        assert "another model" in run(*words).stderr

    def test_folders_with_other_files_are_refused(self, run, model, data):
        (data.parent / "mine").mkdir()
        (data.parent / "mine" / "letter.txt").write_text("dear")
        result = run("score", model, data, "--output", "mine")
        assert result.exit_code == 2 and "other files" in result.stderr
        assert [path.name for path in (data.parent / "mine").iterdir()] == ["letter.txt"]


CHILD = """
import sys, time
from ocsdf.cli import streaming, main
streaming.PART_ROWS = 500
scored, held_after = streaming._scored, int(sys.argv.pop(1))
def held(estimator, frame, first_row, *options):
    if first_row >= held_after:
        time.sleep(3600.0)
    return scored(estimator, frame, first_row, *options)
streaming._scored = held
sys.argv = ["ocsdf", *sys.argv[1:]]
main()
"""


def test_kill_9_loses_and_doubles_nothing(model, frame, tmp_path):
    (tmp_path / "in").mkdir()
    rows = pd.concat([frame] * 6, ignore_index=True)
    rows["key"] = np.arange(len(rows))
    rows.to_parquet(tmp_path / "in" / "rows.parquet")
    words = ["score", model, "in", "--keep", "key", "--drop", "fraud", "--output", "s.csv"]
    start = [sys.executable, "-c", CHILD]
    command = [*start, "1500", *map(str, words)]
    folder = tmp_path / "s.csv.parts"
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(list(folder.glob("part-*"))) < 3 and child.poll() is None:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert len(list(folder.glob("part-*"))) == 3
    command = [*start, "1000000", *map(str, words)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stderr
    scores = read(tmp_path / "s.csv")
    assert list(scores["key"]) == list(range(len(rows))) == list(scores["row"])
    expected = score_frame(OCSDF.load(model), frame[["a", "b"]])["score"]
    np.testing.assert_allclose(scores["score"], np.tile(expected, 6), rtol=1e-9, atol=1e-9)


class TestFit:
    def test_moments_are_those_of_all_normal_rows(self, run, data, frame):
        words = ("--label", "fraud", "--drop", "key", "--epochs", 1, "--output", "m.ocsdf")
        result = run("fit", data, *words, "--json")
        assert result.exit_code == 0, result.stderr
        facts, normal = json.loads(result.stdout), frame.loc[frame["fraud"] == 0, ["a", "b"]]
        assert facts["rows_fitted"] == facts["rows_sampled"] == len(normal)
        detector = OCSDF.load(facts["model"])
        np.testing.assert_allclose(detector.mean_, normal.mean(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(detector.scale_, normal.std(ddof=0), rtol=1e-12)
        assert list(detector.feature_names_in_) == ["a", "b"]

    def test_bad_rows_are_one_line_before_the_fit(self, run, data, frame):
        frame.assign(b=frame["b"].where(frame.index != 900)).to_parquet(data)
        result = run("fit", data, "--output", "m.ocsdf")
        assert result.exit_code == 2 and "NaN in columns 'b'" in result.stderr
        frame.assign(fraud=1).to_parquet(data)
        result = run("fit", data, "--label", "fraud", "--output", "m.ocsdf")
        assert result.exit_code == 2 and "normal ones are needed" in result.stderr

    def test_reports_are_on_a_sample_and_say_so(self, run, data, monkeypatch):
        from ocsdf.data import summaries

        monkeypatch.setattr(summaries, "SAMPLE_ROWS", 400)
        words = ("--label", "fraud", "--drop", "key", "--epochs", 1, "--json")
        result = run("report", data, *words)
        assert result.exit_code == 0, result.stderr
        assert "a random sample of 400 of 1,000 rows" in result.stderr
        facts = json.loads(result.stdout)
        assert facts["rows_judged"] + facts["rows_fitted"] == 400


class TestDrift:
    def test_a_summary_says_when_rows_no_longer_look_like_training(self, run, model, data, frame):
        same = frame[frame["fraud"] == 0]
        same.to_parquet(data)
        result = run("score", model, data, "--output", "s.csv")
        assert "no longer" not in result.stdout + result.stderr
        same.assign(b=same["b"] + 2.0).to_parquet(data)
        result = run("score", model, data, "--output", "s.csv")
        assert "warning: the rows no longer look like training" in result.stdout
        assert "b by +2" in result.stdout
        facts = json.loads(run("score", model, data, "--output", "s.csv", "--json").stdout)
        assert facts["drift"]["drifted"] is True


def test_a_model_for_each_value_of_a_column(run, data, frame):
    sites = np.where(frame.index % 2 == 0, "north", "south")
    sites = np.where(frame.index > 990, "rare", sites)
    moved = frame.assign(site=sites, b=frame["b"] + 50.0 * (sites == "south"))
    moved.to_parquet(data)
    words = ("--label", "fraud", "--drop", "key", "--by", "site", "--epochs", 1)
    result = run("fit", data, *words, "--output", "models")
    assert result.exit_code == 0, result.stderr
    assert "fitted 2 models" in result.stdout
    detector = SegmentedDetector.load(data.with_name("models"))
    assert set(detector.segments_) == {"north", "south"}
    assert detector.n_rows_["rare"] == np.sum((sites == "rare") & (frame["fraud"] == 0))
    result = run("score", "models", data, "--keep", "key", "--output", "s.parquet")
    assert result.exit_code == 0, result.stderr
    scores = pd.read_parquet("s.parquet")
    assert list(scores["key"]) == list(frame["key"])
    whole = score_frame(detector, moved.drop(columns=["key", "fraud"]))
    np.testing.assert_allclose(scores["score"], whole["score"], rtol=1e-9, atol=1e-9)
    assert set(scores.loc[sites == "rare", "model"]) == {"all rows"}
    swapped = moved.assign(b=frame["b"])
    swapped.to_parquet(data)
    for name in ("r.html", "r.md", "r.json"):
        result = run("report", data, "--model", "models", "--label", "fraud", "--output", name)
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("south: ")
        assert "south" in data.with_name(name).read_text()
    lines = json.loads(data.with_name("r.json").read_text())
    assert lines[0]["segment"] == "south" and lines[0]["drifted"]
    assert run("fit", data, *words, "--output", "models").exit_code == 2


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_categories_dates_and_gaps_come_in_batches_too(kind, run, tmp_path):
    rng = np.random.default_rng(0)
    mixed = pd.DataFrame({"a": rng.normal(size=600)})
    mixed["a"] = mixed["a"].where(mixed.index % 50 != 7)
    mixed["code"] = np.where(rng.random(600) < 0.5, "17", "x9")
    mixed["day"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, 600), "D")
    path = tmp_path / f"mixed.{kind}"

    def write(frame):
        frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)

    write(mixed)
    result = run("fit", path, "--missing", "indicate", "--epochs", 1, "--output", "m.ocsdf")
    assert result.exit_code == 0, result.stderr
    assert "categories: code" in result.stdout and "dates: day" in result.stdout
    # All of the first batches look like numbers, and are the category 17.
    mixed = mixed.sort_values("code", ignore_index=True)
    write(mixed)
    assert run("score", "m.ocsdf", path, "--output", "s.parquet").exit_code == 0
    expected = OCSDF.load(tmp_path / "m.ocsdf").score_samples(mixed)
    scores = pd.read_parquet(tmp_path / "s.parquet")
    np.testing.assert_allclose(scores["score"], expected, rtol=1e-6, atol=1e-6)
    result = run("report", path, "--missing", "indicate", "--epochs", 1, "--json")
    assert result.exit_code == 0, result.stderr
    result = run("fit", path, "--epochs", 1, "--output", "m2.ocsdf")
    assert result.exit_code == 2 and "'a'" in result.stderr
