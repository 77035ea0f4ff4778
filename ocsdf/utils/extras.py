"""What to say where a package is missing that only an extra brings."""


def how_to_install(extra):
    """Say how to install one of the project's extras."""
    # pip takes the extras of an installed package from itself: no index and no folder is asked.
    return f"pip install 'ocsdf[{extra}]'"
