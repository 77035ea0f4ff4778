"""What the pages say of decisions under attack, thresholds, exports, and the audit of the bound."""

from experiments.decisions import FDR, LABELS, LEVELS
from experiments.numbers.words import at_least, nearest, record, table

# At which levels and radius the pages show what happens.
_RADIUS = 0.3
_P_VALUES = {
    "clean": "p, no attack",
    "attacked": "p, attacked: nothing is promised",
    "certified": "p of radius {}, attacked: promised",
}


def p_values():
    """The largest share of a table's normal rows at or below each level, attacked and not."""
    rows = record("decisions")
    rows = rows[rows["radius"] == _RADIUS]
    lines = [
        [title.format(_RADIUS), *(nearest(rows[f"{name}_{level}"].max(), 3) for level in LEVELS)]
        for name, title in _P_VALUES.items()
    ]
    head = [f"largest of {len(rows)} tables", *(f"P(p ≤ {level})" for level in LEVELS)]
    return table(head, lines)


def alarms():
    """Detection at alpha = 0.05: without attack, under PGD, and what is guaranteed."""
    rows = record("decisions")
    mean = rows[rows["radius"] == _RADIUS].mean(numeric_only=True)
    return (
        f"plain alarms detect {nearest(100 * mean['detected'])} % of the anomalies; at least "
        f"{at_least(100 * mean['detected_guaranteed'])} % are left by every attack of radius "
        f"{_RADIUS}, {nearest(100 * mean['detected_attacked'])} % by PGD"
    )


def discoveries():
    """False-discovery rates of each procedure under an attacker who sees all rows."""
    rows = record("decisions")
    rows = rows[rows["radius"] == _RADIUS]
    lines = [
        [
            label,
            nearest(rows[f"{name}_fdr"].mean(), 3),
            nearest(rows[f"{name}_fdr_attacked"].mean(), 3),
            nearest(rows[f"{name}_fdr_attacked"].max(), 3),
            nearest(100 * rows[f"{name}_power"].mean()),
        ]
        for name, label in LABELS.items()
    ]
    head = [
        f"asked for {FDR}, radius {_RADIUS}, {len(rows)} tables",
        "false share, no attack",
        "attacked",
        "attacked, largest of a table",
        "anomalies called, no attack, %",
    ]
    return table(head, lines)


def flagged():
    """What `contamination="auto"` and "estimate" flag among training rows that hold anomalies."""
    rows = record("contamination")
    measures = ("flags", "recall", "precision")
    lines = [
        [
            row["table"],
            nearest(100 * row["anomalies"]),
            *(
                nearest(100 * row[f"{name}_{what}"])
                for name in ("auto", "estimate")
                for what in measures
            ),
        ]
        for row in rows.sort_values("table").to_dict(orient="records")
    ]
    head = [f"{name}: {what}" for name in ("auto", "estimate") for what in measures]
    head = ["in percent", "anomalies", *head]
    return table(head, lines)


def exports():
    """How far an exported graph and the package differ."""
    rows = record("exports")
    outside = sum(rows[f"{dtype}_differ_outside_slack"].sum() for dtype in ("float64", "float32"))
    above = sum(rows[f"{dtype}_radius_above"].sum() for dtype in ("float64", "float32"))
    return (
        f"on {len(rows)} tables and {rows['rows'].sum():,} rows in both types, {int(outside)} "
        f"verdicts differed outside the float slack, and {int(above)} radii of the graph were "
        "above the package's"
    )


def reasons():
    """How far the shares of `explain` agree with SHAP's."""
    rows = record("reasons")
    return (
        f"on {len(rows)} tables the mean rank correlation of its shares with SHAP's "
        f"(PermutationExplainer) is {nearest(rows['change_and_shap'].mean(), 2)}; the first "
        f"feature is the same in {nearest(100 * rows['same_first_feature'].mean(), 0)} % of rows"
    )


_TOOLS = ("pgd", "foolbox", "art")


def audit():
    """How many models were attacked, with how many points, and what was found beyond the bound."""
    rows = record("attack_audit")
    points = int(sum(rows[f"{tool}_points"].sum() for tool in _TOOLS))
    beyond = int(sum(rows[f"{tool}_rows_beyond"].sum() for tool in _TOOLS))
    starts, pairs = int(rows["starts"].sum()), int(rows["pairs_beyond"].sum())
    return (
        f"Of {points:,} points tried on {len(rows)} models, {beyond} lay beyond the bound; of "
        f"{starts:,} searches for a steep pair, {pairs} found one that is steeper."
    )


PARTS = {
    "p-values": p_values,
    "alarms": alarms,
    "discoveries": discoveries,
    "flagged": flagged,
    "exports": exports,
    "reasons": reasons,
    "audit": audit,
}
