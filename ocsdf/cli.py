"""The `ocsdf` command. Heavy modules are imported inside commands, so that help stays quick."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from ocsdf._version import __version__
from ocsdf.console import (
    OneLineErrors,
    load_estimator,
    print_benchmark,
    print_info,
    print_json,
    print_summary,
    progress_bar,
)
from ocsdf.options import (
    Anomaly,
    Data,
    Epochs,
    Json,
    Label,
    Margin,
    Method,
    MethodOption,
    Protocol,
    Seed,
)
from ocsdf.steps import (
    attack_rows,
    compare_with,
    fit_rows,
    frame,
    numbers,
    score_table,
    share_out,
)
from ocsdf.surface_command import surface

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(wanted):
    if wanted:
        typer.echo(f"ocsdf {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
):
    """Anomaly detection with a certificate: a score, and how far a row may move before it flips.

    Try it: `ocsdf report breast_cancer`
    """


@app.command()
def report(
    data: Data,
    label: Label = None,
    anomaly: Anomaly = None,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="'oc': fit on half of the normal rows, judge the other half and all anomalies. "
            "'ad': fit on all rows and judge the same."
        ),
    ] = Protocol.OC,
    radii: Annotated[
        str, typer.Option(metavar="R,R,...", help="Attack radii to certify, scaled l2.")
    ] = "0.05,0.1,0.2,0.3,0.5",
    method: MethodOption = Method.ANCHORED,
    margin: Margin = "auto",
    epochs: Epochs = None,
    attack: Annotated[
        bool,
        typer.Option(
            "--attack",
            help="Also attack the model at each radius (l2 PGD, 50 steps from 3 starts, at most "
            "500 normal rows and 500 anomalies; takes minutes). Needs labels.",
        ),
    ] = False,
    versus: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Also fit and judge other detectors on the same rows, by the names that "
            "'ocsdf bench' takes, in any case; each has 300 seconds. Needs labels.",
        ),
    ] = None,
    seed: Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the report goes.", show_default="ocsdf-report-DATA.html"),
    ] = None,
    as_json: Json = False,
):
    """Fit, judge and certify on one table, and write an HTML report.

    Without a label: scores, radii and verdict counts of all rows, no AUROC.

    Example: `ocsdf report transactions.csv --label fraud --anomaly yes --attack --versus knn`
    """
    import numpy as np

    from ocsdf.data import load_table
    from ocsdf.detectors import spell
    from ocsdf.files import check_output, write_whole
    from ocsdf.judgement import check_radii, judge, ranked_examples
    from ocsdf.report import Setting, render, summarize

    output = output or Path(f"ocsdf-report-{_slug(data)}.html")
    check_output(output, inputs=[data])
    radii = check_radii(numbers(radii))
    rivals = [] if versus is None else spell(versus.split(","))
    table = load_table(data, label=label, anomaly=anomaly)
    if table.y is None and (attack or rivals):
        raise ValueError(
            f"{'--attack' if attack else '--versus'} needs labels, and {table.name} has none: "
            "name the column that marks the anomalies with --label (in .npz and .mat: array y)"
        )
    kind, fitted, rows = share_out(table, protocol, seed)
    estimator, warned = fit_rows(table, fitted, method, margin, epochs, seed)
    setting = Setting(
        name=table.name,
        protocol=kind,
        seed=seed,
        n_fitted=len(table.X[fitted]),
        rows=np.arange(len(table.X))[rows],
        feature_names=tuple(table.feature_names),
        warnings=warned,
    )
    X, y = frame(table, rows), None if table.y is None else table.y[rows]
    with progress_bar("judging"):
        judgement = judge(estimator, X, y, radii=radii, random_state=seed)
        examples = ranked_examples(estimator, X, judgement)
    found = {
        "attacked": attack_rows(estimator, X, y, radii, seed) if attack else None,
        "rivals": compare_with(rivals, table, fitted, rows, radii, kind, seed) if rivals else (),
    }
    write_whole(output, render(judgement, estimator, setting, examples, **found))
    summary = summarize(judgement, estimator, setting, examples, **found)
    summary["report"] = str(output.resolve())
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)


@app.command()
def fit(
    data: Data,
    output: Annotated[Path, typer.Option(metavar="MODEL.ocsdf", help="Where the model goes.")],
    label: Label = None,
    anomaly: Anomaly = None,
    method: MethodOption = Method.ANCHORED,
    margin: Margin = "auto",
    epochs: Epochs = None,
    seed: Seed = 0,
    as_json: Json = False,
):
    """Fit a model and save it.

    With a label, the model is fitted on the normal rows only, and the label is no feature.

    Example: `ocsdf fit transactions.csv --label fraud --output fraud.ocsdf`
    """
    from ocsdf.data import load_table
    from ocsdf.files import check_output

    check_output(output, inputs=[data])
    table = load_table(data, label=label, anomaly=anomaly)
    rows = slice(None) if table.y is None else table.y == 0
    estimator, warned = fit_rows(table, rows, method, margin, epochs, seed)
    estimator.save(output)
    summary = {
        "data": table.name,
        "rows_fitted": len(table.X[rows]),
        "features": estimator.n_features_in_,
        "lipschitz_bound": float(estimator.lipschitz_bound_),
        "margin": float(estimator.margin_),
        "epochs": estimator.n_iter_,
        "seed": seed,
        "warnings": list(warned),
        "model": str(output.resolve()),
    }
    if as_json:
        print_json(summary)
    else:
        typer.echo(
            f"fitted on {summary['rows_fitted']:,} rows x {summary['features']} features of "
            f"{table.name}, seed {seed}; Lipschitz bound {summary['lipschitz_bound']:.9g}"
        )
        typer.echo(f"model: {summary['model']}")


@app.command()
def score(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by ocsdf fit.")],
    data: Data,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A column that is no feature: it is left out."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="SCORES.csv", help="Where the scores go.", show_default="stdout"),
    ] = None,
    as_json: Json = False,
):
    """Score each row: score, verdict, and the certified radius (scaled l2) no change below flips.

    Labels are not needed; name their column with --label so that it is left out.

    Example: `ocsdf score fraud.ocsdf today.csv --output scores.csv`
    """
    from ocsdf.data import load_features
    from ocsdf.files import check_output, write_whole

    if output is not None:
        check_output(output, inputs=[model, data])
    table = load_features(data, drop=label)
    with progress_bar("scoring"):
        scores = score_table(model, table)
    summary = {
        "data": table.name,
        "rows": len(scores),
        "rows_called_anomalies": int((scores["verdict"] == "anomaly").sum()),
        "radius_unit": "scaled l2",
    }
    if output is None:
        text = scores.to_csv(index=False, lineterminator="\n")
        summary["scores"] = scores.to_dict(orient="records")
    else:
        write_whole(output, scores.to_csv(index=False, lineterminator="\n"))
        text = (
            f"{summary['rows_called_anomalies']:,} of {len(scores):,} rows are called anomalies\n"
            f"scores: {output.resolve()}\n"
        )
        summary["output"] = str(output.resolve())
    if as_json:
        print_json(summary)
    else:
        typer.echo(text, nl=False)


@app.command()
def bench(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TABLES",
            help="Names or .npz and .mat files with labels y.",
            show_default="all in $OCSDF_DATA_HOME/adbench",
        ),
    ] = None,
    detectors: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Names, or package.module:Class for a class of ADBench's form, a PyOD detector "
            "or a scikit-learn estimator.",
            show_default="OCSDF, the 14 of the paper, and three beside the ranking",
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
):
    """Compare detectors on tables, and write the figures and a report.

    Killed or stopped, it goes on where it was when the same command is given again. A cell that
    fails or takes too long is a row that says so.

    Example: `ocsdf bench thyroid cardio --detectors OCSDF,IForest,KNN --seeds 3 --jobs 2`
    """
    from ocsdf.benchmark_files import write_report
    from ocsdf.data import EMBEDDED
    from ocsdf.detectors import DETECTORS
    from ocsdf.tabular_benchmark import run_benchmark, tables_at_hand

    tables = tables or tables_at_hand()
    if not tables:
        tables = EMBEDDED
        typer.echo(
            f"no tables in $OCSDF_DATA_HOME/adbench, so here are {', '.join(EMBEDDED)}: "
            "put ADBench's .npz or ODDS' .mat files there for more",
            err=True,
        )
    rows = run_benchmark(
        tables,
        detectors.split(",") if detectors else list(DETECTORS),
        range(seeds),
        protocols.split(","),
        output,
        n_jobs=jobs,
        all_rows=all_rows,
        time_limit=time_limit,
    )
    print_benchmark(rows, write_report(rows, output, adbench_csv=adbench_csv))


@app.command()
def info(as_json: Json = False):
    """Versions, devices, and which extras are installed.

    Example: `ocsdf info --json`
    """
    from ocsdf.report import installed_extras, package_versions

    load_estimator()
    import tensorflow as tf

    facts = {
        "versions": package_versions(),
        "devices": [device.name for device in tf.config.list_physical_devices()],
        "extras": installed_extras(),
    }
    (print_json if as_json else print_info)(facts)


app.command()(surface)


def _slug(data):
    return re.sub(r"[^\w.-]+", "-", Path(data).stem) or "data"


def main():
    """Entry point of the `ocsdf` command."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app()
