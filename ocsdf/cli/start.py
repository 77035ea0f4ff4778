"""Where the `ocsdf` command begins: before anything that a light environment lacks is imported."""

import sys


def main():
    """Run the command, or say in one line which package it does not find."""
    try:
        from ocsdf.cli.commands import main as run

        run()
    except ModuleNotFoundError as error:
        package = (error.name or "ocsdf").partition(".")[0]
        if package == "ocsdf":
            raise
        print(
            f"error: the command ocsdf needs {package}, which is not installed here: "
            f"pip install {package}",
            file=sys.stderr,
        )
        sys.exit(1)
