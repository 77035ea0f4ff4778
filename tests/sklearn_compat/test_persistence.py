"""One file for a fitted detector: whole or not at all, no pickle, nothing believed unchecked."""

import copy
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import warnings
import zipfile

import joblib
import keras
import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.utils.archives import from_archive, to_archive

MEMBERS = {"meta.json", "mean.npy", "scale.npy", "lower.npy", "upper.npy"}
PARAMETERS = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(100, 3))


@pytest.fixture(scope="module")
def detector(X):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    return OCSDF(contamination=0.1, margin=np.float64(0.3), **PARAMETERS).fit(frame)


@pytest.fixture(scope="module")
def frame(X):
    return pd.DataFrame(X, columns=["a", "b", "c"])


@pytest.fixture(scope="module")
def saved(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "detector.ocsdf"
    detector.save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(saved, path, **changes):
    """Copy a saved detector with some arrays, or keys of its description, changed or left out."""
    meta, arrays = from_archive(saved.read_bytes())
    for name, value in changes.items():
        where = arrays if name in arrays or name == "extra" else meta
        where[name] = value
        if value is None:
            del where[name]
    path.write_bytes(to_archive(meta, arrays))
    return path


def with_member(saved, path, name, content):
    """Copy a saved detector with one member replaced as it stands; None leaves it out."""
    with zipfile.ZipFile(path, "w") as archive:
        for member, new in (members(saved) | {name: content}).items():
            if new is not None:
                archive.writestr(member, new)
    return path


# Where a file keeps the first kernel of the network.
KERNEL = "network.operations.0.members.0.operations.1.members.1.operations.0.kernel"


# Round trip


def test_round_trip_is_exact(detector, saved, frame):
    loaded = OCSDF.load(saved)
    assert type(loaded) is OCSDF
    for method in ("score_samples", "decision_function", "predict", "certified_radius"):
        expected = getattr(detector, method)(frame)
        np.testing.assert_array_equal(getattr(loaded, method)(frame), expected, strict=True)
    assert loaded.get_params() == detector.get_params()
    assert type(loaded.hidden_layer_sizes) is tuple
    for name in ("offset_", "margin_", "n_iter_", "n_features_in_", "history_", "lipschitz_bound_"):
        assert getattr(loaded, name) == getattr(detector, name), name
    for name in ("mean_", "scale_", "feature_names_in_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(detector, name), strict=True)
    points = np.random.default_rng(1).uniform(-9.0, 9.0, size=(500, 3))
    inside = detector.domain_.contains(points)
    assert inside.any() and not inside.all()
    np.testing.assert_array_equal(loaded.domain_.contains(points), inside)


@pytest.mark.parametrize(
    "parameters",
    [{"domain": "ball", "standardize": False}, {"activation": "groupsort2", "method": "paper"}],
)
def test_round_trip_of_other_parameters(X, tmp_path, parameters):
    fitted = OCSDF(**PARAMETERS, **parameters).fit(X)
    fitted.save(tmp_path / "file")
    loaded = OCSDF.load(tmp_path / "file")
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    np.testing.assert_array_equal(loaded.domain_.contains(5 * X), fitted.domain_.contains(5 * X))
    assert not hasattr(loaded, "feature_names_in_")
    # A loaded detector is as good as any: it saves, and fits again to the same scores.
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(
        OCSDF.load(tmp_path / "again").fit(X).score_samples(X), fitted.score_samples(X)
    )


def test_a_model_of_one_column_is_read(tmp_path):
    # NumPy 2.0 makes a number of an array that holds one, where it is cast by np.float64(...).
    X = np.random.default_rng(0).normal(size=(60, 1))
    fitted = OCSDF(epochs=1, random_state=0).fit(X)
    fitted.save(tmp_path / "one.ocsdf")
    loaded = OCSDF.load(tmp_path / "one.ocsdf")
    assert loaded.mean_.shape == loaded.scale_.shape == (1,)
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))


