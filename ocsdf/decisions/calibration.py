"""Calibration rows by segment, each of which judges its own rows (Mondrian)."""

import numpy as np

from ocsdf.decisions.thresholds import marginal_threshold, pac_threshold


class Calibration:
    """Scores of rows that fitting did not see, by group.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        High for normal rows; less their rounding.
    groups : ndarray of shape (n,), object
        A label a row; all None where there are no groups.
    labels : iterable
        All groups that may be judged, those without calibration rows among them.

    Attributes
    ----------
    scores : dict of label to ndarray
        Increasing.
    """

    def __init__(self, scores, groups, labels):
        self.scores = {label: np.sort(scores[groups == label]) for label in labels}

    def thresholds(self, alpha, delta=None, replaced=0):
        """Choose a threshold for each group.

        Parameters
        ----------
        alpha : float
        delta : float or None, default=None
            None: marginal; a number: PAC, see :mod:`ocsdf.decisions.thresholds`.
        replaced : int, default=0
            Rows of each group that an attacker may have chosen.

        Returns
        -------
        thresholds : dict of label to float
            -inf, which flags nothing, where there are too few rows.
        messages : list of str
            Says so, a line a group.
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
        """Measure each row against the calibration rows of its group.

        Parameters
        ----------
        measure : callable
            Such as :func:`ocsdf.decisions.p_values.conformal_p_values`.
        scores, shift : ndarray of shape (m,)
        groups : ndarray of shape (m,), object
            Checked by :meth:`check_groups`.
        **options
            Passed to `measure`.

        Returns
        -------
        ndarray of shape (m,), float64
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

    Parameters
    ----------
    groups : array-like of shape (n_rows,) or None
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows,), object

    Raises
    ------
    ValueError
        If they are of another length, or one is missing.
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
