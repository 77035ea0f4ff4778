"""Tables and picture of the surfaces from points, from rows and meshes."""

from experiments.shapes import draw_mesh, draw_points, load_shape

# The first two are ours; the third is what they are held against.
_COLUMNS = {
    "to_truth": "to truth",
    "from_truth": "from truth",
    "hausdorff": "Hausdorff",
    "chamfer_l1": "Chamfer l1",
    "floor_l1": "its floor",
    "chamfer_l2": "Chamfer l2",
    "floor_l2": "its floor ",
    "error_near": "error near",
    "error_far": "error far",
}
_PLAIN = {"normal_consistency": "normals", "slope_near": "slope near", "slope_far": "slope far"}


def describe(rows, methods, sizes):
    """Write the comparison as Markdown, of the methods that have rows."""
    methods = [method for method in methods if (rows["method"] == method).any()]
    some, many = (rows[rows["n_points"] == n] for n in (sizes.n_points, sizes.many))
    distance = (some["to_truth"] + some["from_truth"]) / 2.0
    mean = some.assign(distance=1e3 * distance).pivot_table("distance", "shape", "method")
    mean = mean[list(methods)]
    cnls, poisson, lipschitz, _, smoothed, *_ = methods
    better = min((cnls, lipschitz), key=lambda method: mean[method].mean())
    won = int((mean[better] <= mean[poisson]).sum())
    ours = some[some["method"].isin([cnls, lipschitz])]
    mean.loc["mean"] = mean.mean()
    each = mean.map("{:.2f}".format).rename_axis(columns=None).reset_index()
    shape = many["shape"].iloc[0]
    return "\n".join(
        [
            "# Surfaces from raw points\n",
            f"{sizes.n_points:,} points a shape, noise 0.005 of the longest side, which is 1; "
            "distances times 1,000. From samples of both surfaces of "
            f"{sizes.n_samples:,} points.\n",
            "## Mean distance of a point to the other surface, mean of both directions\n",
            each.to_markdown(index=False, disable_numparse=True),
            f"\nThe better of our two rows, {better}, is at or below screened Poisson on {won} of "
            f"{len(mean) - 1} shapes. Of the {len(ours)} meshes of our two rows "
            f"{int(ours['watertight'].sum())} are watertight. Most of it is the smoothing of the "
            f"points: screened Poisson on the same smoothed points and normals has "
            f"{mean.loc['mean', smoothed]:.2f}, on the raw points {mean.loc['mean', poisson]:.2f}; "
            f"{better} has {mean.loc['mean', better]:.2f}.\n",
            "## All columns, mean of the shapes\n",
            _all_columns(some, methods),
            "\nFloor: the Chamfer distance between two samples of the truth. Normals: mean size "
            "of the cosine. Error: mean size of f minus the true signed distance, near the "
            "surface (normal with deviation 0.02) and uniform on the box; slope: mean norm of "
            "the gradient there.\n",
            f"## The same for {shape} with {sizes.many:,} points\n",
            _all_columns(many, methods),
            "\nThe settings of our rows were found with the truth of these shapes in view (those "
            "of the 1-Lipschitz one: of homer alone). All but Eq. 13 from points alone smooth "
            "the points by local quadrics, whose number of neighbours is cross-validated, take "
            "sides from winding numbers, and leave out connected parts of "
            "a surface that no point is near; screened Poisson has PyMeshLab's normals and "
            "settings, and once more our smoothed points and normals. The meshes replace FAUST and "
            "ModelNet10; Poisson and ball pivoting replace AtlasNet "
            "and Graphite.\n",
        ]
    )


def _all_columns(rows, methods):
    means = rows.groupby("method")[[*_COLUMNS, *_PLAIN, "seconds"]].mean().loc[list(methods)]
    shown = means.astype(object)
    for column in _COLUMNS:
        shown[column] = (1e3 * means[column]).map("{:.2f}".format)
    for column in _PLAIN:
        shown[column] = means[column].map("{:.3f}".format)
    shown["seconds"] = means["seconds"].map("{:.0f}".format)
    tight = rows.groupby("method")["watertight"].agg(["sum", "count"])
    shown["watertight"] = [f"{tight['sum'][m]} of {tight['count'][m]}" for m in methods]
    shown = shown.replace("nan", "").rename(columns=_COLUMNS | _PLAIN).reset_index()
    return shown.to_markdown(index=False, disable_numparse=True)


def draw(clouds, files, methods, path):
    """Draw each shape, its points, and meshes."""
    import trimesh
    from matplotlib.figure import Figure

    n_rows = 2 + len(methods)
    figure = Figure(figsize=(2.0 * len(clouds), 2.05 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, len(clouds), subplot_kw={"projection": "3d"}, squeeze=False)
    for column, (shape, points) in zip(axes.T, clouds.items(), strict=True):
        draw_mesh(column[0], load_shape(shape), shape)
        draw_points(column[1], points, f"{len(points):,} points")
        for ax, method in zip(column[2:], methods, strict=True):
            draw_mesh(ax, trimesh.load_mesh(files(shape, method, len(points))), method)
    figure.savefig(path, dpi=100)
