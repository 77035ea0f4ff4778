"""Pictures of a fitted model's results: arrays first, drawing only in ``plot``."""

from itertools import cycle

import numpy as np

_BLUE, _ORANGE, _GREEN = "#2f86c4", "#d9731a", "#2f9e73"
# Mid tones that can be told apart on a light and on a dark page, also when colour-blind.
_COLOURS = (_BLUE, _ORANGE, _GREEN, "#a667c2", "#8a8a8a")
_BINS = 40
# Points of a ROC curve, and the share of the rows' range that a map shows around them.
_RATES = 201
_AROUND = 0.25
# Rows on a map of blue and red, whatever it shows beneath them.
_ROW_STYLES = (
    {"color": "black", "marker": "o", "edgecolors": "white"},
    {"color": "gold", "marker": "X", "edgecolors": "black"},
)


class _Display:
    """What all displays share: ``plot`` finds or makes an axes and returns the display."""

    def plot(self, ax=None):
        """Draw on `ax`, or on a new figure that belongs to no global state.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a figure outside pyplot, so nothing needs closing.

        Returns
        -------
        display : object
            The display itself, with `ax_` and `figure_`.
        """
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(4.8, 3.3), layout="constrained").add_subplot()
        self._draw(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _legend_above(ax, title=None):
    """Inside the axes, a legend may cover what it explains."""
    if not ax.get_legend_handles_labels()[0]:
        return
    ax.legend(
        frameon=False,
        fontsize="small",
        title=title,
        title_fontsize="small",
        ncols=3,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )


def _split(values, y, pos_label):
    """Return the normal rows' values, and the anomalies'."""
    anomalous = np.asarray(y) == pos_label
    if anomalous.shape != (len(values),):
        raise ValueError(f"y must have {len(values)} labels, one a row; got {np.shape(y)}")
    return values[~anomalous], values[anomalous]


def _by_label(values, y, pos_label):
    """Return the values of each group that has rows."""
    if y is None:
        return {"all rows": values}
    normal, anomalies = _split(values, y, pos_label)
    groups = {"normal": normal, "anomaly": anomalies}
    return {name: part for name, part in groups.items() if len(part)}


class CertifiedAUROCDisplay(_Display):
    """Certified AUROC against the radius of the attack.

    Parameters
    ----------
    radii : array-like of shape (n_radii,)
        Radii of the attack, l2 norm in standardized features ("scaled l2").
    certified_auroc : array-like of shape (n_radii,)
        A lower bound of the AUROC under any attack of at most that radius; never grows with it.
    lower, upper : array-like of shape (n_radii,), default=None
        Ends of an interval around each value.
    attacked : array-like of shape (n_radii,), default=None
        AUROC that is left by an attack of each radius, as :mod:`ocsdf.attacks` finds it: never
        below the certified one.

    Raises
    ------
    ValueError
        If the arrays differ in shape, or only one end of the interval is given.
    """

    def __init__(self, radii, certified_auroc, lower=None, upper=None, attacked=None):
        self.radii = np.asarray(radii, dtype=float)
        self.certified_auroc = np.asarray(certified_auroc, dtype=float)
        if (lower is None) != (upper is None):
            raise ValueError("lower and upper must be given together; only one of them was")
        self.lower = None if lower is None else np.asarray(lower, dtype=float)
        self.upper = None if upper is None else np.asarray(upper, dtype=float)
        self.attacked = None if attacked is None else np.asarray(attacked, dtype=float)
        for name in ("certified_auroc", "lower", "upper", "attacked"):
            values = getattr(self, name)
            if values is not None and values.shape != self.radii.shape:
                raise ValueError(
                    f"{name} must have the shape of radii, {self.radii.shape}; got {values.shape}"
                )

    @classmethod
    def from_estimator(cls, estimator, X, y, *, radii, pos_label=1, ax=None):
        """Certify a fitted `OCSDF` on labelled rows, and draw.

        Parameters
        ----------
        estimator : OCSDF
            Fitted.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels; `pos_label` marks the anomalies.
        radii : array-like of shape (n_radii,)
            Scaled l2.
        pos_label : int or str, default=1
            The label of the anomalies.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : CertifiedAUROCDisplay
        """
        radii = np.sort(np.asarray(radii, dtype=float))
        return cls(radii, estimator.certified_auroc(X, y, radii, pos_label=pos_label)).plot(ax)

    @classmethod
    def from_predictions(cls, normal_scores, anomaly_scores, *, radii, lipschitz=1.0, ax=None):
        """Certify scores (higher = more normal) of a function with a known bound, and draw.

        Parameters
        ----------
        normal_scores : array-like of shape (n_normal,)
        anomaly_scores : array-like of shape (n_anomalies,)
        radii : array-like of shape (n_radii,)
            In the units of the scores' inputs, l2.
        lipschitz : float, default=1.0
            Upper bound of the score function's Lipschitz constant.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : CertifiedAUROCDisplay
        """
        from ocsdf.certification import certified_auroc

        radii = np.sort(np.asarray(radii, dtype=float))
        values = certified_auroc(normal_scores, anomaly_scores, radii, lipschitz=lipschitz)
        return cls(radii, values).plot(ax)

    def _draw(self, ax):
        ax.plot(self.radii, self.certified_auroc, color=_BLUE, label="certified AUROC")
        if self.lower is not None:
            ax.fill_between(
                self.radii, self.lower, self.upper, color=_BLUE, alpha=0.25, lw=0, label="interval"
            )
        if self.attacked is not None:
            ax.plot(self.radii, self.attacked, color=_ORANGE, ls="--", label="attacked AUROC")
        ax.axhline(0.5, color="gray", lw=1, ls=":", label="chance")
        ylabel = "certified AUROC" if self.attacked is None else "AUROC"
        ax.set(xlabel="attack radius eps (scaled l2)", ylabel=ylabel, ylim=(-0.02, 1.02))
        ax.margins(x=0.01)
        _legend_above(ax)


class CertifiedROCDisplay(_Display):
    """Certified ROC curves: one for each radius of the attack, and the clean one.

    Anomalies are the positives. Under any attack on normal rows and anomalies of at most a
    curve's radius the ROC curve stays above it.

    Parameters
    ----------
    fpr : array-like of shape (n_points,)
        False positive rates, ascending.
    tpr : array-like of shape (n_radii, n_points)
        Lower bounds of the true positive rate.
    radii : array-like of shape (n_radii,)
        Radii of the attack, l2 norm in standardized features ("scaled l2"); 0 is nobody's attack.

    Raises
    ------
    ValueError
        If the arrays differ in shape.
    """

    def __init__(self, fpr, tpr, radii):
        self.fpr = np.asarray(fpr, dtype=float)
        self.tpr = np.asarray(tpr, dtype=float)
        self.radii = np.asarray(radii, dtype=float)
        expected = (self.radii.size, self.fpr.size)
        if self.tpr.shape != expected:
            raise ValueError(
                f"tpr must have one row per radius and one column per fpr, {expected}; "
                f"got {self.tpr.shape}"
            )

    @classmethod
    def from_estimator(cls, estimator, X, y, *, radii, pos_label=1, ax=None):
        """Certify a fitted `OCSDF` on labelled rows, and draw.

        Parameters
        ----------
        estimator : OCSDF
            Fitted.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels; `pos_label` marks the anomalies.
        radii : array-like of shape (n_radii,)
            Scaled l2.
        pos_label : int or str, default=1
            The label of the anomalies.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : CertifiedROCDisplay
        """
        normals, anomalies = _split(estimator.score_samples(X), y, pos_label)
        # A row's slack holds while it moves by no more than its distance to the threshold. Twice
        # the largest holds for every row, up to the largest such distance; beyond, nothing is
        # certified anyway.
        slack = 2.0 * np.max(estimator.float_slack(X))
        return cls.from_predictions(
            normals,
            anomalies,
            radii=radii,
            lipschitz=estimator.lipschitz_bound_,
            slack=slack,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls, normal_scores, anomaly_scores, *, radii, lipschitz=1.0, slack=0.0, ax=None
    ):
        """Certify scores (higher = more normal) of a function with a known bound, and draw.

        Parameters
        ----------
        normal_scores : array-like of shape (n_normal,)
        anomaly_scores : array-like of shape (n_anomalies,)
        radii : array-like of shape (n_radii,)
            In the units of the scores' inputs, l2.
        lipschitz : float, default=1.0
            Upper bound of the score function's Lipschitz constant.
        slack : float, default=0.0
            Bound of the error that floating point makes in one attacked sample's score.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : CertifiedROCDisplay
        """
        from ocsdf.certification import certified_tpr

        radii = np.union1d(0.0, radii)
        # Rates that flag a whole number of rows: at others the bound is that of the next lower.
        n_normals = max(1, len(normal_scores))
        fpr = np.unique(np.linspace(0, n_normals, _RATES, dtype=int)) / n_normals
        tpr = [
            certified_tpr(
                normal_scores, anomaly_scores, radii, fpr=rate, lipschitz=lipschitz, slack=slack
            )
            for rate in fpr[:-1]
        ]
        # Where all rows may be flagged, all anomalies are.
        return cls(fpr, np.column_stack([*tpr, np.ones(len(radii))]), radii).plot(ax)

    def _draw(self, ax):
        from matplotlib import colormaps

        colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(self.radii)))
        for radius, tpr, colour in zip(self.radii, self.tpr, colours, strict=True):
            label = "clean" if radius == 0.0 else f"eps = {radius:g}"
            # Steps after each rate: between two of them the bound is that of the lower one.
            ax.step(self.fpr, tpr, where="post", color=colour, label=label)
        ax.plot([0, 1], [0, 1], color="gray", lw=1, ls=":", label="chance")
        limits = (-0.02, 1.02)
        ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=limits, ylim=limits)
        _legend_above(ax, "certified for any attack up to eps (scaled l2)")


