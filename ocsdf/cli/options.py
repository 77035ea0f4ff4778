"""Arguments and options that several commands take."""

from enum import StrEnum
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
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


class Emphasis(StrEnum):
    """The estimator's `emphasis`."""

    ACCURACY = "accuracy"
    CERTIFICATE = "certificate"
    CONTAMINATION = "contamination"


class Missing(StrEnum):
    """The estimator's `missing`."""

    ERROR = "error"
    INDICATE = "indicate"


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="An embedded data set's name; a .csv, .tsv or .txt file (also .gz), or - for the "
        "standard input; a .parquet, .npz or .mat file.",
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by ocsdf fit.")]
LeftOut = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="A column that is no feature: it is left out."),
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
EmphasisOption = Annotated[
    Emphasis,
    typer.Option(
        help="What the default is best at; 'contamination': where the rows fitted on hold many "
        "anomalies."
    ),
]
Margin = Annotated[
    str,
    typer.Option(metavar="NUMBER|auto", help="Margin > 0 in scaled l2, or 'auto': from the data."),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Passes over the data.", show_default="the estimator's")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the split, the training, the intervals.")]
Contamination = Annotated[
    str,
    typer.Option(
        metavar="SHARE|auto|estimate",
        help="Share of the rows fitted on that are called anomalies; 'auto': f = 0 is the edge; "
        "'estimate': those that lie apart from the others.",
    ),
]
MissingOption = Annotated[
    Missing,
    typer.Option(help="Missing values: refused, or the column's median and a code of their own."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

# How a table is read. Commands get all of it as one argument, see reads_tables.
_READING = {
    "sep": Annotated[
        str | None,
        typer.Option(
            metavar="SIGN|tab", help="Text: the sign between columns.", show_default="detected"
        ),
    ],
    "decimal": Annotated[
        str | None,
        typer.Option(metavar="SIGN", help="Text: the decimal sign.", show_default="detected"),
    ],
    "encoding": Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Text: such as cp1252.", show_default="utf-8"),
    ],
    "no_header": Annotated[
        bool, typer.Option("--no-header", help="Text: the first line is data; columns: x0, x1, ...")
    ],
    "drop": Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN,...", help="Columns that are no features.", show_default=False
        ),
    ],
    "features": Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN,...", help="The features.", show_default="all but label and dropped"
        ),
    ],
}
_DEFAULTS = {"no_header": False}


def reads_tables(command):
    """Give a command the options of how tables are read, as one dictionary ``reading``.

    What it takes by name is what :func:`ocsdf.load_table` takes.
    """

    @wraps(command)
    def run(*, sep, decimal, encoding, no_header, drop, features, **options):
        reading = {"sep": sep, "decimal": decimal, "encoding": encoding, "header": not no_header}
        reading |= {"drop": tuple(drop or ()), "features": tuple(features) if features else None}
        return command(**options, reading=reading)

    own = [one for one in signature(command).parameters.values() if one.name != "reading"]
    added = [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=_DEFAULTS.get(name))
        for name, kind in _READING.items()
    ]
    run.__signature__ = signature(command).replace(
        parameters=[one.replace(kind=Parameter.KEYWORD_ONLY) for one in own] + added
    )
    return run
