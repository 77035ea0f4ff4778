"""Functions compiled by numba, whether or not what is compiled can be kept."""

from numba import njit


def compiled(function=None, **options):
    """Compile a function for arrays, and keep the result for the next process if there is room.

    Where the package is read-only and nobody has a home folder, as in many containers, there is
    none, and each process compiles anew.

    Parameters
    ----------
    function : callable
    **options
        Of numba's ``njit``.

    Returns
    -------
    callable
    """
    if function is None:
        return lambda function: compiled(function, **options)
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # numba found no folder to write to
        return njit(nogil=True, **options)(function)
