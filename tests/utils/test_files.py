"""Outputs are checked before the work, and written whole or not at all."""

import os

import pytest

from ocsdf.utils.files import check_output, write_whole


def test_check_output_names_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="it is a folder; name a file in it"):
        check_output(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        check_output(tmp_path / "none" / "a.html")
    source = tmp_path / "in.csv"
    source.write_text("a")
    with pytest.raises(ValueError, match="it is an input; name another file"):
        check_output(source, inputs=[source])
    check_output(tmp_path / "a.html", inputs=[source])
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_check_output_asks_the_file_system(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ValueError, match="Permission denied in folder"):
        check_output(tmp_path / "a.html")


def test_write_whole_replaces_or_leaves_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, "new")
    assert path.read_text() == "old"
    write_whole(path, "new ≤")
    assert path.read_text(encoding="utf-8") == "new ≤"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
