"""The command `ocsdf bench`: lists with spaces, labels of any kind, which wine, its exit code."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ocsdf.cli.commands import app


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs `ocsdf bench` in a folder of its own, and keeps what the runner is given."""
    monkeypatch.chdir(tmp_path)
    given, failed = [], []

    def benchmark(tables, detectors, seeds, protocols, folder, **settings):
        given.append((tables, detectors, list(protocols)))
        return pd.DataFrame({"error": failed or [None]})

    monkeypatch.setattr("ocsdf.benchmark.run.run_benchmark", benchmark)
    monkeypatch.setattr("ocsdf.benchmark.files.write_report", lambda *_, **__: [])
    monkeypatch.setattr("ocsdf.cli.bench._print_benchmark", lambda *_: None)

    def call(*words, errors=()):
        failed[:] = errors
        result = CliRunner().invoke(app, ["bench", *map(str, words)])
        return result, given[-1] if given else None

    return call


@pytest.mark.parametrize("text", ["KNN,IForest", "KNN, IForest", " knn ,iforest", "Knn , IFOREST "])
def test_C3_detectors_take_spaces_and_any_case(run, text):
    result, (_, detectors, protocols) = run("wine", "--detectors", text, "--protocols", "ad, oc")
    assert result.exit_code == 0, result.stderr
    assert (detectors, protocols) == (["KNN", "IForest"], ["ad", "oc"])


@pytest.mark.parametrize("option", ["--detectors", "--protocols"])
def test_C3_a_list_that_the_shell_parted_is_one_line(run, option):
    result, _ = run(option, "KNN,", "IForest")
    assert result.exit_code == 2
    assert "quote lists with spaces" in result.stderr


@pytest.mark.parametrize(
    ("labels", "anomaly"),
    [(["ok", "bad"], "bad"), ([1, -1], "-1"), ([1, 2], "2"), ([True, False], "false")],
)
@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_C3_labels_of_any_kind(run, tmp_path, labels, anomaly, suffix):
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.repeat(labels, [20, 10])
    path, words = tmp_path / f"t{suffix}", ()
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(kind=y)
    if suffix == ".npz":
        np.savez(path, X=X, y=y)
    else:
        frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
        words = ("--label", "kind")
    result, (tables, _, _) = run(path, *words, "--anomaly", anomaly)
    assert result.exit_code == 0, result.stderr
    assert tables[0].y.sum() == 10 and tables[0].y[-1] == 1


def test_P9_wine_is_said_to_be_scikit_learns(run):
    result, (tables, _, _) = run("wine", "digits")
    assert tables == ["wine", "digits"]
    assert result.stderr == "wine is scikit-learn's table of 178 rows; ADBench's is 45_wine\n"


@pytest.mark.parametrize(
    ("errors", "code"), [([None, None], 0), (["x", None], 0), (["x", "y"], 1), (["x"], 1)]
)
def test_C3_a_run_whose_cells_all_failed_does_not_end_well(run, errors, code):
    result, _ = run("wine", errors=errors)
    assert result.exit_code == code, result.output
