"""Public names of a package that load the module they stand in when they are first asked for."""

from importlib import import_module


def lazy_names(package, homes):
    """Make what a package's ``__init__`` needs to hand out names without importing their
    modules.
    """
    names = sorted(homes)

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, lambda: names, names