class ScoreHistogramDisplay(_Display):
    """Histogram of the scores of one or more groups of rows, with the verdict's threshold.

    Parameters
    ----------
    scores_by_group : dict of str to array-like of shape (n_samples_of_group,)
        Scores, higher = more normal. Each group is drawn as shares of its own size.
    offset : float, default=0.0
        The threshold: rows that score below it are called anomalies.

    Raises
    ------
    ValueError
        If there is no group, or one without a finite score.
    """

    def __init__(self, scores_by_group, offset=0.0):
        self.scores_by_group = {
            name: np.asarray(scores, dtype=float).ravel()
            for name, scores in scores_by_group.items()
        }
        self.offset = float(offset)
        if not self.scores_by_group:
            raise ValueError("scores_by_group must hold at least one group of scores; got none")
        for name, scores in self.scores_by_group.items():
            if not scores.size or not np.isfinite(scores).all():
                raise ValueError(
                    f"each group must hold finite scores, at least one; group {name!r} has "
                    f"{scores.size} scores, {np.isfinite(scores).sum()} of them finite"
                )

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, pos_label=1, ax=None):
        """Score rows with a fitted `OCSDF`, and draw them by label (or as one group).

        Parameters
        ----------
        estimator : OCSDF
            Fitted.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Labels; `pos_label` marks the anomalies.
        pos_label : int or str, default=1
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : ScoreHistogramDisplay
        """
        scores = estimator.score_samples(X)
        return cls.from_predictions(scores, y, offset=estimator.offset_, pos_label=pos_label, ax=ax)

    @classmethod
    def from_predictions(cls, scores, y=None, *, offset=0.0, pos_label=1, ax=None):
        """Draw scores (higher = more normal) by label, or as one group.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
        y : array-like of shape (n_samples,), default=None
            Labels; `pos_label` marks the anomalies.
        offset : float, default=0.0
            The verdict's threshold.
        pos_label : int or str, default=1
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : ScoreHistogramDisplay
        """
        scores = np.asarray(scores, dtype=float)
        return cls(_by_label(scores, y, pos_label), offset).plot(ax)

    def _draw(self, ax):
        groups = self.scores_by_group
        # A few extreme scores must not squeeze the rest into one bin, and a rare group must not
        # vanish: each group asks for its own central 98 %, and the end bins hold what lies beyond.
        low = min(self.offset, *(np.quantile(scores, 0.01) for scores in groups.values()))
        high = max(self.offset, *(np.quantile(scores, 0.99) for scores in groups.values()))
        edges = np.histogram_bin_edges([low, high], bins=_BINS)
        for index, (name, scores) in enumerate(groups.items()):
            colour = _COLOURS[index % len(_COLOURS)]
            counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), bins=edges)
            ax.stairs(counts / scores.size, edges, fill=True, color=colour, alpha=0.45)
            label = f"{name} ({scores.size:,})"
            ax.stairs(counts / scores.size, edges, color=colour, lw=1.2, label=label)
        ax.axvline(self.offset, color="gray", lw=1.2, ls="--", label="threshold")
        ax.set(xlabel="score (signed distance, scaled l2)", ylabel="share of the group")
        _legend_above(ax)


