"""The command `ocsdf fit`. Heavy modules are imported inside, so that help stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli import options
from ocsdf.cli.batches import open_batches, summarize_normal
from ocsdf.cli.console import print_json, say
from ocsdf.cli.fitting import fit_detector
from ocsdf.cli.loading import frame, kinds_of_columns, load_labelled


@options.reads_tables
def fit(
    data: options.Data,
    output: Annotated[
        Path,
        typer.Option(
            metavar="MODEL.ocsdf", help="Where the model goes; with --by, the folder of models."
        ),
    ],
    label: options.Label = None,
    anomaly: options.Anomaly = None,
    method: options.MethodOption = options.Method.ANCHORED,
    emphasis: options.EmphasisOption = options.Emphasis.ACCURACY,
    margin: options.Margin = "auto",
    contamination: options.Contamination = "auto",
    epochs: options.Epochs = None,
    missing: options.MissingOption = options.Missing.ERROR,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Fit a model for each value of a column."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="With --by: models fitted at a time.")] = 1,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    *,
    reading,
):
    """Fit a model and save it.

    Columns of text are categories, or dates where they are written as in 2026-01-31 12:00:00.
    With a label, the model is fitted on the normal rows only, and the label is no feature. There
    may be normal rows only. Large files and folders of files are read in batches: features are
    standardized by all rows, and the rest is fitted on a random sample of 32,768.

    Example: `ocsdf fit transactions.csv --label fraud --output fraud.ocsdf`
    """
    from ocsdf.data.batches import is_large
    from ocsdf.utils.files import check_output

    how = (method, emphasis, margin, contamination, epochs, missing, seed)
    if by is not None:
        from ocsdf.cli.segments import fit_segments

        summary = fit_segments(data, output, label, anomaly, how, by, jobs, reading)
    else:
        check_output(output, inputs=[data])
        source = _passed_over if is_large(data) else _read_whole
        X, facts, told = source(data, label, anomaly, reading, seed, missing)
        estimator, warned = fit_detector(X, *how)
        estimator.save(output)
        summary = {
            **facts,
            "features": estimator.n_features_in_,
            "columns": kinds_of_columns(estimator),
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
        _tell(summary)


def _read_whole(data, label, anomaly, reading, *_):
    """Read the normal rows of a table; return them, what the summary says of them, warnings."""
    table, told = load_labelled(data, label, anomaly, reading, both=False)
    X = frame(table, slice(None) if table.y is None else table.y == 0)
    return X, {"data": table.name, "rows_fitted": len(X)}, told


def _passed_over(data, label, anomaly, reading, seed, missing):
    """Summarize the normal rows of a large table, in one pass over it."""
    from ocsdf.data.readers import table_name

    batches, told = open_batches(data, reading, label, anomaly)
    summary, _ = summarize_normal(batches, seed, label, missing.value)
    facts = {
        "data": table_name(data),
        "rows_fitted": summary.n_seen,
        "rows_sampled": len(summary.rows),
    }
    return summary, facts, told


def _tell(summary):
    if "models" in summary:
        say(
            f"fitted {summary['models']:,} models on {summary['rows_fitted']:,} rows of "
            f"{summary['data']}, one for each {summary['by']}, and one of all rows"
        )
    else:
        sampled = summary.get("rows_sampled")
        say(
            f"fitted on {summary['rows_fitted']:,} rows x {summary['features']} features of "
            f"{summary['data']}, seed {summary['seed']}; Lipschitz bound "
            f"{summary['lipschitz_bound']:.9g}"
            + (f"; moments of all rows, the rest on {sampled:,}" if sampled else "")
        )
        for kind, names in summary["columns"].items():
            say(f"{kind}: {', '.join(names)}")
    say(f"model: {summary['model']}")
