"""The command `ocsdf report`. Heavy modules are imported inside, so that help stays quick."""

import re
from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, progress_bar, tracked
from ocsdf.cli.fitting import fit_rows, frame
from ocsdf.cli.options import (
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

    from ocsdf.benchmark.detectors import spell
    from ocsdf.data.tables import load_table
    from ocsdf.report.evaluation import increasing_radii, judge, ranked_examples
    from ocsdf.report.summary import Setting, render, summarize
    from ocsdf.utils.files import check_output, write_whole

    output = output or Path(f"ocsdf-report-{_slug(data)}.html")
    check_output(output, inputs=[data])
    radii = increasing_radii(_numbers(radii))
    rivals = [] if versus is None else spell(versus.split(","))
    table = load_table(data, label=label, anomaly=anomaly)
    if table.y is None and (attack or rivals):
        raise ValueError(
            f"{'--attack' if attack else '--versus'} needs labels, and {table.name} has none: "
            "name the column that marks the anomalies with --label (in .npz and .mat: array y)"
        )
    kind, fitted, rows = _share_out(table, protocol, seed)
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
        "attacked": _attack_rows(estimator, X, y, radii, seed) if attack else None,
        "rivals": _compare_with(rivals, table, fitted, rows, radii, kind, seed) if rivals else (),
    }
    write_whole(output, render(judgement, estimator, setting, examples, **found))
    summary = summarize(judgement, estimator, setting, examples, **found)
    summary["report"] = str(output.resolve())
    if as_json:
        print_json(summary)
    else:
        _print_summary(summary)


def _numbers(text):
    """Read the option --radii."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--radii must be numbers parted by commas; got {text!r}") from None


def _share_out(table, protocol, seed):
    """Return the protocol's name, or "unlabelled"; the rows to fit on; and the rows to judge."""
    from ocsdf.data.tables import split_one_class

    if table.y is None:
        return "unlabelled", slice(None), slice(None)
    if protocol is Protocol.AD:
        return "ad", slice(None), slice(None)
    return "oc", *split_one_class(table.y, random_state=seed)


def _attack_rows(estimator, X, y, radii, seed):
    """Attack as many of the rows judged as there is time for."""
    from ocsdf.report.rivals import attack, rows_to_attack

    rows = rows_to_attack(y, seed)
    X, y = X.iloc[rows], y[rows]
    with progress_bar("attacking") as bar:
        return attack(estimator, X, y, radii=radii, random_state=seed, track=tracked(bar))


def _compare_with(names, table, fitted, judged, radii, protocol, seed):
    """Fit and judge other detectors on the same rows."""
    from ocsdf.report.rivals import compare

    rows = (table.X[fitted], table.X[judged], table.y[judged])
    known = {"radii": radii, "protocol": protocol, "random_state": seed}
    with progress_bar("comparing") as bar:
        return compare(names, *rows, **known, track=tracked(bar))


def _print_summary(summary):
    """Print a report's figures as a table, and where the report is."""
    from rich.console import Console
    from rich.table import Table

    from ocsdf.utils.html import certified_percent, percent

    share = {
        "oc": "fitted on half of the normal rows, judged on the rest",
        "ad": "trained on the rows it is judged on",
        "unlabelled": "no label: fitted on the rows it scores",
    }[summary["protocol"]]
    table = Table(title=f"{summary['data']}: {share} (seed {summary['seed']})", title_style="bold")
    labelled = "auroc" in summary
    table.add_column("attack radius\n(scaled l2)", justify="right")
    if labelled:
        table.add_column("certified AUROC\n\\[95 % interval]", justify="right")
    table.add_column("verdicts that\ncannot flip", justify="right")
    if labelled:
        table.add_row("0 (AUROC)", _interval(summary["auroc"], percent), "")
    for row in summary["radii"]:
        certified = [_interval(row["certified_auroc"], certified_percent)] if labelled else []
        verdicts = f"{row['certified_verdicts']:,} of {summary['rows_judged']:,}"
        table.add_row(str(row["radius"]), *certified, verdicts)
    Console().print(table)
    if "attack" in summary:
        Console().print(_attack_table(summary["attack"]))
    if "comparison" in summary:
        Console().print(_comparison_table(summary))
    typer.echo(f"report: {summary['report']}")


def _attack_table(attack):
    from rich.table import Table

    from ocsdf.utils.html import certified_percent, percent

    title = (
        f"under attack: {attack['attacker']}, {attack['steps']} steps from {attack['restarts']} "
        f"starts, on {attack['normal_rows']:,} normal rows and {attack['anomalies']:,} anomalies"
    )
    table = Table(title=title, title_style="bold")
    for column in ("attack radius\n(scaled l2)", "guaranteed\nAUROC", "attacked\nAUROC"):
        table.add_column(column, justify="right")
    table.add_row("0 (AUROC)", *[percent(attack["auroc"])] * 2)
    for row in attack["radii"]:
        bounds = certified_percent(row["certified_auroc"]), percent(row["attacked_auroc"])
        table.add_row(str(row["radius"]), *bounds)
    return table


def _comparison_table(summary):
    from rich.table import Table
    from rich.text import Text

    from ocsdf.utils.html import certified_percent, percent

    detectors = summary["comparison"]
    table = Table(title="certified AUROC beside other detectors, same rows", title_style="bold")
    table.add_column("attack radius\n(scaled l2)", justify="right")
    for row in detectors:
        table.add_column(row["detector"], justify="right")
    table.add_row("0 (AUROC)", *[percent(row["auroc"]) for row in detectors])
    for at, radius in enumerate(summary["radii"]):
        bounds = [row["certified_auroc"] for row in detectors]
        texts = ["none" if bound is None else certified_percent(bound[at]) for bound in bounds]
        table.add_row(str(radius["radius"]), *texts)
    failed = [f"{row['detector']} failed: {row['error']}" for row in detectors if row["error"]]
    if failed:
        table.caption = Text("\n".join(failed))  # a plain text may hold brackets
    return table


def _interval(triple, as_text):
    from ocsdf.utils.html import percent

    value, lower, upper = triple.values()
    ends = "" if lower is None else f" \\[{percent(lower)}, {percent(upper)}]"
    return as_text(value) + ends


def _slug(data):
    return re.sub(r"[^\w.-]+", "-", Path(data).stem) or "data"
