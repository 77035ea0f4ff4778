"""The command `ocsdf fit`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json, say
from ocsdf.cli.fitting import fit_rows
from ocsdf.cli.loading import load_labelled
from ocsdf.cli.options import (
    Anomaly,
    Contamination,
    Data,
    Epochs,
    Json,
    Label,
    Margin,
    Method,
    MethodOption,
    Seed,
    reads_tables,
)


@reads_tables
def fit(
    data: Data,
    output: Annotated[Path, typer.Option(metavar="MODEL.ocsdf", help="Where the model goes.")],
    label: Label = None,
    anomaly: Anomaly = None,
    method: MethodOption = Method.ANCHORED,
    margin: Margin = "auto",
    contamination: Contamination = "auto",
    epochs: Epochs = None,
    seed: Seed = 0,
    as_json: Json = False,
    *,
    reading,
):
    """Fit a model and save it.

    With a label, the model is fitted on the normal rows only, and the label is no feature. There
    may be normal rows only.

    Example: `ocsdf fit transactions.csv --label fraud --output fraud.ocsdf`
    """
    from ocsdf.utils.files import check_output

    check_output(output, inputs=[data])
    table, told = load_labelled(data, label, anomaly, reading, both=False)
    rows = slice(None) if table.y is None else table.y == 0
    estimator, warned = fit_rows(table, rows, method, margin, contamination, epochs, seed)
    estimator.save(output)
    summary = {
        "data": table.name,
        "rows_fitted": len(table.X[rows]),
        "features": estimator.n_features_in_,
        "lipschitz_bound": float(estimator.lipschitz_bound_),
        "margin": float(estimator.margin_),
        "epochs": estimator.n_iter_,
        "seed": seed,
        "warnings": [*told, *warned],
        "model": str(output.resolve()),
    }
    if as_json:
        print_json(summary)
    else:
        say(
            f"fitted on {summary['rows_fitted']:,} rows x {summary['features']} features of "
            f"{table.name}, seed {seed}; Lipschitz bound {summary['lipschitz_bound']:.9g}"
        )
        say(f"model: {summary['model']}")
