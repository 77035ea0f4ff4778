"""What to say where a package is missing that only an extra brings."""


def how_to_install(extra):
    """Say how to install one of the project's extras.

    Parameters
    ----------
    extra : str
        As setup.cfg names it.

    Returns
    -------
    str
        A command, for the project's folder.
    """
    # As long as no index has the package, it is installed from the project's folder.
    return f"pip install -e '.[{extra}]'"
