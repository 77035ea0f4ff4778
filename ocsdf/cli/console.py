"""What the commands share: errors in one line, progress, warnings, printed results."""

import json
import sys
import warnings
from contextlib import contextmanager

import typer
from typer.core import TyperGroup

from ocsdf.training.callbacks import Callback
from ocsdf.utils.text import visible

_CTRL_C = 130


class OneLineErrors(TyperGroup):
    """Turns errors of the kinds that bad input raises into one line and exit code 2."""

    def invoke(self, ctx):
        """Run a command; see click."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ValueError, TypeError, OSError, ImportError) as error:
            if isinstance(error, ImportError) and error.name:
                raise  # not an extra that is missing, but an installation that is broken
            say(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(_CTRL_C) from error


@contextmanager
def warnings_told():
    """Collect warnings for the user, then say each in one line on stderr."""
    told = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    told += [
        " ".join(str(one.message).split())
        for one in caught
        if issubclass(one.category, UserWarning)
    ]
    for text in told:
        say(f"warning: {text}", err=True)


class EpochBar(Callback):
    """Moves a bar of :func:`progress_bar` by one an epoch."""

    def __init__(self, bar):
        self._progress, self._task = bar

    def on_train_begin(self, logs=None):
        """Tell the bar how many epochs there are."""
        self._progress.update(self._task, total=self.params["epochs"])

    def on_epoch_end(self, epoch, logs=None):
        """Move the bar."""
        self._progress.advance(self._task)


@contextmanager
def progress_bar(what):
    """A bar on stderr that leaves nothing behind, and shows nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(file=sys.stderr)
    console.quiet = not console.is_terminal  # rich 13 ends a bar that is not shown with a line
    with Progress(console=console, transient=True, disable=console.quiet) as progress:
        yield progress, progress.add_task(what, total=None)


def tracked(bar):
    """Return a wrapper of sequences that moves a bar of :func:`progress_bar` by one an item."""
    progress, task = bar
    return lambda items: progress.track(items, total=len(items), task_id=task)


def say(text, err=False):
    """Print a line in which the names of users may stand."""
    typer.echo(visible(text), err=err)


def print_table(table):
    """Print a rich table by any encoding: few of those of terminals have a no-break space."""
    from rich.console import Console

    console = Console()
    with console.capture() as captured:
        console.print(table)
    typer.echo(captured.get().replace("\N{NO-BREAK SPACE}", " "), nl=False)


def plain(text):
    """Return a text of users for a rich table, which shows it as it is."""
    from rich.text import Text

    return Text(visible(str(text)))


def print_json(facts):
    """Print one JSON object."""
    typer.echo(json.dumps(facts, indent=2, allow_nan=False))
