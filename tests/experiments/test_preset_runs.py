"""Presets of scripts: their files, and cells that fail."""

import pandas as pd
import pytest

from experiments.preset_runs import (
    RESULTS,
    count,
    do_cells,
    file_name,
    keep_committed,
    make_parser,
    write_tables,
)

CELLS = [{"shape": name, "n_points": 3, "parts": [1, 2]} for name in ("ball", "cube", "torus")]


def test_only_the_committed_preset_has_the_scripts_name():
    assert file_name("curves", "cpu") == "curves"
    assert file_name("curves", "smoke") == "curves_smoke"


def test_options(tmp_path):
    plain = make_parser("What it does.", ("cpu", "smoke")).parse_args([])
    assert vars(plain) == {"preset": "cpu", "output": RESULTS}
    parser = make_parser("What it does.", ("cpu", "smoke"), jobs=True, work="curves")
    options = parser.parse_args(["--preset", "smoke", "--jobs", "2", "--output", str(tmp_path)])
    assert (options.preset, options.jobs, options.output) == ("smoke", 2, tmp_path)
    assert options.work.parts[-2:] == ("build", "curves")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", ""])
def test_counts_are_whole_numbers_above_zero(text, capsys):
    with pytest.raises(SystemExit):
        make_parser("What it does.", ("cpu",), jobs=True).parse_args(["--jobs", text])
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


def test_cells_that_fail_are_told_and_the_others_kept(tmp_path):
    done = []

    def work(shape, n_points, parts):
        done.append(shape)
        if shape == "cube" and done.count("cube") == 1:
            raise ValueError("no cube")
        return {"area": n_points * sum(parts)}

    with pytest.raises(SystemExit) as stop:
        do_cells(CELLS, work, tmp_path)
    assert str(stop.value) == "cube, 3: ValueError: no cube"
    rows = do_cells(CELLS, work, tmp_path)
    assert [row["area"] for row in rows] == [9, 9, 9] and done.count("ball") == 1


def test_cells_with_the_same_error_share_a_line(tmp_path):
    def work(source, steps):
        raise FileNotFoundError("no mnist")

    cells = [{"source": {"method": name, "seed": 0}, "steps": 40} for name in ("Madry", "ours")]
    with pytest.raises(SystemExit) as stop:
        do_cells(cells, work, tmp_path)
    assert str(stop.value) == "Madry, 0, 40; ours, 0, 40: FileNotFoundError: no mnist"


def test_tables_are_written_and_printed(tmp_path, capsys):
    rows = pd.DataFrame({"shape": ["ball"], "area": [9]})
    write_tables(rows, "# Areas\n", tmp_path, "areas_smoke")
    assert capsys.readouterr().out == "# Areas\n\n"
    assert (tmp_path / "areas_smoke.md").read_text() == "# Areas\n"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "areas_smoke.csv"), rows)
