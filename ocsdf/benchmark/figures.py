"""Pictures of a benchmark: computed figures in, matplotlib figures out."""

import io
import itertools

import numpy as np

_BLUE, _GRAY = "#2f86c4", "#8a8a8a"
# Mid tones that can be told apart on a light and on a dark page; lines differ in style too.
_COLOURS = ("#d9731a", "#2f9e73", "#a667c2", _GRAY, "#c2504f")
_STYLES = ("-", "--", ":", "-.")
_OURS = "OCSDF"
# Labels beside a diagram lie outside its axes, and belong to the picture.
TIGHT = {"bbox_inches": "tight"}


def rank_diagram(test):
    """Draw the critical-difference diagram of mean ranks."""
    import matplotlib
    from scikit_posthocs import critical_difference_diagram

    ranks = test.mean_ranks
    ink = matplotlib.rcParams["text.color"]
    figure, ax = _figure(7.6, 1.5 + 0.19 * len(ranks))
    critical_difference_diagram(
        ranks,
        test.p_values,
        ax=ax,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
        color_palette={name: _BLUE if _is_ours(name) else ink for name in ranks.index},
        elbow_props={"lw": 0.9},
        crossbar_props={"color": _GRAY, "linewidth": 2.5},
        marker_props={"s": 14},
        text_h_margin=0.15,
    )
    _annotate_ranks(ax, ranks.iloc[0], test.critical_difference)
    return figure


def spread_strip(spread, order):
    """Draw each table's standard deviation over seeds, one strip a detector."""
    import matplotlib

    parts = [(name, spread.loc[spread["detector"] == name, "std"]) for name in order]
    figure, ax = _figure(6.4, 1.2 + 0.26 * len(parts))
    for place, (name, values) in enumerate(parts):
        colour = _BLUE if _is_ours(name) else _GRAY
        ax.plot(values, np.full(len(values), place), "o", ms=5, color=colour, alpha=0.55, mew=0)
        ink = matplotlib.rcParams["text.color"]
        ax.plot([values.median()] * 2, [place - 0.32, place + 0.32], color=ink, lw=1.8)
    ax.set_yticks(range(len(parts)), [name for name, _ in parts])
    ax.set(xlabel="standard deviation of AUROC over seeds (points)", ylim=(len(parts) - 0.5, -0.5))
    # Most deviations are small, and a few are large.
    ax.set_xscale("symlog", linthresh=1, linscale=0.8)
    largest = max(1.0, spread["std"].max())
    ticks = [tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 50) if tick <= largest * 1.2]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(-0.05, largest * 1.25)
    ax.grid(axis="x", alpha=0.3)
    return figure


def certified_curves(means):
    """Draw the mean certified AUROC against the radius, one line a detector."""
    figure, ax = _figure(6.4, 3.6)
    _lines(ax, means.T)
    ax.set(xlabel="attack radius (scaled l2)", ylabel="certified AUROC (%)", ylim=(-2, 102))
    return figure


def contamination_curves(curve):
    """Draw the mean AUROC against the share of anomalies in training, one line a detector."""
    figure, ax = _figure(7.2, 4.2)
    _lines(ax, curve[curve.iloc[-1].sort_values(ascending=False).index].set_axis(100 * curve.index))
    ax.set(xlabel="anomalies among the training rows (%)", ylabel="mean AUROC (%)")
    return figure


def png(draw):
    """Draw for a file: dark on white."""
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        draw().savefig(content, format="png", dpi=150, metadata={"Software": None}, **TIGHT)
    return content.getvalue()


def _annotate_ranks(ax, best, difference):
    """The length of the critical difference, above the axis and its numbers."""
    from matplotlib.ticker import MaxNLocator

    height = 1.9
    ax.plot([best, best + difference], [height] * 2, color=_GRAY, lw=1.5, marker="|", ms=9)
    text = f"critical difference {difference:.2f} of mean ranks (1 is best)"
    ax.text(best, height + 0.4, text, va="bottom")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _figure(width, height):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _lines(ax, values):
    """One line a column, ours in front; the legend stands beside, in the order of the columns."""
    looks = itertools.cycle(itertools.product(_STYLES, _COLOURS))
    for name in values:
        if name == _OURS:
            look = {"color": _BLUE, "lw": 2.6, "zorder": 3}
        else:
            style, colour = next(looks)
            look = {"color": colour, "lw": 1.3, "ls": style}
        ax.plot(values.index, values[name], marker="o", ms=3, label=name, **look)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.grid(alpha=0.25)


def _is_ours(name):
    return name.split()[0] == _OURS
