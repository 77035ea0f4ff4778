"""What the pages say of tables: the benchmark, contamination, attacks, and the paper's settings."""

from functools import cache

from experiments.mixed_data import DEVELOPMENT, SHOWN
from experiments.mixed_tables import METHODS
from experiments.numbers.words import at_least, listed, nearest, record, spread, table
from experiments.paper_tables import LONGER, MARGINS, NETWORKS, PAPER
from ocsdf.benchmark.statistics import REFERENCES, contamination_curve
from ocsdf.benchmark.summary import BESIDE, summarize_protocol

WAYS = {"oc": "half of the normal rows", "ad": "all rows, anomalies included"}
RADII = (0.1, 0.2, 0.5)


@cache
def summary_of(protocol):
    """What the benchmark's rows of one protocol say."""
    rows = record("tabular/benchmark")
    return summarize_protocol(rows[rows["protocol"] == protocol], BESIDE)


def _rows(protocol, detectors):
    found = summary_of(protocol)
    for name in detectors:
        ranked = name in found.detectors.index
        auroc = (found.detectors if ranked else found.beside)["mean_auroc"][name]
        certified = found.certified.loc[name] if name in found.certified.index else None
        ranks = found.detectors.loc[name] if ranked else None
        yield [
            nearest(auroc),
            *("-" if certified is None else at_least(certified[radius]) for radius in RADII),
            "not ranked" if ranks is None else nearest(ranks["mean_rank"]),
            "not ranked" if ranks is None else nearest(ranks["family_mean_rank"]),
        ]


def benchmark():
    """The README's table: both ways to train side by side."""
    shown = ["OCSDF", *BESIDE, *REFERENCES]
    names = {"nearest neighbour": "nearest neighbour, exact", "KNN": "KNN of PyOD"}
    names["random subsamples"] = "random subsamples, exact"
    columns = [f"certified at {' / '.join(map(str, RADII))}", "mean rank"]
    sides = [[*_rows(protocol, shown)] for protocol in WAYS]
    lines = [
        [
            names.get(name, name),
            *(text for side in sides for text in _in_three(side[place])),
        ]
        for place, name in enumerate(shown)
    ]
    titles = ("normal rows: AUROC", "all rows: AUROC")
    return table(["detector", *(text for title in titles for text in (title, *columns))], lines)


def _in_three(cells):
    auroc, *certified, rank, _ = cells
    return auroc, "no certificate" if "-" in certified else " / ".join(certified), rank


def benchmark_remarks():
    """Where the default is not the best, protocol by protocol."""
    lines = []
    for protocol, way in WAYS.items():
        found = summary_of(protocol)
        ours = found.certified.loc["OCSDF"]
        auroc = found.beside["mean_auroc"]
        higher = [name for name in auroc.index if auroc[name] > ours[0.0]]
        parts = [f"the AUROC of {listed(higher)} is higher"] if higher else []
        by_radii = {}
        for name, row in found.certified.iterrows():
            radii = [f"{radius}" for radius in RADII if row[radius] > ours[radius]]
            if radii:
                by_radii.setdefault(listed(radii), []).append(name)
        parts += [f"{listed(names)} certify more at {radii}" for radii, names in by_radii.items()]
        worst, ranks = found.detectors.loc["OCSDF"], found.detectors["family_mean_rank"]
        parts += [
            f"OCSDF is {nearest(worst['shortfall'])} points behind the better of "
            f"{listed(REFERENCES)} on {_bare(worst['shortfall_table'])}, where it falls back "
            f"furthest",
            f"with tables of one source averaged, {ranks.idxmin()} has the best mean rank",
        ]
        lines.append(f"- Trained on {way}: {'; '.join(parts)}.")
    return "\n".join(lines)


def _bare(name):
    number, _, rest = name.partition("_")
    return rest if number.isdigit() or number == "odds" else name


def ranking(protocol):
    """All ranked detectors of a protocol, and those beside the ranking."""
    found = summary_of(protocol)
    names = [*found.detectors.index, *found.beside.index]
    marks = {name: f"{name}†" if name in found.transductive else name for name in names}
    lines = [
        [
            marks[name],
            *cells,
            *(nearest(found.costs[column][name], 2) for column in ("fit_seconds",)),
        ]
        for name, cells in zip(names, _rows(protocol, names), strict=True)
    ]
    head = ["detector", "AUROC", *(f"certified at {radius}" for radius in RADII)]
    return table([*head, "mean rank", "families averaged", "seconds of fit"], lines)


