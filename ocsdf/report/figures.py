"""The pictures of a report, drawn from its summary alone."""

import numpy as np

from ocsdf.displays.base import legend_above
from ocsdf.displays.certified import CertifiedAUROCDisplay
from ocsdf.displays.scores import TrainingHistoryDisplay, draw_histogram
from ocsdf.utils.html import inline_svg


def draw_figures(facts):
    """Draw every picture that a summary has the numbers for."""
    histogram, threshold = facts["histogram"], facts["model"]["threshold"]
    figures = {
        "scores": _draw(
            lambda ax: draw_histogram(ax, histogram["edges"], histogram["counts"], threshold)
        ),
        "history": inline_svg(TrainingHistoryDisplay(facts["model"]["history"]["loss"]).plot),
    }
    if "curves" in facts:
        curve = facts["certified_curve"]
        names = ["radii", "certified_auroc"] + ["lower", "upper"] * (None not in curve["lower"])
        display = CertifiedAUROCDisplay(*(curve[name] for name in names))
        figures["certified"] = inline_svg(display.plot)
        figures["roc"] = _draw(lambda ax: _draw_curves(ax, facts["curves"], "fpr", "tpr"))
        figures["pr"] = _draw(lambda ax: _draw_curves(ax, facts["curves"], "recall", "precision"))
    if "attack" in facts:
        attack = facts["attack"]
        radii, certified, attacked = (
            [first, *(row[name] for row in attack["radii"])]
            for name, first in (
                ("radius", 0.0),
                ("certified_auroc", attack["auroc"]),
                ("attacked_auroc", attack["auroc"]),
            )
        )
        figures["attacked"] = inline_svg(
            CertifiedAUROCDisplay(radii, certified, attacked=attacked).plot
        )
    return figures


def _draw(draw):
    def figure():
        from matplotlib.figure import Figure

        ax = Figure(figsize=(4.8, 3.3), layout="constrained").add_subplot()
        draw(ax)
        return ax.figure

    return inline_svg(figure)


def _draw_curves(ax, curves, x, y):
    from matplotlib import colormaps

    labels = {
        "fpr": "false positive rate",
        "tpr": "true positive rate",
        "recall": "recall",
        "precision": "precision",
    }
    colours = colormaps["viridis"](np.linspace(0.3, 0.85, len(curves)))
    for curve, colour in zip(curves, colours, strict=True):
        name = "no attack" if curve["radius"] == 0.0 else f"eps = {curve['radius']:g}"
        ax.plot(curve[x], curve[y], color=colour, label=name)
    limits = (-0.02, 1.02)
    ax.set(xlabel=labels[x], ylabel=labels[y], xlim=limits, ylim=limits)
    legend_above(ax, "certified for any attack up to eps (scaled l2)")
