"""Pictures of the toy experiment (OCSDF Figures 2, 6 and 7), from arrays."""

import io

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from ocsdf.displays import ScoreHistogramDisplay

# Rows drawn: more would hide what is beneath them.
_MOST_ROWS = 400
_DISTANCE_LEVELS = np.arange(-2.0, 1.25, 0.25)


def grid_points(reach, resolution):
    """Lay a grid over the square [-reach, reach]^2."""
    side = np.linspace(-reach, reach, resolution)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def draw_contours(name, rows, reach, responses):
    """Draw the level sets of several detectors on one data set (Figures 2 and 6)."""
    figure = Figure(figsize=(3.1 * len(responses), 3.3), layout="constrained")
    axes = figure.subplots(1, len(responses), sharey=True, squeeze=False)[0]
    for ax, (detector, response) in zip(axes, responses.items(), strict=True):
        low, high = response.min(), response.max()
        # White at the boundary. A small rise inside stays pale, so that dots can be seen on it.
        most = max(high, -low / 4.0)
        norm = TwoSlopeNorm(0.0, min(low, -most), most)
        levels = MaxNLocator(14).tick_values(low, high)
        filled = _contours(ax, reach, response, levels, norm)
        bar = figure.colorbar(filled, ax=ax, location="bottom", shrink=0.9, aspect=30)
        bar.ax.tick_params(labelsize=7)
        bar.locator = MaxNLocator(5)
        bar.update_ticks()
        _dots(ax, rows)
        ax.set_title(detector, fontsize=10)
    axes[0].set_ylabel(name)
    return figure


def draw_histograms(scores):
    """Draw how data score beside uniform points of B (Figure 7)."""
    n_rows, n_columns = len(scores), max(map(len, scores.values()))
    figure = Figure(figsize=(2.9 * n_columns, 2.7 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for line, (detector, by_name) in zip(axes, scores.items(), strict=True):
        for ax, (name, groups) in zip(line, by_name.items(), strict=True):
            ScoreHistogramDisplay(groups).plot(ax)
            ax.get_legend().remove()
            ax.set(title=name if ax in axes[0] else "", xlabel=f"f of {detector}", ylabel="")
        line[0].set_ylabel("share of the group")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def draw_signed_distances(reach, errors, exact):
    """Draw f - m, the exact signed distance, and what lies between them, for each shape."""
    n_settings = max(map(len, errors.values()))
    figure = Figure(figsize=(3.2 * (1 + n_settings), 3.1 * len(errors)), layout="constrained")
    axes = figure.subplots(len(errors), 1 + n_settings, sharex=True, sharey=True, squeeze=False)
    for line, (shape, by_setting) in zip(axes, errors.items(), strict=True):
        first = next(iter(by_setting.values()))
        norm = TwoSlopeNorm(0.0, _DISTANCE_LEVELS[0], _DISTANCE_LEVELS[-1])
        levels = _contours(line[0], reach, first + exact[shape], _DISTANCE_LEVELS, norm)
        _level_sets(line[0], reach, exact[shape], _DISTANCE_LEVELS, "tab:green", "dashed", 1.2)
        line[0].set_ylabel(shape)
        for ax, error in zip(line[1:], by_setting.values(), strict=True):
            steps = np.linspace(-0.3, 0.3, 13)
            norm = TwoSlopeNorm(0.0, -0.3, 0.3)
            map_ = _contours(ax, reach, error, steps, norm, "PuOr", boundary=False, extend="both")
            _level_sets(ax, reach, exact[shape], [0.0], "black", "dashed", 1.2)
    axes[0, 0].set_title(f"f - m, {next(iter(errors[shape]))}\n(dashed: exact)", fontsize=9)
    for ax, setting in zip(axes[0, 1:], errors[shape], strict=True):
        ax.set_title(f"f - m - S, {setting}\n(dashed: edge of the shape)", fontsize=9)
    figure.colorbar(levels, ax=axes[:, 0], location="bottom", label="signed distance")
    figure.colorbar(map_, ax=axes[:, 1:], location="bottom", label="error", shrink=0.6)
    return figure


def draw_score_against_distance(errors, exact):
    """Draw f - m against the exact signed distance S at points of the grid, a panel a shape."""
    figure = Figure(figsize=(3.4 * len(errors), 3.6), layout="constrained")
    axes = figure.subplots(1, len(errors), sharey=True, squeeze=False)[0]
    for ax, (shape, by_setting) in zip(axes, errors.items(), strict=True):
        some = np.random.default_rng(0).permutation(len(exact[shape]))[:2_000]
        ends = exact[shape].min(), exact[shape].max()
        for colour, (setting, error) in zip(("C0", "C1"), by_setting.items(), strict=True):
            score = (error + exact[shape])[some]
            ax.plot(exact[shape][some], score, ".", color=colour, markersize=2, label=setting)
        ax.plot(ends, ends, color="black", linewidth=1.0, label="f - m = S")
        ax.set(title=shape, xlabel="exact signed distance S", aspect="equal")
    axes[0].set_ylabel("f - m")
    axes[0].legend(fontsize=8, markerscale=4)
    return figure


def png(figure, dpi=80, n_colours=256):
    """Render a figure as a small PNG."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    image = Image.open(drawn).convert("RGB").quantize(n_colours, dither=Image.Dither.NONE)
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def _contours(ax, reach, response, levels, norm, cmap="RdBu", boundary=True, extend="neither"):
    grid = _as_grid(reach, response)
    filled = ax.contourf(*grid, levels=levels, cmap=cmap, norm=norm, extend=extend)
    if boundary:
        ax.contour(*grid, levels=levels, colors="gray", linewidths=0.4, linestyles="solid")
        if response.min() < 0.0 <= response.max():
            ax.contour(*grid, levels=[0.0], colors="black", linewidths=1.6)
    ax.set_aspect("equal")
    return filled


def _level_sets(ax, reach, response, levels, colour, style, width):
    ax.contour(
        *_as_grid(reach, response),
        levels=levels, colors=colour, linestyles=style, linewidths=width,
    )  # fmt: skip


def _as_grid(reach, response):
    resolution = round(np.sqrt(len(response)))
    side = np.linspace(-reach, reach, resolution)
    return side, side, response.reshape(resolution, resolution)


def _dots(ax, rows):
    ax.plot(*rows[:_MOST_ROWS].T, ".", color="black", markersize=1.5, alpha=0.6)
