"""Public names of a package that load the module they stand in when they are first asked for."""

from importlib import import_module


def lazy_names(package, homes):
    """Make what a package's ``__init__`` needs to hand out names without importing their modules.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    homes : dict of str to str
        The module that each public name stands in, by its whole name.

    Returns
    -------
    tuple of (callable, callable, list of str)
        ``__getattr__``, ``__dir__`` and ``__all__`` (PEP 562).
    """
    names = sorted(homes)

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, lambda: names, names
