"""What the README says of tables: the present default on OddBench's and ADBench's."""

from experiments.numbers.words import at_least, nearest, record, table
from experiments.oddbench import VARIANTS, halves, summarize

_SHOWN = (
    *("OCSDF", "nearest neighbour", "LUNAR", "DTE-NP", "KNN", "LOF", "INNE", "EIF", "IForest"),
    *("DeepSVDD", "ECOD"),
)
_NAMES = {
    "DeepSVDD": "DeepSVDD of PyOD, one seed",
    "EIF": "EIF of isotree",
    "KNN": "KNN of PyOD",
    "LOF": "LOF of PyOD",
    "LUNAR": "LUNAR of PyOD, one seed",
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
        f"mean rank of {len(_SHOWN)}",
        "ADBench, normal rows: AUROC",
        "all rows",
    ]
    return table(head, lines)


def front():
    """The default, its parts and its other emphases: AUROC against certified AUROC, in one unit."""
    whole, shown = _summary("fixed"), _summary("fixed", "shown")
    lines = []
    for name in ("OCSDF", *VARIANTS.values(), "nearest neighbour"):
        row = whole.loc[name]
        certified = [row[f"certified_auroc_{radius}"] for radius in (0.1, 0.2, 0.5)]
        lines.append(
            [
                _NAMES.get(name, name) + (", standardized*" if name == "nearest neighbour" else ""),
                nearest(row["auroc"]),
                nearest(shown.loc[name, "auroc"]),
                " / ".join(map(at_least, certified)),
            ]
        )
    head = ["", "AUROC", "its shown half", "certified at 0.1 / 0.2 / 0.5"]
    return table(head, lines)


def same_unit():
    """What the nearest row alone has in the default's own unit, and the default, and its parts."""
    whole = _summary("fixed")
    names = (
        "OCSDF, its nearest row alone",
        "OCSDF, emphasis on the certificate",
        "OCSDF",
        "OCSDF, without its network",
    )
    told = []
    for row in (whole.loc[name] for name in names):
        pair = (at_least(row[f"certified_auroc_{radius}"]) for radius in (0.2, 0.5))
        told.append(f"{nearest(row['auroc'])}, certified {' / '.join(pair)}")
    return (
        f'In that unit the nearest row alone has {told[0]}; `OCSDF(emphasis="certificate")` has '
        f"{told[1]}; `OCSDF()` has {told[2]}; without its network, {told[3]}."
    )


def anomalies_among():
    """AUROC by the share of anomalies among the training rows of ADBench's tables."""
    rows = record("oddbench")
    rows = rows[rows["protocol"] == "contaminated"]
    means = rows.groupby(["detector", "contamination", "table"])["auroc"].mean()
    means = means.groupby(["detector", "contamination"]).mean().unstack()
    order = ("OCSDF", "OCSDF, emphasis on contamination", "IForest")
    lines = [[name, *map(nearest, means.loc[name])] for name in order]
    return table(["anomalies among training rows", *(f"{share:.0%}" for share in means)], lines)


PARTS = {
    "odd-tables": odd_tables,
    "front": front,
    "same-unit": same_unit,
    "anomalies-among": anomalies_among,
}
