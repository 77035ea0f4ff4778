"""The panels of CNLS Figure 1: what they are called, what they show, their table and picture."""

import numpy as np
import pandas as pd

from experiments.level_set_geometry import distance_to_segments, level_set

CROSS_ENTROPY, LINF, L2, SVM = "cross-entropy", "robust, l-inf", "robust, l2", "geometric SVM"
PANELS = (CROSS_ENTROPY, LINF, L2, SVM)
N_POINTS, SIDE, LEARNING_RATE = 16, 0.5, 1e-3
# What is promised; what is looked at, and shown: the square of side 0.5 and 0.1 around it.
EPSILON, LOW, HIGH = 0.03, -0.1, 0.6


def describe(rows, sizes, picture):
    """Write the table in Markdown, beside the file of the picture."""
    body = []
    for panel in PANELS:
        found = rows[rows["panel"] == panel]
        line = [panel, f"{found['correct'].min()} / {N_POINTS}"]
        for norm in ("linf", "l2"):
            line += [f"{found[norm].min():.4f}", f"{found[f'kept_{norm}'].min()} / {N_POINTS}"]
        promised = {LINF: ["linf"], L2: ["l2"]}.get(panel, [])
        kept = all((found[f"kept_{norm}"] == N_POINTS).all() for norm in promised)
        body.append([*line, ("yes" if kept else "NO") if promised else "nothing promised"])
    header = ["panel", "right sign", "least l-inf distance", "l-inf kept"]
    header += ["least l2 distance", "l2 kept", f"as promised ({EPSILON:g})"]
    return "\n".join(
        [
            "# Decision boundaries under control (CNLS Figure 1)\n",
            f"{N_POINTS} points of [0, {SIDE}]^2, eight of each label, labels at random; FC-1 of "
            f"width {sizes.width}, batches of {sizes.batch_size}, {sizes.n_epochs:,} epochs of "
            f"Adam at {LEARNING_RATE:g}{_departures(sizes)} "
            f"Trained to keep {sizes.radius:g}, "
            f"held to {EPSILON:g}. The boundary is traced by marching squares on "
            f"{sizes.resolution:,} x {sizes.resolution:,} points of [{LOW}, {HIGH}]^2; "
            f"distances to it are exact. Of {rows['seed'].nunique()} draws of points, labels and "
            "weights, the worst of each column: the least distance of all points and draws (0 for "
            "a point of the wrong sign), and the fewest points that are at least "
            f"{EPSILON:g} away.\n",
            pd.DataFrame(body, columns=header).to_markdown(index=False, disable_numparse=True),
            f"\n![Boundaries]({picture})\n",
            "The draw shown is the one in which cross-entropy comes nearest to a point; discs and "
            f"squares have radius {EPSILON:g}, and are yellow where the boundary crosses them. "
            "The geometric SVM drives apart the sets F = -1 (light red) and F = 1 (light blue); "
            "it does not aim at eps.",
            "",
        ]
    )


def _departures(sizes):
    if sizes.as_printed:
        return ", all as printed."
    return (
        ", falling to 0 along a cosine (paper: 512, 1, 1,000 at a constant rate). Misclassified "
        "points that find no boundary lose cross-entropy."
    )


def draw(cells, arrays, path):
    """Draw the panels of ``cells``, a frame with a row a panel, from their arrays."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots(1, len(arrays), sharey=True, squeeze=False)[0]
    for ax, (panel, found) in zip(axes, arrays.items(), strict=True):
        _draw_panel(ax, panel, found)
        ax.set_title(_title(panel, cells.loc[panel]), fontsize=10)
    figure.savefig(path, dpi=90)


def _title(panel, cell):
    shown = {LINF: ["linf"], L2: ["l2"]}.get(panel, ["linf", "l2"])
    least = ", ".join(f"{'l-inf' if norm == 'linf' else norm} {cell[norm]:.3f}" for norm in shown)
    return f"({'abcd'[PANELS.index(panel)]}) {panel}\nnearest point to the boundary:\n{least}"


def _draw_panel(ax, panel, arrays):
    from matplotlib.patches import Circle, Rectangle

    grid, points, labels = arrays["grid"], arrays["points"], arrays["labels"]
    side = np.linspace(LOW, HIGH, len(grid))
    ax.contourf(side, side, grid, [-1e9, 0.0, 1e9], colors=["#fbe3e0", "#dfe9f7"])
    ax.contour(side, side, grid, [0.0], colors="black", linewidths=1.8)
    if panel == SVM:
        ax.contour(side, side, grid, [-1.0], colors="#e58b80", linewidths=1.2, linestyles="-")
        ax.contour(side, side, grid, [1.0], colors="#7fa6dd", linewidths=1.2)
    distance = distance_to_segments(points, level_set(grid, LOW, HIGH))
    for point, label, far in zip(points, labels, distance, strict=True):
        colour = ("#c0392b", "#1f5fbf")[label]
        # What should be clear of the boundary and is not stands out.
        crossed = panel == CROSS_ENTROPY and far < EPSILON
        near = {"facecolor": "gold" if crossed else "none", "edgecolor": colour, "linewidth": 0.9}
        if panel == LINF:
            ax.add_patch(Rectangle(point - EPSILON, 2.0 * EPSILON, 2.0 * EPSILON, **near))
        elif panel != SVM:
            ax.add_patch(Circle(point, EPSILON, **near))
        ax.plot(*point, "o", color=colour, markersize=4)
    ax.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), aspect="equal", xticks=[0, 0.5], yticks=[0, 0.5])
