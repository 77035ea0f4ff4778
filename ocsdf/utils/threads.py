"""NumPy work on several cores, with the same bits on any number of them."""

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import joblib
from threadpoolctl import ThreadpoolController

# One caller at a time: a second one would fight over the cores and over BLAS's limits.
_turn = threading.RLock()


def _free_turn():
    """Free a forked child of the turn of a thread that it has no copy of."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_turn)


@contextlib.contextmanager
def crew(n_tasks):
    """Share tasks among threads, each with BLAS on one thread.

    A matrix product's rounding may depend on the number of BLAS threads. Where work is cut in the
    same tasks on any machine, and every task has BLAS to itself, results do not. As many threads
    work as BLAS is allowed, by the user or by joblib in its worker processes.

    It yields ``run(task, arguments)``, which returns the list of ``task(argument)``, in order.
    """
    with _turn:
        # Counting processors takes as long as a small task.
        n_threads = 1 if n_tasks <= 1 else min(n_tasks, _n_allowed())
        with _blas().limit(limits=1):
            if n_threads <= 1:
                yield lambda task, arguments: [task(argument) for argument in arguments]
            else:
                # Where BLAS uses OpenMP, each thread has a limit of its own.
                with ThreadPoolExecutor(n_threads - 1, initializer=_limit_blas) as pool:
                    yield partial(_share, pool, n_threads)


def _share(pool, n_threads, task, arguments):
    """Do tasks here as well as in the pool: no thread need wake up for the first."""
    arguments = list(arguments)
    results = [None] * len(arguments)
    numbers = iter(range(len(arguments)))

    def work():
        try:
            for number in numbers:
                results[number] = task(arguments[number])
        finally:
            # Where a task fails, nobody begins another.
            for _ in numbers:
                pass

    helpers = [pool.submit(work) for _ in range(min(n_threads, len(arguments)) - 1)]
    work()
    for helper in helpers:
        helper.result()
    return results


def slices(length, size):
    """Cut ``range(length)`` into slices of a size, the last one shorter."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _n_allowed():
    for_blas = min((info["num_threads"] for info in _blas().info()), default=1)
    return min(for_blas, joblib.cpu_count())


def _limit_blas():
    _blas().limit(limits=1)


@cache
def _blas():
    # Looking for the libraries takes milliseconds.
    return ThreadpoolController().select(user_api="blas")
