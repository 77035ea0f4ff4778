"""Outputs are checked before the work, and written whole or not at all (P1)."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from ocsdf.utils.files import check_output, open_whole, write_whole

POSIX = pytest.mark.skipif(os.name != "posix", reason="devices, pipes and modes are POSIX's")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def as_nobody(code, *arguments, stdout=subprocess.PIPE):
    """Run code as a user who is not root, whose mistakes would cost the machine's devices."""
    drop = "import os\nif os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
    command = [sys.executable, "-c", "import ocsdf.utils.files\n" + drop + code, *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_check_output_names_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="it is a folder; name a file in it"):
        check_output(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        check_output(tmp_path / "none" / "a.html")
    source = tmp_path / "in.csv"
    source.write_text("a")
    with pytest.raises(ValueError, match="it is an input; name another file"):
        check_output(source, inputs=[source])
    check_output(tmp_path / "a.html", inputs=[source, "wine", "a" * 300])
    assert names(tmp_path) == ["in.csv"]


def test_check_output_asks_the_file_system(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ValueError, match="Permission denied in folder"):
        check_output(tmp_path / "a.html")


@pytest.mark.parametrize("length", [200, 240, 241, 250, 255])
def test_P1_names_as_long_as_the_file_system_takes_them(tmp_path, length):
    path = tmp_path / ("é" * (length // 2 - 3) + "x" * (length % 2) + ".ocsdf")
    assert len(path.name.encode()) == length
    check_output(path)
    write_whole(path, "whole")
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "x" * 1000])
def test_P1_a_longer_name_is_refused_before_the_work(tmp_path, name):
    with pytest.raises(ValueError, match=r"cannot write .*: File name too long; choose another"):
        check_output(tmp_path / name)


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
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_block_that_raises_leaves_nothing(tmp_path, error):
    with pytest.raises(error), open_whole(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == []


@pytest.fixture
def device(tmp_path):
    """Makes a device: one of its own for root, whose mistakes would destroy that of /dev."""

    def make(name, number):
        path = f"/dev/{name}"
        if os.geteuid():
            return path
        path = tmp_path / name
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, number))
            path.open("wb").close()
        except OSError as error:
            pytest.skip(f"devices cannot be made here: {error}")
        return path

    return make


@POSIX
@pytest.mark.parametrize(("name", "number"), [("null", 3), ("zero", 5), ("random", 8)])
@pytest.mark.parametrize("linked", [False, True])
def test_P1_devices_are_written_into(tmp_path, device, name, number, linked):
    node = path = device(name, number)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(node)
    before = os.stat(node)
    check_output(path)
    write_whole(path, "gone")
    after = os.stat(node)
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_rdev) == (after.st_ino, after.st_rdev)


@POSIX
@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /dev/full")
def test_P1_a_device_that_is_full_says_so(device):
    path = device("full", 7)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "text")
    assert stat.S_ISCHR(os.stat(path).st_mode)


@POSIX
def test_P1_pipes_are_written_into(tmp_path):
    path, got = tmp_path / "pipe", []
    os.mkfifo(path)
    check_output(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()), daemon=True)
    reader.start()
    write_whole(path, "through")
    reader.join(600)
    assert got == [b"through"]
    assert stat.S_ISFIFO(os.stat(path).st_mode)
    assert names(tmp_path) == ["pipe"]


@POSIX
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("append", [False, True])
def test_P1_standard_output_by_its_name(tmp_path, name, append):
    path = tmp_path / "out.txt"
    path.write_text("before\n")
    code = (
        "import sys; from ocsdf.utils.files import check_output, write_whole\n"
        "check_output(sys.argv[1]); write_whole(sys.argv[1], 'scores\\n'); print('after')"
    )
    with open(path, "ab" if append else "wb") as out:
        assert as_nobody(code, name, stdout=out).stderr == ""
    assert path.read_text() == "before\n" * append + "scores\nafter\n"
    assert names(tmp_path) == ["out.txt"]


