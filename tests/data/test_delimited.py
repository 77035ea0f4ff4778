"""Delimited text as people have it (C1): detected, or refused in one line that names the place."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest

from ocsdf import load_table
from ocsdf.data.features import Reading
from ocsdf.data.layout import sniff

X = np.array([[1.5, -2.25], [3.0, 1e-3], [-4.75, 12.5], [0.125, 7.0]])


def load(tmp_path, text, name="t.csv", **reading):
    """Load a file, where nothing may be warned of."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_table(path, **reading)


def written(sep, decimal=".", header="a{sep}b", end="\n"):
    lines = [header.format(sep=sep)] if header else []
    lines += [sep.join(str(value).replace(".", decimal) for value in row) for row in X]
    return end.join(lines) + end


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("sep", "decimal"),
    [
        (",", "."),
        (";", ","),
        (";", "."),
        ("\t", "."),
        ("\t", ","),
        ("|", ","),
        (" ", "."),
        (" ", ","),
    ],
)
def test_C1_separators_and_decimal_signs_are_detected(tmp_path, sep, decimal, end):
    table = load(tmp_path, written(sep, decimal, end=end))
    np.testing.assert_array_equal(table.X, X)
    assert table.feature_names == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n"1,5","-2,25"\n"3,0","0,001"\n"-4,75","12,5"\n"0,125","7,0"\n',
        "sep=;\na;b\n1,5;-2,25\n3,0;0,001\n-4,75;12,5\n0,125;7,0\n",
        "\n\n" + written(";", ",") + "\n\n",
        '"a";"b"\n' + written(";", ",", header=""),
        "a   b\n 1.5  -2.25\n3.0   0.001 \n  -4.75 12.5\n0.125 7.0\n",
        "\ufeff" + written(","),
        "\ufeff" + written(";", ","),
    ],
)
def test_C1_what_spreadsheets_write(tmp_path, text):
    table = load(tmp_path, text)
    np.testing.assert_array_equal(table.X, X)
    assert table.feature_names == ["a", "b"]


@pytest.mark.parametrize(
    ("encoding", "given"),
    [("utf-16", None), ("utf-16-le", "utf-16-le"), ("cp1252", "cp1252"), ("utf-8", "utf8")],
)
def test_C1_encodings(tmp_path, encoding, given):
    text = written(";", ",", header="größe{sep}b").encode(encoding)
    assert load(tmp_path, text, encoding=given).feature_names == ["größe", "b"]
    if encoding not in ("utf-8", "utf-16"):
        with pytest.raises(ValueError, match=r"--encoding|name its encoding"):
            load(tmp_path, text)
    with pytest.raises(ValueError, match="no encoding is named 'klingon'"):
        load(tmp_path, text, encoding="klingon")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.tsv", bytes),
        ("t.txt", bytes),
        ("T.CSV", bytes),
        ("t.tsv.GZ", gzip.compress),
    ],
)
def test_C1_suffixes_and_compression(tmp_path, name, write):
    table = load(tmp_path, write(written("\t").encode()), name)
    np.testing.assert_array_equal(table.X, X)
    assert table.name.lower() == "t"


@pytest.mark.parametrize("sep", [";", "\t", "tab", "|", "~"])
def test_C1_what_is_given_is_not_guessed(tmp_path, sep):
    sign = "\t" if sep == "tab" else sep
    table = load(tmp_path, written(sign, ","), sep=sep, decimal=",")
    np.testing.assert_array_equal(table.X, X)
    with pytest.raises(ValueError, match="a separator must be one ASCII character"):
        load(tmp_path, written(sign), sep="ab")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", r"line 3 has 3 fields and the header 2, .*: quote fields"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 field and the header 2, .*: it may be cut off"),
        ("a;b\n1,0;2,0\n3,0\n", "line 3 has 1 field and the header 2, parted by ';'"),
        ("a,b\nr1,1,2\nr2,3,4\n", "line 2 has 3 fields and the header 2, .*: where the first .* R"),
        ('"a","b"\n"1",1,2\n"2",3,4\n', "line 2 has 3 fields .* row names, as R writes them"),
        ("a\tb\nr1\t1\t2\nr2\t3\t4\n", "line 2 has 3 fields .* row names, as R writes them"),
        ("a,b\n1,2,\n3,4,\n", "line 2 has 3 fields .*: take the separators at its end away"),
        ("a;b\n1;2;\n3;4;\n", "line 2 has 3 fields .*: take the separators at its end away"),
        ("a,b\n1,2\n3,4,,,\n", "line 3 has 5 fields .*: take the separators at its end away"),
        ("a,b\n1,5,2,5\n3,5,4,5\n", "line 2 has 4 fields and the header 2"),
        ('a,b\n"x\ny",2\n1,2,3\n', "line 4 has 3 fields and the header 2"),
        ('a,b\n1,2\n"3,4\n' + "5,6\n" * 40_000, "line .*: .* is a quote left open"),
        ('a,b\n1,2\n"3,4\n5,6\n', "line 4 has 1 field and the header 2, .*: it may be cut off"),
        (
            "a;b\n1,5;2.5\n",
            r"some numbers have a comma \(1,5\) and some a point \(2.5\): .*--decimal",
        ),
        ("a;b\n1,500;2,250\n", "the comma of numbers such as 1,500 may part thousands .*--decimal"),
        ('a,b\n"1,500","2,250"\n', "the comma of numbers such as 1,500 may part thousands"),
        ("a\tb\n1,500\t12\n", "the comma of numbers such as 1,500 may part thousands"),
        ("", "it is empty: it holds no line of text"),
        ("\n  \n", "it is empty: it holds no line of text"),
        ("a;b\n1.000,5;2\n", "not numeric, 'a'"),
    ],
)
def test_C1_what_cannot_be_told_is_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_C1_what_is_compressed_and_not_named_so_is_one_line(tmp_path, compress):
    with pytest.raises(ValueError, match=r"t\.csv: it is compressed: unpack it first, or end"):
        load(tmp_path, compress(written(",").encode()))
    assert load(tmp_path, "BZh9,b\n1.5,2.5\n2.5,1.5\n").feature_names == ["BZh9", "b"]


