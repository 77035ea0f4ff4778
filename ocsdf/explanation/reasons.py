"""Reasons for verdicts as people read them: a table of features, and a sentence a row."""

import numpy as np

_REST = "all other features"
# What has less has not moved, but for rounding.
_LEAST_SHARE = 1e-16


def reasons_frame(explanation, top=5):
    """Write explanations as a table with a line for each of the leading features of each row.

    Returned are ``row`` (its place, or its label in a data frame), ``verdict``, ``feature``,
    ``value``, ``flip_value`` (the feature's value in the boundary point, which has the other
    verdict), ``share_percent`` (100 a row, all lines together, where the gradient is not null),
    ``certified_radius`` and ``flip_distance`` (units of the certificate).
    """
    import pandas as pd

    check_top(top)
    lines = []
    for place in range(len(explanation.radius)):
        leading = _leading(explanation, place, top)
        common = {
            "row": explanation.index[place],
            "verdict": "normal" if explanation.normal[place] else "anomaly",
        }
        distances = {
            "certified_radius": explanation.radius[place],
            "flip_distance": explanation.distance[place],
        }
        shares = 100.0 * explanation.shares[place]
        for feature in leading:
            changes = {
                "feature": explanation.feature_names[feature],
                "value": explanation.rows[place, feature],
                "flip_value": explanation.boundary[place, feature],
                "share_percent": shares[feature],
            }
            lines.append(common | changes | distances)
        if np.count_nonzero(shares[np.setdiff1d(np.arange(len(shares)), leading)]):
            rest = {
                "feature": _REST,
                "value": np.nan,
                "flip_value": np.nan,
                "share_percent": max(0.0, shares.sum() - shares[leading].sum()),
            }
            lines.append(common | rest | distances)
    columns = ["row", "verdict", "feature", "value", "flip_value", "share_percent"]
    return pd.DataFrame(lines, columns=[*columns, "certified_radius", "flip_distance"])


def sentences(explanation, top=2):
    """Say of each row which change would flip its verdict, and which cannot."""
    check_top(top)
    return [_sentence(explanation, place, top) for place in range(len(explanation.radius))]


def share_texts(explanation, top=3):
    """Name the leading features of each row with their shares in percent, such as "age 61 %"."""
    check_top(top)
    return [
        ", ".join(
            f"{explanation.feature_names[feature]} {100.0 * shares[feature]:.0f} %"
            for feature in _leading(explanation, place, top)
        )
        for place, shares in enumerate(explanation.shares)
    ]


def check_top(top):
    """Refuse what is no count of features."""
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise ValueError(f"top must be an integer >= 1; got {top!r}.")


def _leading(explanation, place, top):
    """Features of the largest shares, without those that have none; at least one."""
    shares = explanation.shares[place]
    order = np.argsort(-shares, kind="stable")[:top]
    return order[: max(1, np.count_nonzero(shares[order] > 0.0))]


def _sentence(explanation, place, top):
    from ocsdf.utils.html import at_least

    cannot = f"no change below {at_least(explanation.radius[place])} units of the certificate can"
    verdict = "an anomaly" if explanation.normal[place] else "normal"
    if not explanation.converged[place]:
        return f"no change was found that would make this row {verdict}; {cannot}"
    row, flip = explanation.rows[place], explanation.boundary[place]
    leading = _leading(explanation, place, top)
    named = [
        f"{explanation.feature_names[feature]} {change_text(row[feature], flip[feature])}"
        for feature in leading
    ]
    moved = explanation.shares[place] > _LEAST_SHARE
    n_more = np.count_nonzero(moved) - np.count_nonzero(moved[leading])
    if n_more:
        named.append(f"smaller changes of {n_more} more")
    listed = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return f"{listed} would make this row {verdict}; {cannot}"


def change_text(before, after):
    """Write both values, numbers with as many digits as it takes to tell them apart."""
    if not all(isinstance(value, int | float | np.number) for value in (before, after)):
        return f"{_text(before)} -> {_text(after)}"
    for digits in range(4, 18):
        texts = [_digits(value, digits) for value in (before, after)]
        if texts[0] != texts[1] or before == after:
            break
    return " -> ".join(texts)


def _text(value):
    if value is None:
        return "missing"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _digits(value, digits):
    """A number with so many digits, whole where they do not reach the decimal point."""
    size = np.floor(np.log10(abs(value))) if value else 0.0
    if not -5 <= size < 15:
        return f"{value:.{digits}g}"
    text = f"{value:,.{max(0, digits - 1 - int(size))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
