"""Map of the score over a plane."""

from itertools import cycle

import numpy as np

from ocsdf.displays.base import Display, group_by_label, last_step, legend_above

# Share of the rows' range that a map shows around them.
_AROUND = 0.25
# Rows on a map of blue and red, whatever it shows beneath them.
_ROW_STYLES = (
    {"color": "black", "marker": "o", "edgecolors": "white"},
    {"color": "gold", "marker": "X", "edgecolors": "black"},
)


class SignedDistanceDisplay(Display):
    """f over the plane of two features, with the verdict's boundary and rows.

    Parameters
    ----------
    xx0, xx1 : array-like of shape (n_high, n_wide)
        Grid of the two features, as of ``numpy.meshgrid``.
    response : array-like of shape (n_high, n_wide)
        f on the grid.
    rows_by_group : dict of str to array-like of shape (n_samples_of_group, 2), default=None
        Rows to draw.
    offset : float, default=0.0
        The threshold: rows that score below it are called anomalies.
    feature_names : sequence of str, default=("feature 0", "feature 1")

    Raises
    ------
    ValueError
        If the grid's arrays differ in shape or are not 2-d, or rows do not have two features.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf import SignedDistanceDisplay
    >>> xx0, xx1 = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-2, 2, 41))
    >>> disk = 1.0 - np.hypot(xx0, xx1)
    >>> display = SignedDistanceDisplay(xx0, xx1, disk, feature_names=("width", "height"))
    >>> display.plot().ax_.get_xlabel()
    'width'
    """

    def __init__(
        self,
        xx0,
        xx1,
        response,
        rows_by_group=None,
        offset=0.0,
        feature_names=("feature 0", "feature 1"),
    ):
        self.xx0 = np.asarray(xx0, dtype=float)
        self.xx1 = np.asarray(xx1, dtype=float)
        self.response = np.asarray(response, dtype=float)
        self.offset = float(offset)
        self.feature_names = tuple(map(str, feature_names))
        self.rows_by_group = {
            name: np.asarray(rows, dtype=float) for name, rows in (rows_by_group or {}).items()
        }
        shapes = self.xx0.shape, self.xx1.shape, self.response.shape
        if len(set(shapes)) > 1 or self.response.ndim != 2:
            raise ValueError(f"xx0, xx1 and response must be 2-d arrays of one shape; got {shapes}")
        for name, rows in self.rows_by_group.items():
            if rows.ndim != 2 or rows.shape[1] != 2:
                raise ValueError(f"rows must have two features; group {name!r} is {rows.shape}")

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, pos_label=None, grid_resolution=200, ax=None):
        """Score a grid around rows with a fitted `OCSDF` of two features, and draw.

        Parameters
        ----------
        estimator : OCSDF
            Fitted on two features.
        X : array-like of shape (n_samples, 2)
        y : array-like of shape (n_samples,), default=None
            Labels; `pos_label` marks the anomalies; None is 1 of 0 and 1.
        pos_label : int, float, bool or str, default=None
        grid_resolution : int, default=200
            Points along each feature.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : SignedDistanceDisplay

        Raises
        ------
        ValueError
            If the estimator or X has any other number of features, or y does not fit X.
        """
        if estimator.n_features_in_ != 2:
            raise ValueError(
                f"a map of f needs a detector of 2 features; this one was fitted on "
                f"{estimator.n_features_in_}. Fit one on two of them, or on two components "
                "such as those of sklearn.decomposition.PCA"
            )
        rows = np.asarray(X, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != 2:
            raise ValueError(f"X must have 2 features, as the detector; got shape {rows.shape}")
        low, high = rows.min(axis=0), rows.max(axis=0)
        around = _AROUND * np.where(high > low, high - low, 1.0)
        xx0, xx1 = np.meshgrid(*np.linspace(low - around, high + around, grid_resolution).T)
        grid = np.column_stack([xx0.ravel(), xx1.ravel()])
        options = {}
        if hasattr(estimator, "feature_names_in_"):
            import pandas as pd

            options["feature_names"] = estimator.feature_names_in_
            grid = pd.DataFrame(grid, columns=estimator.feature_names_in_)
        response = estimator.score_samples(grid).reshape(xx0.shape)
        groups = group_by_label(rows, y, pos_label)
        offset = last_step(estimator)[0].offset_
        return cls(xx0, xx1, response, groups, offset, **options).plot(ax)

    def _draw(self, ax):
        from matplotlib.colors import TwoSlopeNorm
        from matplotlib.ticker import MaxNLocator

        height = self.response - self.offset
        low, high = height.min(), height.max()
        # White at the boundary, however far f goes on either side of it.
        tiny = np.finfo(np.float32).tiny
        norm = TwoSlopeNorm(0.0, min(low, -tiny), max(high, tiny))
        levels = MaxNLocator(20).tick_values(low, high)
        grid = self.xx0, self.xx1, height
        filled = ax.contourf(*grid, levels=levels, cmap="RdBu", norm=norm, alpha=0.8)
        ax.figure.colorbar(filled, ax=ax, label="score - threshold (scaled l2)")
        ax.contour(*grid, levels=levels, colors="gray", linewidths=0.4, linestyles="solid")
        if low < 0.0 <= high:
            ax.contour(*grid, levels=[0.0], colors="black", linewidths=1.6)
            ax.plot([], [], color="black", lw=1.6, label="boundary")
        for (name, rows), style in zip(self.rows_by_group.items(), cycle(_ROW_STYLES)):
            label = f"{name} ({len(rows):,})"
            ax.scatter(*rows.T, s=18, linewidths=0.4, label=label, **style)
        ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        legend_above(ax)
