"""What the README says of tables: the present default on OddBench's and ADBench's."""

from experiments.development_halves import halves
from experiments.numbers.words import at_least, nearest, record, table
from experiments.oddbench import summarize

_SHOWN = ("OCSDF", "nearest neighbour", "DTE-NP", "KNN", "LOF", "INNE", "IForest", "ECOD")
_NAMES = {
    "KNN": "KNN of PyOD",
    "LOF": "LOF of PyOD",
    "nearest neighbour": "nearest neighbour, exact",
}


def _summary(protocol, part="all"):
    rows = record("oddbench")
    rows = rows[rows["protocol"] == protocol]
    if part != "all":
        chosen, shown = halves(sorted(set(rows["table"])))
        rows = rows[rows["table"].isin(shown if part == "shown" else chosen)]
    return summarize(rows)


def odd_tables():
    """The README's table: the default and its rivals on tables with one split, and on ADBench."""
    whole, shown = _summary("fixed"), _summary("fixed", "shown")
    clean, mixed = _summary("oc"), _summary("ad")
    lines = []
    for name in _SHOWN:
        certified = [whole.loc[name, f"certified_auroc_{radius}"] for radius in (0.2, 0.5)]
        proved = certified[0] == certified[0]
        lines.append(
            [
                _NAMES.get(name, name),
                nearest(whole.loc[name, "auroc"]),
                nearest(shown.loc[name, "auroc"]),
                " / ".join(map(at_least, certified)) if proved else "no certificate",
                nearest(whole.loc[name, "rank by auroc"], 2),
                nearest(clean.loc[name, "auroc"]),
                nearest(mixed.loc[name, "auroc"]),
            ]
        )
    head = [
        "detector",
        "OddBench, 200 tables: AUROC",
        "its shown half",
        "certified at 0.2 / 0.5",
        "mean rank of 8",
        "ADBench, normal rows: AUROC",
        "all rows",
    ]
    return table(head, lines)


def same_unit():
    """What the nearest row certifies in the default's own unit, on the half that chose."""
    recipes = record("table_recipes")
    row = recipes[(recipes["recipe"] == "full|mxg1|1") & (recipes["kind"] == "odd")].iloc[0]
    ours = _summary("fixed", "chosen").loc["OCSDF"]
    return (
        f"In that unit the nearest row alone has {nearest(row['auroc'])} on the chosen half, "
        f"certified {at_least(row['cert02'])} / {at_least(row['cert05'])}, where `OCSDF` has "
        f"{nearest(ours['auroc'])}, certified {at_least(ours['certified_auroc_0.2'])} / "
        f"{at_least(ours['certified_auroc_0.5'])}."
    )


PARTS = {"odd-tables": odd_tables, "same-unit": same_unit}
