"""Calls in a child process that can be killed: a time limit, and the memory they take."""

import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from types import MappingProxyType

import psutil

_PERIOD = 0.02
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class ChildError(RuntimeError):
    """What a call in a child raised, or that the child died; its text says which."""


class Child:
    """A process that stays warm between calls, with numerical libraries on `n_threads`.

    It is not made by multiprocessing: it may be started from daemonic workers and from threads,
    runs no one's ``__main__`` again, and ends as soon as its parent does, however that ends.
    """

    def __init__(self, n_threads=None, variables=MappingProxyType({})):
        limits = {} if n_threads is None else dict.fromkeys(_THREAD_VARIABLES, str(n_threads))
        code = (
            f"import sys; sys.path[:] = {sys.path!r};"
            "from ocsdf.benchmark.child_process import serve; serve()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | limits | variables,
            start_new_session=True,  # Ctrl-C is for the parent
        )

    def call(self, function, *arguments, time_limit=float("inf")):
        """Call a function of a module in the child; return its result and the peak of its memory.

        The peak is the bytes by which the resident set rose above what it held before, at the
        highest of readings every 20 ms: a lower bound. A ChildError says that the call raised (and
        what) or the child died; after `time_limit` seconds it is killed, with a TimeoutError.
        """
        watch = _Watch(self._process, time_limit)
        try:
            with watch:
                _send(self._process.stdin, pickle.dumps((function, arguments)))
                result, error = pickle.loads(_receive(self._process.stdout))
        except (EOFError, OSError):
            self.close()
            if watch.over_time:
                raise TimeoutError(f"over the time limit of {time_limit:g} s") from None
            code = self._process.returncode
            raise ChildError(f"the process died, exit code {code}") from None
        if error is not None:
            raise ChildError(error)
        return result, watch.peak

    def is_alive(self):
        """Tell whether it takes calls."""
        return self._process.poll() is None

    def close(self):
        """Kill it, if it is alive."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):  # of a request that was cut off in the middle
            self._process.stdin.close()


class Children:
    """Warm children, lent to one caller at a time; see :class:`Child`."""

    def __init__(self, n_threads=None):
        self._n_threads = n_threads
        self._idle, self._busy = [], []

    @contextmanager
    def one(self):
        """Lend a child, and take it back if it is still alive."""
        child = self._idle.pop() if self._idle else Child(self._n_threads)
        self._busy.append(child)
        try:
            yield child
        finally:
            self._busy.remove(child)
            if child.is_alive():
                self._idle.append(child)

    def close(self):
        """Kill them all, those at work too."""
        for child in [*self._idle, *self._busy]:
            child.close()
        self._idle.clear()


def serve():
    """Take calls from stdin and answer on stdout until stdin ends: a child's whole life."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what detectors print is no answer
    inbox = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(sys.stdin.buffer, inbox), daemon=True).start()
    while True:
        try:
            function, arguments = pickle.loads(inbox.get())
            answer = function(*arguments), None
        except Exception as error:  # the parent is told
            answer = None, f"{type(error).__name__}: {' '.join(str(error).split())}"
        _send(answers, pickle.dumps(answer))


class _Watch:
    """Reads a process's memory while a block runs, and kills the process when it is late."""

    def __init__(self, process, time_limit):
        self._process, self._time_limit = process, time_limit
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak, self.over_time = 0, False

    def __enter__(self):
        self._start = time.monotonic()
        self._before = self._resident()
        self._thread.start()

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self._read()

    def _watch(self):
        while not self._done.wait(_PERIOD):
            self._read()
            if time.monotonic() - self._start > self._time_limit:
                self.over_time = True
                self._process.kill()
                return

    def _read(self):
        self.peak = max(self.peak, self._resident() - self._before)

    def _resident(self):
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:  # it has just died
            return 0


def _take_in(requests, inbox):
    """Read requests even while one is worked on: their end is the parent's end."""
    while True:
        try:
            inbox.put(_receive(requests))
        except EOFError:
            os._exit(0)


def _send(stream, message):
    stream.write(len(message).to_bytes(8, "little"))
    stream.write(message)
    stream.flush()


def _receive(stream):
    length = int.from_bytes(_read_exactly(stream, 8), "little")
    return _read_exactly(stream, length)


def _read_exactly(stream, length):
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
