"""The command `ocsdf explain`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, progress_bar, say, tracked
from ocsdf.cli.loading import load_model, load_rows
from ocsdf.cli.options import Data, Json, LeftOut, Model, reads_tables


@reads_tables
def explain(
    model: Model,
    data: Data,
    label: LeftOut = None,
    every: Annotated[
        bool, typer.Option("--all", help="Explain all rows, not only those called anomalies.")
    ] = False,
    sparse: Annotated[
        bool,
        typer.Option(
            "--sparse",
            help="Flips that move as few features as were found to be enough, at most twice as far "
            "as the nearest flip found.",
        ),
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Features a row.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="REASONS.csv", help="Where a table of the reasons goes.", show_default="none"
        ),
    ] = None,
    as_json: Json = False,
    *,
    reading,
):
    """Say why each flagged row is flagged: what would flip its verdict, and what cannot.

    The flip is one that was found and checked, not always the smallest; that no change below the
    certified radius (units of the certificate, l2) flips the verdict is proved.

    Example: `ocsdf explain fraud.ocsdf today.csv --output reasons.csv`
    """
    import numpy as np

    from ocsdf.utils.files import check_output, write_whole
    from ocsdf.utils.text import csv_text

    if output is not None:
        check_output(output, inputs=[model, data])
    estimator, _ = load_model(model)
    X, name = load_rows(estimator, data, label, reading)
    with progress_bar("scoring"):
        flagged = estimator.predict(X) == -1
    rows = np.arange(len(X)) if every else np.flatnonzero(flagged)
    if len(rows):
        with progress_bar("explaining") as bar:
            explanation = estimator.explain(
                X[rows] if isinstance(X, np.ndarray) else X.iloc[rows],
                sparse=sparse,
                track=tracked(bar),
            )
        reasons, said = explanation.to_frame(top), explanation.sentences(min(2, top))
    else:
        reasons, said = None, []
    summary = {
        "data": name,
        "rows": len(X),
        "rows_called_anomalies": int(flagged.sum()),
        "radius_unit": "scaled l2",
        "reasons": [] if reasons is None else _records(reasons),
        "sentences": dict(zip(map(str, rows.tolist()), said, strict=True)),
    }
    if output is not None:
        text = "" if reasons is None else csv_text(reasons, index=False, lineterminator="\n")
        write_whole(output, text)
        summary["output"] = str(output.resolve())
    if as_json:
        print_json(summary)
        return
    for row, sentence in zip(rows.tolist(), said, strict=True):
        say(f"row {row}: {sentence}")
    typer.echo(f"{summary['rows_called_anomalies']:,} of {len(X):,} rows are called anomalies")
    if output is not None:
        typer.echo(f"reasons: {summary['output']}")


def _records(reasons):
    """Lines of a table as JSON types, which have no NaN, no infinity and no dates."""
    lines = reasons.to_dict(orient="records")
    return [{name: _plain(value) for name, value in line.items()} for line in lines]


def _plain(value):
    import numpy as np

    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
