"""The command line: what it prints, where it writes, how it fails."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ocsdf
from ocsdf.cli.commands import app
from ocsdf.utils.exactness import exact_floats

QUICK = ("--epochs", "2")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def table(tmp_path):
    """A CSV of 60 rows, two features and a 0/1 label, in the folder of `run`."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [48, 12])
    frame = pd.DataFrame(rng.normal(size=(60, 2)) + 4.0 * label[:, None], columns=["a", "b"])
    path = tmp_path / "small.csv"
    frame.assign(label=label).to_csv(path, index=False)
    return path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_report_on_embedded_data_ends_with_the_path_of_a_whole_page(run, tmp_path):
    result = run("report", "breast_cancer", "--radii", "0.1,0.05", *QUICK)
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "ocsdf-report-breast_cancer.html"
    assert result.stdout.splitlines()[-1] == f"report: {path}"
    assert "(scaled l2)" in result.stdout
    assert "seed 0" in result.stdout
    assert "0.05" in result.stdout
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert files(tmp_path) == [path.name]


def test_report_as_json_is_one_object_with_the_split_of_the_protocol(run, table, tmp_path):
    result = run("report", table, "--label", "label", "--json", *QUICK)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["rows_fitted"], facts["rows_judged"], facts["anomalies_judged"]) == (24, 36, 12)
    certified = [row["certified_auroc"]["value"] for row in facts["radii"]]
    assert facts["auroc"]["value"] >= certified[0]
    assert certified == sorted(certified, reverse=True)
    assert facts["report"] == str(tmp_path / "ocsdf-report-small.html")
    assert facts["lipschitz_bound"] <= 1.0


def test_report_with_an_attack_and_other_detectors(run, table, tmp_path, monkeypatch, capsys):
    from ocsdf.attacks.gradient_descent import attacked_auroc
    from ocsdf.cli.report_tables import print_summary

    def short(*arguments, **settings):
        assert (settings["n_restarts"], settings["n_steps"]) == (3, 50)
        return attacked_auroc(*arguments, **settings | {"n_restarts": 1, "n_steps": 3})

    for module in ("rivals", "challenge"):
        monkeypatch.setattr(f"ocsdf.report.{module}.attacked_auroc", short)
    words = ("report", table, "--label", "label", "--attack", "--versus", "KNN, random SUBSAMPLES")
    result = run(*words, "--radii", "0.1,3", "--json", *QUICK)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    for row in facts["attack"]["radii"]:
        assert row["certified_auroc"] <= row["attacked_auroc"] <= facts["attack"]["auroc"]
    ours, knn, subsamples = facts["comparison"]
    assert ours["auroc"] == facts["auroc"]["value"] == facts["attack"]["auroc"]
    assert (knn["detector"], knn["certified_auroc"]) == ("KNN", None)
    assert subsamples["detector"] == "random subsamples"
    near, far = subsamples["certified_auroc"]
    assert subsamples["auroc"] >= near > far
    page = (tmp_path / "ocsdf-report-small.html").read_text()
    assert "Under attack" in page
    assert "Beside other detectors" in page
    assert "All detectors under the same attack" in page
    names = [row["detector"] for row in facts["challenge"]["detectors"]]
    assert names == ["this model", "this model", "KNN", "random subsamples"]
    for row in facts["challenge"]["detectors"]:
        assert row["auroc"] >= row["attacked_auroc"][0] >= row["attacked_auroc"][1]

    knn["error"] = "over [the] limit"
    print_summary(facts)
    printed = " ".join(capsys.readouterr().out.split())
    assert "l2 PGD, 50 steps from 3 starts, on 24 normal rows and 12 anomalies" in printed
    assert "none" in printed
    assert "KNN failed: over [the] limit" in printed
    assert "under the same attack: 200 scores a row and radius" in printed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["report", "small.csv", "--attack"], ["--attack needs labels", "--label"]),
        (["report", "small.csv", "--versus", "knn"], ["--versus needs labels", "--label"]),
        (["report", "small.csv", "--versus", "knn,kkn"], ["no detector is named 'kkn'", "KNN"]),
        (["report", "small.csv", "--versus", ""], ["no detector is named ''"]),
    ],
)
def test_what_an_attack_or_comparison_lacks_is_said_before_any_work(
    run, table, monkeypatch, words, expected
):
    def never(*_, **__):
        raise RuntimeError("fitted too early")

    monkeypatch.setattr(ocsdf.OCSDF, "fit", never)
    assert_one_line_error(run(*words), *expected)


