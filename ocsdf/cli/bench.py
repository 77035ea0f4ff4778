"""The command `ocsdf bench`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import plain, print_table, warnings_told
from ocsdf.cli.options import Anomaly, Label, reads_tables

_ALL_FAILED = 1


@reads_tables
def bench(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TABLES",
            help="Names, or files with labels: y in .npz and .mat, else the column of --label.",
            show_default="all in $OCSDF_DATA_HOME/adbench",
        ),
    ] = None,
    label: Label = None,
    anomaly: Anomaly = None,
    detectors: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Names, or package.module:Class for a class of ADBench's form, a PyOD detector "
            "or a scikit-learn estimator.",
            show_default="OCSDF, the 14 of the paper, three later ones, three beside the ranking",
        ),
    ] = None,
    protocols: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="'ad': fit on all rows, judge the same. 'oc': fit on half of the normal rows, "
            "judge the rest. 'adbench': ADBench's 70/30 split, which repeats rows of small tables. "
            "'clean': the same without repeats. 'contaminated': as oc, with 0 to 20 % of anomalies "
            "among the rows to fit on.",
        ),
    ] = "ad,oc",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, from 0 on.")] = 1,
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Rows and report; a run there is continued.")
    ] = Path("ocsdf-bench"),
    jobs: Annotated[int, typer.Option(min=1, help="Cells at a time.")] = 1,
    all_rows: Annotated[
        bool,
        typer.Option("--all-rows", help="No cut to 5,000 rows, for detectors of linear time."),
    ] = False,
    time_limit: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="For fit and scores of a cell.")
    ] = 300,
    adbench_csv: Annotated[
        bool, typer.Option("--adbench-csv", help="Also write CSV files of ADBench's form.")
    ] = False,
    *,
    reading,
):
    """Compare detectors on tables, and write the figures and a report.

    Killed or stopped, it goes on where it was when the same command is given again. A cell that
    fails or takes too long is a row that says so; where every cell does, the command fails.

    Example: `ocsdf bench thyroid cardio --detectors OCSDF,IForest,KNN --seeds 3 --jobs 2`
    """
    from ocsdf.benchmark.detectors import DETECTORS, spell
    from ocsdf.benchmark.files import write_report
    from ocsdf.benchmark.run import run_benchmark, tables_at_hand
    from ocsdf.data.tables import EMBEDDED

    tables = tables or tables_at_hand()
    if not tables:
        tables = EMBEDDED
        typer.echo(
            f"no tables in $OCSDF_DATA_HOME/adbench, so here are {', '.join(EMBEDDED)}: "
            "put ADBench's .npz or ODDS' .mat files there for more",
            err=True,
        )
    _say_which(tables)
    detectors = spell(_listed(detectors)) if detectors else list(DETECTORS)
    with warnings_told():
        rows = run_benchmark(
            _loaded(tables, label, anomaly, reading),
            detectors,
            range(seeds),
            _listed(protocols),
            output,
            n_jobs=jobs,
            all_rows=all_rows,
            time_limit=time_limit,
        )
    _print_benchmark(rows, write_report(rows, output, adbench_csv=adbench_csv))
    if rows["error"].notna().all():
        raise typer.Exit(_ALL_FAILED)


def _listed(text):
    """Split a list; a comma at its end is most likely one that a shell parted from the rest."""
    if text.rstrip().endswith(","):
        raise ValueError(f"{text!r} ends with a comma: quote lists with spaces, such as 'A, B'")
    return [part.strip() for part in text.split(",")]


def _say_which(tables):
    """Say which of two tables of one name is meant: scikit-learn's, or ADBench's."""
    from ocsdf.data.downloads import registered_stem
    from ocsdf.data.tables import EMBEDDED, load_table

    for name in tables:
        if name in EMBEDDED and registered_stem(name):
            typer.echo(
                f"{name} is scikit-learn's table of {len(load_table(name).X)} rows; ADBench's is "
                f"{registered_stem(name)}",
                err=True,
            )


def _loaded(tables, label, anomaly, reading):
    """Load tables that the runner could not load by name alone."""
    from ocsdf.data.tables import load_table

    given = {name: value for name, value in reading.items() if value not in (None, (), True)}
    if label is None and anomaly is None and not given:
        return tables
    return [load_table(table, label, anomaly, **reading) for table in tables]


def _print_benchmark(rows, paths):
    """Print each detector's mean AUROC and mean rank, and where the files are."""
    from rich.table import Table

    from ocsdf.benchmark.statistics import CONTAMINATED
    from ocsdf.benchmark.summary import summarize_protocol

    for protocol, part in rows.groupby("protocol", sort=False):
        if protocol == CONTAMINATED:
            continue
        summary = summarize_protocol(part)
        table = Table(title=f"{protocol}: {summary.rank_test.n_tables} tables", title_style="bold")
        table.add_column("detector")
        table.add_column("mean AUROC", justify="right")
        table.add_column("mean rank", justify="right")
        for name, values in summary.detectors.iterrows():
            table.add_row(plain(name), f"{values['mean_auroc']:.1f}", f"{values['mean_rank']:.1f}")
        print_table(table)
    n_failed = int(rows["error"].notna().sum())
    if n_failed:
        typer.echo(f"{n_failed} of {len(rows)} cells failed: see the column error")
    for path in paths:
        if path.parent.name != "figures":
            typer.echo(str(path.resolve()))
