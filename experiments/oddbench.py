"""The default on OddBench's tables: cells in a folder, a row each in one CSV, and a report.

Tables are read from ``$OCSDF_DATA_HOME/oddbench``; they have no licence and are never committed.
Run ``python -m experiments.oddbench --help``; it does what oddbench.csv lacks of a detector and a
protocol, and resumes where an earlier run was stopped.
"""

from importlib.util import find_spec

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.common.command import count, make_parser, write_text
from ocsdf.benchmark.rank_tests import pairwise_wilcoxon
from ocsdf.benchmark.run import run_benchmark, tables_at_hand
from ocsdf.data.downloads import data_home
from ocsdf.data.fixed_splits import load_fixed_split
from ocsdf.utils.exactness import exact_floats

# Fixed before any recipe was run.
HALF_SEED = 20
DETECTORS = ("OCSDF", "nearest neighbour", "DTE-NP", "KNN", "IForest", "LOF", "ECOD", "INNE")
# Networks that take minutes on a large table; one seed.
SLOW = ("LUNAR", "DeepSVDD")
# Where isotree, which a C++ compiler builds from source, is installed.
FOREST = {"experiments.oddbench:ExtendedIsolationForest": "EIF"}
# What the default has without a part of it, and with another emphasis.
VARIANTS = {
    f"experiments.table_ablations:{kind}": f"OCSDF, {words}"
    for kind, words in (
        ("WithoutNetwork", "without its network"),
        ("NetworkAlone", "its network alone"),
        ("NearestInUnit", "its nearest row alone"),
        ("EmphasisOnCertificate", "emphasis on the certificate"),
        ("EmphasisOnContamination", "emphasis on contamination"),
    )
}
_SHOWN = FOREST | VARIANTS
# Those with a certificate, as the figure shows them.
_MARKERS = dict(
    zip(("OCSDF", *VARIANTS.values(), "nearest neighbour", "DTE-NP"), "*DvsPX^o", strict=True)
)
_METRICS = ("auroc", "aupr", "certified_auroc_0.1", "certified_auroc_0.2", "certified_auroc_0.5")


class ExtendedIsolationForest:
    """EIF (Hariri et al., 2019) by isotree, with the settings that it lists for that paper."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X):
        """Fit to standardized rows."""
        from isotree import IsolationForest

        forest = IsolationForest(
            ndim=2,
            sample_size=min(256, len(X)),
            max_depth=8,
            ntrees=100,
            missing_action="fail",
            coefs="uniform",
            standardize_data=False,
            random_seed=self.random_state,
            nthreads=1,
        )
        self._pipeline = make_pipeline(StandardScaler(), forest).fit(X)
        return self

    def score_samples(self, X):
        """Return minus isotree's scores: high is normal."""
        return -self._pipeline.decision_function(X)


def halves(names):
    """Draw the half of the tables that constants are chosen on, and the half they are shown on."""
    names = sorted(names)
    order = np.random.default_rng(HALF_SEED).permutation(len(names))
    middle = len(names) // 2
    return tuple(
        [names[index] for index in sorted(part)] for part in (order[:middle], order[middle:])
    )


def odd_tables():
    """Load the tables of OddBench that are at hand."""
    folder = data_home() / "oddbench"
    return [load_fixed_split(path) for path in sorted(folder.glob("*.npz"))]


def run_missing(committed, tables, detectors, protocol, n_seeds, settings):
    """Return a protocol's cells: those of detectors that have rows as they are, others anew."""
    known = committed[committed["protocol"] == protocol]
    names = {name: _SHOWN.get(name, name) for name in detectors}
    lacking = [name for name, shown in names.items() if shown not in set(known["detector"])]
    if find_spec("isotree") is None:
        lacking = [name for name in lacking if name not in FOREST]
    parts = [known[known["detector"].isin(names.values())]]
    if lacking:
        folder = settings.work / protocol
        cells = run_benchmark(tables, lacking, range(n_seeds), [protocol], folder, settings.jobs)
        parts.append(cells.replace({"detector": _SHOWN}))
    return pd.concat(parts, ignore_index=True)


def summarize(cells):
    """Average over seeds, then over tables, and rank the detectors on each table.

    A row a detector: the mean of each metric, and the mean rank by AUROC and by AUPR.
    """
    means = cells.groupby(["detector", "table"])[list(_METRICS)].mean()
    found = means.groupby("detector").mean()
    for name in ("auroc", "aupr"):
        # Parts of the default do not compete with it.
        rivals = means[name].unstack("detector").drop(columns=VARIANTS.values(), errors="ignore")
        ranks = rivals.rank(axis=1, ascending=False)
        found[f"rank by {name}"] = ranks.mean()
    return found.sort_values("rank by auroc").round(2)


def _shares(cells):
    """Average AUROC over seeds and tables, a column a share of anomalies."""
    means = cells.groupby(["detector", "contamination", "table"])["auroc"].mean()
    return means.groupby(["detector", "contamination"]).mean().unstack().round(2).to_markdown()


