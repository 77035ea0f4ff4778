"""The tables and pictures of points on level sets (CNLS Figures A1 and A2)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments import level_set_data as data

_MEASURES = ("chamfer", "hausdorff")


def describe(rows, sizes):
    """Write the tables in Markdown."""
    lines = [
        "# Points on level sets (CNLS App. A)\n",
        "## Coverage (the table in Figure A1)\n",
        f"FC-1 of width {sizes.width} (paper: 512), cross-entropy, {sizes.n_epochs:,} epochs; "
        f"{data.N_SAMPLES:,} starts, uniform in [-{data.HIGH}, {data.HIGH}]^2 or on the level set "
        f"with Gaussian noise; at most {data.MAX_ITER} Newton steps (paper: 10 to 20). The level "
        f"set is traced by marching squares on {sizes.resolution:,} x {sizes.resolution:,} points. "
        f"Chamfer: half the sum of the mean distances both ways; Hausdorff: the largest. Mean of "
        f"{sizes.n_networks} networks, each with its own data.\n",
    ]
    for name in rows.loc[rows["name"] != data.CAPSULE, "name"].unique():
        lines += [*_describe_data(name, rows[rows["name"] == name]), ""]
    lines += [
        "The paper does not say what its network was trained on. Where all projections arrive, the "
        "largest distance is half the widest gap between neighbours, and 1,000 normal starts leave "
        "gaps like points drawn at random from the level set: no starts at random do better. "
        "Projections that do not arrive count where they end, and few of them decide the largest "
        "distance: so it is here, network by network (the CSV file), and probably in the paper.\n",
        "![Starts, projections and the level set](level_set_sampling_a1.png)\n",
        *_describe_capsule(rows[rows["name"] == data.CAPSULE].iloc[0], sizes),
    ]
    return "\n".join(lines)


def _describe_data(name, found):
    means = found.mean(numeric_only=True)
    body = []
    for kind, paper in data.PAPER.items():
        line = [kind, *(f"{means[f'{measure} {kind}']:.5f}" for measure in _MEASURES)]
        line += [f"{paper[0]:.3f}", f"{paper[1]:.3f}", f"{means[f'reached {kind}']:.1%}"]
        body.append(line)
    header = ["starts", "Chamfer", "Hausdorff", "paper: Chamfer", "Hausdorff", "arrived"]
    ratios = [
        means[f"{measure} {data.NEAR}"] / means[f"{measure} {data.UNIFORM}"]
        for measure in _MEASURES
    ]
    verdicts = [
        "reached" if r <= most else "missed" for r, most in zip(ratios, data.WANTED, strict=True)
    ]
    return [
        f"### {name}\n",
        pd.DataFrame(body, columns=header).to_markdown(index=False, disable_numparse=True),
        f"\nNormal starts of sigma 0.01 beside uniform ones: {ratios[0]:.2f} times the Chamfer "
        f"distance (wanted: {data.WANTED[0]}, {verdicts[0]}; paper 0.55) and {ratios[1]:.2f} "
        f"times the Hausdorff distance (wanted: {data.WANTED[1]}, {verdicts[1]}; paper 0.12). "
        f"Length of the level set: {means['length']:.1f}.",
    ]


def _describe_capsule(row, sizes):
    body = [
        [f"{t:+.2f}", f"{row[f'mean {t:.2f}']:+.4f}", f"{row[f'std {t:.2f}']:.4f}"]
        for t in data.LEVELS
    ]
    header = ["level t", "mean signed distance of S_t", "standard deviation"]
    return [
        "## Level sets at equal steps (Figure A2)\n",
        f"FC-2 of width {sizes.width} (paper: 512), Eq. 13 on {data.N_CLOUD:,} points of a "
        f"capsule, half length {data.HALF} and radius {data.RADIUS}, noise {data.NOISE}; "
        f"{sizes.n_steps:,} batches of {sizes.batch_size}. Distances are exact and "
        f"positive inside. Mean norm of the gradient: {row['slope']:.3f}.\n",
        pd.DataFrame(body, columns=header).to_markdown(index=False, disable_numparse=True),
        "\n![Level sets along a cut](level_set_sampling_a2.png)\n",
    ]


def draw_coverage(rows, arrays):
    """Draw starts and projections of the first network of each data (Figure A1)."""
    figure = Figure(figsize=(12, 4.2 * len(arrays)), layout="constrained")
    axes = figure.subplots(len(arrays), len(data.PAPER), sharex=True, sharey=True, squeeze=False)
    for line, (name, found) in zip(axes, arrays.items(), strict=True):
        cell = rows[rows["name"] == name].iloc[0]
        for ax, kind in zip(line, data.PAPER, strict=True):
            failed = found[f"failed {kind}"]
            samples = found[f"samples {kind}"]
            ax.plot(*found["true"].T, ",", color="black", label="level set")
            ax.plot(*found[f"starts {kind}"].T, ".", color="0.7", ms=2, label="starts")
            ax.plot(*samples[~failed].T, ".", color="tab:red", ms=3, label="projections")
            ax.plot(*samples[failed].T, "x", color="tab:blue", ms=6, label="did not arrive")
            ax.set_title(
                f"{kind}: Chamfer {cell[f'chamfer {kind}']:.4f}, "
                f"Hausdorff {cell[f'hausdorff {kind}']:.4f}",
                fontsize=10,
            )
            ax.set(
                xlim=(-data.HIGH - 0.02, data.HIGH + 0.02),
                ylim=(-data.HIGH - 0.02, data.HIGH + 0.02),
                aspect="equal",
            )
        line[0].set_ylabel(name)
    handles, labels = line[0].get_legend_handles_labels()
    handles[0] = handles[0].__class__([], [], color="black")
    figure.legend(handles, labels, loc="outside lower center", ncols=4, markerscale=2)
    return figure


def draw_levels(row, cut):
    """Draw the capsule's level sets along the cut, and their distances (Figure A2)."""
    side = np.linspace(-data.REACH, data.REACH, len(cut))
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
    levels = np.arange(-0.3, 0.19, 0.03)
    filled = left.contourf(side, side, cut, levels, cmap="RdBu", extend="both", vmin=-0.3, vmax=0.3)
    left.contour(side, side, cut, levels, colors="gray", linewidths=0.5, linestyles="-")
    left.contour(side, side, cut, [0.0], colors="black", linewidths=2.0)
    x, z = np.meshgrid(side, side)
    exact = data.capsule_distance(np.stack([x.ravel(), np.zeros(x.size), z.ravel()], axis=1))
    left.contour(side, side, exact.reshape(x.shape), [0.0], colors="gold", linestyles="--")
    left.set(aspect="equal", title="F on the plane y = 0\n(black: F = 0, dashed: the capsule)")
    figure.colorbar(filled, ax=left)
    mean = [row[f"mean {t:.2f}"] for t in data.LEVELS]
    spread = [row[f"std {t:.2f}"] for t in data.LEVELS]
    right.errorbar(
        data.LEVELS, mean, spread, fmt="o", capsize=3, label="mean and standard deviation"
    )
    right.plot(
        data.LEVELS[[0, -1]], data.LEVELS[[0, -1]], color="black", linewidth=1.0, label="level"
    )
    right.set(xlabel="level t", ylabel="signed distance of F = t to the capsule", aspect="equal")
    right.legend()
    return figure
