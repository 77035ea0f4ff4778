"""Arguments and options that several commands take."""

from enum import StrEnum
from typing import Annotated

import typer


class Protocol(StrEnum):
    """How rows are shared out between the fit and the judgement."""

    OC = "oc"
    AD = "ad"


class Method(StrEnum):
    """The estimator's `method`."""

    ANCHORED = "anchored"
    PAPER = "paper"


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="An embedded data set's name, or a CSV, Parquet, .npz or .mat file."
    ),
]
Label = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The column that marks the anomalies.")
]
Anomaly = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE",
        help="The label's value for an anomaly. 1 for a 0/1 column, required for any other.",
    ),
]
MethodOption = Annotated[
    Method, typer.Option(help="'anchored': the label-free default; 'paper': as published.")
]
Margin = Annotated[
    str,
    typer.Option(metavar="NUMBER|auto", help="Margin > 0 in scaled l2, or 'auto': from the data."),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Passes over the data.", show_default="the estimator's")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the split, the training, the intervals.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
