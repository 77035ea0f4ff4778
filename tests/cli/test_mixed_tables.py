"""Commands on CSV files with text, dates and gaps: fit, score, report, explain."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ocsdf
from ocsdf.cli.commands import app
from ocsdf.data.mixed import read_dates
from ocsdf.data.tables import load_table
from ocsdf.utils.exactness import exact_floats

QUICK = ("--epochs", "2")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command inside an empty folder; it must end well unless told otherwise."""
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def table(tmp_path):
    """A CSV of 90 rows with numbers, a category as text and one as digits, dates and a label."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [75, 15])
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=90) + 3.0 * label,
            "shop": rng.choice(["north", "south"], 90),
            "code": rng.choice(["1", "2", "A"], 90),
            "day": pd.date_range("2026-01-01", periods=90, freq="7h").astype(str),
            "label": label,
        }
    )
    path = tmp_path / "sales.csv"
    frame.to_csv(path, index=False)
    return path


def test_fit_says_what_columns_are_taken_for_and_score_reads_them_alike(run, table):
    fitted = run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK)
    assert "categories: shop, code" in fitted.stdout
    assert "dates: day" in fitted.stdout
    kinds = [column.kind for column in ocsdf.OCSDF.load("m.ocsdf").encoder_.columns_]
    assert kinds == ["number", "category", "category", "date"]
    everything = run("score", "m.ocsdf", table, "--output", "s.csv")
    assert "does not know them: 'label'" in everything.stderr
    scores = pd.read_csv("s.csv", **exact_floats())
    # Of few rows the codes are all digits: they are the same categories all the same.
    frame = pd.read_csv(table, dtype={"code": str}, **exact_floats())
    digits = frame[frame["code"] != "A"].index[:4]
    frame.loc[digits].to_csv("few.csv", index=False)
    run("score", "m.ocsdf", "few.csv", "--output", "few_scores.csv")
    few = pd.read_csv("few_scores.csv", **exact_floats())
    np.testing.assert_allclose(few["score"], scores["score"][digits], rtol=1e-9)


def test_report_on_it_is_whole_and_parts_it_by_a_category(run, table):
    words = ("report", table, "--label", "label", "--by", "shop", *QUICK)
    facts = json.loads(run(*words, "--json").stdout)
    groups = facts["subgroups"]["groups"]
    assert sorted(group["group"] for group in groups) == ["north", "south"]
    assert sum(group["rows"] for group in groups) == facts["rows_judged"]
    assert [one["name"] for one in facts["model"]["features"]] == ["size", "day"]
    assert facts["model"]["coded"] == ["shop", "code"]
    page = Path("ocsdf-report-sales.html").read_text()
    assert "Columns with a code (shop, code)" in page
    run(*words, "--format", "md")
    assert "AUROC" in Path("ocsdf-report-sales.md").read_text()


def test_explain_names_categories_and_dates(run, table):
    run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK)
    facts = json.loads(run("explain", "m.ocsdf", table, "--all", "--json").stdout)
    assert {line["feature"] for line in facts["reasons"]} <= {
        *("size", "shop", "code", "day", "all other features"),
    }
    assert any(line["value"] in ("north", "south") for line in facts["reasons"])
    run("explain", "m.ocsdf", table, "--output", "reasons.csv")


def test_gaps_are_refused_or_indicated(run, table):
    frame = pd.read_csv(table, **exact_floats())
    frame.loc[::9, "size"], frame.loc[::8, "shop"] = np.nan, None
    frame.to_csv("gaps.csv", index=False)
    refused = run("fit", "gaps.csv", "--label", "label", "--output", "m.ocsdf", code=2)
    assert "'size' has missing values: fill them, or pass missing='indicate'" in refused.stderr
    words = ("--label", "label", "--missing", "indicate", *QUICK)
    run("fit", "gaps.csv", *words, "--output", "m.ocsdf")
    run("score", "m.ocsdf", "gaps.csv")
    run("report", "gaps.csv", *words, "--output", "r.html")


def test_a_column_of_another_kind_is_one_line(run, table):
    run("fit", table, "--label", "label", "--output", "m.ocsdf", *QUICK)
    pd.read_csv(table, **exact_floats()).assign(size="large", day="monday").to_csv(
        "other.csv", index=False
    )
    assert "error: Column 'size' held numbers in fit, and holds text now, such as 'large'" in run(
        "score", "m.ocsdf", "other.csv", code=2
    ).stderr.replace("\n", " ")


class TestReading:
    def test_numbers_stay_arrays_and_text_is_refused_unless_asked_for(self, table):
        with pytest.raises(ValueError, match="not numeric, 'shop', 'code', 'day'"):
            load_table(table, label="label")
        read = load_table(table, label="label", mixed=True)
        assert isinstance(read.X, pd.DataFrame)
        assert str(read.X["day"].dtype).startswith("datetime64")
        numbers = load_table(table, label="label", features=["size"], mixed=True)
        assert isinstance(numbers.X, np.ndarray)

    @pytest.mark.parametrize(
        ("values", "are_dates"),
        [
            (["2026-01-31", None, "2026-02-28"], True),
            (["2026-01-31 12:00", "2026-01-31T12:00:00.25"], True),
            (["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+02:00"], True),
            (["2026-01-31 12:00", "2026-01-31 12:00Z"], False),
            (["2026-01-31", "2026-02-30"], False),
            (["2026-01-31", "soon"], False),
            (["31.01.2026"], False),
            (["2026"], False),
            ([None, None], False),
        ],
    )
    def test_dates_as_the_standard_writes_them(self, values, are_dates):
        frame = read_dates(pd.DataFrame({"x": pd.Series(values, dtype=object)}))
        assert str(frame["x"].dtype).startswith("datetime64") is are_dates
        kept = read_dates(pd.DataFrame({"x": pd.Series(values, dtype=object)}), ("x",))
        assert kept["x"].dtype == object

    def test_what_is_no_feature_or_no_category_is_said(self, tmp_path):
        frame = pd.DataFrame(
            {
                "name": [f"customer {i}" for i in range(30)],
                "amount": [*map(str, range(100, 129)), "n.k."],
                "kind": ["a", "b"] * 15,
            }
        )
        frame.to_csv(tmp_path / "t.csv", index=False)
        with pytest.warns(UserWarning) as caught:
            load_table(tmp_path / "t.csv", mixed=True)
        identifiers, numbers = sorted(str(one.message) for one in caught)
        assert "'name', 'amount': another value in each row" in identifiers
        assert "mostly numbers are read as categories" in numbers
        assert "'amount' ('n.k.')" in numbers
