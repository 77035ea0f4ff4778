"""What the pages say of surfaces, solids, curves, and of f as a distance in the plane."""

from experiments.numbers.words import nearest, record, table


def surfaces():
    """Distance of a reconstructed surface to the true one, in thousandths of the longest side."""
    rows = record("surfaces")
    rows = rows[rows["n_points"] == 10_000]
    error = 500.0 * (rows["to_truth"] + rows["from_truth"])
    by_shape = rows.assign(error=error).pivot(index="method", columns="shape", values="error")
    by_shape["mean"] = by_shape.mean(axis=1)
    order = rows["method"].unique()
    return table(
        ["method", *by_shape],
        [[name, *(nearest(v, 2) for v in by_shape.loc[name])] for name in order],
    )


def solids():
    """Volume IoU of solids from points inside them."""
    rows = record("implicit_shapes")
    means = rows.groupby("method", sort=False)[["iou", "oracle_iou"]].mean()
    lines = [[name, *(nearest(value, 2) for value in cells)] for name, cells in means.iterrows()]
    return table(["method", "IoU, level without the truth", "IoU, best level (oracle)"], lines)


def curves():
    """Median distance of learned curves to the true ones, kind by kind."""
    rows = record("curves")
    lines = []
    for kind, part in rows.groupby("kind", sort=False):
        cells = [
            nearest(part[column].median(), 4)
            for column in ("cloud", "to_true_median", "from_true_median")
        ]
        worst = nearest(part["to_true_median"].max(), 4)
        lines.append([kind, str(len(part)), *cells, worst])
    head = ["cloud", "curves", "points to the truth", "learned to the truth"]
    return table([*head, "truth to the learned", "learned to the truth, worst"], lines)


PARTS = {"surfaces": surfaces, "solids": solids, "curves": curves}
