"""Pictures of what is certified about the ranking of labelled rows."""

import numpy as np

from ocsdf.displays.base import BLUE, ORANGE, Display, last_step, legend_above, split_by_label

# Points of a ROC curve.
_RATES = 201


class _CertifiedDisplay(Display):
    """A certificate of labelled rows.

    Abstract: a subclass has ``_of_estimator`` and ``_of_scores``, which return it undrawn.
    """

    @classmethod
    def from_estimator(cls, estimator, X, y, *, radii, pos_label=None, ax=None):
        """Certify a fitted `OCSDF` on labelled rows, and draw.

        Parameters
        ----------
        estimator : OCSDF, or a Pipeline that ends in one
            Fitted. Of a pipeline, scores and radii are in the units of its last step.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels; `pos_label` marks the anomalies; None is 1 of 0 and 1.
        radii : array-like of shape (n_radii,)
            Scaled l2.
        pos_label : int, float, bool or str, default=None
            The label of the anomalies.
        ax : matplotlib.axes.Axes, default=None

        Returns
        -------
        display : object
            An object of the class that this is called on.
        """
        radii = np.asarray(radii, dtype=float)
        detector, X = last_step(estimator, X)
        return cls._of_estimator(detector, X, y, radii, pos_label).plot(ax)

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
        display : object
            As of :meth:`from_estimator`.
        """
        radii = np.asarray(radii, dtype=float)
        known = {"lipschitz": lipschitz, "slack": slack}
        return cls._of_scores(normal_scores, anomaly_scores, radii, **known).plot(ax)


class CertifiedAUROCDisplay(_CertifiedDisplay):
    """Certified AUROC against the radius of the attack.

    Parameters
    ----------
    radii : array-like of shape (n_radii,)
        Radii of the attack, l2 norm in the detector's unit ("scaled l2").
    certified_auroc : array-like of shape (n_radii,)
        A lower bound of the AUROC under any attack of at most that radius; never grows with it.
    lower, upper : array-like of shape (n_radii,), default=None
        Ends of an interval around each value.
    attacked : array-like of shape (n_radii,), default=None
        AUROC that is left by an attack of each radius, as :mod:`ocsdf.attacks.gradient_descent`
        finds it: never below the certified one.

    Raises
    ------
    ValueError
        If the arrays differ in shape, or only one end of the interval is given.

    Examples
    --------
    >>> from ocsdf import CertifiedAUROCDisplay
    >>> display = CertifiedAUROCDisplay(radii=[0.0, 0.1, 0.2], certified_auroc=[0.97, 0.91, 0.84])
    >>> display.plot().ax_.get_ylabel()
    'certified AUROC'
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
    def _of_estimator(cls, estimator, X, y, radii, pos_label):
        radii = np.sort(radii)
        return cls(radii, estimator.certified_auroc(X, y, radii, pos_label=pos_label))

    @classmethod
    def _of_scores(cls, normal_scores, anomaly_scores, radii, **known):
        from ocsdf.certificate.metrics import certified_auroc

        radii = np.sort(radii)
        return cls(radii, certified_auroc(normal_scores, anomaly_scores, radii, **known))

    def _draw(self, ax):
        ax.plot(self.radii, self.certified_auroc, color=BLUE, label="certified AUROC")
        if self.lower is not None:
            ax.fill_between(
                self.radii, self.lower, self.upper, color=BLUE, alpha=0.25, lw=0, label="interval"
            )
        if self.attacked is not None:
            ax.plot(self.radii, self.attacked, color=ORANGE, ls="--", label="attacked AUROC")
        ax.axhline(0.5, color="gray", lw=1, ls=":", label="chance")
        ylabel = "certified AUROC" if self.attacked is None else "AUROC"
        ax.set(xlabel="attack radius eps (scaled l2)", ylabel=ylabel, ylim=(-0.02, 1.02))
        ax.margins(x=0.01)
        legend_above(ax)


class CertifiedROCDisplay(_CertifiedDisplay):
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
        Radii of the attack, l2 norm in the detector's unit ("scaled l2"); 0 is nobody's attack.

    Raises
    ------
    ValueError
        If the arrays differ in shape.

    Examples
    --------
    >>> from ocsdf import CertifiedROCDisplay
    >>> normal, anomalies = [1.0, 2.0, 3.0], [-1.0, 0.0, 1.5]
    >>> display = CertifiedROCDisplay.from_predictions(normal, anomalies, radii=[0.0, 0.5])
    >>> display.tpr.shape[0]
    2
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
    def _of_estimator(cls, estimator, X, y, radii, pos_label):
        normals, anomalies = split_by_label(estimator.score_samples(X), y, pos_label)
        radii, bound = np.union1d(0.0, radii), estimator.lipschitz_bound_
        slack = estimator.attack_slack(X, radii)
        return cls._of_scores(normals, anomalies, radii, lipschitz=bound, slack=slack)

    @classmethod
    def _of_scores(cls, normal_scores, anomaly_scores, radii, **known):
        from ocsdf.certificate.metrics import certified_tpr

        radii = np.union1d(0.0, radii)
        # Rates that flag a whole number of rows: at others the bound is that of the next lower.
        n_normals = max(1, len(normal_scores))
        fpr = np.unique(np.linspace(0, n_normals, _RATES, dtype=int)) / n_normals
        tpr = [
            certified_tpr(normal_scores, anomaly_scores, radii, fpr=rate, **known)
            for rate in fpr[:-1]
        ]
        # Where all rows may be flagged, all anomalies are.
        return cls(fpr, np.column_stack([*tpr, np.ones(len(radii))]), radii)

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
        legend_above(ax, "certified for any attack up to eps (scaled l2)")