def test_report_on_a_model_that_is_there(run, table, tmp_path):
    run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK)
    words = ("report", table, "--label", "label", "--model", "m.ocsdf", "--alpha", "0.2")
    result = run(*words, "--format", "json", "--by", "a", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["protocol"], facts["rows_fitted"], facts["rows_judged"]) == ("model", None, 60)
    assert facts["made"]["model_sha256"] and facts["subgroups"]["column"] == "a"
    assert facts["alarms"]["calibration_rows"] == 24
    written = json.loads((tmp_path / "ocsdf-report-small.json").read_text())
    assert written == {name: facts[name] for name in written}
    result = run(*words, "--output", "r.md")
    assert "alarms at alpha = 0.2: at most 200 of 1,000" in " ".join(result.stdout.split())
    assert (tmp_path / "r.md").read_text().startswith("# small: anomaly detection")


def test_report_over_seeds_by_costs_and_its_origin(run, table, tmp_path):
    words = ("report", table, "--label", "label", "--seeds", "2", "--by", "b", "--json", *QUICK)
    result = run(*words, "--cost-miss", "10", "--cost-alarm", "2", "--output", "r.md")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    fits = facts["seeds"]["fits"]
    assert [one["seed"] for one in fits] == [0, 1] and fits[0]["auroc"] == facts["auroc"]["value"]
    assert facts["seeds"]["auroc"]["lowest"] <= facts["auroc"]["value"]
    assert sum(group["rows"] for group in facts["subgroups"]["groups"]) == 36
    for row in facts["costs"]["thresholds"]:
        assert row["cost"] == 10.0 * row["missed"] + 2.0 * row["false_alarms"]
    assert facts["made"]["data_sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    text = (tmp_path / "r.md").read_text()
    for title in ("Over 2 seeds", "By b", "What the verdicts cost", "sign-off", "approved by"):
        assert title in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model", "m.ocsdf", "--seeds", "2"], ["--seeds is for a fit"]),
        (["--model", "m.ocsdf", "--versus", "knn"], ["--versus is for a fit"]),
        (["--by", "c"], ["--by must name a feature of small", "'c'"]),
        (["--alpha", "1.5"], ["alpha must be a number between 0 and 1"]),
        (["--cost-miss", "-1"], ["cost of a miss must be a finite number >= 0"]),
    ],
)
def test_report_refuses_before_any_work(run, table, monkeypatch, words, expected):
    monkeypatch.setattr(ocsdf.OCSDF, "fit", lambda *_: (_ for _ in ()).throw(RuntimeError))
    assert_one_line_error(run("report", table, "--label", "label", *words), *expected)


def test_report_ad_is_marked_and_uses_all_rows(run, table, tmp_path):
    result = run(
        *("report", table, "--label", "label", "--protocol", "ad", "--output", "ad.html"), *QUICK
    )
    assert result.exit_code == 0, result.stderr
    assert "trained on the rows it is judged on" in " ".join(result.stdout.split())
    assert "Trained on the rows it is judged on" in (tmp_path / "ad.html").read_text()


def test_report_without_label_has_no_auroc(run, table, tmp_path):
    pd.read_csv(table, **exact_floats()).drop(columns="label").to_csv("plain.csv", index=False)
    result = run("report", "plain.csv", "--json", *QUICK)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["protocol"] == "unlabelled"
    assert facts["rows_fitted"] == facts["rows_judged"] == 60
    assert "auroc" not in facts
    assert "certified_auroc" not in facts["radii"][0]


