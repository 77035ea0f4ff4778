"""Pictures of scores and of the training that led to them."""

import numpy as np

from ocsdf.displays.base import BLUE, COLOURS, Display, group_by_label, last_step, legend_above

_BINS = 40


class ScoreHistogramDisplay(Display):
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

    Examples
    --------
    >>> from ocsdf import ScoreHistogramDisplay
    >>> display = ScoreHistogramDisplay({"normal": [0.4, 0.6, 0.7], "anomaly": [-1.2, -0.3]})
    >>> len(display.plot().ax_.get_legend().get_texts())
    3
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
    def from_estimator(cls, estimator, X, y=None, *, pos_label=None, ax=None):
        """Score rows with a fitted `OCSDF`, and draw them by label (or as one group).

        Parameters
        ----------
        estimator : OCSDF, or a Pipeline that ends in one
            Fitted. Of a pipeline, scores and radii are in the units of its last step.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Labels; `pos_label` marks the anomalies; None is 1 of 0 and 1.
        pos_label : int, float, bool or str, default=None
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : ScoreHistogramDisplay
        """
        detector, X = last_step(estimator, X)
        scores = detector.score_samples(X)
        return cls.from_predictions(scores, y, offset=detector.offset_, pos_label=pos_label, ax=ax)

    @classmethod
    def from_predictions(cls, scores, y=None, *, offset=0.0, pos_label=None, ax=None):
        """Draw scores (higher = more normal) by label, or as one group.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
        y : array-like of shape (n_samples,), default=None
            Labels; `pos_label` marks the anomalies; None is 1 of 0 and 1.
        offset : float, default=0.0
            The verdict's threshold.
        pos_label : int, float, bool or str, default=None
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : ScoreHistogramDisplay
        """
        scores = np.asarray(scores, dtype=float)
        return cls(group_by_label(scores, y, pos_label), offset).plot(ax)

    def _draw(self, ax):
        draw_histogram(ax, *score_histogram(self.scores_by_group, self.offset), self.offset)


def score_histogram(scores_by_group, offset):
    """Count scores in bins; `offset`, the threshold, lies within them.

    A few extreme scores must not squeeze the rest into one bin, and a rare group must not vanish:
    each group asks for its own central 98 %, and the end bins hold what lies beyond. Returned are
    the edges, and the counts by group.
    """
    groups = scores_by_group.values()
    low = min(offset, *(np.quantile(scores, 0.01) for scores in groups))
    high = max(offset, *(np.quantile(scores, 0.99) for scores in groups))
    edges = np.histogram_bin_edges([low, high], bins=_BINS)
    counts = {
        name: np.histogram(np.clip(scores, edges[0], edges[-1]), bins=edges)[0]
        for name, scores in scores_by_group.items()
    }
    return edges, counts


def draw_histogram(ax, edges, counts, offset):
    """Draw what :func:`score_histogram` counted, each group as shares of its own size."""
    for index, (name, group) in enumerate(counts.items()):
        colour, size = COLOURS[index % len(COLOURS)], np.sum(group)
        shares = np.asarray(group) / size
        ax.stairs(shares, edges, fill=True, color=colour, alpha=0.45)
        ax.stairs(shares, edges, color=colour, lw=1.2, label=f"{name} ({size:,})")
    ax.axvline(offset, color="gray", lw=1.2, ls="--", label="threshold")
    ax.set(xlabel="score (signed distance, scaled l2)", ylabel="share of the group")
    legend_above(ax)


class TrainingHistoryDisplay(Display):
    """Loss of each epoch, as recorded in ``history_`` by `OCSDF.fit`.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Mean loss of each epoch.

    Examples
    --------
    >>> from ocsdf import TrainingHistoryDisplay
    >>> display = TrainingHistoryDisplay(loss=[3.0, 1.2, 0.8])
    >>> display.plot().ax_.get_xlabel()
    'epoch'
    """

    def __init__(self, loss):
        self.loss = np.asarray(loss, dtype=float)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the training of a fitted `OCSDF`.

        Parameters
        ----------
        estimator : OCSDF, or a Pipeline that ends in one
            Fitted. Of a pipeline, scores and radii are in the units of its last step.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : TrainingHistoryDisplay
        """
        return cls(last_step(estimator)[0].history_["loss"]).plot(ax)

    def _draw(self, ax):
        from matplotlib.ticker import MaxNLocator

        marker = "o" if self.loss.size < 3 else None
        ax.plot(np.arange(1, self.loss.size + 1), self.loss, color=BLUE, marker=marker)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch", ylabel="mean loss")
