"""The command `ocsdf surface`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, progress_bar
from ocsdf.cli.options import Json

_FEWEST_CELLS, _MOST_CELLS = 16, 1024
# Vertices of a field along its longest side, and its border in sides of the mesh.
_FIELD_CELLS, _BORDER = 64, 0.1
# A share of the area that is said to be closed.
_WORTH_SAYING = 0.005


def surface(
    cloud: Annotated[
        Path,
        typer.Argument(
            metavar="CLOUD", help="Points: .ply, .obj, .xyz (text) or .npy of shape (n, 3)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MESH", help="A .ply, .obj or .off file.")
    ],
    resolution: Annotated[
        str,
        typer.Option(
            metavar="auto|CELLS",
            help="Cells along the longest side, 16 to 1024; auto: as fine as the points are.",
        ),
    ] = "auto",
    normals: Annotated[
        bool, typer.Option("--normals", help="Take the outer side from the file's normals.")
    ] = False,
    field: Annotated[
        Path | None,
        typer.Option(
            metavar="FIELD.npz|MODEL.ocsdf",
            help="Write the exact signed distance to the mesh, 1-Lipschitz: on a grid, or as a "
            "detector for OCSDF.load and `ocsdf score`.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE.png", help="Where the picture goes.", show_default="MESH.png"
        ),
    ] = None,
    as_json: Json = False,
):
    """Make a watertight mesh of raw points (needs the extra `surfaces`).

    Method: quadrics fitted to the neighbours of each point, their number cross-validated around
    it; the outer side from the winding number of all points at once; a grid that is fine near the
    points. No network: `experiments/surfaces.py` holds those of CNLS, Eq. 13, and of HKR beside
    it. Under a minute for 50,000 points. A picture goes beside the mesh, as MESH.png; one that
    this command did not draw is never written over unasked.

    A field .npz holds `values` (positive inside, in the units of the cloud) at `lower + side *
    (i, j, k)`, and the mesh as `vertices` and `faces`; MODEL.ocsdf is the exact field itself, whose
    scores and certified radii have those units. Colours of the points go to a .ply or .obj mesh.

    Example: `ocsdf surface scan.ply -o scan-mesh.ply`
    """
    from ocsdf.surfaces.cloud_files import read_cloud
    from ocsdf.surfaces.clouds import find_stray, points_of
    from ocsdf.surfaces.mesh_files import SUFFIXES, encode_mesh
    from ocsdf.surfaces.meshing import import_surface_package
    from ocsdf.surfaces.preview import is_preview, preview
    from ocsdf.utils.files import check_output, write_whole

    if output.suffix.lower() not in SUFFIXES:
        raise ValueError(f"cannot write {output}: name a file that ends in {', '.join(SUFFIXES)}")
    if picture is None:
        picture = output.with_suffix(".png")
        if picture.exists() and not is_preview(picture):
            raise ValueError(
                f"{picture} is there already, and this command did not draw it: name another file "
                "with --picture"
            )
    elif picture.suffix.lower() != ".png":
        raise ValueError(f"cannot write {picture}: name a file that ends in .png")
    cells = _resolution(resolution)
    if field is not None and field.suffix.lower() not in (".npz", ".ocsdf"):
        raise ValueError(f"cannot write {field}: name a file that ends in .npz or .ocsdf")
    for path in (output, picture, *([] if field is None else [field])):
        check_output(path, inputs=[cloud])
    for package in ("trimesh", "skimage.measure"):
        import_surface_package(package)
    read = read_cloud(cloud)
    if normals and read.normals is None:
        raise ValueError(f"{cloud} has no normals; leave --normals away")
    stray = find_stray(read.points)
    if stray.any():
        read = read.at(~stray)
        points, rows = points_of(read.points, cloud.name)
        read = read.at(rows)
    points = read.points
    made = _reconstruct(points, read.normals if normals else None, cells)
    mesh = made.mesh
    colours = None if read.colours is None else read.colours[_nearest(points, mesh.vertices)]
    write_whole(output, encode_mesh(mesh, output.suffix.lower(), colours))
    write_whole(picture, preview(points, mesh))
    if field is not None:
        write_whole(field, (_grid if field.suffix.lower() == ".npz" else _detector)(mesh))
    summary = {
        "points": len(points),
        "stray_points": int(stray.sum()),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "watertight": bool(mesh.is_watertight),
        "area": float(mesh.area),
        "volume": float(mesh.volume),
        "parts": int(mesh.body_count),
        "cell": made.side,
        "closed_holes": made.hole_area,
        "mesh": str(output.resolve()),
        "picture": str(picture.resolve()),
        "field": None if field is None else str(field.resolve()),
    }
    if as_json:
        print_json(summary)
    else:
        tight = "watertight" if summary["watertight"] else "not watertight"
        typer.echo(
            f"{summary['points']:,} points: {summary['faces']:,} faces, {tight}, area "
            f"{summary['area']:.6g}, volume {summary['volume']:.6g}"
        )
        if stray.any():
            typer.echo(f"{stray.sum():,} stray points, far from all others, were set aside")
        if made.hole_area > _WORTH_SAYING:
            typer.echo(
                f"holes were closed: {made.hole_area:.1%} of the area is far from every point"
            )
        if read.normals is not None and not normals:
            typer.echo("the file has normals; --normals takes the outer side from them")
        typer.echo(f"mesh: {summary['mesh']}\npicture: {summary['picture']}")
        if field is not None:
            typer.echo(f"field: {summary['field']}")


def _resolution(text):
    """Return the number of cells that an option asks for, or "auto"."""
    if text == "auto":
        return text
    if not text.isdecimal() or not _FEWEST_CELLS <= int(text) <= _MOST_CELLS:
        raise ValueError(
            f"--resolution is auto, or {_FEWEST_CELLS} to {_MOST_CELLS} cells; got {text!r}"
        )
    return int(text)


def _reconstruct(points, normals, resolution):
    from ocsdf.surfaces.scans import reconstruct_scan

    with progress_bar("meshing"):
        return reconstruct_scan(points, normals, resolution)


def _nearest(points, places):
    """Return the nearest point of each place."""
    from scipy.spatial import cKDTree

    return cKDTree(points).query(places)[1]


def _detector(mesh):
    """Encode the signed distance to a mesh as a detector."""
    from ocsdf.sklearn_compat.persistence import to_bytes
    from ocsdf.sklearn_compat.solid_detector import solid_detector
    from ocsdf.surfaces.mesh_distance import MeshDistance

    return to_bytes(solid_detector(MeshDistance(mesh).operation))


def _grid(mesh):
    """Encode the signed distance on a grid around a mesh, and the mesh, as an .npz."""
    import io

    import numpy as np

    from ocsdf.surfaces.mesh_distance import MeshDistance
    from ocsdf.surfaces.meshing import lay_grid

    border = _BORDER * mesh.extents.max()
    grid = lay_grid(mesh.bounds[0] - border, mesh.bounds[1] + border, _FIELD_CELLS)
    places = np.stack(np.unravel_index(np.arange(np.prod(grid.shape)), grid.shape), axis=1)
    with progress_bar("field"):
        values = MeshDistance(mesh)(grid.at(places)).reshape(grid.shape)
    encoded = io.BytesIO()
    np.savez_compressed(
        encoded,
        values=values,
        lower=grid.lower,
        side=grid.side,
        vertices=mesh.vertices,
        faces=mesh.faces,
    )
    return encoded.getvalue()
