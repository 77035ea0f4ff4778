"""Tables and pictures of one-class images, from the rows of the cells."""

import base64
import io

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

_RADII = (0, 8, 16, 36, 72)
_ATTACK_RADII = (8, 16, 36, 72, 144, 255)
# Synthesized images of a class in the picture.
_SHOWN = 12
_PAPER = {
    "mnist": ("OCSDF, paper's table", (95.5, 93.2, 89.9, 78.4, 57.5)),
    "cifar10": ("OCSDF, paper's table", (57.4, 53.1, 48.8, 38.4, 22.5)),
}
_CERTIFIED = ("OCSDF", "network alone", "cones alone", "nearest neighbour", "20 subspaces")
_UNCERTIFIED = ("IsolationForest", "OneClassSVM", "DeepSVDD")


def describe(rows):
    """Write what the rows say as Markdown."""
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
        "",
        "The certificates of OCSDF have the slack of floating point taken off. The other rows "
        "with radii are exact arithmetic's: their scores are computed in float64, and no bound of "
        "their rounding is taken off.",
        *_remarks(rows),
    ]
    for title, found in (
        ("Attacks", attack_table(rows)),
        ("Synthesis", synthesis_table(rows)),
        ("Classes", class_table(rows)),
        ("Speed", speed_table(rows)),
    ):
        if len(found):
            sections += ["", f"## {title}", "", _EXPLAINED[title], "", _markdown(found)]
    return "\n".join(sections) + "\n"


_EXPLAINED = {
    "Attacks": "l2 PGD, 50 steps, 3 restarts, on 250 normal and 250 other test images of each "
    "class (CIFAR-10: 25 and 25): the AUROC that is left, and what the certificate guaranteed of "
    "it, both of OCSDF. Beside the paper's and DeepSVDD: `python -m experiments.image_attacks`.",
    "Synthesis": "Noise pulled to the level of the mean training score by 64 Newton steps: with "
    "the schedule as printed (eta = 1, which leaves 37 % of the gap), and with full steps. "
    "Agreement: share, in percent, that a logistic regression takes for the class; it was "
    "trained on 10,000 images, brightness and contrast taken away.",
    "Classes": "Of OCSDF, by class, mean over seeds: AUROC and certified AUROC; share of its own "
    "test images judged inside; gradient norm of the network; seconds of a fit, under load.",
    "Speed": "Images a second, in turn in one run.",
}


def _remarks(rows):
    """Say where the network adds nothing to the cones, and which detectors were not run."""
    frame = pd.DataFrame(rows)
    if "cones alone_0" not in frame:
        return []
    means = frame.groupby("images", sort=False)[["OCSDF_0", "cones alone_0"]].mean()
    behind = means[means["OCSDF_0"] < means["cones alone_0"] + 0.05]
    lines = [
        f"On {images} the cones alone have {row['cones alone_0']:.2f}, ImageOCSDF "
        f"{row['OCSDF_0']:.2f}: there the network adds nothing."
        for images, row in behind.iterrows()
    ]
    if "uncertified" not in set(frame["part"]):
        lines.append(f"Not run yet: {', '.join(_UNCERTIFIED)}.")
    return ["", " ".join(lines)] if lines else []


def certified_table(rows):
    """Average over classes: a row a set and method."""
    found = []
    for images in dict.fromkeys(row["images"] for row in rows):
        for method in (*_CERTIFIED, *_UNCERTIFIED):
            values = [
                (row["seed"], row["label"], radius, row[f"{method}_{radius}"])
                for row in rows
                if row["images"] == images
                for radius in _RADII
                if f"{method}_{radius}" in row
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
            str(radius): f"{row[f'attacked_{radius}']:.1f} / {row[f'guaranteed_{radius}']:.1f}"
            for radius in _ATTACK_RADII
        }
        for row in _part(rows, "attack")
    ]
    return pd.DataFrame(found)


def synthesis_table(rows):
    """List how many synthesized images a classifier takes for the class."""
    found = [
        {"images": row["images"], "class": row["label"]}
        | {
            f"{schedule}, {name}": round(row[f"{schedule}_{name}"], 2)
            for schedule in ("printed", "full")
            for name in ("agreement", "score")
        }
        | {"level": round(row["level"], 2), "classifier": round(row["classifier"], 1)}
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
            | {str(r): row[f"OCSDF_{r}"] for r in _RADII}
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
            | {name: round(row[f"{name}_per_second"]) for name in ("OCSDF", "NearestNeighbors")}
            for row in _part(rows, "speed")
        ]
    )


def draw(rows, folder):
    """Draw histograms of scores (Figure 10) and synthesized images (Figures 4 and 11)."""
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
        edges = np.linspace(row["lowest"], row["highest"], len(row["histogram_test"]) + 1)
        for name, colour in (("other", "tab:red"), ("test", "tab:blue"), ("train", "black")):
            values = np.asarray(row[f"histogram_{name}"], dtype=float)
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


def encode_strip(images):
    """Write the first twelve of square grey images as a PNG, side by side, in base64."""
    images = np.round(255.0 * np.asarray(images[:_SHOWN])).astype(np.uint8)
    side = round(images.shape[1] ** 0.5)
    buffer = io.BytesIO()
    Image.fromarray(np.hstack(images.reshape(-1, side, side))).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _draw_synthesis(rows, path):
    figure = Figure(figsize=(14, 1.15 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for pair, row in zip(axes, rows, strict=True):
        for axis, schedule in zip(pair, ("printed", "full"), strict=True):
            strip = Image.open(io.BytesIO(base64.b64decode(row[f"{schedule}_images"])))
            axis.imshow(np.asarray(strip), cmap="gray", vmin=0, vmax=255)
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
