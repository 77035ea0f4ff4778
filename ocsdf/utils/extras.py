"""What to say where a package is missing that only an extra brings."""


def how_to_install(extra):
    """Say how to install one of the project's extras."""
    # As long as no index has the package, it is installed from the project's folder.
    return f"pip install -e '.[{extra}]'"
