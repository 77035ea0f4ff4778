"""The `ocsdf` command."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "app": "ocsdf.cli.commands",
        "main": "ocsdf.cli.start",
    },
)
