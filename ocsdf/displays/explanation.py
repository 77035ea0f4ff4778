"""Pictures of why a row has its verdict."""

import numpy as np

from ocsdf.displays.base import BLUE, ORANGE, Display


class ExplanationDisplay(Display):
    """A waterfall of one row's reasons: what each feature has in the change that flips it.

    Parameters
    ----------
    labels : sequence of str
        A text for each bar, the largest share first.
    shares : array-like of shape (n_bars,)
        Shares that sum to 1.
    title : str

    Raises
    ------
    ValueError
        If there is not one label a share.

    Examples
    --------
    >>> from ocsdf import ExplanationDisplay
    >>> display = ExplanationDisplay(["amount", "hour", "age"], [0.6, 0.3, 0.1], title="row 7")
    >>> display.plot().ax_.get_title(loc="left")
    'row 7'
    """

    def __init__(self, labels, shares, title=""):
        self.labels, self.shares = list(labels), np.asarray(shares, dtype=float)
        self.title = title
        if self.shares.shape != (len(self.labels),):
            raise ValueError(
                f"labels and shares must be as many; got {len(self.labels)} and {self.shares.shape}"
            )

    @classmethod
    def from_explanation(cls, explanation, row=0, *, top=8, ax=None):
        """Draw the reasons of one of the rows that were explained.

        Parameters
        ----------
        explanation : Explanation
            What ``detector.explain`` returns.
        row : int, default=0
            The place of the row among those explained.
        top : int, default=8
            Features with a bar of their own.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : ExplanationDisplay
        """
        from ocsdf.explanation.reasons import reasons_frame

        one = explanation.take(row)
        frame = reasons_frame(one, top)
        labels = [
            str(line.feature)
            if isinstance(line.flip_value, float) and np.isnan(line.flip_value)
            else f"{line.feature}: {_change(line.value, line.flip_value)}"
            for line in frame.itertuples()
        ]
        verdict = "normal" if one.normal[0] else "anomaly"
        title = f"row {one.index[0]}: {verdict}, boundary between {one.radius[0]:.3g} and "
        title += f"{one.distance[0]:.3g} away (scaled l2)"
        return cls(labels, frame["share_percent"] / 100.0, title).plot(ax)

    def _draw(self, ax):
        places = np.arange(len(self.shares))[::-1]
        ends = np.cumsum(self.shares)
        starts = ends - self.shares
        rest = np.array([label == "all other features" for label in self.labels])
        colours = np.where(rest, ORANGE, BLUE)
        ax.barh(places, 100.0 * self.shares, left=100.0 * starts, color=colours)
        for place, start, share in zip(places, starts, self.shares, strict=True):
            right = start + share > 0.75
            x = 100.0 * (start if right else start + share) + (-1.0 if right else 1.0)
            ax.text(x, place, f"{100 * share:.0f} %", va="center", ha="right" if right else "left")
        ax.set_yticks(places, self.labels)
        ax.set(xlim=(0.0, 100.0), xlabel="percent of the change that flips the verdict")
        ax.set_title(self.title, fontsize="small", loc="left")


def _change(before, after):
    texts = (
        f"{value:.4g}" if isinstance(value, float) else str(value) for value in (before, after)
    )
    return " → ".join(texts)