def test_C1_a_line_far_down_is_named(tmp_path):
    text = "a,b\n" + "1,2\n" * 50_000 + "1,2,3\n" + "1,2\n" * 10
    with pytest.raises(ValueError, match="line 50002 has 3 fields"):
        load(tmp_path, text)
    text = ("a,b\n" + "1,2\n" * 50_000).encode() + b"\xe9,2\n"
    with pytest.raises(ValueError, match="line 50002 is not utf-8"):
        load(tmp_path, text)


@pytest.mark.parametrize(("decimal", "expected"), [(",", [1.5, 2.25]), (".", None)])
def test_C1_the_sign_that_is_given_decides_of_thousands(tmp_path, decimal, expected):
    text = "a;b\n1,500;2,250\n"
    if expected:
        np.testing.assert_array_equal(load(tmp_path, text, decimal=decimal).X, [expected])
    else:
        with pytest.raises(ValueError, match="not numeric, 'a', 'b'"):
            load(tmp_path, text, decimal=decimal)


@pytest.mark.parametrize(
    "first", ["1.5,-2.25", "1,2", "1e3,-2", '"1","2"', "5.1,setosa", "2019,2020"]
)
def test_C1_a_first_line_of_numbers_is_asked_about(tmp_path, first):
    path = tmp_path / "t.csv"
    path.write_text(f"{first}\n" + written(",", header=""))
    with pytest.warns(UserWarning, match=r"was taken for the names of columns.*--no-header"):
        assert load_table(path).X.shape == (4, 2)


def test_C1_without_a_header_columns_are_numbered(tmp_path):
    table = load(tmp_path, written(";", ",", header=""), header=False)
    np.testing.assert_array_equal(table.X, X)
    assert table.feature_names == ["x0", "x1"]
    text = "1,2,yes\n3,4,no\n"
    table = load(tmp_path, text, label="x2", anomaly="yes", header=False)
    np.testing.assert_array_equal(table.y, [1, 0])


@pytest.mark.parametrize(
    ("values", "normal"),
    [
        (["None", "Attack", "None"], "None"),
        (["NA", "EU", "NA"], "NA"),
        (["null", "some", "null"], "null"),
        (["nan", "bread", "nan"], "nan"),
        (["N/A", "x", "N/A"], "N/A"),
    ],
)
def test_C3_names_of_classes_that_look_missing(tmp_path, values, normal):
    text = "a,y\n" + "".join(f"{place},{value}\n" for place, value in enumerate(values))
    table = load(tmp_path, text, label="y", anomaly=values[1])
    np.testing.assert_array_equal(table.y, [0, 1, 0])


@pytest.mark.parametrize(
    "values", [["0", "1", "NA"], ["0", "1", ""], ["yes", "no", ""], ["1", "None", "0"]]
)
def test_C3_labels_that_are_missing_are_refused(tmp_path, values):
    text = "a,y\n" + "".join(f"{place},{value}\n" for place, value in enumerate(values))
    with pytest.raises(ValueError, match=r"is missing \(NaN\) in 1 rows"):
        load(tmp_path, text, label="y", anomaly="yes" if "yes" in values else None)


@pytest.mark.skipif(os.name != "posix", reason="pipes with names are POSIX's")
def test_C1_pipes_and_the_standard_input(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text(written(";", ",")), daemon=True)
    writer.start()
    np.testing.assert_array_equal(load_table(path).X, X)
    writer.join()
    code = "from ocsdf import load_table; t = load_table('-'); print(t.name, t.X.shape, t.X.sum())"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input=written("\t"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["stdin", "(4,", "2)", str(X.sum())]


def test_layout_is_told_from_the_head_alone():
    """What reads a file by parts needs no more than its first bytes."""
    head = ("a;b\n" + "1,5;2,5\n" * 100_000).encode()[: 2**18]
    layout = sniff(head, Reading())
    assert (layout.sep, layout.decimal, layout.encoding) == (";", ",", "utf-8")
    assert (layout.names, layout.skip, layout.header) == (["a", "b"], 0, True)


def test_names_that_come_again_are_numbered_as_pandas_does(tmp_path):
    text = "a,a,b,a\n1,2,3,4\n"
    assert load(tmp_path, text).feature_names == list(pd.read_csv(io.StringIO(text)).columns)
