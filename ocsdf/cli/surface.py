"""The command `ocsdf surface`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, progress_bar, tracked
from ocsdf.cli.options import Json


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
        int, typer.Option(min=16, max=512, help="Of the grid, along the longest side.")
    ] = 128,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps on distances; 1 in 40 more on level sets.")
    ] = 2_400,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and batches.")] = 0,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE.png", help="Where the picture goes.", show_default="MESH.png"
        ),
    ] = None,
    as_json: Json = False,
):
    """Make a watertight mesh of raw points, with no normals (needs the extra `surfaces`).

    Method: a network learns the signed distance to the points, then controls its own level sets
    (CNLS, Eq. 13). Of our two methods it is the better one on noisy points; the other, a
    1-Lipschitz network, is in `experiments/surfaces.py`. Two to five minutes. A picture goes
    beside the mesh, as MESH.png; one that this command did not draw is never written over unasked.

    Example: `ocsdf surface scan.ply -o scan-mesh.ply`
    """
    from ocsdf.surfaces.clouds import read_cloud
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
    for path in (output, picture):
        check_output(path, inputs=[cloud])
    for package in ("trimesh", "skimage.measure"):
        import_surface_package(package)
    points = read_cloud(cloud)
    mesh = _mesh(points, resolution, steps, seed)
    write_whole(output, encode_mesh(mesh, output.suffix.lower()))
    write_whole(picture, preview(points, mesh))
    summary = {
        "points": len(points),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "watertight": bool(mesh.is_watertight),
        "area": float(mesh.area),
        "volume": float(mesh.volume),
        "seed": seed,
        "mesh": str(output.resolve()),
        "picture": str(picture.resolve()),
    }
    if as_json:
        print_json(summary)
    else:
        tight = "watertight" if summary["watertight"] else "not watertight"
        typer.echo(
            f"{summary['points']:,} points: {summary['faces']:,} faces, {tight}, area "
            f"{summary['area']:.6g}, volume {summary['volume']:.6g}"
        )
        typer.echo(f"mesh: {summary['mesh']}\npicture: {summary['picture']}")


def _mesh(points, resolution, steps, seed):
    import numpy as np

    from ocsdf.surfaces.reconstruction import Effort, reconstruct

    random_state = np.random.default_rng(seed)
    effort = Effort(warm_steps=steps, steps=max(1, steps // 40))
    with progress_bar("training") as bar:
        network = reconstruct(points, random_state, effort, track=tracked(bar))
    with progress_bar("meshing"):
        return network.mesh(resolution, random_state)
