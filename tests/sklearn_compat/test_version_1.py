"""T2: files of version 1 are read without Keras; what they name that is not known is refused."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF, ImageOCSDF
from tests.samples import load_without_tensorflow

FOLDER = Path(__file__).resolve().parent.parent / "data_files" / "version_1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
CLASSES = {"anchored": OCSDF, "paper": OCSDF, "image": ImageOCSDF}


def rows_of(name):
    rows = np.array(EXPECTED[name]["rows"])
    return pd.DataFrame(rows, columns=list("abc")) if name == "paper" else rows


@pytest.mark.filterwarnings("ignore:The detector was saved with")
@pytest.mark.parametrize("name", CLASSES)
def test_T2_old_files_have_the_scores_of_the_version_that_wrote_them(name, tmp_path):
    loaded, expected = CLASSES[name].load(FOLDER / f"{name}.ocsdf"), EXPECTED[name]
    rows = rows_of(name)
    error = np.abs(loaded.score_samples(rows) - expected["scores"])
    assert (error <= loaded.float_slack(rows)).all()
    assert loaded.lipschitz_bound_ == expected["bound"]
    np.testing.assert_allclose(loaded.certified_radius(rows), expected["radius"], atol=1e-12)
    # Saved again it is a file of this version.
    loaded.save(tmp_path / "again")
    again = CLASSES[name].load(tmp_path / "again")
    np.testing.assert_array_equal(again.score_samples(rows), loaded.score_samples(rows))
    # The Keras form computes the same in float32.
    points = (np.reshape(rows, (len(rows), -1)) - loaded.mean_) / loaded.scale_
    in_float32 = loaded.model_(points.astype(np.float32)).numpy()[:, 0]
    np.testing.assert_allclose(in_float32, expected["scores"], atol=1e-5)


def test_T2_old_files_need_neither_tensorflow_nor_keras():
    code = "print(detector.score_samples([[0.0, 100.0, -3.0]]))"
    assert load_without_tensorflow(FOLDER / "anchored.ocsdf", code).startswith("[")


@pytest.mark.filterwarnings("ignore:The detector was saved with")
def test_T2_an_old_file_of_images_says_so():
    with pytest.raises(ValueError, match=r"holds an ImageOCSDF: read it by ImageOCSDF\.load"):
        OCSDF.load(FOLDER / "image.ocsdf")


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(content, kind=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return buffer.getvalue()


def refused(path, change_config=None, change_weights=None, **changes):
    """Whether a file is refused in one line once its Keras archive is changed."""
    outer = members((FOLDER / "anchored.ocsdf").read_bytes())
    model = members(outer["model.keras"])
    if change_config:
        config = json.loads(model["config.json"])
        change_config(config)
        model["config.json"] = json.dumps(config)
    if change_weights:
        buffer = io.BytesIO(model["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change_weights(file)
        model["model.weights.h5"] = buffer.getvalue()
    path.write_bytes(archive_of(outer | {"model.keras": archive_of(model | changes)}))
    with pytest.raises(ValueError, match="damaged") as caught:
        OCSDF.load(path)
    return "\n" not in str(caught.value)


def member_of(config):
    return config["config"]["layers"][1]["config"]["members"][0]["config"]["layers"]


EVIL = {"module": "os", "class_name": "system", "config": {}, "registered_name": "system"}
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "registered_name": None}
CONFIGS = {
    "a function": lambda c: member_of(c).insert(1, EVIL),
    "a Lambda": lambda c: member_of(c).insert(1, LAMBDA | {"config": {"function": "x"}}),
    "another module": lambda c: member_of(c)[1].update(module="os"),
    "another class": lambda c: member_of(c)[1].update(class_name="system"),
    "another registered name": lambda c: member_of(c)[2].update(registered_name="os>system"),
    "a known name of another module": lambda c: member_of(c)[2].update(module="ocsdf"),
    "a graph": lambda c: c.update(class_name="Functional"),
    "a graph of another module": lambda c: c.update(module="keras.src.models.functional"),
    "nodes": lambda c: member_of(c)[1].update(inbound_nodes=[{"args": []}]),
    "nodes of the model": lambda c: c.update(inbound_nodes=[]),
    "an activation": lambda c: member_of(c)[1]["config"].update(activation="relu"),
    "an activation from elsewhere": lambda c: member_of(c)[1]["config"].update(activation=EVIL),
    "no bias": lambda c: member_of(c)[1]["config"].update(use_bias=False),
    "no input": lambda c: c["config"]["layers"].pop(0),
    "no layers": lambda c: c["config"].update(layers=[]),
    "a coefficient": lambda c: member_of(c)[2]["config"].update(k_coef_lip=float("nan")),
    "text for numbers": lambda c: member_of(c)[2]["config"].update(k_coef_lip="1"),
    "no config": lambda c: member_of(c)[1].update(config=None),
}


@pytest.mark.parametrize("change", CONFIGS.values(), ids=CONFIGS)
def test_T2_what_a_graph_names_is_never_looked_up(tmp_path, change):
    assert refused(tmp_path / "file", change_config=change)


FIRST = "layers/weighted_mean/members/sequential/layers/dense/vars"


def replaced(make):
    def change(file):
        array = file[FIRST]["0"][()]
        del file[FIRST]["0"]
        make(file[FIRST], array)

    return change


WEIGHTS = {
    "missing": replaced(lambda group, array: None),
    "a link to another file": replaced(
        lambda group, array: group.__setitem__("0", h5py.ExternalLink("/etc/passwd", "/"))
    ),
    "a soft link": replaced(lambda group, array: group.__setitem__("0", h5py.SoftLink("/layers"))),
    "compressed": replaced(
        lambda group, array: group.create_dataset("0", data=array, compression="gzip")
    ),
    "larger than the file": replaced(
        lambda group, array: group.create_dataset("0", (10**9, 16), "<f4", chunks=(2**10, 16))
    ),
    "without numbers": replaced(lambda group, array: group.create_dataset("0", (10**9, 16), "<f4")),
    "text": replaced(lambda group, array: group.create_dataset("0", data=[b"a"] * 3)),
    "complex": replaced(lambda group, array: group.create_dataset("0", data=array * 1j)),
    "of another shape": replaced(lambda group, array: group.create_dataset("0", data=array.T)),
    "not finite": replaced(lambda group, array: group.create_dataset("0", data=array * np.inf)),
    "a third": lambda file: file[FIRST].create_dataset("2", data=np.float32([1.0])),
}


@pytest.mark.parametrize("change", WEIGHTS.values(), ids=WEIGHTS)
def test_T2_weights_must_be_plain_arrays_of_the_file(tmp_path, change):
    assert refused(tmp_path / "file", change_weights=change)


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
@pytest.mark.parametrize("content", [b"", b"nonsense"], ids=["empty", "nonsense"])
def test_T2_a_damaged_model_is_refused(tmp_path, member, content):
    assert refused(tmp_path / "file", **{member: content})


@pytest.mark.parametrize("inner", [True, False])
def test_T2_compressed_old_files_are_refused(tmp_path, inner):
    content = members((FOLDER / "anchored.ocsdf").read_bytes())
    if inner:
        model = members(content["model.keras"])
        content["model.keras"] = archive_of(model, zipfile.ZIP_DEFLATED)
    kind = zipfile.ZIP_STORED if inner else zipfile.ZIP_DEFLATED
    (tmp_path / "file").write_bytes(archive_of(content, kind))
    with pytest.raises(ValueError, match="damaged"):
        OCSDF.load(tmp_path / "file")
