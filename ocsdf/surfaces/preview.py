"""Pictures of clouds and meshes."""

import io

import numpy as np

_LIGHT = np.array([0.4, -0.6, 0.7]) / np.linalg.norm([0.4, -0.6, 0.7])
_COLOUR = np.array([0.62, 0.76, 0.95])
_MOST_POINTS, _MOST_FACES = 10_000, 60_000
# What a picture says of who drew it, and the bytes within which it does.
_SOFTWARE, _HEAD = "ocsdf surface", 4096


def add_mesh(ax, mesh, turn=(0, 1, 2)):
    """Add a mesh to 3-D axes, shaded by its normals.

    `turn` says which coordinate goes to each axis of the picture; the last points up.
    """
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    turn = list(turn)
    # Halved, so that what turns away from the light keeps its shape.
    shade = 0.25 + 0.75 * (0.5 + 0.5 * mesh.face_normals[:, turn] @ _LIGHT) ** 1.5
    colours = shade[:, np.newaxis] * _COLOUR
    # Smoothed edges would let the background through between faces.
    faces = Poly3DCollection(
        mesh.triangles[:, :, turn], facecolors=colours, edgecolors="none", antialiased=False
    )
    ax.add_collection3d(faces)


def look_at(ax, lower, upper, title):
    """Set 3-D axes to a cube around a box, hide them, and write a title."""
    center, half = (lower + upper) / 2.0, 0.42 * (upper - lower).max()
    low, high = center - half, center + half
    ax.set(
        xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]), box_aspect=(1, 1, 1)
    )
    ax.set_axis_off()
    ax.set_title(title, fontsize=9)


def upright(points):
    """Order the axes so that the third, which a picture draws upwards, is the model's up.

    Scans and models have y or z upwards; x lies. A model stands on the longer of its axes y and z
    if one is longer by a fifth, and else on y, as most files of meshes do. The order is a
    right-handed turn.
    """
    _, y, z = np.ptp(points, axis=0)
    return [0, 1, 2] if z > 1.2 * y else [2, 0, 1]


def preview(points, mesh):
    """Draw a cloud, and its mesh from two sides, upright; return a PNG as bytes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.8), layout="constrained")
    cloud, front, back = figure.subplots(1, 3, subplot_kw={"projection": "3d"})
    turn = upright(points)
    some = points[:: -(-len(points) // _MOST_POINTS)]
    cloud.scatter(*some[:, turn].T, s=0.8, color="0.25", linewidths=0)
    title = f"{len(mesh.faces):,} faces"
    mesh = _draft(mesh)
    for ax, angle, text in (
        (cloud, 30, f"{len(points):,} points"),
        (front, 30, title),
        (back, 210, "from the other side"),
    ):
        look_at(ax, *mesh.bounds[:, turn], text)
        ax.view_init(elev=15, azim=angle)
    for ax in (front, back):
        add_mesh(ax, mesh, turn)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110, metadata={"Software": _SOFTWARE})
    return drawn.getvalue()


def _draft(mesh):
    """Return a mesh of few faces for a picture: vertices of one cell of a grid are one."""
    if len(mesh.faces) <= _MOST_FACES:
        return mesh
    side = np.sqrt(2.0 * mesh.area / _MOST_FACES)
    cells = np.floor((mesh.vertices - mesh.bounds[0]) / side).astype(np.int64)
    _, places = np.unique(cells, axis=0, return_inverse=True)
    places = places.reshape(-1)
    counts = np.bincount(places)[:, np.newaxis]
    vertices = np.stack([np.bincount(places, mesh.vertices[:, a]) for a in range(3)], 1) / counts
    faces = places[mesh.faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return type(mesh)(vertices, faces[whole], process=False)


def is_preview(path):
    """Tell whether :func:`preview` drew a picture, which may then be drawn anew in its place."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return f"Software\0{_SOFTWARE}".encode() in file.read(_HEAD)
