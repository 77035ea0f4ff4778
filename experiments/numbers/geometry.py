"""What the pages say of level sets, surfaces, solids, curves, and of f as a distance."""

from experiments.few_labels import choose
from experiments.numbers.words import nearest, record, spread, table
from experiments.shapes import MESHES

_SETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
_LOSSES = ("geometric SVM", "cross-entropy", "hinge")
_KEY = ["images", "fraction", "loss"]
_N_IMAGES = 60_000


def few_labels():
    """Test accuracy from few labels, at the rate that held-out rows chose and at the best one."""
    rows = record("few_labels")
    # The first seeds, which all rates have, choose.
    first = rows[rows["seed"] < rows.groupby(_KEY)["seed"].transform("nunique").min()]
    chosen = rows.merge(choose(first)).groupby(_KEY)["test"]
    oracle = first.merge(choose(first, "test")).groupby(_KEY)["test"].mean()
    lines = []
    for images, fraction in dict.fromkeys(zip(rows["images"], rows["fraction"], strict=True)):
        cells = [chosen.get_group((images, fraction, loss)) for loss in _LOSSES]
        labels = f"{_SETS[images]}, {round(fraction * _N_IMAGES):,} labels"
        best = (nearest(oracle[images, fraction, loss]) for loss in _LOSSES)
        lines.append([labels, str(min(map(len, cells))), *map(spread, cells), *best])
    head = ["", "seeds", *_LOSSES, *(f"{loss}, oracle rate" for loss in _LOSSES)]
    return table(head, lines)


def few_labels_time():
    """Hours of all cells of few labels, one after the other."""
    return nearest(record("few_labels")["seconds"].sum() / 3600)


def robustness():
    """Accuracy under attacks, and what training costs."""
    training, attacks = record("robustness_training"), record("robustness")
    own = attacks.melt(
        ["attack", "source", "seed"],
        [name for name in attacks if name.startswith("accuracy_")],
        "target",
        "accuracy",
    )
    own = own[own["target"] == "accuracy_" + own["source"]]
    lines = []
    for method in ("ours", "TRADES", "Madry", "Standard"):
        trained = training[training["method"] == method]
        found = own[own["source"] == method].pivot(
            index="seed", columns="attack", values="accuracy"
        )
        passes = (nearest(trained[way].mean()) for way in ("forward", "backward"))
        cells = [spread(found[name]) for name in sorted(found)]
        lines.append([method, *passes, spread(trained["clean"]), *cells, spread(found.min(axis=1))])
    head = ["method", "forward", "backward", "clean", *sorted(found), "strongest of the three"]
    return table(head, lines)


def control():
    """The least distance of 16 points to the decision boundary, worst of the draws."""
    rows = record("level_set_control")
    lines = []
    for panel, part in rows.groupby("panel", sort=False):
        worst = part[["correct", "kept_linf", "kept_l2", "linf", "l2"]].min()
        counts = (f"{int(worst[name])} of 16" for name in ("correct", "kept_linf", "kept_l2"))
        lines.append([panel, *counts, *(nearest(worst[name], 3) for name in ("linf", "l2"))])
    head = ["trained with", "right sign", "0.03 away in l-inf", "0.03 away in l2"]
    return table([*head, "least l-inf distance", "least l2 distance"], lines)


def sampling():
    """Chamfer and Hausdorff distances of projected points to the level set."""
    rows = record("level_set_sampling")
    lines = []
    for name, part in rows[rows["name"] != "capsule"].groupby("name", sort=False):
        for start in ("uniform", "normal 0.01", "normal 0.05"):
            means = [part[f"{way} {start}"].mean() for way in ("chamfer", "hausdorff")]
            base = [part[f"{way} uniform"].mean() for way in ("chamfer", "hausdorff")]
            ratios = (nearest(a / b, 2) for a, b in zip(means, base, strict=True))
            lines.append([f"{name}, {start}", *(nearest(mean, 5) for mean in means), *ratios])
    head = ["network and starts", "Chamfer", "Hausdorff"]
    return table([*head, "Chamfer / uniform", "Hausdorff / uniform"], lines)


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
    "few-labels": few_labels,
    "few-labels-hours": few_labels_time,
    "robustness": robustness,
    "level-set-control": control,
    "level-set-sampling": sampling,
    "scans": scans,
    "scan-words": scan_words,
    "surfaces": surfaces,
    "fields": fields,
    "solids": solids,
    "curves": curves,
}