def contamination():
    """AUROC by the share of anomalies among the rows fitted on."""
    curve, n_tables = contamination_curve(record("tabular/benchmark"))
    lines = [[name, *map(nearest, curve[name])] for name in curve]
    head = [f"share of anomalies ({n_tables} tables)", *(f"{share:.0%}" for share in curve.index)]
    return table(head, lines)


def attacked():
    """AUROC that attacks leave at radius 0.2, and what is guaranteed of it."""
    rows = record("comparators")
    columns = ["attacked_0.2", "guaranteed_0.2"]
    means = rows.groupby(["table", "detector"], sort=False)[columns].mean()
    tables, detectors = (means.index.unique(level) for level in ("table", "detector"))
    lines = [
        [
            name,
            *(
                f"{nearest(means.loc[(one, name), columns[0]])} / "
                f"{at_least(means.loc[(one, name), columns[1]])}"
                for one in tables
            ),
        ]
        for name in detectors
    ]
    return table(["detector", *map(_bare, tables)], lines)


def attacked_remarks():
    """On which tables a smoothed IsolationForest is ahead under attack by what is printed."""
    means = record("comparators").groupby(["table", "detector"])["attacked_0.2"].mean().unstack()
    ahead = means.index[means["IForest, smoothed"] > means["OCSDF"] + 0.05]
    if not len(ahead):
        return "The smoothed IsolationForest is ahead of OCSDF under attack on none of them."
    return (
        f"The smoothed IsolationForest is ahead of OCSDF under attack on {len(ahead)} of "
        f"{len(means)}: {listed(sorted(map(_bare, ahead)))}."
    )


def paper_tables():
    """The paper's settings at the margin that test AUROC chose (oracle)."""
    rows = record("paper_tables_cpu")
    rows = rows.assign(epochs=rows["epochs"].fillna(40).astype(int))
    lines = []
    for keys, part in rows.groupby(["protocol", "table", "width", "epochs"]):
        by_margin = part.groupby("margin")["auroc"]
        best = by_margin.mean().idxmax()
        cells = part[part["margin"] == best]["auroc"]
        tried = str(part["margin"].nunique())
        lines.append([*map(str, keys), f"{best:g}", tried, spread(cells), str(len(cells))])
    head = ["protocol", "table", "width", "epochs", "oracle margin", "tried", "AUROC", "seeds"]
    return table(head, lines)


def paper_missing():
    """How many of the preset's cells were never run, and where they belong."""
    rows = record("paper_tables_cpu")
    n_tables = sum(map(len, PAPER.values()))
    planned = {}
    for width, _ in NETWORKS["cpu"]:
        longer = len(LONGER) if width == 128 else 0
        planned[width] = planned.get(width, 0) + (n_tables + longer) * len(MARGINS)
    missing = {width: count - (rows["width"] == width).sum() for width, count in planned.items()}
    parts = [f"{count} at width {width}" for width, count in missing.items() if count]
    if not parts:
        return "All cells of the preset were run."
    total = sum(planned.values())
    return f"{sum(missing.values())} of {total} cells were never run: {listed(parts)}."


def mixed_tables():
    """AUROC on tables with categories, of a raw frame and beside IsolationForest on one-hot."""
    rows = record("mixed_tables")
    means = rows.groupby(["table", "method"])["auroc"].mean().unstack()
    lines = [
        [name, *(nearest(100.0 * means.loc[name, method]) for method in METHODS)]
        for name in (*SHOWN, *DEVELOPMENT)
    ]
    return table(["table", *METHODS.values()], lines)


PARTS = {
    "mixed-tables": mixed_tables,
    "benchmark": benchmark,
    "benchmark-remarks": benchmark_remarks,
    "ranking-oc": lambda: ranking("oc"),
    "ranking-ad": lambda: ranking("ad"),
    "contamination": contamination,
    "attacked": attacked,
    "attacked-remarks": attacked_remarks,
    "paper-tables": paper_tables,
    "paper-missing": paper_missing,
}
