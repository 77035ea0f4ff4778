"""Downloads without a network: what is asked for, what is checked, and what is said."""

import hashlib
import io
import os
import sys
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests

from ocsdf.data.downloads import REGISTRY, URL, fetch_table, registered_stem
from ocsdf.data.tables import load_table

X, Y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def content(tmp_path_factory, monkeypatch):
    """Bytes of a small table, which stands in the registry for thyroid."""
    path = tmp_path_factory.mktemp("published") / "table.npz"
    np.savez(path, X=X, y=Y)
    content = path.read_bytes()
    monkeypatch.setitem(REGISTRY, "38_thyroid", hashlib.sha256(content).hexdigest())
    return content


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Requests made; none leaves the machine, and without `serve` each is refused."""
    asked = []

    def refuse(url, **options):
        asked.append((url, options))
        raise requests.exceptions.ConnectionError("no route\nto host")

    monkeypatch.setattr(requests, "get", refuse)
    return asked


@pytest.fixture
def serve(monkeypatch, asked):
    def get(body):
        def answer(url, **options):
            asked.append((url, options))
            response = requests.Response()
            response.status_code = 200
            response.raw = io.BytesIO(body)
            return response

        monkeypatch.setattr(requests, "get", answer)

    return get


def test_registry():
    assert len(REGISTRY) == 18
    assert all(len(digest) == 64 and int(digest, 16) for digest in REGISTRY.values())
    assert len(set(REGISTRY.values())) == 18
    assert not any(stem.startswith("odds") for stem in REGISTRY)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("38_thyroid", "38_thyroid"),
        ("thyroid", "38_thyroid"),
        ("satimage-2", "31_satimage-2"),
        ("roid", None),
        ("", None),
        ("wbc", None),
    ],
)
def test_names(name, stem):
    assert registered_stem(name) == stem


def test_registry_against_the_data_home():
    """Where the tables are at hand, they have these checksums."""
    folder = Path(os.environ.get("OCSDF_DATA_HOME", "")) / "adbench"
    paths = [folder / f"{stem}.npz" for stem in REGISTRY]
    if not all(path.exists() for path in paths):
        pytest.skip("OCSDF_DATA_HOME does not hold ADBench's tables")
    assert [pooch.file_hash(str(path)) for path in paths] == list(REGISTRY.values())


def test_download_once_then_use_the_file(home, content, serve, asked):
    serve(content)
    table = load_table("thyroid")
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y, Y)
    assert (home / "adbench" / "38_thyroid.npz").read_bytes() == content
    assert fetch_table("38_thyroid") == home / "adbench" / "38_thyroid.npz"
    assert load_table("38_thyroid").name == "38_thyroid"
    ((url, options),) = asked
    assert url == f"{URL}38_thyroid.npz"
    assert max(options["timeout"]) <= 15


def test_without_a_data_home_the_cache(tmp_path, monkeypatch, content, serve):
    monkeypatch.delenv("OCSDF_DATA_HOME", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    serve(content)
    assert fetch_table("38_thyroid") == tmp_path / "ocsdf" / "adbench" / "38_thyroid.npz"
    assert load_table("thyroid").X.shape == (4, 2)


def test_wrong_checksum_leaves_nothing(home, serve):
    serve(b"not the table")
    with pytest.raises(ValueError, match=r"SHA-256 it should have, 8de161b.*put a file you") as how:
        load_table("thyroid")
    assert "\n" not in str(how.value)
    assert list((home / "adbench").iterdir()) == []


def test_a_file_of_the_user_is_not_written_over(home, serve, content):
    (home / "adbench").mkdir()
    own = home / "adbench" / "38_thyroid.npz"
    own.write_bytes(b"own")
    serve(content)
    with pytest.raises(ValueError, match=r"38_thyroid.npz is not ADBench's .*: move it away"):
        fetch_table("38_thyroid")
    assert own.read_bytes() == b"own"


def test_no_network_is_one_line_and_one_try(home, asked):
    with pytest.raises(
        ValueError,
        match=r"no table is named 'thyroid'.*38_thyroid.npz could not be downloaded "
        rf"\(ConnectionError\): put the file at {home}/adbench/38_thyroid.npz$",
    ) as how:
        load_table("thyroid")
    assert isinstance(how.value.__cause__.__cause__, requests.exceptions.ConnectionError)
    assert "\n" not in str(how.value)
    assert len(asked) == 1


def test_folder_that_cannot_be_made(home):
    (home / "adbench").write_text("a file")
    with pytest.raises(OSError, match=r"could not be downloaded \(.*\): put the file at"):
        fetch_table("38_thyroid")


def test_without_pooch(home, monkeypatch, asked):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"needs pooch: pip install pooch$"):
        fetch_table("38_thyroid")
    with pytest.raises(ValueError, match=r"no table is named .*pip install pooch") as how:
        load_table("thyroid")
    assert isinstance(how.value.__cause__, ImportError)
    assert asked == []


def test_unknown_stem_is_no_download(asked):
    with pytest.raises(ValueError, match="no download is known of 'odds_wbc': expected one of 4_b"):
        fetch_table("odds_wbc")
    assert asked == []
    assert registered_stem("odds_wbc") is None
