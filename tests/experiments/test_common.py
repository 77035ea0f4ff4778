"""What experiments share: options, the record of the cells, cells that fail, verdicts."""

import numpy as np
import pytest

from experiments.common import command
from experiments.common.command import (
    all_there,
    as_table,
    count,
    file_name,
    keep_committed,
    make_parser,
    run_experiment,
    write_text,
)
from experiments.common.results import (
    RESULTS,
    do_cells,
    finish_cells,
    read_rows,
    write_rows,
)
from experiments.speed.suite import judge, tabulate

CELLS = [{"shape": name, "n_points": 3, "parts": [1, 2]} for name in ("ball", "cube", "torus")]


def test_only_the_committed_preset_has_the_scripts_name():
    assert file_name("curves", "cpu") == "curves"
    assert file_name("curves", "smoke") == "curves_smoke"


def test_options(tmp_path):
    plain = make_parser("What it does.", ("cpu", "smoke")).parse_args([])
    expected = {"preset": "cpu", "output": RESULTS, "jobs": 1, "render": False}
    assert vars(plain) == expected
    assert "preset" not in make_parser("What it does.").parse_args([])
    parser = make_parser("What it does.", ("cpu", "smoke"), work="curves")
    options = parser.parse_args(["--preset", "smoke", "--jobs", "2", "--output", str(tmp_path)])
    assert (options.preset, options.jobs, options.output) == ("smoke", 2, tmp_path)
    assert options.work.parts[-2:] == ("build", "curves")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", ""])
def test_counts_are_whole_numbers_above_zero(text, capsys):
    with pytest.raises(SystemExit):
        make_parser("What it does.", ("cpu",)).parse_args(["--jobs", text])
    assert f"must be a whole number, 1 or more; got {text!r}" in capsys.readouterr().err
    assert count("12") == 12


def test_a_part_is_not_written_over_the_tables_of_all(tmp_path, capsys):
    parser = make_parser("What it does.", ("cpu", "smoke"))
    parser.add_argument("--seeds", type=count, default=5)
    keep_committed(parser, parser.parse_args([]), "seeds")
    keep_committed(parser, parser.parse_args(["--seeds", "5"]), "seeds")
    keep_committed(parser, parser.parse_args(["--seeds", "2", "--output", str(tmp_path)]), "seeds")
    with pytest.raises(SystemExit):
        arguments = parser.parse_args(["--seeds", "2", "--preset", "smoke"])
        keep_committed(parser, arguments, "preset", "seeds")
    told = "--preset and --seeds would write over the tables of all cells: say where with --output"
    assert told in capsys.readouterr().err


def options(tmp_path, *words):
    return make_parser("What it does.").parse_args(["--output", str(tmp_path), *words])


class TestRecord:
    ROWS = [
        {"shape": "ball", "n": 3, "area": 0.1 + 0.2, "closed": True, "commit": "abc"},
        {"shape": "0.5", "n": 3, "parts": [1, 2.5], "told": {"a": "b"}, "commit": "12345"},
        {"shape": 'a "b", c\nd', "n": 0, "area": float("inf"), "closed": False, "commit": "true"},
    ]

    def test_rows_come_back_as_they_were(self, tmp_path):
        write_rows(tmp_path / "new" / "a.csv", self.ROWS)
        assert read_rows(tmp_path / "new" / "a.csv") == self.ROWS
        assert read_rows(tmp_path / "none.csv") == []
        header = (tmp_path / "new" / "a.csv").read_text().splitlines()[0]
        assert header == "shape,n,area,closed,parts,told,commit"

    def test_nothing_is_an_empty_field(self, tmp_path):
        values = {"a": 1, "b": None, "c": float("nan"), "d": np.float64(0.5), "e": np.int64(2)}
        write_rows(tmp_path / "a.csv", [values])
        assert (tmp_path / "a.csv").read_text() == "a,b,c,d,e\n1,,,0.5,2\n"
        assert read_rows(tmp_path / "a.csv") == [{"a": 1, "d": 0.5, "e": 2}]

    def test_a_row_is_a_cells_if_all_names_of_keys_agree(self, tmp_path):
        kept = [
            {"table": "wine", "seed": 0, "auroc": 1.0},
            {"table": "wine", "seed": 0, "epochs": 640, "auroc": 2.0},
            {"table": "other", "seed": 7, "auroc": 3.0},
        ]
        write_rows(tmp_path / "a.csv", kept)
        cells = [{"table": "wine", "seed": 0.0, "epochs": 640}, {"table": "wine", "seed": 0}]
        cells += [{"table": "wine", "seed": 1}]
        rows = finish_cells(cells, lambda **cell: {"auroc": 4.0}, tmp_path / "a.csv")
        assert [row["auroc"] for row in rows] == [2.0, 1.0, 4.0]
        # No row is lost, and the new one says what made it.
        assert read_rows(tmp_path / "a.csv") == [*kept, rows[2]]
        assert rows[2]["commit"] and "commit" not in rows[0]
        # The cells that have joined the record are nowhere else.
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]

    def test_to_render_does_nothing(self, tmp_path):
        write_rows(tmp_path / "a.csv", [{"shape": "ball", "area": 1}])
        cells = [{"shape": "ball"}, {"shape": "cube"}]
        rows = do_cells(cells, None, options(tmp_path, "--render"), "a")
        assert rows["shape"].tolist() == ["ball"]
        with pytest.raises(SystemExit, match=r"b.csv has none of these cells: run without --ren"):
            do_cells(cells, None, options(tmp_path, "--render"), "b")


