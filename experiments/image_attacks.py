"""Images under attack (OCSDF Figure 3, Tables 10 to 13): what two records say, side by side.

`python -m experiments.image_attacks` writes image_attacks.md and .png from the rows of images.csv
(OCSDF, attacked and guaranteed) and of deep_svdd.csv (DeepSVDD, attacked); it trains nothing. Both
are attacked by l2 PGD, 50 steps, three restarts, radii in [0, 1] pixel units.
"""

import numpy as np
import pandas as pd

from experiments.common.command import make_parser
from experiments.common.results import read_rows
from ocsdf.utils.files import write_whole

RADII = (8, 16, 36, 72, 144, 255)
SETS = ("mnist", "cifar10")
_METHODS = ("OCSDF, attacked", "DeepSVDD, attacked")
# Tables 11 and 13, means.
PAPER = {
    "mnist": (93.2, 92.8, 91.8, 89.8, 83.1, 68.2),
    "cifar10": (59.0, 58.2, 56.7, 53.9, 48.4, 39.8),
}

# Tables 10 and 12, means.
PAPER_ATTACKED = {
    "mnist": (90.2, 89.7, 88.2, 84.5, 74.1, 61.9),
    "cifar10": (54.4, 46.5, 28.4, 9.2, 0.7, 0.1),
}


def gather(folder):
    """Collect the means over classes: a row a set and method, with how many classes there are."""
    attacked = [row for row in read_rows(folder / "images.csv") if row["part"] == "attack"]
    others = [row for row in read_rows(folder / "deep_svdd.csv") if "attacked_8" in row]
    found = []
    for images in SETS:
        for method, rows, column in (
            ("OCSDF, attacked", attacked, "attacked"),
            ("OCSDF, guaranteed", attacked, "guaranteed"),
            ("DeepSVDD, attacked", others, "attacked"),
        ):
            rows = [row for row in rows if row["images"] == images]
            if rows:
                # Not all classes need have run.
                means = [np.mean([row[f"{column}_{r}"] for row in rows]) for r in RADII]
                # Rounded down, as they are bounds, or stand beside one.
                means = [np.floor(10.0 * mean + 1e-9) / 10.0 for mean in means]
                found.append([images, method, len(rows), *means])
        found.append([images, "paper: OCSDF, attacked", 10, *PAPER[images]])
        found.append([images, "paper: DeepSVDD, attacked", 10, *PAPER_ATTACKED[images]])
    return pd.DataFrame(found, columns=["images", "method", "classes", *map(str, RADII)])


def violations(folder):
    """Count attacked values below what was guaranteed."""
    rows = [row for row in read_rows(folder / "images.csv") if row["part"] == "attack"]
    pairs = [(row[f"attacked_{r}"], row[f"guaranteed_{r}"]) for row in rows for r in RADII]
    return sum(left < least - 1e-9 for left, least in pairs), len(pairs)


def _missing(table):
    """Name what has no row yet."""
    ran = set(zip(table["images"], table["method"], strict=True))
    wanted = [(images, method) for images in SETS for method in _METHODS]
    missing = [f"{method.partition(',')[0]} on {images}" for images, method in wanted
               if (images, method) not in ran]  # fmt: skip
    return [f"\nNot run: {', '.join(missing)}."] if missing else []


def describe(table, broken):
    """Write the table in Markdown."""
    return "\n".join(
        [
            "# Images under attack (OCSDF Figure 3, Tables 10 to 13)\n",
            "AUROC in percent that l2 PGD leaves at radii of R / 255 in [0,1] pixel units, mean "
            "over the classes that ran. OCSDF: `ImageOCSDF`, the default, not the paper's network; "
            "250 + 250 test images a class on MNIST, 25 + 25 on CIFAR-10. DeepSVDD: LeNet with "
            "batch "
            "normalization, 100 + 100. The paper's rows are its own networks on all test images.\n",
            table.to_markdown(index=False, floatfmt=".1f"),
            *_missing(table),
            f"\nAttacked below what was guaranteed: {broken[0]} of {broken[1]} values.\n",
            "![AUROC under attack](image_attacks.png)\n",
        ]
    )


def draw(table, path):
    """Draw AUROC against the radius, a panel a set (Figure 3)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.8), layout="constrained")
    for ax, images in zip(figure.subplots(1, 2, sharey=True), SETS, strict=True):
        for _, row in table[table["images"] == images].iterrows():
            method = row["method"]
            style = "--" if "paper" in method else ":" if "guaranteed" in method else "-"
            colour = "tab:red" if "DeepSVDD" in method else "tab:blue"
            values = [row[str(r)] for r in RADII]
            ax.plot(RADII, values, style, color=colour, marker="o", markersize=3, label=method)
        ax.set(title=images, xlabel="l2 radius, 255ths of a pixel's range", ylim=(0, 101))
        ax.grid(alpha=0.3)
    figure.axes[0].set_ylabel("AUROC (%)")
    figure.axes[0].legend(fontsize="small", loc="lower left")
    figure.savefig(path, dpi=90)


def main():
    """Write the table and the figure."""
    folder = make_parser(__doc__).parse_args().output
    table = gather(folder)
    text = describe(table, violations(folder))
    write_whole(folder / "image_attacks.md", text)
    draw(table, folder / "image_attacks.png")
    print(text)


if __name__ == "__main__":
    main()
