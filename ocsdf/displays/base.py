"""What all displays share: axes, legend, colours, and rows grouped by label."""

from io import BytesIO

from ocsdf.utils.checks import check_labels

BLUE, ORANGE = "#2f86c4", "#d9731a"
# Mid tones that can be told apart on a light and on a dark page, also when colour-blind.
COLOURS = (BLUE, ORANGE, "#2f9e73", "#a667c2", "#8a8a8a")


class Display:
    """Arrays first, drawing only in ``plot``.

    Abstract: a subclass keeps arrays and has ``_draw(ax)``.
    """

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

    def _repr_png_(self):
        """Show the picture where a notebook's cell ends with a display.

        None where nothing is drawn yet, and of a figure of pyplot, which the notebook shows itself.
        """
        figure = getattr(self, "figure_", None)
        if figure is None or figure.canvas.manager is not None:
            return None
        content = BytesIO()
        figure.savefig(content, format="png", dpi=120)
        return content.getvalue()


def legend_above(ax, title=None):
    """Put the legend above the axes, as inside it may cover what it explains.

    Axes without a labelled artist get none.
    """
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


def last_step(estimator, X=None):
    """Look through searches and pipelines at the detector at their end.

    Returned are the detector, whose radii and thresholds are in the units of what the steps before
    give it, and X as it comes to it, or None.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            X = X if X is None or len(estimator.steps) < 2 else estimator[:-1].transform(X)
            estimator = estimator.steps[-1][1]
        else:
            return estimator, X


def split_by_label(values, y, pos_label):
    """Part values of normal rows from those of anomalies, either of which may be empty.

    A `pos_label` of None is 1 of 0 and 1; a ValueError is that of
    :func:`ocsdf.utils.checks.check_labels`.
    """
    anomalous = check_labels(y, pos_label, len(values), both=False)
    return values[~anomalous], values[anomalous]


def group_by_label(values, y, pos_label):
    """Name the groups that have rows; y None makes one group of all. See :func:`split_by_label`."""
    if y is None:
        return {"all rows": values}
    normal, anomalies = split_by_label(values, y, pos_label)
    groups = {"normal": normal, "anomaly": anomalies}
    return {name: part for name, part in groups.items() if len(part)}