def test_what_the_fit_warns_of_is_on_stderr_and_in_the_report(run, table, monkeypatch, tmp_path):
    fit = ocsdf.OCSDF.fit

    def warn(self, *arguments):
        import warnings

        warnings.warn("the scores have collapsed", UserWarning, stacklevel=2)
        return fit(self, *arguments)

    monkeypatch.setattr(ocsdf.OCSDF, "fit", warn)
    result = run("report", table, "--label", "label", *QUICK)
    assert "warning: the scores have collapsed" in result.stderr
    assert "the scores have collapsed" in (tmp_path / "ocsdf-report-small.html").read_text()


def test_fit_then_score_agree_with_the_estimator(run, table, tmp_path):
    fitted = run("fit", table, "--label", "label", "--output", "m.ocsdf", "--json", *QUICK)
    assert fitted.exit_code == 0, fitted.stderr
    assert json.loads(fitted.stdout)["rows_fitted"] == 48
    scored = run("score", "m.ocsdf", table, "--label", "label", "--output", "s.csv")
    assert scored.exit_code == 0, scored.stderr
    assert f"scores: {tmp_path / 's.csv'}" in scored.stdout
    scores = pd.read_csv("s.csv", **exact_floats())
    assert list(scores) == ["row", "score", "verdict", "certified_radius", "percentile"]
    estimator = ocsdf.OCSDF.load("m.ocsdf")
    X = pd.read_csv(table, **exact_floats())[["a", "b"]]
    np.testing.assert_allclose(scores["score"], estimator.score_samples(X), rtol=1e-12)
    np.testing.assert_allclose(
        scores["certified_radius"], estimator.certified_radius(X), rtol=1e-12
    )
    np.testing.assert_array_equal(scores["verdict"] == "normal", estimator.predict(X) == 1)
    assert list(estimator.feature_names_in_) == ["a", "b"]

    printed = run("score", "m.ocsdf", table, "--label", "label")
    assert printed.stdout == (tmp_path / "s.csv").read_text()
    as_json = json.loads(run("score", "m.ocsdf", table, "--label", "label", "--json").stdout)
    assert as_json["rows"] == len(as_json["scores"]) == 60
    assert as_json["scores"][0]["verdict"] == scores["verdict"][0]


def test_C3_score_finds_the_models_columns_by_name_and_says_so(run, table, tmp_path):
    assert run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK).exit_code == 0
    expected = run("score", "m.ocsdf", table, "--label", "label")
    assert expected.stderr == ""
    result = run("score", "m.ocsdf", table)
    assert result.stderr.splitlines() == [
        "warning: left out, as the model does not know them: 'label'"
    ]
    assert result.stdout == expected.stdout
    frame = pd.read_csv(table, **exact_floats()).assign(text="x", id=range(60))[
        ["text", "b", "id", "a"]
    ]
    frame.to_csv("other.csv")
    result = run("score", "m.ocsdf", "other.csv")
    assert result.stdout == expected.stdout
    left, unknown, moved = result.stderr.splitlines()
    assert "'Unnamed: 0' has no name" in left
    assert "does not know them: 'text', 'id'" in unknown
    assert "into the order that the model was fitted on" in moved
    frame[["b", "id"]].to_csv("less.csv", index=False)
    assert_one_line_error(run("score", "m.ocsdf", "less.csv"), "the model's features 'a'", "'id'")


def test_score_refuses_foreign_models(run, table, tmp_path):
    (tmp_path / "foreign.ocsdf").write_text("not a model")
    assert_one_line_error(run("score", "foreign.ocsdf", table, "--label", "label"), "foreign.ocsdf")
    assert_one_line_error(run("score", "none.ocsdf", table, "--label", "label"), "none.ocsdf")