def test_cells_that_fail_are_told_and_the_others_kept(tmp_path):
    done = []

    def work(shape, n_points, parts):
        done.append(shape)
        if shape == "cube" and done.count("cube") == 1:
            raise ValueError("no cube")
        return {"area": n_points * sum(parts)}

    with pytest.raises(SystemExit) as stop:
        do_cells(CELLS, work, options(tmp_path), "areas")
    assert str(stop.value) == "cube, 3: ValueError: no cube"
    rows = do_cells(CELLS, work, options(tmp_path), "areas")
    assert rows["area"].tolist() == [9, 9, 9] and done.count("ball") == 1
    assert len(read_rows(tmp_path / "areas.csv")) == 3


def test_what_is_to_be_done_is_told_before(tmp_path, capsys):
    path, arguments = tmp_path / "areas.csv", options(tmp_path)
    write_rows(path, [CELLS[0] | {"area": 9}])
    do_cells(CELLS, lambda **cell: {"area": 9}, arguments, "areas")
    told = capsys.readouterr().err
    assert f"{path} lacks 2 of 3 cells. Each is kept in {tmp_path / 'areas.sqlite'} as" in told
    do_cells(CELLS, None, arguments, "areas")
    told = capsys.readouterr().err
    assert f"{path} has all 3 cells: nothing is measured" in told and "--output" in told
    do_cells(CELLS, None, options(tmp_path, "--render"), "areas")
    assert capsys.readouterr().err == ""


def test_a_missing_library_of_pages_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"pip install 'ocsdf\[experiments\]'"):
        make_parser("What it does.")


def test_cells_with_the_same_error_share_a_line(tmp_path):
    def work(source, steps):
        raise FileNotFoundError("no mnist")

    cells = [{"source": {"method": name, "seed": 0}, "steps": 40} for name in ("Madry", "ours")]
    with pytest.raises(SystemExit) as stop:
        do_cells(cells, work, options(tmp_path), "attacks")
    assert str(stop.value) == "Madry, 0, 40; ours, 0, 40: FileNotFoundError: no mnist"


def test_texts_are_written_and_printed(tmp_path, capsys):
    write_text("# Areas\n", tmp_path / "new", "areas_smoke")
    printed = capsys.readouterr()
    assert printed.out == "# Areas\n\n"
    assert printed.err == f"Written: {tmp_path / 'new' / 'areas_smoke.md'}\n"
    assert (tmp_path / "new" / "areas_smoke.md").read_text() == "# Areas\n"
    write_rows(tmp_path / "b.csv", [{"a": 1, "commit": name} for name in ("x1", "x2", "x2")])
    write_text("# B\n", tmp_path, "b")
    expected = "# B\n\nRows entered the record at commit: x2 (2), x1 (1).\n"
    assert (tmp_path / "b.md").read_text() == expected


def test_an_experiment_does_its_cells_in_its_folder_and_writes_its_page(tmp_path, capsys):
    def area(shape, n_points, parts, work):
        (work / shape).touch()
        return {"area": n_points * sum(parts)}

    def describe(rows, unit):
        return f"# Areas in {unit}\n\n{as_table(rows[['shape', 'area', 'commit']])}\n"

    parser = make_parser("What it does.", work="areas")
    folder = tmp_path / "new" / "arrays"
    given = parser.parse_args(["--output", str(tmp_path), "--work", str(folder)])
    rows = run_experiment(CELLS, area, given, "areas", describe, "m2")
    assert rows["area"].tolist() == [9, 9, 9]
    assert sorted(path.name for path in folder.iterdir()) == ["ball", "cube", "torus"]
    page = (tmp_path / "areas.md").read_text()
    assert page.startswith("# Areas in m2\n\n| shape   |   area |\n")
    assert "| cube    |      9 |" in page and "at commit:" in page
    run_experiment(CELLS, area, options(tmp_path, "--render"), "areas", describe, "m2")
    assert (tmp_path / "areas.md").read_text() == page


def test_a_picture_without_its_files_is_told(tmp_path, capsys):
    (tmp_path / "a").touch()
    assert all_there([tmp_path / "a"])
    assert not all_there([tmp_path / "a", tmp_path / "b"])
    assert f"there is no {tmp_path / 'b'}" in capsys.readouterr().out


class TestVerdicts:
    @pytest.mark.parametrize(
        ("values", "bounds", "met"),
        [
            ([9.0, 10.0, 30.0], {"least": 10.0}, True),
            ([9.0, 9.9, 30.0], {"least": 10.0}, False),
            ([1.0, 2.0, 9.0], {"most": 2.0}, True),
            ([1.0, 2.1, 2.2], {"most": 2.0}, False),
            ([], {"least": 0.0}, False),
            ([np.nan], {"most": 1.0}, False),
        ],
    )
    def test_the_median_is_judged(self, values, bounds, met):
        assert judge("x", values, **bounds).met is met

    def test_lines(self):
        met = judge("fullsort", [11.0, 12.0, 13.0], least=10.0, note="kindest: 6")
        assert str(met) == "met     fullsort: 12 [11, 13], target >= 10 (kindest: 6)"
        missed = judge("seconds", [70.0], most=60.0)
        assert str(missed) == "missed  seconds: 70 [70, 70], target <= 60"
        assert "not measured" in str(judge("seconds", [], most=60.0))
        lines = tabulate([met, missed]).splitlines()
        assert lines[2].startswith("| met ") and lines[3].startswith("| **missed**")
