"""The `ocsdf` command: one module a command."""

import os
import sys
from typing import Annotated

import typer

from ocsdf._version import __version__
from ocsdf.cli.bench import bench
from ocsdf.cli.console import OneLineErrors
from ocsdf.cli.explain import explain
from ocsdf.cli.export import export
from ocsdf.cli.fit import fit
from ocsdf.cli.info import info
from ocsdf.cli.report import report
from ocsdf.cli.score import score
from ocsdf.cli.surface import surface

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(wanted):
    if wanted:
        typer.echo(f"ocsdf {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
):
    """Anomaly detection with a certificate: a score, and how far a row may move before it flips.

    Try it: `ocsdf report breast_cancer`
    """


for command in (report, fit, score, explain, export, bench, surface, info):
    app.command()(command)


def main():
    """Entry point of the `ocsdf` command."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown by its code, and stops nothing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
