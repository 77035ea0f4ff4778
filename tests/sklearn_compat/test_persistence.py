"""One file for a fitted detector: whole or not at all, no pickle, nothing believed unchecked."""

import copy
import io
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.networks.lipschitz import network_bound

MEMBERS = {"meta.json", "arrays.npz", "model.keras"}
PARAMETERS = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


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
    """Copy a saved detector with some members changed; None leaves one out."""
    changes = {name.replace("_", "."): content for name, content in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members(saved) | changes).items():
            if content is not None:
                archive.writestr(name, content)
    return path


def meta_with(saved, **changes):
    return json.dumps(json.loads(members(saved)["meta.json"]) | changes)


def arrays_with(saved, **changes):
    arrays = dict(np.load(io.BytesIO(members(saved)["arrays.npz"]))) | changes
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


def keras_file(model, folder):
    model.save(folder / "model.keras")
    return (folder / "model.keras").read_bytes()


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


def test_archive_holds_three_members_and_no_pickle(saved):
    content = members(saved)
    assert content.keys() == MEMBERS
    assert json.loads(content["meta.json"])["format"] == "ocsdf-detector"
    with np.load(io.BytesIO(content["arrays.npz"]), allow_pickle=False) as arrays:
        assert {arrays[name].dtype.kind for name in arrays.files} == {"f"}
    with zipfile.ZipFile(io.BytesIO(content["model.keras"])) as model:
        names = model.namelist()
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".npy"))]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_file_mode_is_that_of_any_new_file(detector, tmp_path):
    (tmp_path / "plain").touch()
    detector.save(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Writing


@pytest.mark.parametrize("place", ["missing/file", "plain/file", "."])
def test_unwritable_places(detector, tmp_path, place):
    (tmp_path / "plain").touch()
    with pytest.raises(ValueError, match="cannot write .*: (there is no folder|it is a folder)"):
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


@pytest.mark.parametrize(("module", "name"), [(os, "replace"), (json, "dumps")])
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


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_missing_member_is_refused(saved, tmp_path, name):
    assert refused(rewritten(saved, tmp_path / "file", **{name.replace(".", "_"): None}))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        "[1, 2]",
        "null",
        "{}",
        '{"format": "another"}',
        '{"format": "ocsdf-detector"}',
        {"versions": "all"},
        {"parameters": []},
        {"parameters": {"hidden_layer_sizes": 16}},
        {"parameters": {"hidden_layer_sizes": [16], "domain": "box", "depth": 3}},
        {"feature_names": ["a"]},
        {"offset": "zero"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The detector was saved with")
def test_strange_metadata_is_refused(saved, tmp_path, content):
    content = meta_with(saved, **content) if isinstance(content, dict) else content
    assert refused(rewritten(saved, tmp_path / "file", meta_json=content))


@pytest.mark.parametrize(
    "change",
    [
        {"mean": None},
        {"mean": np.zeros(4)},
        {"scale": np.ones(1)},
        {"scale": np.zeros(3)},
        {"mean": np.array([0.0, np.nan, 0.0])},
        {"lower": None},
        {"extra": np.zeros(3)},
        {"mean": np.array([{}, {}, {}], dtype=object)},
    ],
    ids=lambda change: "-".join(f"{name} {value}" for name, value in change.items()),
)
def test_strange_arrays_are_refused(saved, tmp_path, change):
    content = arrays_with(saved, **change)
    assert refused(rewritten(saved, tmp_path / "file", arrays_npz=content))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        OCSDF.load(tmp_path / "nowhere")


def test_stray_members_are_never_written(saved, frame, detector, tmp_path, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    path = inner / "file"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members(saved).items():
            archive.writestr(name, content)
        for name in ("../evil", str(tmp_path / "evil"), "sub/evil"):
            archive.writestr(name, "evil")
    scores = OCSDF.load(path).score_samples(frame)
    np.testing.assert_array_equal(scores, detector.score_samples(frame))
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["file", "inner"]


# The model inside


def test_the_bound_is_computed_anew(saved, detector, tmp_path):
    (tmp_path / "model.keras").write_bytes(members(saved)["model.keras"])
    model = keras.models.load_model(tmp_path / "model.keras", compile=False)
    learned, share = model.layers[-1].members[0], model.layers[-1].shares[0]
    before = network_bound(learned)
    assert share == 0.25 and before == pytest.approx(1.0, abs=1e-5)
    kernel = learned.layers[2].kernel
    kernel.assign(1.5 * kernel)
    path = rewritten(saved, tmp_path / "file", model_keras=keras_file(model, tmp_path))
    loaded = OCSDF.load(path)
    expected = detector.lipschitz_bound_ + share * 0.5 * before
    assert loaded.lipschitz_bound_ == pytest.approx(expected, rel=1e-5)
    assert loaded.lipschitz_bound_ > 1.0


@pytest.mark.parametrize(
    "weight",
    [
        lambda mean: mean.bias,
        lambda mean: mean.members[0].layers[0].bias,
        lambda mean: mean.members[0].layers[0].kernel,
        lambda mean: mean.members[1].layers[-1].levels,
        lambda mean: mean.members[1].layers[-1].members[0].layers[-1].references,
    ],
    ids=["mean's bias", "bias", "kernel", "levels", "references"],
)
def test_weights_that_are_not_finite_are_refused(saved, tmp_path, weight):
    (tmp_path / "model.keras").write_bytes(members(saved)["model.keras"])
    model = keras.models.load_model(tmp_path / "model.keras", compile=False)
    spoilt = weight(model.layers[-1])
    spoilt.assign(np.full(spoilt.shape, np.nan))
    assert refused(rewritten(saved, tmp_path / "file", model_keras=keras_file(model, tmp_path)))


def test_code_in_a_model_is_refused(saved, tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Lambda(lambda x: x), keras.layers.Dense(1)]
    )
    assert refused(rewritten(saved, tmp_path / "file", model_keras=keras_file(model, tmp_path)))


def _branching_model():
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(1)(inputs)
    return keras.Model(inputs, hidden + keras.layers.Dense(1)(inputs))


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]),
        lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="gelu")]),
        lambda: keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()]),
        _branching_model,
    ],
    ids=["other width", "two outputs", "unknown activation", "unknown layer", "not sequential"],
)
def test_a_model_without_a_bound_is_refused(saved, tmp_path, make):
    content = keras_file(make(), tmp_path)
    assert refused(rewritten(saved, tmp_path / "file", model_keras=content))


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
@pytest.mark.parametrize("content", [b"", b"nonsense", None], ids=["empty", "nonsense", "missing"])
def test_a_damaged_model_is_refused(saved, tmp_path, member, content):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(members(saved)["model.keras"])) as model,
        zipfile.ZipFile(buffer, "w") as changed,
    ):
        for name in model.namelist():
            kept = content if name == member else model.read(name)
            if kept is not None:
                changed.writestr(name, kept)
    assert refused(rewritten(saved, tmp_path / "file", model_keras=buffer.getvalue()))


# Versions


def test_another_version_warns(saved, detector, frame, tmp_path):
    versions = json.loads(members(saved)["meta.json"])["versions"]
    content = meta_with(saved, versions=versions | {"keras": "0.1"})
    path = rewritten(saved, tmp_path / "file", meta_json=content)
    with pytest.warns(UserWarning, match=r"saved with keras 0\.1 \(now 3\.") as caught:
        loaded = OCSDF.load(path)
    assert __file__ in {warning.filename for warning in caught}
    np.testing.assert_array_equal(loaded.score_samples(frame), detector.score_samples(frame))


def test_the_same_versions_do_not_warn(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        OCSDF.load(saved)
