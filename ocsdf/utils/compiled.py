"""Functions compiled by numba, whether or not it is there and what is compiled can be kept."""

from functools import wraps

try:
    from numba import njit
except ImportError:  # an environment that only scores, see docs/operations.md
    njit = None


def compiled(function=None, *, without_numba=None, **options):
    """Compile a function for arrays, and keep the result for the next process if there is room.

    Where the package is read-only and nobody has a home folder, as in many containers, there is
    none, and each process compiles anew. `without_numba` is the same by NumPy, slower, for where
    numba is not installed; None asks to install it.
    """
    if function is None:
        return lambda function: compiled(function, without_numba=without_numba, **options)
    if njit is None:
        return without_numba or _refusing(function)
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # numba found no folder to write to
        return njit(nogil=True, **options)(function)


def _refusing(function):
    @wraps(function)
    def refuse(*arguments):
        raise ImportError(
            "training and surfaces need numba, which is not installed here: pip install numba"
        )

    return refuse
