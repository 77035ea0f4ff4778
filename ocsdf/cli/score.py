"""The command `ocsdf score`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, progress_bar, say
from ocsdf.cli.loading import load_model, load_rows
from ocsdf.cli.options import Data, Json, LeftOut, reads_tables


@reads_tables
def score(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A file, or a folder of models, of ocsdf fit."),
    ],
    data: Data,
    label: LeftOut = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="SCORES.csv|.parquet|FOLDER",
            help="Where the scores go; a folder takes Parquet parts.",
            show_default="stdout",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN,...",
            help="Columns that are no features, such as keys, to stand beside the scores.",
            show_default=False,
        ),
    ] = None,
    reasons: Annotated[
        int, typer.Option(min=0, help="Features to name as the reasons of each anomaly.")
    ] = 0,
    as_json: Json = False,
    *,
    reading,
):
    """Score each row: score, verdict, and the certified radius (scaled l2) no change below flips.

    Columns are found by the names that the model was fitted on; others are left out. Labels are
    not needed; name their column with --label where the model has no names. Large files, folders
    of files, and scores in Parquet are done a part at a time: a run that was killed goes on where
    it stopped.

    Example: `ocsdf score fraud.ocsdf today.csv --output scores.csv`
    """
    from ocsdf.data.batches import is_large
    from ocsdf.utils.files import check_output

    keep = [name for item in keep or () for name in item.split(",")]
    in_parts = keep or is_large(data) or model.is_dir() or _takes_parts(output)
    if output is not None and not (in_parts and output.is_dir()):
        check_output(output, inputs=[model, data])
    if in_parts:
        if output is None and as_json:
            raise ValueError("--json holds no scores of a large table: name a file with --output")
        summary, text = _score_in_parts(model, data, label, output, keep, reasons, reading)
    else:
        summary, text = _score_whole(model, data, label, output, reasons, reading, as_json)
    if as_json:
        print_json(summary)
    else:
        typer.echo(text, nl=False)
        if summary.get("drift", {}).get("drifted"):
            say(f"warning: {summary['drift']['sentence']}", err=output is None)


def _takes_parts(output):
    return output is not None and (output.is_dir() or output.suffix.lower() == ".parquet")


def _score_whole(model, data, label, output, reasons, reading, as_json):
    """Score a table that is read whole; return the summary, and the text to print."""
    from ocsdf.cli.streaming import Totals
    from ocsdf.sklearn_compat import score_frame
    from ocsdf.utils.files import write_whole
    from ocsdf.utils.parts import csv_lines

    estimator, _ = load_model(model, calibrated=True)
    X, name = load_rows(estimator, data, label, reading)
    with progress_bar("scoring"):
        scores = score_frame(estimator, X, reasons=reasons)
    totals = Totals(estimator)
    totals.add(_as_frame(X), scores)
    scores.insert(0, "row", range(len(scores)))
    summary = _summary(name, totals, output)
    text = csv_lines(scores)
    if output is not None:
        write_whole(output, text)
        text = _told(summary)
    elif as_json:
        summary["scores"] = scores.to_dict(orient="records")
    return summary, text


def _score_in_parts(model, data, label, output, keep, reasons, reading):
    """Score a table a part at a time; return the summary, and the text to print."""
    from ocsdf.cli.streaming import open_for_model, stream_scores, write_summary
    from ocsdf.data.readers import table_name

    estimator, _ = load_model(model, calibrated=True)
    batches = open_for_model(estimator, data, label, reading, keep)
    totals = stream_scores(estimator, model, batches, output, keep, reasons)
    summary = _summary(table_name(data), totals, output)
    write_summary(summary, output)
    return summary, "" if output is None else _told(summary)


def _summary(name, totals, output):
    from ocsdf.cli.streaming import drift_facts

    summary = {
        "data": name,
        "rows": totals.n_rows,
        "rows_called_anomalies": totals.n_anomalies,
        "radius_unit": "scaled l2",
        **drift_facts(totals.drift()),
    }
    return summary if output is None else summary | {"output": str(output.resolve())}


def _told(summary):
    return (
        f"{summary['rows_called_anomalies']:,} of {summary['rows']:,} rows are called anomalies\n"
        f"scores: {summary['output']}\n"
    )


def _as_frame(X):
    import pandas as pd

    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)