@POSIX
@pytest.mark.parametrize("kind", ["absolute", "relative", "twice", "dangling"])
def test_P1_links_are_followed(tmp_path, kind):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target, link = folder / "target.txt", tmp_path / "link.txt"
    if kind != "dangling":
        target.write_text("old")
    if kind == "twice":
        (tmp_path / "middle").symlink_to(target)
    link.symlink_to({"relative": "elsewhere/target.txt", "twice": "middle"}.get(kind, str(target)))
    check_output(link)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert names(folder) == ["target.txt"]


@POSIX
def test_P1_a_link_in_a_circle_or_to_no_folder_is_refused(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ValueError, match="Too many levels of symbolic links"):
        check_output(tmp_path / "circle")
    (tmp_path / "lost").symlink_to(tmp_path / "none" / "a")
    with pytest.raises(ValueError, match="there is no folder"):
        check_output(tmp_path / "lost")


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o444])
def test_P1_an_old_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    check_output(path)
    write_whole(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "new"


@POSIX
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_P1_a_new_file_has_the_mode_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask


@POSIX
@pytest.mark.parametrize("n_names", [2, 3, 5])
@pytest.mark.parametrize("length", [1, 10_000])
def test_P1_hard_links_stay(tmp_path, n_names, length):
    path = tmp_path / "0"
    path.write_text("old " * 1000)
    for number in range(1, n_names):
        os.link(path, tmp_path / str(number))
    check_output(path)
    write_whole(path, "n" * length)
    assert path.stat().st_nlink == n_names
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"n" * length}
    assert len(names(tmp_path)) == n_names


@POSIX
def test_P1_a_writable_file_in_a_folder_that_takes_no_new_ones(tmp_path):
    if os.geteuid() == 0:  # nobody must get there
        for parent in (tmp_path, *tmp_path.parents[:4]):
            if parent.stat().st_uid == 0 and parent != parent.parent and parent.name != "tmp":
                parent.chmod(parent.stat().st_mode | 0o055)
    path = tmp_path / "a.txt"
    path.write_text("old " * 1000)
    path.chmod(0o666)
    tmp_path.chmod(0o555)
    code = (
        "import sys; from ocsdf.utils.files import check_output, write_whole\n"
        "check_output(sys.argv[1]); write_whole(sys.argv[1], 'new')\n"
        "check_output(sys.argv[1] + 'x')"
    )
    ran = as_nobody(code, str(path))
    tmp_path.chmod(0o755)
    assert "Permission denied in folder" in ran.stderr.splitlines()[-1], ran.stderr
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@POSIX
def test_P1_what_cannot_be_overwritten_in_place_leaves_the_new_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.link(path, tmp_path / "b.txt")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ocsdf.utils.files._overwrite", fail)
    with pytest.raises(OSError, match=r"No space left .*a.txt is not whole any more, but .* is"):
        write_whole(path, "new")
    (part,) = tmp_path.glob(".ocsdf-*.part")
    assert part.read_text() == "new"


@POSIX
@pytest.mark.parametrize("pid", [1, 7])
def test_P1_a_planted_link_is_not_followed(tmp_path, monkeypatch, pid):
    """Names of part files are nobody's to guess, and one that exists is never opened."""
    monkeypatch.setattr(os, "getpid", lambda: pid)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / f".a.txt.{pid}.part").symlink_to(victim)
    monkeypatch.setattr("secrets.token_hex", lambda n: "planted")
    (folder / ".ocsdf-planted.part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(folder / "a.txt", "new")
    monkeypatch.undo()
    write_whole(folder / "a.txt", "new")
    assert victim.read_text() == "mine"


def test_P1_threads_with_one_process_id_write_the_same_file(tmp_path):
    path, errors, seen = tmp_path / "a.txt", [], set()
    texts = [str(number) * 50_000 for number in range(8)]
    path.write_text(texts[0])

    def write(text):
        try:
            for _ in range(6):
                write_whole(path, text)
                seen.add(path.read_text())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen <= set(texts)
    assert names(tmp_path) == ["a.txt"]