class SignedDistanceDisplay(_Display):
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
    def from_estimator(cls, estimator, X, y=None, *, pos_label=1, grid_resolution=200, ax=None):
        """Score a grid around rows with a fitted `OCSDF` of two features, and draw.

        Parameters
        ----------
        estimator : OCSDF
            Fitted on two features.
        X : array-like of shape (n_samples, 2)
        y : array-like of shape (n_samples,), default=None
            Labels; `pos_label` marks the anomalies.
        pos_label : int or str, default=1
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
        groups = _by_label(rows, y, pos_label)
        return cls(xx0, xx1, response, groups, estimator.offset_, **options).plot(ax)

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
        _legend_above(ax)


class TrainingHistoryDisplay(_Display):
    """Loss of each epoch, as recorded in ``history_`` by `OCSDF.fit`.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Mean loss of each epoch.
    """

    def __init__(self, loss):
        self.loss = np.asarray(loss, dtype=float)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the training of a fitted `OCSDF`.

        Parameters
        ----------
        estimator : OCSDF
            Fitted.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : TrainingHistoryDisplay
        """
        return cls(estimator.history_["loss"]).plot(ax)

    def _draw(self, ax):
        from matplotlib.ticker import MaxNLocator

        marker = "o" if self.loss.size < 3 else None
        ax.plot(np.arange(1, self.loss.size + 1), self.loss, color=_BLUE, marker=marker)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch", ylabel="mean loss")
