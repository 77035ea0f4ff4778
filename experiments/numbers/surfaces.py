"""What the pages say of surfaces, solids, curves, and of f as a distance in the plane."""

from experiments.numbers.words import nearest, record, table
from experiments.shapes import MESHES


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


_SCANS = ("ours", "Poisson", "Poisson, file's normals", "ball pivoting")


def scans():
    """From half of real scans to the other half, in thousandths of the diagonal, by method."""
    rows = record("scans")
    rows = rows[rows["kind"] == "scan"].set_index(["shape", "method"])
    names = rows.index.get_level_values("shape").unique()
    shown = (("mean", 2), ("p99", 1), ("largest", 0))
    lines = []
    for name in names:
        cells = []
        for method in _SCANS:
            row = rows.loc[(name, method)]
            there = " / ".join(nearest(row[key], digits) for key, digits in shown)
            cells.append(f"{there}; {nearest(row['back'], 1)}")
        lines.append([name, *cells])
    return table(["scan", *_SCANS], lines)


def scan_words():
    """In how many scans and cells ours is at or below screened Poisson with its own normals."""
    rows = record("scans")

    def won(kind, column, shapes=None):
        part = rows[rows["kind"] == kind]
        part = part if shapes is None else part[part["shape"].isin(shapes)]
        wide = part.pivot_table(index=["shape", "noise"], columns="method", values=column)
        wide = wide.dropna(subset=["ours", "Poisson"])
        return int((wide["ours"] <= wide["Poisson"]).sum()), len(wide)

    there, n_scans = won("scan", "mean")
    back, _ = won("scan", "back")
    cells, n_cells = won("mesh", "mean", MESHES)
    return (
        f"at or below screened Poisson with estimated normals on {there} of {n_scans} real scans "
        f"from the held-out points to the mesh, on {back} of {n_scans} from the mesh to the "
        f"points; on six meshes at four noise levels in {cells} of {n_cells} cells"
    )


def fields():
    """Certified fields of scans: error against a denser mesh, bound, and steepest pairs."""
    rows = record("scan_fields")
    lines = []
    for name, part in rows.groupby("field", sort=False):
        errors = [
            f"{nearest(part[column].mean(), 4)} (at most {nearest(part[column].max(), 4)})"
            for column in ("error_domain", "error_near")
        ]
        bound, pairs = part["bound"].max(), part["pairs"].sum()
        steep = f"{part['steep_pairs'].sum():.0f} of {pairs:,.0f}" if pairs else "not counted"
        bounds = nearest(bound, 4) if bound < float("inf") else "none"
        drawn = part.dropna(subset=["marched"]).iloc[-1]
        through = f"{drawn['passed']:.0f} of {drawn['marched']:.0f}"
        lines.append([name, *errors, bounds, steep, through])
    head = ["field", "mean error, everywhere", "within 0.1", "Lipschitz bound", "steeper pairs"]
    return table([*head, "rays through the surface"], lines)


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


PARTS = {
    "scans": scans,
    "scan-words": scan_words,
    "surfaces": surfaces,
    "fields": fields,
    "solids": solids,
    "curves": curves,
}
