"""The command `ocsdf surface`."""

import json
import sys

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from ocsdf.cli.commands import app
from ocsdf.sklearn_compat import OCSDF
from ocsdf.surfaces import MeshDistance
from ocsdf.utils.archives import from_archive, to_archive

RUN = CliRunner()


@pytest.fixture
def cloud(tmp_path):
    points = np.random.default_rng(0).normal(size=(500, 3))
    np.save(tmp_path / "ball.npy", points / np.linalg.norm(points, axis=1, keepdims=True))
    return tmp_path / "ball.npy"


def test_a_cloud_becomes_a_watertight_mesh_a_picture_and_a_field(cloud, monkeypatch):
    monkeypatch.setattr("ocsdf.cli.surface._FIELD_CELLS", 16)
    mesh, field = cloud.with_suffix(".ply"), cloud.with_suffix(".npz")
    found = RUN.invoke(app, ["surface", str(cloud), "-o", str(mesh), "--field", str(field)])
    assert found.exit_code == 0, found.output
    assert "500 points: " in found.output and ", watertight, area" in found.output
    assert "stray" not in found.output and "holes" not in found.output
    loaded = trimesh.load_mesh(mesh)
    assert loaded.is_watertight and loaded.volume == pytest.approx(4.0 / 3.0 * np.pi, rel=0.05)
    assert cloud.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with np.load(field) as saved:
        places = np.stack(np.indices(saved["values"].shape), axis=-1)
        radii = np.linalg.norm(saved["lower"] + saved["side"] * places, axis=-1)
        assert np.abs(saved["values"] - (1.0 - radii)).max() < 0.05
        steepest = [np.abs(np.diff(saved["values"], axis=a)).max() for a in range(3)]
        assert max(steepest) <= saved["side"] * (1.0 + 1e-9)
        assert len(saved["faces"]) == len(loaded.faces)


def test_the_field_as_a_detector_in_the_units_of_the_cloud(cloud, tmp_path):
    model, mesh = tmp_path / "model.ocsdf", tmp_path / "mesh.ply"
    found = RUN.invoke(app, ["surface", str(cloud), "-o", str(mesh), "--field", str(model)])
    assert found.exit_code == 0 and "model.ocsdf" in found.output, found.output
    detector = OCSDF.load(model)
    rows = np.random.default_rng(1).uniform(-1.5, 1.5, (400, 3))
    scores = detector.score_samples(rows)
    assert np.abs(scores - (1.0 - np.linalg.norm(rows, axis=1))).max() < 0.05
    assert np.array_equal(scores, MeshDistance(trimesh.load_mesh(mesh))(rows))
    assert detector.lipschitz_bound_ == 1.0 and detector.offset_ == 0.0
    assert np.abs(detector.certified_radius(rows) - np.abs(scores)).max() < 1e-11
    explained = detector.explain(rows[:20])
    ends = detector.score_samples(explained.boundary)
    assert explained.converged.all() and np.abs(ends).max() < 1e-3
    assert (explained.radius <= explained.distance).all()
    # A solid that is no longer closed is no certificate, whatever the file says.
    meta, arrays = from_archive(model.read_bytes())
    arrays["network.operations.0.faces"] = arrays["network.operations.0.faces"][1:]
    model.write_bytes(to_archive(meta, arrays))
    with pytest.raises(ValueError, match="damaged"):
        OCSDF.load(model)


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_colours_of_points_are_on_the_mesh_and_normals_are_mentioned(cloud, tmp_path, suffix):
    ball = np.load(cloud)
    colours = np.where(ball[:, 2:] > 0.0, np.uint8([255, 128, 0]), np.uint8([0, 0, 255]))
    points = trimesh.PointCloud(2.0 * ball, colours)
    points.export(tmp_path / f"scan{suffix}")
    mesh = tmp_path / f"mesh{suffix}"
    found = RUN.invoke(app, ["surface", str(tmp_path / f"scan{suffix}"), "-o", str(mesh)])
    assert found.exit_code == 0, found.output
    loaded = trimesh.load_mesh(mesh, process=False)
    assert loaded.is_watertight and loaded.volume == pytest.approx(32.0 / 3.0 * np.pi, rel=0.05)
    above, below = loaded.vertices[:, 2] > 0.5, loaded.vertices[:, 2] < -0.5
    found = loaded.visual.vertex_colors[:, :3]
    assert (found[above] == [255, 128, 0]).all() and (found[below] == [0, 0, 255]).all()
    with_normals = tmp_path / "normals.npy"
    np.save(with_normals, np.hstack([ball, ball]))
    told = RUN.invoke(app, ["surface", str(with_normals), "-o", str(tmp_path / "n.ply")])
    assert "--normals takes the outer side from them" in told.output


