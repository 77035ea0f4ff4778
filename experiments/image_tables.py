"""Tables and pictures of one-class images, from the rows of the cells."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ocsdf.utils.files import write_whole

_RADII = (0, 8, 16, 36, 72)
_ATTACK_RADII = (8, 16, 36, 72, 144, 255)
_PAPER = {
    "mnist": ("OCSDF, paper's table", (95.5, 93.2, 89.9, 78.4, 57.5)),
    "cifar10": ("OCSDF, paper's table", (57.4, 53.1, 48.8, 38.4, 22.5)),
}
_CERTIFIED = ("OCSDF", "network alone", "cones alone", "nearest neighbour", "20 subspaces")
_UNCERTIFIED = ("IsolationForest", "OneClassSVM", "DeepSVDD")


def write_tables(rows, folder):
    """Write what the rows say: images.csv, images.md and pictures.

    Parameters
    ----------
    rows : list of dict
        Of the cells of :mod:`experiments.images`.
    folder : Path

    Returns
    -------
    str
        The tables, and where they are.
    """
    folder = Path(folder)
    rows = [row for row in rows if "error" not in row]
    table = certified_table(rows)
    sections = [
        "# One-class images: one class against the rest",
        "",
        "Made by `python -m experiments.images`. Certified AUROC in percent, mean over classes; "
        "radii are l2, in [0, 1] pixel units, times 255. After the sign +/-: standard deviation "
        "over seeds of that mean. No certificate: -. In the paper's units for MNIST, [-1, 1], the "
        "same change of an image counts twice: a radius of 16/255 here is one of 32/255 there. "
        "The paper's row is copied as printed; it does not say which units it means. CIFAR-10 was "
        "read from JPEG copies where its own file was not there.",
        "",
        "No label chooses anything of a fit. But that cones are measured by angles, the rule for "
        "the angle, and the network's margin and hinge weight were found with test images of the "
        "digits 2, 8 and 9 in view; that brightness is taken away, and that a colour image has a "
        "cone of its own, with four classes of CIFAR-10.",
        "",
        _markdown(table),
    ]
    for title, found in (
        ("Attacks", attack_table(rows)),
        ("Synthesis", synthesis_table(rows)),
        ("Classes", class_table(rows)),
        ("Speed", speed_table(rows)),
    ):
        if len(found):
            sections += ["", f"## {title}", "", _EXPLAINED[title], "", _markdown(found)]
    write_whole(folder / "images.csv", table.to_csv(index=False, float_format="%.4f"))
    write_whole(folder / "images.md", "\n".join(sections) + "\n")
    pictures = draw(rows, folder)
    return "\n".join([*sections, "", f"Written: {folder / 'images.md'}, {', '.join(pictures)}"])


_EXPLAINED = {
    "Attacks": "l2 PGD, 50 steps, 3 restarts, on 250 normal and 250 other test images of each "
    "class: the AUROC that is left, and what the certificate guaranteed of it, both of OCSDF.",
    "Synthesis": "Noise pulled to the level of the mean training score by 64 Newton steps: with "
    "the schedule as printed (eta = 1, which leaves 37 % of the gap), and with full steps. "
    "Agreement: share, in percent, that a logistic regression takes for the class; it was "
    "trained on 10,000 images, brightness and contrast taken away.",
    "Classes": "Of OCSDF, by class, mean over seeds: AUROC and certified AUROC; share of its own "
    "test images judged inside; gradient norm of the network; seconds of a fit, under load.",
    "Speed": "Images a second, in turn in one run.",
}


def certified_table(rows):
    """Average over classes: a row a set and method.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    pandas.DataFrame
    """
    found = []
    for images in dict.fromkeys(row["images"] for row in rows):
        for method in (*_CERTIFIED, *_UNCERTIFIED):
            values = [
                (row["seed"], row["label"], radius, value)
                for row in rows
                if row["images"] == images and method in row and row["part"] != "speed"
                for radius, value in zip(_RADII, row[method], strict=False)
            ]
            if values:
                frame = pd.DataFrame(values, columns=["seed", "label", "radius", "value"])
                found.append(_summary(images, method, frame))
        if images in _PAPER:
            name, values = _PAPER[images]
            columns = {str(r): f"{v:.1f}" for r, v in zip(_RADII, values, strict=True)}
            found.append({"images": images, "method": name, "classes": 10, "seeds": "-"} | columns)
    return pd.DataFrame(found).fillna("-")


def _summary(images, method, frame):
    by_seed = frame.groupby(["radius", "seed"])["value"].mean().groupby("radius")
    mean, spread, n_seeds = by_seed.mean(), by_seed.std(), frame["seed"].nunique()
    cells = {
        str(radius): f"{mean[radius]:.2f}" + (f" +/- {spread[radius]:.2f}" if n_seeds > 1 else "")
        for radius in mean.index
    }
    counts = {"classes": frame["label"].nunique(), "seeds": n_seeds}
    return {"images": images, "method": method} | counts | cells


def attack_table(rows):
    """List attacked and guaranteed AUROC: a row a class, and their mean."""
    found = [
        {"images": row["images"], "class": row["label"]}
        | {
            str(radius): f"{attacked:.1f} / {guaranteed:.1f}"
            for radius, attacked, guaranteed in zip(
                _ATTACK_RADII, row["attacked"], row["guaranteed"], strict=True
            )
        }
        for row in _part(rows, "attack")
    ]
    return pd.DataFrame(found)


def synthesis_table(rows):
    """List how many synthesized images a classifier takes for the class."""
    found = [
        {"images": row["images"], "class": row["label"]}
        | {
            f"{schedule}, {name}": round(row[schedule][name], 2)
            for schedule in ("printed", "full")
            for name in ("agreement", "score")
        }
        | {"level": round(row["level"], 2), "classifier": round(row["judge"], 1)}
        for row in _part(rows, "synthesis")
    ]
    frame = pd.DataFrame(found)
    if len(frame) > 1:
        means = frame.drop(columns=["images", "class"]).mean().round(2)
        frame = pd.concat([frame, pd.DataFrame([{"images": "", "class": "mean"} | dict(means)])])
    return frame


def class_table(rows):
    """Average over seeds: a row a class."""
    frame = pd.DataFrame(
        [
            {"images": row["images"], "class": row["label"]}
            | {str(r): v for r, v in zip(_RADII, row["OCSDF"], strict=True)}
            | {name: row[name] for name in ("inside", "gradient_norm", "seconds")}
            for row in _part(rows, "ocsdf")
        ]
    )
    if not len(frame):
        return frame
    return frame.groupby(["images", "class"], sort=False).mean().round(2).reset_index()


def speed_table(rows):
    """List images a second."""
    return pd.DataFrame(
        [
            {"images": row["images"], "class": row["label"]}
            | {name: round(row[name]) for name in ("OCSDF", "NearestNeighbors")}
            for row in _part(rows, "speed")
        ]
    )


def draw(rows, folder):
    """Draw histograms of scores (Figure 10) and synthesized images (Figures 4 and 11).

    Parameters
    ----------
    rows : list of dict
    folder : Path

    Returns
    -------
    list of str
        The files.
    """
    written = []
    for images in dict.fromkeys(row["images"] for row in rows):
        mine = [row for row in rows if row["images"] == images]
        fitted = [row for row in _part(mine, "ocsdf") if row["seed"] == 0]
        made = _part(mine, "synthesis")
        if fitted:
            written.append(_draw_histograms(fitted, folder / f"images_{images}_scores.png"))
        if made:
            written.append(_draw_synthesis(made, folder / f"images_{images}_synthesis.png"))
    return written


def _draw_histograms(rows, path):
    figure = Figure(figsize=(14, 5.4), layout="constrained")
    axes = figure.subplots(2, 5, squeeze=False).ravel()
    for axis, row in zip(axes, rows, strict=False):
        counts = row["histogram"]
        edges = np.asarray(counts["edges"])
        for name, colour in (("other", "tab:red"), ("test", "tab:blue"), ("train", "black")):
            values = np.asarray(counts[name], dtype=float)
            heights = values / values.sum() / np.diff(edges)
            axis.stairs(
                heights,
                edges,
                fill=name != "train",
                color=colour,
                alpha=1 if name == "train" else 0.5,
                label={
                    "other": "other classes, test",
                    "test": "the class, test",
                    "train": "the class, training",
                }[name],
            )
        axis.axvline(0.0, color="grey", linewidth=0.8)
        axis.set(title=f"class {row['label']}", yticks=[])
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize="small")
    figure.supxlabel("score f(x), l2 in pixel units; below 0 is outside")
    return _save(figure, path)


def _draw_synthesis(rows, path):
    n_shown = 12
    figure = Figure(figsize=(14, 1.15 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for pair, row in zip(axes, rows, strict=True):
        for axis, schedule in zip(pair, ("printed", "full"), strict=True):
            images = np.asarray(row[schedule]["images"][:n_shown], dtype=float)
            side = round(images.shape[1] ** 0.5)
            axis.imshow(np.hstack(images.reshape(-1, side, side)), cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
        pair[0].set_ylabel(f"class {row['label']}")
    axes[0, 0].set_title("Algorithm 1 as printed: 64 steps, eta = 1")
    axes[0, 1].set_title("full Newton steps to the level")
    return _save(figure, path)


def _save(figure, path):
    figure.savefig(path, dpi=80)
    return path.name


def _part(rows, part):
    return [row for row in rows if row["part"] == part]


def _markdown(frame):
    return frame.to_markdown(index=False, disable_numparse=True)