def assert_one_line_error(result, *words):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["report", "none.csv"], ["none.csv"]),
        (["report", "small.csv", "--label", "fraud"], ["fraud", "label"]),
        (["report", "small.csv", "--label", "a"], ["anomaly"]),
        (["report", "small.csv", "--radii", "0.1,far"], ["--radii", "0.1,far"]),
        (["report", "small.csv", "--radii", "0"], ["radii must be", "> 0"]),
        (["report", "small.csv", "--margin", "wide"], ["--margin", "wide"]),
        (["report", "small.csv", "--margin", "-1"], ["margin", "-1"]),
        (["report", "small.csv", "--output", "none/r.html"], ["there is no folder none"]),
        (["report", "small.csv", "--output", "small.csv"], ["it is an input"]),
        (["fit", "small.csv", "--output", "."], ["it is a folder"]),
        (["fit", "gaps.csv", "--output", "m.ocsdf"], ["NaN", "SimpleImputer"]),
        (["fit", "one.csv", "--output", "m.ocsdf"], ["1"]),
        (
            ["report", "words.csv", "--label", "label", "--attack"],
            ["--attack is for tables of num"],
        ),
        (
            ["report", "words.csv", "--label", "label", "--versus", "knn"],
            ["--versus is for tables"],
        ),
        (["score", "small.csv", "small.csv", "--output", "small.csv"], ["it is an input"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_files_as_they_were(run, table, tmp_path, words, expected):
    frame = pd.read_csv(table, **exact_floats())
    frame.where(frame["a"] < 1.0).to_csv("gaps.csv", index=False)
    frame.head(1).to_csv("one.csv", index=False)
    frame.assign(c="x").to_csv("words.csv", index=False)
    before, content = files(tmp_path), table.read_bytes()
    assert_one_line_error(run(*words), *expected)
    assert files(tmp_path) == before
    assert table.read_bytes() == content


def test_output_is_checked_before_the_data_is_read(run, monkeypatch):
    def never(*_, **__):
        raise RuntimeError("read too early")

    monkeypatch.setattr("ocsdf.data.tables.load_table", never)
    assert_one_line_error(run("report", "wine", "--output", "none/r.html"), "no folder")
    assert isinstance(run("report", "wine").exception, RuntimeError)


def test_a_missing_extra_is_one_line_and_a_broken_import_is_not(run, monkeypatch):
    def extra(*_, **__):
        raise ImportError("reading t.parquet needs pyarrow: pip install 'ocsdf[parquet]'")

    monkeypatch.setattr("ocsdf.data.tables.load_table", extra)
    assert_one_line_error(run("report", "t.parquet"), "pip install 'ocsdf[parquet]'")

    def broken(*_, **__):
        import ocsdf.no_such_module  # noqa: F401

    monkeypatch.setattr("ocsdf.data.tables.load_table", broken)
    assert isinstance(run("report", "t.parquet").exception, ModuleNotFoundError)


def test_ctrl_c_ends_with_130_and_writes_nothing(run, table, monkeypatch, tmp_path):
    def interrupt(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ocsdf.OCSDF, "fit", interrupt)
    result = run("report", table, "--label", "label")
    assert result.exit_code == 130
    assert files(tmp_path) == ["small.csv"]


def test_info_names_versions_devices_and_extras(run):
    facts = json.loads(run("info", "--json").stdout)
    assert facts["versions"]["ocsdf"] == ocsdf.__version__
    assert facts["versions"]["numpy"] == np.__version__
    assert any("CPU" in name for name in facts["devices"])
    assert "parquet" in facts["extras"]
    printed = run("info").stdout
    assert f"numpy          {np.__version__}" in printed
    assert "[parquet]" in printed


def test_version(run):
    assert run("--version").stdout == f"ocsdf {ocsdf.__version__}\n"


def test_every_command_has_an_example(run):
    for command in ("report", "fit", "score", "info"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert f"Example: ocsdf {command}" in " ".join(result.stdout.split())


def test_entry_point_helps_without_loading_tensorflow():
    code = (
        "import sys; sys.argv = ['ocsdf', '--help']; from ocsdf.cli.commands import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print('code', end.code)\n"
        "print([name for name in ('tensorflow', 'keras', 'sklearn') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: ocsdf" in ran.stdout
    assert ran.stdout.splitlines()[-2:] == ["code 0", "[]"]


def test_a_model_is_scored_by_a_process_that_never_fitted_one(run, table):
    assert run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK).exit_code == 0
    here = run("score", "m.ocsdf", table, "--label", "label")
    code = (
        "import sys; sys.argv = ['ocsdf', 'score', 'm.ocsdf', 'small.csv', '--label', 'label']; "
        "from ocsdf.cli.commands import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == here.stdout


def test_entry_point_is_not_noisy():
    code = "import sys; sys.argv = ['ocsdf', 'info', '--json']; from ocsdf.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["versions"]["ocsdf"] == ocsdf.__version__
    assert ran.stderr == ""


def test_P3_score_evaluates_the_network_once(run, table, monkeypatch):
    from ocsdf.certificate.network import CertifiedNetwork

    assert run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK).exit_code == 0
    rows, score = [], CertifiedNetwork.score

    def count(self, points):
        rows.append(len(points))
        return score(self, points)

    monkeypatch.setattr(CertifiedNetwork, "score", count)
    for words in ((), ("--json",), ("--output", "s.csv")):
        rows.clear()
        assert run("score", "m.ocsdf", table, "--label", "label", *words).exit_code == 0
        assert rows == [60]


LAYOUTS = {
    "semicolons": ({"sep": ";", "decimal": ","}, ()),
    "tabs": ({"sep": "\t"}, ()),
    "saved index": ({"index": True}, ()),
    "no header": ({"header": False}, ("--no-header", "--label", "x2")),
    "cp1252": ({"encoding": "cp1252", "sep": ";"}, ("--encoding", "cp1252")),
    "given": ({"sep": "~", "decimal": ","}, ("--sep", "~", "--decimal", ",")),
    "dropped": ({}, ("--drop", "größe")),
    "chosen": ({}, ("--features", "a,b")),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_C1_C2_every_command_reads_tables_as_people_have_them(run, table, name):
    written, words = LAYOUTS[name]
    frame = pd.read_csv(table, **exact_floats())
    if name in ("dropped", "chosen", "cp1252"):
        frame.insert(0, "größe", frame["b"])
    frame.to_csv("people.csv", **{"index": False} | written)
    label = () if "--label" in words else ("--label", "label")
    fitted = run("fit", "people.csv", *label, *words, "--output", "m.ocsdf", *QUICK)
    assert fitted.exit_code == 0, fitted.stderr
    said = [
        "warning: 'Unnamed: 0' has no name in the file and looks like a saved index: it is left out"
    ]
    assert fitted.stderr.splitlines() == (said if name == "saved index" else [])
    scored = run("score", "m.ocsdf", "people.csv", *label, *words, "--json")
    assert scored.exit_code == 0, scored.stderr
    assert json.loads(scored.stdout)["rows"] == 60
    reported = run("report", "people.csv", *label, *words, "--json", *QUICK)
    assert reported.exit_code == 0, reported.stderr
    assert json.loads(reported.stdout)["features"] == (3 if name == "cp1252" else 2)


@pytest.mark.parametrize("command", ["fit", "report", "bench"])
@pytest.mark.parametrize("values", [["no", "yes"], [-1, 1], [1, 2]])
def test_C3_a_label_that_does_not_tell_asks_for_the_option(run, table, command, values):
    frame = pd.read_csv(table, **exact_floats())
    frame.assign(label=frame["label"].map(dict(enumerate(values)))).to_csv("t.csv", index=False)
    output = ("--output", "m.ocsdf") if command == "fit" else ()
    result = run(command, "t.csv", "--label", "label", *output)
    assert_one_line_error(result, "is not 0/1", "--anomaly")
    assert "anomaly=" not in result.stderr


@pytest.mark.parametrize(("value", "anomaly"), [(0, None), (False, None), ("no", "yes")])
def test_C3_fit_takes_normal_rows_only(run, table, value, anomaly):
    pd.read_csv(table, **exact_floats()).assign(label=value).to_csv("t.csv", index=False)
    words = () if anomaly is None else ("--anomaly", anomaly)
    result = run(
        "fit", "t.csv", "--label", "label", *words, "--output", "m.ocsdf", "--json", *QUICK
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rows_fitted"] == 60
    result = run("report", "t.csv", "--label", "label", *words)
    assert_one_line_error(result, "has one class only")


def test_C3_a_third_label_is_spoken_of_and_in_the_summary(run, table):
    frame = pd.read_csv(table, **exact_floats())
    frame["label"] = frame["label"].map({0: "no", 1: "yes"}).where(frame.index > 4, "maybe")
    frame.to_csv("t.csv", index=False)
    words = ("--label", "label", "--anomaly", "yes", "--json", *QUICK)
    for command in (("fit", "t.csv", "--output", "m.ocsdf"), ("report", "t.csv")):
        result = run(*command, *words)
        assert result.exit_code == 0, result.stderr
        assert "has 3 values: 'maybe', 'no' count as normal" in result.stderr
        assert "has 3 values: 'maybe', 'no'" in json.loads(result.stdout)["warnings"][0]


def test_emphasis_is_the_estimators(run, table):
    words = ("--label", "label", "--emphasis", "certificate", *QUICK)
    assert run("fit", table, *words, "--output", "m.ocsdf").exit_code == 0
    assert ocsdf.OCSDF.load("m.ocsdf").emphasis == "certificate"
    assert_one_line_error(
        run("report", table, "--model", "m.ocsdf", "--emphasis", "contamination"),
        "--emphasis is for a fit",
    )


@pytest.mark.parametrize("contamination", ["0.1", "0.25", "auto"])
def test_contamination_is_the_estimators(run, table, contamination):
    words = ("--label", "label", "--contamination", contamination, *QUICK)
    assert run("fit", table, *words, "--output", "m.ocsdf").exit_code == 0
    set_to = ocsdf.OCSDF.load("m.ocsdf").contamination
    assert set_to == (contamination if contamination == "auto" else float(contamination))
    assert_one_line_error(
        run("report", table, "--contamination", "some"),
        "--contamination must be 'auto' or 'estimate' or a share",
    )


def test_C1_score_reads_the_standard_input(run, table, tmp_path):
    assert run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK).exit_code == 0
    named = run("score", "m.ocsdf", table)
    command = [sys.executable, "-c", "from ocsdf.cli import main; main()", "score", "m.ocsdf", "-"]
    ran = subprocess.run(command, input=table.read_text(), capture_output=True, text=True)
    assert ran.stdout == named.stdout, ran.stderr


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\x07", "\x9b2J", "\u202eevil"])
def test_P5_names_of_columns_do_not_reach_the_terminal_as_commands(run, table, name):
    frame = pd.read_csv(table, **exact_floats())
    frame.rename(columns={"a": name}).assign(b=np.nan).to_csv("t.csv", index=False)
    result = run("fit", "t.csv", "--label", "none", "--output", "m.ocsdf")
    assert_one_line_error(result, "has no column 'none'")
    assert name not in result.stderr
    frame.assign(a="x").rename(columns={"a": name}).to_csv("t.csv", index=False)
    result = run("fit", "t.csv", "--output", "m.ocsdf", *QUICK)
    assert "categories: " in result.stdout
    assert all(sign.isprintable() for sign in result.output.replace("\n", ""))