def test_another_process_reads_the_same_scores(detector, saved, frame, tmp_path):
    (tmp_path / "detector.pickle").write_bytes(pickle.dumps(detector))
    frame.to_pickle(tmp_path / "frame.pickle")
    code = (
        "import pickle, sys, pandas\n"
        "detector = pickle.load(open('detector.pickle', 'rb'))\n"
        "X = pandas.read_pickle('frame.pickle')\n"
        "from ocsdf import OCSDF\n"
        "for read in (detector, OCSDF.load(sys.argv[1])):\n"
        "    print(read.score_samples(X).tobytes().hex())\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(saved)]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == 2 * [detector.score_samples(frame).tobytes().hex()]


@pytest.mark.parametrize(
    ("parameter", "given", "restored"),
    [
        ("random_state", np.random.RandomState(0), None),
        ("random_state", np.int64(3), 3),
        ("random_state", None, None),
        ("hidden_layer_sizes", [np.int64(16), 16], (16, 16)),
        ("max_steps", np.int32(7), 7),
        # Set after the fit: what was fitted is saved all the same.
        ("domain", "ball", "ball"),
    ],
)
def test_parameters_survive(detector, frame, tmp_path, parameter, given, restored):
    changed = copy.copy(detector).set_params(**{parameter: given})
    changed.save(tmp_path / "file")
    loaded = OCSDF.load(tmp_path / "file")
    assert getattr(loaded, parameter) == restored
    np.testing.assert_array_equal(loaded.score_samples(frame), detector.score_samples(frame))


def test_callbacks_are_dropped_with_a_warning(detector, tmp_path):
    watched = copy.copy(detector).set_params(callbacks=[keras.callbacks.Callback()])
    with pytest.warns(UserWarning, match="callbacks are not saved; pass them again") as caught:
        watched.save(tmp_path / "file")
    assert caught[0].filename == __file__
    assert OCSDF.load(tmp_path / "file").callbacks is None
    assert len(watched.callbacks) == 1


# What is in the file


def test_archive_holds_json_and_plain_arrays(saved):
    content = members(saved)
    assert {*MEMBERS, f"{KERNEL}.npy"} < content.keys()
    meta = json.loads(content.pop("meta.json"))
    assert (meta["format"], meta["version"], meta["class"]) == ("ocsdf-detector", 2, "OCSDF")
    for name, array in content.items():
        assert name.endswith(".npy")
        assert np.load(io.BytesIO(array), allow_pickle=False).dtype.str in ("<f4", "<f8")


def test_the_same_detector_makes_the_same_file(detector, saved, tmp_path):
    detector.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()
    OCSDF.load(saved).save(tmp_path / "loaded")
    assert (tmp_path / "loaded").read_bytes() == saved.read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_file_mode_is_that_of_any_new_file(detector, tmp_path):
    (tmp_path / "plain").touch()
    detector.save(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Writing


@pytest.mark.parametrize("place", ["missing/file", "plain/file", "."])
def test_unwritable_places(detector, tmp_path, place):
    (tmp_path / "plain").touch()
    with pytest.raises(
        ValueError, match="cannot write .*: (there is no folder|it is a folder|Not a dir)"
    ):
        detector.save(tmp_path / place)
    assert [entry.name for entry in tmp_path.iterdir()] == ["plain"]
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}?*"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder(detector, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ValueError, match="cannot write"):
            detector.save(tmp_path / "file")
    finally:
        tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (json, "dumps")])
def test_a_failed_save_keeps_the_old_file(detector, tmp_path, monkeypatch, module, name):
    def fail(*arguments, **options):
        raise OSError("disk full")

    path = tmp_path / "detector.ocsdf"
    path.write_bytes(b"the old one")
    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(OSError, match="disk full"):
            detector.save(path)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_overwrites(detector, saved, frame, tmp_path):
    path = tmp_path / "detector.ocsdf"
    path.write_bytes(b"the old one")
    detector.save(str(path))
    np.testing.assert_array_equal(
        OCSDF.load(str(path)).score_samples(frame), detector.score_samples(frame)
    )
    assert list(tmp_path.iterdir()) == [path]


# Damaged and foreign files


def refused(path):
    with pytest.raises(ValueError, match="damaged") as caught:
        OCSDF.load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return True


