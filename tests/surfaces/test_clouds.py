"""Clouds from files, and what is wrong with some."""

import numpy as np
import pytest
import trimesh

from ocsdf.surfaces.cloud_files import read_cloud
from ocsdf.surfaces.clouds import check_cloud, find_stray

CLOUD = np.random.default_rng(0).normal(size=(150, 3))


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".xyz", ".npy", ".PLY"])
def test_every_format_gives_the_points(tmp_path, suffix):
    path = tmp_path / f"cloud{suffix}"
    if suffix == ".npy":
        np.save(path, CLOUD)
    elif suffix == ".xyz":
        # With normals behind the points, and a comment.
        np.savetxt(path, np.hstack([CLOUD, CLOUD]), header="x y z nx ny nz")
    elif suffix == ".obj":
        lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in CLOUD]
        path.write_text("# a cloud\n" + "\n".join(lines) + "\nvn 0 0 1\n")
    else:
        path.write_bytes(trimesh.PointCloud(CLOUD).export(file_type="ply"))
    assert np.allclose(read_cloud(path).points, CLOUD, atol=1e-6)


def test_a_mesh_counts_as_its_vertices_and_copies_once(tmp_path):
    ball = trimesh.creation.icosphere(3)
    ball.export(tmp_path / "ball.ply")
    assert np.allclose(read_cloud(tmp_path / "ball.ply").points, ball.vertices, atol=1e-6)
    assert (check_cloud(np.vstack([CLOUD, CLOUD[::-1]])) == CLOUD).all()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.empty((0, 3)), "the cloud is empty: it holds no points"),
        (CLOUD[:, :2], r"shape \(n, 3\); got shape \(150, 2\) of float64"),
        (np.full((150, 3), "a"), r"points of three numbers, .* of <U1"),
        (np.where(np.arange(150)[:, None] < 2, np.nan, CLOUD), "2 of the 150 points of the cloud"),
        (CLOUD[:99], "has 99 distinct points; a surface needs 100"),
        (np.repeat(CLOUD[:50], 3, axis=0), "has 50 distinct points"),
        (CLOUD @ np.diag([1.0, 1.0, 1e-5]), "is flat, or a line: its points enclose nothing"),
    ],
)
def test_clouds_without_a_surface(points, message):
    with pytest.raises(ValueError, match=message):
        check_cloud(points)


def test_what_a_file_says_of_itself_must_hold(tmp_path):
    lines = [" ".join(map(str, point)) for point in CLOUD]

    def ply(n_promised, lines):
        path = tmp_path / "scan.ply"
        properties = "".join(f"property float {axis}\n" for axis in "xyz")
        header = f"ply\nformat ascii 1.0\nelement vertex {n_promised}\n{properties}end_header\n"
        path.write_text(header + "\n".join(lines) + "\n")
        return read_cloud(path).points

    assert np.allclose(ply(150, lines), CLOUD)
    with pytest.raises(ValueError, match="its header promises 300 points, it has 150"):
        ply(300, lines)
    with pytest.raises(ValueError, match="scan.ply is empty: it holds no points"):
        ply(0, [])


def test_objects_with_tabs_or_of_two_dimensions(tmp_path):
    path = tmp_path / "scan.obj"
    path.write_text("\n".join("v\t" + "\t".join(map(str, point)) for point in CLOUD))
    assert np.allclose(read_cloud(path).points, CLOUD)
    path.write_text("\n".join(f"v {x} {y}" for x, y, _ in CLOUD))
    with pytest.raises(ValueError, match=r"shape \(n, 3\); got shape \(150, 2\)"):
        read_cloud(path)


def test_unreadable_files(tmp_path):
    with pytest.raises(ValueError, match=r"a cloud is one of .ply, .obj, .xyz, .npy; got .las"):
        read_cloud(tmp_path / "scan.las")
    with pytest.raises(FileNotFoundError, match="there is no file .*scan.ply"):
        read_cloud(tmp_path / "scan.ply")
    for suffix in (".ply", ".obj", ".xyz", ".npy"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"v one two \xff\n")
        with pytest.raises(ValueError, match=rf"cannot read .*broken{suffix} as {suffix}: \w+"):
            read_cloud(path)


