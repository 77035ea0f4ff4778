"""The report is whole, safe and self-contained, and says what its rows say."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from ocsdf.benchmark.figures import spread_strip
from ocsdf.benchmark.files import write_report
from ocsdf.benchmark.grids import overview_grid
from ocsdf.benchmark.sections import NAMES, sections
from ocsdf.benchmark.summary import summarize_protocol
from ocsdf.cli.bench import _print_benchmark
from ocsdf.data.splits import PROTOCOLS
from ocsdf.utils.exactness import exact_floats
from tests.benchmark.test_statistics import cells
from tests.samples import Page

TABLES = ["4_breastw", "42_WBC", "6_cardio", "38_thyroid", "40_vowels"]
# Levels of each detector; IForest and OCSDF draw over seeds.
LEVELS = {"OCSDF": 90, "IForest": 85, "KNN": 80, "COF": 70, "nearest neighbour": 88}


def benchmark():
    rng = np.random.default_rng(0)
    values = {
        (table, name): (level + rng.uniform(-8, 8, 3 if name in ("OCSDF", "IForest") else 1))
        for table in TABLES
        for name, level in LEVELS.items()
    }
    rows = [cells(values, protocol) for protocol in ("oc", "adbench")]
    rows += [cells(values, "contaminated", contamination=share) for share in (0.0, 0.1)]
    rows = pd.concat(rows, ignore_index=True)
    bounded = rows["detector"].isin(["OCSDF", "nearest neighbour"])
    rows["certified_auroc_0.1"] = (rows["auroc"] - 0.06).where(bounded)
    rows["leaks"] = (rows["protocol"] == "adbench") & (rows["table"] == "42_WBC")
    failed = (
        (rows["protocol"] == "oc") & (rows["table"] == "6_cardio") & (rows["detector"] == "KNN")
    )
    rows["error"] = rows["error"].astype(object)
    rows.loc[failed, "auroc"] = np.nan
    rows.loc[failed, "error"] = "ValueError: <script>a | b</script>"
    return rows


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new"
    return folder, write_report(benchmark(), folder, adbench_csv=True)


def test_every_protocol_is_told_in_words():
    assert set(NAMES) == set(PROTOCOLS)
    summary = summarize_protocol(cells({("t", "A"): [90], ("t", "B"): [80]}, "fixed"))
    first = sections([summary], None, [])[1]
    assert first.title == "Protocol fixed" and "judged on its others" in first.blocks[0]


def test_files(written):
    folder, paths = written
    assert sorted(paths) == sorted(path for path in folder.rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)) for path in paths}
    assert {"benchmark.csv", "benchmark.md", "benchmark.html"} < names
    assert {"figures/oc_ranks.png", "figures/oc_ranks_families.png"} < names
    assert {"figures/oc_certified.png", "figures/oc_spread.png"} < names
    assert {"figures/contamination.png", "adbench_AUCROC.csv", "adbench_AUCROC_oc.csv"} < names
    assert all((folder / name).read_bytes()[:4] == b"\x89PNG" for name in names if "png" in name)
    again = pd.read_csv(folder / "benchmark.csv", **exact_floats())
    pd.testing.assert_frame_equal(
        again[benchmark().columns], benchmark(), check_dtype=False, rtol=1e-12
    )


def test_report_reads_its_own_csv(written, tmp_path):
    folder, _ = written
    write_report(pd.read_csv(folder / "benchmark.csv", **exact_floats()), tmp_path)
    for name in ("benchmark.md", "benchmark.html", "benchmark.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_page_is_self_contained_and_well_formed(written):
    text = (written[0] / "benchmark.html").read_text()
    page = Page(text)
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert all(reference.startswith("#") for reference in page.references)
    assert not re.search(r"url\((?!#)|@import|<script|<link", text)
    assert page.mismatched == page.open == []
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == 9
    assert page.tags.count("table") == text.count('<div class="scroll"')
    assert "#010203" not in text
    assert "prefers-color-scheme: dark" in text


def test_failures_marks_and_beside_are_said(written):
    for name in ("benchmark.html", "benchmark.md"):
        text = (written[0] / name).read_text()
        assert "COF†" in text
        assert "42_WBC‡" in text
        assert "KNN on 6_cardio failed at 1 of 1 seed: ValueError: " in text
        assert "Transductive: COF" in text
    markdown = (written[0] / "benchmark.md").read_text()
    oc = markdown[: markdown.index("## Protocol adbench")]
    (row,) = re.findall(r"^\| 6_cardio .*", oc, re.M)
    assert "| ValueError |" in row
    assert "42_WBC‡" not in oc
    header = re.search(r"^\| table .*", oc, re.M)[0]
    assert "nearest neighbour" not in header
    assert re.search(r"^\| nearest neighbour \| 8\d\.\d \| \d\d\.\d \|$", oc, re.M)


def test_best_of_each_row_is_bold(written):
    markdown = (written[0] / "benchmark.md").read_text()
    start = markdown.index("| table |")
    lines = markdown[start : markdown.index("\n\n", start)].splitlines()
    names = [name.strip() for name in lines[0].split("|")[2:-1]]
    oc = benchmark().query("protocol == 'oc'")
    means = oc.groupby(["table", "detector"])["auroc"].mean().unstack()
    for line in lines[2 : 2 + len(TABLES)]:
        table, *texts = [text.strip() for text in line.split("|")[1:-1]]
        best = means.loc[table, ["OCSDF", "IForest", "KNN", "COF"]].idxmax()
        assert [name for name, text in zip(names, texts, strict=True) if "**" in text] == [best]
        assert f"**{means.loc[table, best]:.1f}**" in texts


def test_certified_figures_are_rounded_down():
    rows = cells({("t", "A"): [90.0], ("u", "A"): [90.0]})
    rows["certified_auroc_0.1"] = 79.99
    texts = str(sections([summarize_protocol(rows)], None, []))
    assert "'79.9'" in texts
    assert "'80.0'" not in texts
    rows["auroc"] = 79.99
    assert "'80.0'" in str(sections([summarize_protocol(rows)], None, []))


def test_detectors_with_all_rows_are_named():
    rows = cells({("t", "A"): [90.0], ("t", "B"): [80.0]})
    assert "All rows of the tables" not in str(sections([summarize_protocol(rows)], None, []))
    rows["rows"] = np.where(rows["detector"] == "B", "all", None)
    assert "All rows of the tables over 5,000: B." in str(
        sections([summarize_protocol(rows)], None, [])
    )


def test_too_little_to_test_is_said(tmp_path):
    paths = write_report(cells({("t", "A"): [90], ("t", "B"): ["late"]}), tmp_path)
    assert [path.name for path in paths] == ["benchmark.csv", "benchmark.md", "benchmark.html"]
    text = (tmp_path / "benchmark.md").read_text()
    assert "there are 2 on 1" in text
    assert "| t | **90.0** | failed |" in text


def test_nothing_finished(tmp_path):
    write_report(cells({("t", "A"): ["over the time limit of 300 s"]}), tmp_path)
    assert "over time" in (tmp_path / "benchmark.md").read_text()


def test_tables_apart_leave_no_rank(tmp_path):
    write_report(cells({("t", "A"): [90], ("u", "B"): [80]}), tmp_path)
    text = (tmp_path / "benchmark.md").read_text()
    assert "Shown, but in no mean and no rank, as a detector has not been run on them: t, u" in text
    assert "| ad | 0 | 2 | – | – |" in text


def test_without_scikit_posthocs_the_rest_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    paths = write_report(benchmark(), tmp_path)
    assert not [path for path in paths if "ranks" in path.name]
    text = (tmp_path / "benchmark.md").read_text()
    assert "pip install 'ocsdf[experiments]'" in text
    assert "Friedman test that all 4 detectors rank alike, over 5 tables: p" in text


def test_no_global_figure_is_left(written):
    assert pyplot.get_fignums() == []


def test_strip_draws_each_table_and_the_median():
    spread = pd.DataFrame({"detector": ["A", "A", "A", "B"], "std": [1.0, 3.0, 2.0, 4.0]})
    ax = spread_strip(spread, ["B", "A"]).axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["B", "A"]
    dots, bar = ax.get_lines()[2:]
    np.testing.assert_array_equal(dots.get_xdata(), [1, 3, 2])
    assert list(bar.get_xdata()) == [2, 2]


def test_the_terminal_ranks_whom_the_report_ranks(capsys):
    rows = cells({("t", "A"): [90], ("t", "B"): [80], ("t", "nearest neighbour"): [99]})
    _print_benchmark(rows, [])
    printed = capsys.readouterr().out
    assert re.search(r"A +│ +90.0 │ +1.0", printed) and "nearest neighbour" not in printed


@pytest.mark.parametrize(
    ("levels", "named"),
    [
        ({"A": [80, 70], "B": [70, 80], "C": [60, 60]}, ["A, B (1.50)", "A, B (75.0)"]),
        ({"A": [80, 80], "B": [80, 80], "C": [80, 80]}, ["A, B, C (2.00)", "A, B, C (80.0)"]),
        ({"A": [80, 80], "B": [70, 70], "C": [90, 70]}, ["A (1.50)", "A, C (80.0)"]),
        ({"A": [80, 80], "B": [70, 70], "C": [60, 60]}, ["A (1.00)", "A (80.0)"]),
    ],
)
def test_P9_all_that_are_best_are_named(levels, named):
    values = {
        (table, name): np.array([float(levels[name][place])])
        for place, table in enumerate(TABLES[:2])
        for name in levels
    }
    told = str(overview_grid([summarize_protocol(cells(values, "oc"))]))
    assert all(text in told for text in named)
