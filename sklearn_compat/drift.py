"""Whether rows still look like those that a detector was fitted on: scores, columns, segments."""

from typing import NamedTuple

import numpy as np

from ocsdf.data.summaries import RowSummary
from ocsdf.decisions.drift import ScoreDrift, score_drift

# The column of scores beside the features in a summary of rows that were scored.
SCORE = "\0score"
_MOST_NAMED = 3
# Standard deviations, from which on a column that moved is named.
_LEAST_SHIFT = 0.25


class Drift(NamedTuple):
    """How new rows differ from those that a detector was calibrated by, or fitted on.

    Attributes
    ----------
    scores : ScoreDrift
        Drift of all rows' scores.
    columns : pandas.DataFrame
        A line a column of numbers, the farthest first: ``column``; ``shift``, how far its mean has
        moved, in standard deviations of the training rows; ``spread``, its standard deviation
        divided by that of the training rows. Empty where the detector does not standardize.
    segments : pandas.DataFrame
        A line a segment, the most abnormal first, with the fields of a :class:`ScoreDrift` and
        whether it ``drifted``; empty without segments.
    """

    scores: ScoreDrift
    columns: object
    segments: object

    @property
    def drifted(self):
        """Whether the rows, all together, no longer look like training."""
        return self.scores.drifted

    def sentence(self):
        """Say in a line what has changed, or that nothing has."""
        scores = self.scores
        if not self.drifted:
            return "the rows look like training rows"
        text = (
            f"the rows no longer look like training: {100.0 * scores.share_beyond:.3g} % lie "
            "beyond what 1 % of training rows do (Kolmogorov-Smirnov distance "
            f"{scores.ks_distance:.2f})"
        )
        moved = [
            f"{line.column} by {line.shift:+.2g}"
            for line in self.columns.head(_MOST_NAMED).itertuples()
            if abs(line.shift) >= _LEAST_SHIFT
        ]
        return text + (f"; means moved, in standard deviations: {', '.join(moved)}" * bool(moved))


def has_reference(detector):
    """Tell whether a detector kept scores of training or calibration rows."""
    if hasattr(detector, "calibration_"):
        return all(len(scores) for scores in detector.calibration_.scores.values())
    return getattr(detector, "training_scores_", None) is not None


def drift_of_rows(detector, X, scores, groups=None, by=None):
    """Compare rows with those of training, for a fitted detector with a reference.

    `groups` are checked, where it was fitted with groups; `by` is a segment a row.
    """
    import pandas as pd

    reference, ranks = _comparable(detector, scores, groups)
    only_lower, lines = not hasattr(detector, "calibration_"), []
    if by is not None:
        for label, rows in pd.Series(np.arange(len(scores))).groupby(np.asarray(by, dtype=object)):
            own = reference[label] if groups is not None and by is groups else _pooled(reference)
            one = score_drift(own, ranks[rows.to_numpy()], only_lower)
            lines.append({"segment": label, **one._asdict(), "drifted": one.drifted})
    names = ["segment", *ScoreDrift._fields, "drifted"]
    segments = pd.DataFrame(lines, columns=names).sort_values(
        "ks_distance", ascending=False, ignore_index=True
    )
    total = score_drift(_pooled(reference), ranks, only_lower)
    return Drift(total, column_shifts(detector, RowSummary(n_rows=1).update(X)), segments)


def drift_of_summary(detector, summary):
    """Compare rows that were scored, of which only a summary is left, with those of training.

    The detector is fitted, with a reference and without groups; the frames of the summary had the
    features and the column :data:`SCORE`.
    """
    import pandas as pd

    reference, ranks = _comparable(detector, summary.rows[SCORE].to_numpy(), None)
    total = score_drift(_pooled(reference), ranks, not hasattr(detector, "calibration_"))
    return Drift(total, column_shifts(detector, summary), pd.DataFrame())


def column_shifts(detector, summary):
    """Measure how far the means and spreads of columns have moved; see :class:`Drift`."""
    import pandas as pd

    standardizing, lines = getattr(detector, "estimator_", detector), []
    if hasattr(standardizing, "mean_"):
        mean, scale = standardizing.mean_, standardizing.scale_
        places = {name: place for place, name in enumerate(_coordinates(standardizing))}
        for name, (new_mean, deviation) in summary.standardization().items():
            place = places.get(str(name))
            if place is not None:
                shift = (new_mean - mean[place]) / scale[place]
                lines.append({"column": str(name), "shift": shift, "spread": deviation})
                lines[-1]["spread"] /= scale[place]
    shifts = pd.DataFrame(lines, columns=["column", "shift", "spread"])
    return shifts.sort_values("shift", key=np.abs, ascending=False, ignore_index=True)


def _coordinates(detector):
    """Names of the coordinates that are standardized."""
    encoder = getattr(detector, "encoder_", None)
    if encoder is not None:
        return encoder.coordinate_names_
    return map(str, getattr(detector, "feature_names_in_", range(detector.n_features_in_)))


def _comparable(detector, scores, groups):
    """Reference and new scores on one scale: ranks within each group, where there are groups."""
    if not hasattr(detector, "calibration_"):
        return {None: detector.training_scores_}, scores
    calibration = detector.calibration_.scores
    if None in calibration:
        return calibration, scores
    ranks, reference = np.empty(len(scores)), {}
    for label, own in calibration.items():
        reference[label] = np.arange(1, len(own) + 1) / (len(own) + 1.0)
        rows = groups == label
        ranks[rows] = np.searchsorted(own, scores[rows], side="right") / (len(own) + 1.0)
    return reference, ranks


def _pooled(reference):
    return np.concatenate(list(reference.values()))
