"""What the commands share: errors in one line, progress, warnings, printed results."""

import json
import os
import sys
import warnings
from contextlib import contextmanager

import typer
from typer.core import TyperGroup

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
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(_CTRL_C) from error


def load_estimator():
    """Import TensorFlow, whose C++ code logs as it loads whatever it is told, and `OCSDF`."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow  # noqa: F401

        from ocsdf import OCSDF
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    return OCSDF


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
        typer.echo(f"warning: {text}", err=True)


def epoch_callback(bar):
    """Return a Keras callback that moves a bar of :func:`progress_bar` by one an epoch."""
    import keras

    progress, task = bar

    def begin(logs):
        progress.update(task, total=callback.params["epochs"])

    callback = keras.callbacks.LambdaCallback(
        on_train_begin=begin, on_epoch_end=lambda epoch, logs: progress.advance(task)
    )
    return callback


@contextmanager
def progress_bar(what):
    """A bar on stderr that leaves nothing behind, and shows nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(file=sys.stderr)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task(what, total=None)


def tracked(bar):
    """Return a wrapper of sequences that moves a bar of :func:`progress_bar` by one an item."""
    progress, task = bar
    return lambda items: progress.track(items, total=len(items), task_id=task)


def print_json(facts):
    """Print one JSON object."""
    typer.echo(json.dumps(facts, indent=2, allow_nan=False))


def print_info(facts):
    """Print versions, devices and extras."""
    for name, version in facts["versions"].items():
        typer.echo(f"{name:14} {version or 'not installed'}")
    typer.echo(f"{'devices':14} {', '.join(facts['devices'])}")
    for name, installed in facts["extras"].items():
        how = "installed" if installed else f"not installed: pip install 'ocsdf[{name}]'"
        typer.echo(f"{'[' + name + ']':14} {how}")


def print_summary(summary):
    """Print a report's figures as a table, and where the report is."""
    from rich.console import Console
    from rich.table import Table

    from ocsdf.pages import certified_percent, percent

    share = {
        "oc": "fitted on half of the normal rows, judged on the rest",
        "ad": "trained on the rows it is judged on",
        "unlabelled": "no label: fitted on the rows it scores",
    }[summary["protocol"]]
    table = Table(title=f"{summary['data']}: {share} (seed {summary['seed']})", title_style="bold")
    labelled = "auroc" in summary
    table.add_column("attack radius\n(scaled l2)", justify="right")
    if labelled:
        table.add_column("certified AUROC\n\\[95 % interval]", justify="right")
    table.add_column("verdicts that\ncannot flip", justify="right")
    if labelled:
        table.add_row("0 (AUROC)", _interval(summary["auroc"], percent), "")
    for row in summary["radii"]:
        certified = [_interval(row["certified_auroc"], certified_percent)] if labelled else []
        verdicts = f"{row['certified_verdicts']:,} of {summary['rows_judged']:,}"
        table.add_row(str(row["radius"]), *certified, verdicts)
    Console().print(table)
    if "attack" in summary:
        Console().print(_attack_table(summary["attack"]))
    if "comparison" in summary:
        Console().print(_comparison_table(summary))
    typer.echo(f"report: {summary['report']}")


def _attack_table(attack):
    from rich.table import Table

    from ocsdf.pages import certified_percent, percent

    title = (
        f"under attack: {attack['attacker']}, {attack['steps']} steps from {attack['restarts']} "
        f"starts, on {attack['normal_rows']:,} normal rows and {attack['anomalies']:,} anomalies"
    )
    table = Table(title=title, title_style="bold")
    for column in ("attack radius\n(scaled l2)", "guaranteed\nAUROC", "attacked\nAUROC"):
        table.add_column(column, justify="right")
    table.add_row("0 (AUROC)", *[percent(attack["auroc"])] * 2)
    for row in attack["radii"]:
        bounds = certified_percent(row["certified_auroc"]), percent(row["attacked_auroc"])
        table.add_row(str(row["radius"]), *bounds)
    return table


def _comparison_table(summary):
    from rich.table import Table
    from rich.text import Text

    from ocsdf.pages import certified_percent, percent

    detectors = summary["comparison"]
    table = Table(title="certified AUROC beside other detectors, same rows", title_style="bold")
    table.add_column("attack radius\n(scaled l2)", justify="right")
    for row in detectors:
        table.add_column(row["detector"], justify="right")
    table.add_row("0 (AUROC)", *[percent(row["auroc"]) for row in detectors])
    for at, radius in enumerate(summary["radii"]):
        bounds = [row["certified_auroc"] for row in detectors]
        texts = ["none" if bound is None else certified_percent(bound[at]) for bound in bounds]
        table.add_row(str(radius["radius"]), *texts)
    failed = [f"{row['detector']} failed: {row['error']}" for row in detectors if row["error"]]
    if failed:
        table.caption = Text("\n".join(failed))  # a plain text may hold brackets
    return table


def print_benchmark(rows, paths):
    """Print each detector's mean AUROC and mean rank, and where the files are."""
    from rich.console import Console
    from rich.table import Table

    from ocsdf.ranking import CONTAMINATED, standing

    for protocol, part in rows.groupby("protocol", sort=False):
        if protocol == CONTAMINATED:
            continue
        found = standing(part)
        table = Table(title=f"{protocol}: {found.comparison.n_tables} tables", title_style="bold")
        table.add_column("detector")
        table.add_column("mean AUROC", justify="right")
        table.add_column("mean rank", justify="right")
        for name, of in found.summary.iterrows():
            table.add_row(name, f"{of['mean_auroc']:.1f}", f"{of['mean_rank']:.1f}")
        Console().print(table)
    n_failed = int(rows["error"].notna().sum())
    if n_failed:
        typer.echo(f"{n_failed} of {len(rows)} cells failed: see the column error")
    for path in paths:
        if path.parent.name != "figures":
            typer.echo(str(path.resolve()))


def _interval(triple, as_text):
    from ocsdf.pages import percent

    value, lower, upper = triple.values()
    ends = "" if lower is None else f" \\[{percent(lower)}, {percent(upper)}]"
    return as_text(value) + ends