NORMALS = CLOUD / np.linalg.norm(CLOUD, axis=1, keepdims=True)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".xyz", ".npy"])
def test_normals_come_with_their_points(tmp_path, suffix):
    path, both = tmp_path / f"cloud{suffix}", np.hstack([CLOUD, NORMALS])
    rows = [" ".join(map(str, row)) for row in both]
    if suffix == ".npy":
        np.save(path, both)
    elif suffix == ".xyz":
        path.write_text("\n".join(rows))
    elif suffix == ".obj":
        lines = [f"v {' '.join(r.split()[:3])}\nvn {' '.join(r.split()[3:])}" for r in rows]
        path.write_text("\n".join(lines))
    else:
        names = ("x", "y", "z", "nx", "ny", "nz")
        properties = "".join(f"property float {name}\n" for name in names)
        header = f"ply\nformat ascii 1.0\nelement vertex 150\n{properties}end_header\n"
        path.write_text(header + "\n".join(rows) + "\n")
    cloud = read_cloud(path)
    assert np.allclose(cloud.points, CLOUD, atol=1e-6)
    assert np.allclose(cloud.normals, NORMALS, atol=1e-6)
    # A copy of a point takes its normal with it.
    np.save(tmp_path / "twice.npy", np.vstack([both, both[:7]]))
    assert read_cloud(tmp_path / "twice.npy").normals.shape == (150, 3)


def text_of(points, separator=" ", write="{:.6f}".format):
    return [separator.join(map(write, point)) for point in points]


@pytest.mark.parametrize(
    "lines",
    [
        text_of(CLOUD, " ", lambda x: f"{x:.6f}".replace(".", ",")),
        text_of(CLOUD, ";", lambda x: f"{x:.6f}".replace(".", ",")),
        text_of(CLOUD, "\t", lambda x: f"{x:.6f}".replace(".", ",")),
        text_of(CLOUD, ","),
        text_of(CLOUD, ", "),
        text_of(CLOUD, ";"),
        ["150", *text_of(CLOUD)],
        ["x,y,z", *text_of(CLOUD, ",")],
        ["# gemessen in Koeln", *text_of(CLOUD)],
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_C4_text_as_people_write_it(tmp_path, lines, encoding):
    path = tmp_path / "scan.xyz"
    text = "\n".join(lines).replace("Koeln", "K\u00f6ln")
    path.write_bytes(text.encode(encoding))
    assert np.allclose(read_cloud(path).points, CLOUD, atol=1e-6)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (text_of(1e3 * CLOUD, " ", "{:,.0f}".format), "may group thousands or be a decimal one"),
        (["99", *text_of(CLOUD)], "its first line promises 99 points, it has 150"),
        ([*text_of(CLOUD), "1.0 2.0"], "line 151 is no point of three numbers: '1.0 2.0'"),
        ([*text_of(CLOUD), "1.0 2.0 C"], "line 151 is no point of three numbers"),
        (text_of(1e4 * CLOUD, " ", "{:,.2f}".format), "may group thousands or be a decimal one"),
    ],
)
def test_C4_text_that_may_mean_two_things_is_refused(tmp_path, lines, message):
    path = tmp_path / "scan.xyz"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        read_cloud(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_C4_objects_with_a_byte_order_mark_or_another_encoding(tmp_path, encoding):
    path = tmp_path / "scan.obj"
    lines = [f"v {line}" for line in text_of(CLOUD)]
    path.write_bytes("\n".join([lines[0], "# K\u00f6ln", *lines[1:]]).encode(encoding))
    assert np.allclose(read_cloud(path).points, CLOUD, atol=1e-6)


def test_C4_stray_points_are_found_and_parts_are_not():
    ball = CLOUD / np.linalg.norm(CLOUD, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    strays = rng.normal(size=(5, 3)) * 3.0 + [87.0, 0.0, 0.0]
    stray = find_stray(np.vstack([ball, strays, ball + [40.0, 0.0, 0.0]]))
    assert np.flatnonzero(stray).tolist() == list(range(150, 155))
    assert not find_stray(ball).any()
    assert not find_stray(rng.random((200, 3)) * 10.0 ** rng.uniform(0, 3, (200, 1))).all()
