"""The command `ocsdf export`. Heavy modules are imported inside, so that help stays quick."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ocsdf.cli.console import print_json
from ocsdf.cli.loading import load_model
from ocsdf.cli.options import Json, Model


class Precision(StrEnum):
    """Float type of an exported graph."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"


def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL.onnx")],
    dtype: Annotated[
        Precision, typer.Option(help="float32 for runtimes without float64; its radii are smaller.")
    ] = Precision.FLOAT64,
    as_json: Json = False,
):
    """Write a model as ONNX: raw rows to score, verdict and certified radius (extra `onnx`).

    Example: `ocsdf export fraud.ocsdf -o fraud.onnx`
    """
    from ocsdf.export.graph import require_onnx
    from ocsdf.utils.files import check_output

    check_output(output, inputs=[model])
    require_onnx()
    estimator, _ = load_model(model)
    estimator.export(output, dtype=dtype.value)
    summary = {
        "features": estimator.n_features_in_,
        "dtype": dtype.value,
        "outputs": ["score", "decision", "verdict", "certified_radius"],
        "onnx": str(output.resolve()),
    }
    if as_json:
        print_json(summary)
    else:
        typer.echo(
            f"{summary['features']} features in {dtype.value} to {', '.join(summary['outputs'])}"
        )
        typer.echo(f"onnx: {summary['onnx']}")