def test_truncated_files_are_refused(saved, tmp_path):
    content = saved.read_bytes()
    path = tmp_path / "cut"
    cuts = {*range(0, len(content), len(content) // 40), 1, 21, 22, len(content) - 1}
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        assert refused(path), cut


def test_flipped_bytes_are_refused(saved, tmp_path):
    content = bytearray(saved.read_bytes())
    path = tmp_path / "flipped"
    with zipfile.ZipFile(saved) as archive:
        infos = archive.infolist()
    for info in infos:
        middle = info.header_offset + 30 + len(info.filename) + info.file_size // 2
        changed = content.copy()
        changed[middle] ^= 0xFF
        path.write_bytes(changed)
        assert refused(path), info.filename


@pytest.mark.parametrize(
    ("offset", "value"), [(8, 1), (10, 99), (6, 99)], ids=["encrypted", "method", "version"]
)
def test_strange_zip_headers_are_refused(saved, tmp_path, offset, value):
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        content[archive.start_dir + offset] = value
    # A member's own header has the same fields, two bytes earlier.
    content[offset - 2] = value
    (tmp_path / "strange").write_bytes(content)
    assert refused(tmp_path / "strange")


def test_foreign_files_are_refused(detector, tmp_path):
    text, empty, other = (tmp_path / name for name in ("text", "empty", "other"))
    text.write_text("a,b\n1,2\n")
    empty.touch()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("document.xml", "<office/>")
    detector.model_.save(tmp_path / "plain.keras")
    np.savez(tmp_path / "arrays.npz", X=np.ones(3))
    for name in ("text", "empty", "other", "plain.keras", "arrays.npz"):
        assert refused(tmp_path / name), name


@pytest.mark.parametrize("name", sorted({*MEMBERS, f"{KERNEL}.npy"}))
@pytest.mark.parametrize("content", [None, b"", b"nonsense"], ids=["missing", "empty", "nonsense"])
def test_a_missing_or_damaged_member_is_refused(saved, tmp_path, name, content):
    assert refused(with_member(saved, tmp_path / "file", name, content))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", "[1, 2]", "null", "{}", "[" * 100_000], ids=lambda text: text[:6]
)
def test_no_metadata_is_refused(saved, tmp_path, content):
    assert refused(with_member(saved, tmp_path / "file", "meta.json", content))


@pytest.mark.parametrize(
    "content",
    [
        {"versions": None},
        {"versions": "all"},
        {"parameters": []},
        {"parameters": {"hidden_layer_sizes": 16}},
        {"parameters": {"hidden_layer_sizes": [16], "domain": "box", "depth": 3}},
        {"feature_names": ["a"]},
        {"offset": "zero"},
        {"offset": float("nan")},
        {"margin": float("inf")},
        {"domain": "sphere"},
        {"network": None},
        {"network": []},
        {"network": {"operation": "lambda"}},
        {"network": {"operation": "chain", "operations": [], "input_shape": [3]}},
        {"network": {"operation": "chain", "operations": [1], "input_shape": [3]}},
        {"network": {"operation": "centered"}},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The detector was saved with")
def test_strange_metadata_is_refused(saved, tmp_path, content):
    assert refused(rewritten(saved, tmp_path / "file", **content))


@pytest.mark.parametrize(
    "change",
    [
        {"mean": None},
        {"mean": np.zeros(4)},
        {"mean": np.zeros((3, 1))},
        {"scale": np.ones(1)},
        {"scale": np.zeros(3)},
        {"mean": np.array([0.0, np.nan, 0.0])},
        {"lower": None},
        {"extra": np.zeros(3)},
        {KERNEL: np.zeros((4, 16))},
        {KERNEL: np.full((3, 16), np.nan)},
        {KERNEL: np.full((3, 16), 1e300)},
    ],
    ids=lambda change: "-".join(f"{name} {np.shape(value)}" for name, value in change.items()),
)
def test_strange_arrays_are_refused(saved, tmp_path, change):
    assert refused(rewritten(saved, tmp_path / "file", **change))


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, {}, {}], dtype=object),
        np.zeros(3, complex),
        np.zeros(3, "datetime64[s]"),
        np.zeros(3, "S8"),
        np.zeros(3, np.int64),
        np.zeros(3, np.float16),
        np.zeros(3, ">f8"),
    ],
    ids=lambda array: str(array.dtype),
)
@pytest.mark.parametrize("name", ["mean.npy", "scale.npy", f"{KERNEL}.npy"])
def test_T2_arrays_of_another_type_are_refused(saved, tmp_path, name, array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    assert refused(with_member(saved, tmp_path / "file", name, buffer.getvalue()))


@pytest.mark.parametrize("shape", [(10**12,), (3, 10**9), (2**31, 2**31), (0, 3), ()])
def test_T2_a_header_that_claims_another_size_is_refused(saved, tmp_path, shape):
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    content = buffer.getvalue() + bytes(24)
    assert refused(with_member(saved, tmp_path / "file", "mean.npy", content))


@pytest.mark.parametrize("name", ["meta.json", "mean.npy", f"{KERNEL}.npy", "stray"])
def test_T2_compressed_members_are_refused_before_they_are_read(saved, tmp_path, name):
    # 64 MB of zeros in 64 kB: how much a member takes is known before.
    path = tmp_path / "bomb"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in (members(saved) | {name: bytes(2**26)}).items():
            kind = zipfile.ZIP_DEFLATED if member == name else zipfile.ZIP_STORED
            archive.writestr(member, content, kind)
    tracemalloc.start()
    assert refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_T2_two_members_of_one_name_are_refused(saved, tmp_path):
    path = tmp_path / "twice"
    path.write_bytes(saved.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("mean.npy", members(saved)["mean.npy"])
    assert refused(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        OCSDF.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../evil", "/evil", "sub/evil", "evil.npy", "__class__"])
def test_T2_stray_members_are_refused_and_never_written(saved, tmp_path, monkeypatch, name):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert refused(with_member(saved, inner / "file", name, b"evil"))
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["file", "inner"]


# The network inside


def test_the_bound_is_computed_anew(saved, detector, tmp_path):
    kernel = from_archive(saved.read_bytes())[1][KERNEL]
    loaded = OCSDF.load(rewritten(saved, tmp_path / "file", **{KERNEL: 1.5 * kernel}))
    learned = detector._network.network.operations[0].members[0].operations[1].members[1]
    # Two fifths of two fifths of the mean are the network's.
    expected = detector.lipschitz_bound_ + 0.2 * 0.5 * learned.bound()
    assert loaded.lipschitz_bound_ == pytest.approx(expected, rel=1e-5)
    assert loaded.lipschitz_bound_ > 1.0


@pytest.mark.parametrize(
    "change",
    [{"operation": "group_sort"}, {"size": 2}, {"kernel": 1.0}, {"bias": None}, {"label": "x"}],
    ids=str,
)
def test_T2_an_operation_of_other_parts_is_refused(saved, tmp_path, change):
    meta, _ = from_archive(saved.read_bytes())
    meta["network"]["operations"][0]["members"][0]["operations"][0].update(change)
    assert refused(rewritten(saved, tmp_path / "file", network=meta["network"]))


# Without TensorFlow


def test_T2_loading_and_scoring_need_neither_tensorflow_nor_keras(saved, frame, tmp_path, detector):
    frame.to_pickle(tmp_path / "frame.pickle")
    (tmp_path / "detector.pickle").write_bytes(pickle.dumps(detector))
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'deel', 'h5py'):\n"
        "    sys.modules[name] = None\n"
        "import pickle, pandas\n"
        "from ocsdf import OCSDF\n"
        "X = pandas.read_pickle('frame.pickle')\n"
        "detector = OCSDF.load(sys.argv[1])\n"
        "for read in (detector, pickle.load(open('detector.pickle', 'rb'))):\n"
        "    for method in ('score_samples', 'predict', 'certified_radius', 'float_slack'):\n"
        "        getattr(read, method)(X)\n"
        "    read.certified_auroc(X, [0, 1] * 50, [0.1])\n"
        "    read.verdict_counts(X, [0.1])\n"
        "    print(read.score_samples(X).tobytes().hex())\n"
        "detector.save('again')\n"
    )
    command = [sys.executable, "-c", code, str(saved)]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    assert answer.stdout.split() == 2 * [detector.score_samples(frame).tobytes().hex()]
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


# Versions


def test_another_version_warns(saved, detector, frame, tmp_path):
    versions = json.loads(members(saved)["meta.json"])["versions"]
    path = rewritten(saved, tmp_path / "file", versions=versions | {"numpy": "0.1"})
    with pytest.warns(UserWarning, match=r"saved with numpy 0\.1 \(now 2\.") as caught:
        loaded = OCSDF.load(path)
    assert __file__ in {warning.filename for warning in caught}
    np.testing.assert_array_equal(loaded.score_samples(frame), detector.score_samples(frame))


def test_the_same_versions_do_not_warn(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        OCSDF.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "is of version 3 and was saved by a newer ocsdf, .* update it"),
        ({"version": "2a"}, "is of version '2a'"),
        ({"class": "ImageOCSDF"}, r"holds an ImageOCSDF: read it by ImageOCSDF\.load"),
        ({"format": "another"}, "is a file of the format 'another'"),
    ],
    ids=str,
)
def test_P9_files_of_another_class_or_a_newer_version_say_so(saved, tmp_path, changes, message):
    path = rewritten(saved, tmp_path / "file", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        OCSDF.load(path)
    assert "damaged" not in str(caught.value) and str(path) in str(caught.value)


# Pickles


def test_P6_pickles_of_one_detector_are_the_same(detector):
    first = pickle.dumps(detector)
    assert pickle.dumps(detector) == first
    # Asking for the Keras model changes nothing of what is stored.
    assert detector.model_.count_params() > 0
    assert pickle.dumps(detector) == first
    for same in (pickle.loads(first), copy.deepcopy(detector)):
        assert same.__dask_tokenize__() == detector.__dask_tokenize__()
    assert joblib.hash(pickle.loads(first)) == joblib.hash(detector)
    other = copy.copy(detector)
    other.offset_ = 0.5
    assert other.__dask_tokenize__() != detector.__dask_tokenize__()
