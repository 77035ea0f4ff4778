"""The command `ocsdf report`. Heavy modules are imported inside, so that help stays quick."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli import options
from ocsdf.cli.console import print_json, progress_bar
from ocsdf.cli.fitting import fit_rows, share_out
from ocsdf.cli.loading import frame, known_columns, load_labelled, load_model, refuse_mixed
from ocsdf.cli.report_sections import attack_rows, compare_with, other_seeds
from ocsdf.cli.report_tables import print_summary
from ocsdf.cli.segments import report_segments


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"


@options.reads_tables
def report(
    data: options.Data,
    label: options.Label = None,
    anomaly: options.Anomaly = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.ocsdf",
            help="Report on a model that ocsdf fit wrote, and judge all rows with it, instead of "
            "fitting one; on a folder of models, rank the segments.",
        ),
    ] = None,
    protocol: Annotated[
        options.Protocol,
        typer.Option(
            help="'oc': fit on half of the normal rows, judge the other half and all anomalies. "
            "'ad': fit on all rows and judge the same."
        ),
    ] = options.Protocol.OC,
    radii: Annotated[
        str, typer.Option(metavar="R,R,...", help="Attack radii to certify, scaled l2.")
    ] = "0.05,0.1,0.2,0.3,0.5",
    alpha: Annotated[
        float, typer.Option(help="Level of the alarms: the rate of false ones.")
    ] = 0.05,
    cost_miss: Annotated[float, typer.Option(help="What an anomaly without an alarm costs.")] = 1.0,
    cost_alarm: Annotated[float, typer.Option(help="What a false alarm costs.")] = 1.0,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A feature to part the rows in subgroups by."),
    ] = None,
    method: options.MethodOption = options.Method.ANCHORED,
    emphasis: options.EmphasisOption = options.Emphasis.ACCURACY,
    margin: options.Margin = "auto",
    contamination: options.Contamination = "auto",
    epochs: options.Epochs = None,
    missing: options.MissingOption = options.Missing.ERROR,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Fit with so many seeds, to see how much figures depend on it."),
    ] = 1,
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
            "'ocsdf bench' takes, in any case; each has 300 seconds. Needs labels. With --attack "
            "all are attacked alike, too (random search, 200 scores a row and radius, at most 200 "
            "normal rows and 200 anomalies).",
        ),
    ] = None,
    seed: options.Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the report goes.", show_default="ocsdf-report-DATA.html"),
    ] = None,
    kind: Annotated[
        Format | None,
        typer.Option("--format", help="What to write.", show_default="by the suffix, or html"),
    ] = None,
    as_json: options.Json = False,
    *,
    reading,
):
    """Fit, judge and certify on one table, and write a report.

    Without a label: scores, radii and verdict counts of all rows, no AUROC.

    Example: `ocsdf report transactions.csv --label fraud --anomaly yes --attack --versus knn`
    """
    from ocsdf.benchmark.detectors import spell
    from ocsdf.decisions.checks import check_share
    from ocsdf.report.costs import check_costs
    from ocsdf.report.evaluation import increasing_radii
    from ocsdf.utils.files import check_output, write_whole

    kind, output = _format(kind, output, data)
    check_output(output, inputs=[data] if model is None else [data, model])
    if model is not None and model.is_dir():
        return report_segments(data, model, label, reading, output, as_json)
    radii = increasing_radii(_numbers(radii))
    check_share(alpha, "alpha")
    check_costs(cost_miss, cost_alarm)
    rivals = [] if versus is None else spell(versus.split(","))
    how = (method, emphasis, margin, contamination, epochs, missing)
    _refuse_with_model(model, how, seeds, rivals)
    estimator, warned = (None, ()) if model is None else load_model(model)
    table, told = load_labelled(data, label, anomaly, reading | known_columns(estimator))
    needing = {"--attack": attack, "--versus": rivals, "--seeds": seeds > 1}
    if table.y is None and any(needing.values()):
        option = next(name for name, asked in needing.items() if asked)
        raise ValueError(
            f"{option} needs labels, and {table.name} has none: name the column that marks the "
            "anomalies with --label (in .npz and .mat: array y)"
        )
    refuse_mixed(table, {"--attack": attack, "--versus": rivals})
    if by is not None and by not in table.feature_names:
        raise ValueError(f"--by must name a feature of {table.name}; it has no {by!r}")
    protocol, fitted, rows = share_out(table, protocol, model, seed)
    if model is None:
        estimator, warned = fit_rows(table, fitted, *how, seed)
    summary = _summarize(
        *(estimator, table, protocol, fitted, rows, radii, seed),
        chosen={"alpha": alpha, "cost_miss": cost_miss, "cost_alarm": cost_alarm},
        by=by,
        model=model,
        data=data,
        warned=(*told, *warned),
        attack=attack,
        rivals=rivals,
        refit=(how, seeds),
    )
    write_whole(output, _written(summary, kind))
    summary["report"] = str(output.resolve())
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)


def _summarize(
    estimator,
    table,
    protocol,
    fitted,
    rows,
    radii,
    seed,
    *,
    chosen,
    by,
    model,
    data,
    warned,
    attack,
    rivals,
    refit,
):
    """Compute all that the report says, once."""
    import numpy as np

    from ocsdf.report.evaluation import evaluate, ranked_examples
    from ocsdf.report.provenance import provenance
    from ocsdf.report.summary import Setting, summarize

    X, y = frame(table, rows), None if table.y is None else table.y[rows]
    setting = Setting(
        name=table.name,
        protocol=protocol,
        seed=seed,
        n_fitted=None if model is not None else len(frame(table, fitted)),
        rows=np.arange(len(table.X))[rows],
        feature_names=tuple(table.feature_names),
        warnings=warned,
        made=provenance(data, model, (table.X, table.y)),
        by=None if by is None else (by, X[by].to_numpy()),
        **chosen,
    )
    with progress_bar("judging"):
        evaluation = evaluate(estimator, X, y, radii=radii, random_state=seed)
        examples = ranked_examples(estimator, X, evaluation)
    how, n_seeds = refit
    attacked = attack_rows(estimator, X, y, radii, seed) if attack else None
    compared, challenged = (), None
    if rivals:
        shared = (table, fitted, rows, radii, protocol, seed)
        compared, challenged = compare_with(rivals, estimator if attack else None, *shared)
    return summarize(
        *(evaluation, estimator, setting, examples),
        attacked=attacked,
        rivals=compared,
        challenged=challenged,
        seeds=other_seeds(table, fitted, how, evaluation, X, seed, n_seeds)
        if n_seeds > 1
        else None,
    )


def _format(kind, output, data):
    """What to write and where, each by the other if only one is given."""
    from ocsdf.data.readers import table_name

    if kind is None:
        suffixes = {f".{one.value}": one for one in Format}
        kind = Format.HTML if output is None else suffixes.get(output.suffix.lower(), Format.HTML)
    return kind, output or Path(f"ocsdf-report-{_slug(table_name(data))}.{kind.value}")


def _written(summary, kind):
    """The text of the report."""
    from ocsdf.report.page import render_html, render_markdown

    if kind is Format.JSON:
        return json.dumps(summary, indent=2, allow_nan=False) + "\n"
    return (render_html if kind is Format.HTML else render_markdown)(summary)


def _refuse_with_model(model, how, seeds, rivals):
    """Options of a fit make no sense where a model is there already."""
    if model is None:
        return
    method, emphasis, margin, contamination, epochs, missing = how
    given = {
        "--method": method is not options.Method.ANCHORED,
        "--emphasis": emphasis is not options.Emphasis.ACCURACY,
        "--margin": margin != "auto",
        "--contamination": contamination != "auto",
        "--epochs": epochs is not None,
        "--missing": missing is not options.Missing.ERROR,
        "--seeds": seeds > 1,
        "--versus": bool(rivals),
    }
    for option, asked in given.items():
        if asked:
            raise ValueError(f"{option} is for a fit, and --model reports on one that is done")


def _numbers(text):
    """Read the option --radii."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--radii must be numbers parted by commas; got {text!r}") from None


def _slug(name):
    return re.sub(r"[^\w.-]+", "-", name) or "data"
