"""The command `ocsdf score`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, progress_bar
from ocsdf.cli.loading import load_model, load_rows
from ocsdf.cli.options import Data, Json, reads_tables


@reads_tables
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
    *,
    reading,
):
    """Score each row: score, verdict, and the certified radius (scaled l2) no change below flips.

    Columns are found by the names that the model was fitted on; others are left out. Labels are
    not needed; name their column with --label where the model has no names.

    Example: `ocsdf score fraud.ocsdf today.csv --output scores.csv`
    """
    from ocsdf.utils.files import check_output, write_whole

    if output is not None:
        check_output(output, inputs=[model, data])
    name, scores = _score(model, data, label, reading)
    summary = {
        "data": name,
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


def _score(model, data, label, reading):
    """Score a table with a saved model; return the table's name and the scores."""
    from ocsdf.sklearn_compat import score_frame

    estimator, _ = load_model(model, calibrated=True)
    X, name = load_rows(estimator, data, label, reading)
    with progress_bar("scoring"):
        scores = score_frame(estimator, X)
    scores.insert(0, "row", range(len(scores)))
    return name, scores
