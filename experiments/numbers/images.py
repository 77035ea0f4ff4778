"""What the pages say of images: certified AUROC, attacks, and the paper's own network."""

from experiments.numbers.words import at_least, nearest, record, table
from experiments.paper_images import PAPER

RADII = (0, 8, 16, 36, 72)
NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
LEARNED = {
    "OCSDF": "`ImageOCSDF`",
    "network alone": "its network alone",
    "cones alone": "its cones alone",
}
EXACT = {"nearest neighbour": "nearest neighbour", "20 subspaces": "20 subspaces"}


def _means(part, images, method):
    rows = record("images")
    rows = rows[(rows["part"] == part) & (rows["images"] == images)]
    by_class = rows.groupby("label")[[f"{method}_{radius}" for radius in RADII]].mean()
    return by_class.mean(), rows["seed"].nunique()


def _cells(values):
    first, *others = values
    return [nearest(first), *map(at_least, others)]


def certified():
    """Certified AUROC of one class against the rest, mean over classes."""
    lines = []
    for images, name in NAMES.items():
        for part, methods in (("ocsdf", LEARNED), ("exact", EXACT)):
            for method, title in methods.items():
                values, seeds = _means(part, images, method)
                lines.append([f"{name}: {title}", str(seeds), *_cells(values)])
        if images in PAPER:
            lines.append([f"{name}: the paper's table", "-", *map(str, PAPER[images])])
    return table(["", "seeds", *map(str, RADII)], lines)


def attacked():
    """Attacks on each class: the AUROC that is left, and what was guaranteed; DeepSVDD's mean."""
    rows = record("images")
    rows = rows[rows["part"] == "attack"]
    rivals = record("deep_svdd").dropna(subset=["attacked_0"])
    radii = (8, 16, 36, 72, 144, 255)
    lines = [
        [
            f"{NAMES[row['images']]}, class {row['label']}",
            *(
                f"{nearest(row[f'attacked_{radius}'])} / {at_least(row[f'guaranteed_{radius}'])}"
                for radius in radii
            ),
        ]
        for _, row in rows.sort_values(["images", "label"]).iterrows()
    ]
    for images, part in rivals.groupby("images", sort=False):
        left = (f"{nearest(part[f'attacked_{radius}'].mean())} / -" for radius in radii)
        lines.append([f"{NAMES[images]}, DeepSVDD, mean of {len(part)} classes", *left])
    return table(["left / guaranteed", *map(str, radii)], lines)


def paper_networks():
    """The paper's algorithm and two networks of its own kind, digit by digit."""
    lines = [
        [
            f"{row['network']}, digit {row['digit']}",
            *_cells(row[f"certified_{radius}"] for radius in RADII),
            nearest(row["gradient_norm"], 2),
        ]
        for _, row in record("paper_images_cpu").iterrows()
    ]
    return table(["network", *map(str, RADII), "mean norm of the gradient"], lines)


PARTS = {
    "images": certified,
    "images-attacked": attacked,
    "paper-networks": paper_networks,
}