def test_strays_are_set_aside_with_a_word_and_normals_decide_the_side(cloud, tmp_path):
    ball = np.load(cloud)
    np.save(tmp_path / "stray.npy", np.vstack([ball, [[87.0, 0.0, 0.0]]]))
    out = ["-o", str(tmp_path / "mesh.obj"), "--json"]
    found = RUN.invoke(app, ["surface", str(tmp_path / "stray.npy"), *out])
    assert found.exit_code == 0, found.stderr
    facts = json.loads(found.stdout)
    assert facts["points"] == 500 and facts["stray_points"] == 1 and facts["parts"] == 1
    assert facts["volume"] == pytest.approx(4.0 / 3.0 * np.pi, rel=0.05)
    assert trimesh.load_mesh(tmp_path / "mesh.obj").is_watertight
    said = failure(["surface", str(cloud), "-o", str(tmp_path / "m.ply"), "--normals"])
    assert "has no normals; leave --normals away" in said
    for text in ("fine", "8", "2000", "64.5"):
        arguments = ["-o", str(tmp_path / "m.ply"), "--resolution", text]
        assert "16 to 1024 cells" in failure(["surface", str(cloud), *arguments])
    arguments = ["-o", str(tmp_path / "m.ply"), "--field", str(tmp_path / "field.txt")]
    assert "ends in .npz or .ocsdf" in failure(["surface", str(cloud), *arguments])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.empty((0, 3)), "cloud.npy is empty"),
        (np.eye(3), "has 3 distinct points; a surface needs 100 or more"),
        (np.random.default_rng(0).random((200, 3)) * [1, 1, 0], "is flat"),
        (np.full((200, 3), np.nan), "200 of the 200 points of cloud.npy have a coordinate"),
    ],
)
def test_clouds_without_a_surface_are_one_line(tmp_path, points, message):
    np.save(tmp_path / "cloud.npy", points)
    assert message in failure(
        ["surface", str(tmp_path / "cloud.npy"), "-o", str(tmp_path / "m.ply")]
    )


def test_files_that_cannot_be_read_or_written_are_one_line(cloud, tmp_path, monkeypatch):
    out = str(tmp_path / "mesh.ply")
    (tmp_path / "scan.las").write_bytes(b"")
    (tmp_path / "broken.ply").write_bytes(b"no ply")
    assert "a cloud is one of .ply" in failure(["surface", str(tmp_path / "scan.las"), "-o", out])
    assert "cannot read" in failure(["surface", str(tmp_path / "broken.ply"), "-o", out])
    assert "there is no file" in failure(["surface", str(tmp_path / "none.xyz"), "-o", out])
    assert "ends in .ply, .obj, .off" in failure(["surface", str(cloud), "-o", "mesh.stl"])
    folder = str(tmp_path / "none" / "mesh.ply")
    assert "there is no folder" in failure(["surface", str(cloud), "-o", folder])
    monkeypatch.setitem(sys.modules, "trimesh", None)
    assert "pip install 'ocsdf[surfaces]'" in failure(["surface", str(cloud), "-o", out])


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n of somebody", b"", b"text"])
@pytest.mark.parametrize("suffix", [".ply", ".obj", ".off"])
def test_P1_a_picture_of_somebody_else_is_not_written_over(cloud, tmp_path, content, suffix):
    picture, mesh = tmp_path / "scan.png", tmp_path / f"scan{suffix}"
    picture.write_bytes(content)
    said = failure(["surface", str(cloud), "-o", str(mesh)])
    assert "scan.png is there already" in said and "--picture" in said
    assert picture.read_bytes() == content and not mesh.exists()
    said = failure(["surface", str(cloud), "-o", str(mesh), "--picture", str(tmp_path / "a.txt")])
    assert "ends in .png" in said
    said = failure(["surface", str(cloud), "-o", str(mesh), "--picture", str(tmp_path / "n/a.png")])
    assert "there is no folder" in said


def test_help_names_the_method():
    text = RUN.invoke(app, ["surface", "--help"]).output
    assert "Eq. 13" in text and "watertight" in text


def failure(arguments):
    found = RUN.invoke(app, arguments)
    assert found.exit_code == 2 and found.stderr.startswith("error: "), found.output
    assert found.stderr.count("\n") == 1 and not found.stdout
    return found.stderr
