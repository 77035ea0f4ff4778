"""The README's figure: a learned signed distance, and an AUROC that no attack can undercut.

Run ``python -m experiments.readme_figure``; it takes a few minutes.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

from ocsdf import OCSDF, CertifiedAUROCDisplay, load_table
from ocsdf.data.splits import split_one_class


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=400, help="epochs on the two moons")
    parser.add_argument("--output", default="experiments/results/readme.png")
    arguments = parser.parse_args()
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_moons(left, arguments.epochs)
    draw_certified_auroc(right)
    Path(arguments.output).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=110)
    print(f"Figure: {arguments.output}")


def draw_moons(ax, epochs):
    X, _ = make_moons(1000, noise=0.05, random_state=0)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    detector = OCSDF("paper", margin=0.05, epochs=epochs, standardize=False, random_state=0).fit(X)
    side = np.linspace(-3.0, 3.0, 201)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    distance = detector.score_samples(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    levels = np.arange(-2.0, 0.6, 0.25)
    contours = ax.contourf(*grid.T, distance.T, levels=levels, cmap="RdBu", vmin=-1, vmax=1)
    ax.contour(*grid.T, distance.T, levels=[0.0], colors="black", linewidths=1.5)
    ax.plot(*X.T, ".", color="black", markersize=1.5, alpha=0.5)
    ax.figure.colorbar(contours, ax=ax, label="f: signed distance")
    ax.set(title='method="paper", from the dots alone; black: f = 0', aspect="equal")


def draw_certified_auroc(ax):
    table = load_table("breast_cancer")
    train, test = split_one_class(table.y, 0)
    detector = OCSDF(random_state=0).fit(table.X[train])
    radii = np.linspace(0.0, 1.0, 51)
    CertifiedAUROCDisplay.from_estimator(detector, table.X[test], table.y[test], radii=radii, ax=ax)
    ax.set_title("breast cancer: no attack can push the AUROC below", pad=24)


if __name__ == "__main__":
    main()
