"""Calibration rows by segment, each of which judges its own rows (Mondrian)."""

import numpy as np

from ocsdf.decisions.thresholds import marginal_threshold, pac_threshold


class Calibration:
    """Scores of rows that fitting did not see, by group.

    `scores` are high for normal rows, less their rounding; `groups` has a label a row, all None
    where there are no groups, and `labels` all groups that may be judged. ``scores`` maps each
    label to its scores, increasing.
    """

    def __init__(self, scores, groups, labels):
        self.scores = {label: np.sort(scores[groups == label]) for label in labels}

    def thresholds(self, alpha, delta=None, replaced=0):
        """Choose a threshold for each group: marginal, or PAC where `delta` is given.

        It is -inf, which flags nothing, where there are too few rows, and a message a group says
        so. `replaced` rows of each group may be an attacker's; see
        :mod:`ocsdf.decisions.thresholds`.
        """
        thresholds, messages = {}, []
        for label, rows in self.scores.items():
            try:
                thresholds[label] = (
                    marginal_threshold(rows, alpha, replaced)
                    if delta is None
                    else pac_threshold(rows, alpha, delta, replaced)
                )
            except ValueError as error:
                thresholds[label] = -np.inf
                where = "" if label is None else f"group {label!r}: "
                messages.append(f"{where}{error} Until then no row is flagged.")
        return thresholds, messages

    def evidence(self, measure, scores, shift, groups, **options):
        """Measure each row against the calibration rows of its group, by `measure` with `options`.

        `measure` is such as :func:`ocsdf.decisions.p_values.conformal_p_values`.
        """
        evidence = np.empty(len(scores))
        for label, calibration in self.scores.items():
            rows = groups == label
            evidence[rows] = measure(calibration, scores[rows], shift[rows], **options)
        return evidence

    def check_groups(self, groups, n_rows):
        """Return a label for each row to judge, as :func:`group_labels`.

        A ValueError says that there are labels though calibration had none, or the other way
        round, or that one is new.
        """
        if (None in self.scores) and groups is not None:
            raise ValueError("The detector was fitted without groups: pass none, or fit with them.")
        if None not in self.scores and groups is None:
            raise ValueError("The detector was fitted with groups: pass groups=, one label a row.")
        labels = group_labels(groups, n_rows)
        new = {label for label in labels.tolist() if label not in self.scores}
        if new:
            raise ValueError(
                f"groups hold {min(map(repr, new))}, of which fit saw no row; it saw "
                f"{', '.join(map(repr, self.scores))}."
            )
        return labels


def group_labels(groups, n_rows):
    """Return groups as an array of labels; None a row where there are none.

    A ValueError says that they are of another length, or that one is missing.
    """
    if groups is None:
        return np.full(n_rows, None)
    labels = np.asarray(groups, dtype=object)
    if labels.shape != (n_rows,):
        raise ValueError(f"groups must hold {n_rows} labels, one a row; got shape {labels.shape}.")
    if any(_is_missing(label) for label in labels.tolist()):
        raise ValueError("groups must have no missing labels: name them, for example 'unknown'.")
    return labels


def _is_missing(label):
    """Tell None, NaN, NaT and pandas' NA, which equals nothing and says not even that."""
    return label is None or type(label).__name__ == "NAType" or label != label