def _compare(cells):
    """Say which rivals differ from the default by Wilcoxon's test with Holm's correction."""
    rivals = cells[~cells["detector"].isin(VARIANTS.values())]
    means = rivals.groupby(["table", "detector"])["auroc"].mean().unstack()
    values = pairwise_wilcoxon(means).loc["OCSDF"].drop("OCSDF")
    words = ", ".join(f"{name} {value:.2g}" for name, value in values.items())
    return f"p-values of Wilcoxon's test against OCSDF, with Holm's correction: {words}.\n"


def draw(cells, recipes, path):
    """Draw AUROC against certified AUROC on either half, with all recipes that were tried."""
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = figure.subplots(2, 2, sharex="row", sharey="col")
    tables = halves(set(cells["table"]))
    # Sums of distribution functions have no unit of length; rivals have no certificate.
    recipes = recipes[~recipes["recipe"].str.contains("cdfsum|rival")]
    for half, (title, names) in enumerate(zip(("chosen half", "shown half"), tables, strict=True)):
        found = summarize(cells[cells["table"].isin(names)])
        tried = recipes[(recipes["kind"] == "odd") & (recipes["half"] == half)]
        tried = tried[tried["n_tables"] == len(names)]
        for row, radius in enumerate(("0.2", "0.5")):
            ax = axes[row, half]
            ax.plot(
                tried[f"cert{radius.replace('.', '')}"], tried["auroc"], ".",
                color="0.8", zorder=0, label="recipes that were tried",
            )  # fmt: skip
            for (name, marker), color in zip(_MARKERS.items(), range(10), strict=False):
                point = found.loc[name, f"certified_auroc_{radius}"], found.loc[name, "auroc"]
                ours = {"markersize": 14, "zorder": 3} if name == "OCSDF" else {"markersize": 8}
                ax.plot(*point, marker, color=f"C{color}", label=name, **ours)
            ax.set_title(f"OddBench, {title}: {len(names)} tables")
            ax.set_xlabel(f"certified AUROC at radius {radius}, each in its own unit")
            ax.set_ylabel("AUROC")
            ax.set_ylim(bottom=68.0)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=90)


def main(arguments=None):
    """Run what is missing and write the tables."""
    parser = make_parser(__doc__, work="oddbench")
    parser.add_argument("--seeds", type=count, default=3, metavar="N")
    parser.add_argument("--adbench-seeds", type=count, default=5, metavar="N")
    settings = parser.parse_args(arguments)
    path, parts = settings.output / "oddbench.csv", {}
    committed = (
        pd.read_csv(path, **exact_floats()) if path.exists() else pd.DataFrame({"protocol": []})
    )
    for protocol in ("fixed", "ad", "oc"):
        tables = odd_tables() if protocol == "fixed" else tables_at_hand()
        n_seeds = settings.seeds if protocol == "fixed" else settings.adbench_seeds
        parts[protocol] = pd.concat(
            run_missing(committed, tables, names, protocol, n, settings)
            for names, n in (((*DETECTORS, *FOREST), n_seeds), ((*SLOW, *VARIANTS), 1))
        )
    rivals = ("OCSDF", "IForest", *list(VARIANTS)[-1:])
    known = committed, tables_at_hand(), rivals, "contaminated", settings.adbench_seeds
    mixed = run_missing(*known, settings)
    text = ["# OddBench and ADBench: the default among distances and detectors\n"]
    for protocol, cells in parts.items():
        chosen, shown = halves(sorted(set(cells["table"])))
        for title, names in (
            ("all", chosen + shown),
            ("chosen half", chosen),
            ("shown half", shown),
        ):
            part = cells[cells["table"].isin(names)]
            text += [f"\n## {protocol}, {title}: {part['table'].nunique()} tables\n"]
            text += [summarize(part).to_markdown() + "\n"]
            if title == "all":
                text += [_compare(part)]
    text += ["\n## Anomalies among the training rows, ADBench, AUROC\n", _shares(mixed)]
    settings.output.mkdir(parents=True, exist_ok=True)
    cells = pd.concat((*parts.values(), mixed), ignore_index=True)
    # None of these tables leaks; versions stand in one order, so that their names can go.
    dropped = ["warnings", "leaks", "transductive", "fpr95", "peak_mb"]
    cells = cells.drop(columns=dropped, errors="ignore")
    cells["versions"] = cells["versions"].str.replace(r"[a-z][a-z-]* ", "", regex=True)
    # These need few digits; AUROC keeps all, so that ties and bounds stay as they were computed.
    coarse = ["fit_seconds", "score_seconds"]
    digits = dict.fromkeys(coarse, 3) | {"aupr": 9}
    cells = cells.dropna(axis="columns", how="all").round(digits)
    proved = [name for name in _METRICS if name.startswith("certified")]
    # Rounded down: what is proved stays proved.
    cells[proved] = np.floor(cells[proved] * 1e9) / 1e9
    cells.to_csv(path, index=False)
    recipes = settings.output / "table_recipes.csv"
    if recipes.exists():
        draw(
            parts["fixed"], pd.read_csv(recipes, **exact_floats()), settings.output / "oddbench.png"
        )
    write_text("\n".join(text), settings.output, "oddbench")


if __name__ == "__main__":
    main()
