"""The command `ocsdf info`. Heavy modules are imported inside, so that help stays quick."""

from importlib.util import find_spec

import typer

from ocsdf.cli.console import print_json
from ocsdf.cli.options import Json
from ocsdf.utils.extras import how_to_install


def info(as_json: Json = False):
    """Versions, devices, and which extras are installed.

    Example: `ocsdf info --json`
    """
    from ocsdf.report.provenance import installed_extras, package_versions

    facts = {
        "versions": package_versions(),
        "devices": _devices(),
        "extras": installed_extras(),
    }
    (print_json if as_json else _print_info)(facts)


def _devices():
    """Name what TensorFlow computes on; nothing where it is not installed."""
    if find_spec("tensorflow") is None:
        return []
    import tensorflow as tf

    return [device.name for device in tf.config.list_physical_devices()]


def _print_info(facts):
    """Print versions, devices and extras."""
    for name, version in facts["versions"].items():
        typer.echo(f"{name:14} {version or 'not installed'}")
    typer.echo(f"{'devices':14} {', '.join(facts['devices']) or 'TensorFlow is not installed'}")
    for name, installed in facts["extras"].items():
        how = "installed" if installed else f"not installed: {how_to_install(name)}"
        typer.echo(f"{'[' + name + ']':14} {how}")
