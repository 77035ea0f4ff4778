"""How a detector does on each subgroup of the rows."""

import numpy as np

from ocsdf.certificate.metrics import certified_auroc

_MOST_VALUES = 12


def subgroup_labels(column):
    """Name the subgroup of each row: its value, or the quarter that the value lies in."""
    if np.asarray(column).dtype.kind not in "biuf":
        return _category_labels(column)
    values = np.unique(column)
    if len(values) <= _MOST_VALUES:
        names = [f"{value:g}" for value in values]
        return np.array(names)[np.searchsorted(values, column)], names
    ends = np.unique(np.quantile(column, [0.25, 0.5, 0.75]))
    edges = [f"{end:.4g}" for end in ends]
    names = [f"≤ {edges[0]}"]
    names += [f"{low} to {high}" for low, high in zip(edges, edges[1:], strict=False)]
    names.append(f"> {edges[-1]}")
    return np.array(names)[np.searchsorted(ends, column)], names


def _category_labels(column):
    """Name the subgroup of each row by its category; all but the most frequent ones are one."""
    texts = np.array([str(value) for value in column])
    values, counts = np.unique(texts, return_counts=True)
    kept = values[np.argsort(-counts, kind="stable")][:_MOST_VALUES].tolist()
    others = [] if len(kept) == len(values) else ["all others"]
    return np.where(np.isin(texts, kept), texts, "all others"), [*kept, *others]


def subgroup_facts(evaluation, lipschitz, name, column):
    """Judge each subgroup by itself.

    Returned are ``column`` and ``groups``: a dict each with ``group``, ``rows``, ``flagged`` (a
    share); with labels also ``anomalies``, ``false_alarms`` and ``caught`` (shares, None without
    such rows) and, where there are both kinds, ``auroc`` and ``certified_auroc`` at the first
    radius.
    """
    labels, names = subgroup_labels(column)
    groups = []
    for label in names:
        rows = labels == label
        if not rows.any():
            continue
        flagged = ~evaluation.inside[rows]
        facts = {"group": label, "rows": int(rows.sum()), "flagged": float(flagged.mean())}
        if evaluation.y is not None:
            y, scores = evaluation.y[rows], evaluation.scores[rows]
            facts |= {
                "anomalies": int(y.sum()),
                "false_alarms": _mean(flagged[y == 0]),
                "caught": _mean(flagged[y == 1]),
                "auroc": None,
                "certified_auroc": None,
            }
            if 0 < y.sum() < len(y):
                clean, certified = certified_auroc(
                    scores[y == 0],
                    scores[y == 1],
                    [0.0, evaluation.radii[0]],
                    lipschitz,
                    slack=evaluation.radius_slack[0],
                )
                facts |= {"auroc": float(clean), "certified_auroc": float(certified)}
        groups.append(facts)
    return {"column": name, "groups": groups}


def _mean(values):
    return float(values.mean()) if len(values) else None
