"""Pictures of a fitted model's results: arrays first, drawing only in ``plot``."""

import numpy as np

_BLUE, _ORANGE, _GREEN = "#2f86c4", "#d9731a", "#2f9e73"
# Mid tones that can be told apart on a light and on a dark page, also when colour-blind.
_COLOURS = (_BLUE, _ORANGE, _GREEN, "#a667c2", "#8a8a8a")
_BINS = 40


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


def _legend_above(ax):
    """Inside the axes, a legend may cover what it explains."""
    ax.legend(
        frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )


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

    Raises
    ------
    ValueError
        If the arrays differ in shape, or only one end of the interval is given.
    """

    def __init__(self, radii, certified_auroc, lower=None, upper=None):
        self.radii = np.asarray(radii, dtype=float)
        self.certified_auroc = np.asarray(certified_auroc, dtype=float)
        if (lower is None) != (upper is None):
            raise ValueError("lower and upper must be given together; only one of them was")
        self.lower = None if lower is None else np.asarray(lower, dtype=float)
        self.upper = None if upper is None else np.asarray(upper, dtype=float)
        for name in ("certified_auroc", "lower", "upper"):
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
        ax.axhline(0.5, color="gray", lw=1, ls=":", label="chance")
        ax.set(xlabel="attack radius eps (scaled l2)", ylabel="certified AUROC", ylim=(-0.02, 1.02))
        ax.margins(x=0.01)
        _legend_above(ax)


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
        if y is None:
            return cls({"all rows": scores}, offset).plot(ax)
        anomalous = np.asarray(y) == pos_label
        groups = {"normal": scores[~anomalous], "anomaly": scores[anomalous]}
        return cls({name: part for name, part in groups.items() if part.size}, offset).plot(ax)

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
