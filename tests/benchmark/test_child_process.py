"""Calls in a child: their results, errors, time limit and memory, and an end with the parent."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from ocsdf.benchmark.child_process import ChildError, Children

MODULE = """
import os, sys, time
import numpy as np

def add(a, b):
    print("a detector that talks", flush=True)
    return a + b

def fail():
    raise KeyError("no\\nsuch")

def leave(code):
    os._exit(code)

def allocate(n_bytes, seconds):
    block = np.ones(n_bytes, dtype=np.uint8)
    time.sleep(seconds)
    return len(block)

def threads():
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("NUMBA_NUM_THREADS")
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A module that children can import, because the parent can."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "called_in_child.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    yield __import__("called_in_child")
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def children(module):
    children = Children(n_threads=1)
    yield children
    children.close()


@pytest.fixture
def child(children):
    with children.one() as child:
        yield child


def test_results_large_and_small(child, module):
    X = np.random.default_rng(0).normal(size=(1_000, 500))
    np.testing.assert_array_equal(child.call(module.add, X, 1.0)[0], X + 1.0)
    assert child.call(module.add, "a", "b")[0] == "ab"


def test_an_exception_is_told_in_one_line_and_the_child_stays(child, module):
    with pytest.raises(ChildError, match=r"^KeyError: 'no\\nsuch'$"):
        child.call(module.fail)
    with pytest.raises(ChildError, match="TypeError: unsupported operand"):
        child.call(module.add, 1, "b")
    assert child.call(module.add, 1, 2)[0] == 3


def test_over_time_is_killed_in_time_and_replaced(children, module):
    with children.one() as child:
        child.call(module.add, 1, 2)
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^over the time limit of 0\.2 s$"):
            child.call(module.allocate, 1, 3600.0, time_limit=0.2)
        assert 0.2 <= time.monotonic() - start < 600.0
        assert not child.is_alive()
    with children.one() as other:
        assert other.call(module.add, 1, 2)[0] == 3


def test_a_death_is_told(children, module):
    with children.one() as child, pytest.raises(ChildError, match="^the process died, exit code 3"):
        child.call(module.leave, 3)


def test_peak_memory_is_the_growth(child, module):
    child.call(module.add, 1, 2)
    # Where the machine is busy, what reads it may not get a turn in the first of these times.
    for seconds in (0.3, 3.0, 30.0):
        _, peak = child.call(module.allocate, 200_000_000, seconds)
        assert peak < 230e6
        if peak > 190e6:
            break
    assert peak > 190e6
    _, peak = child.call(module.allocate, 1, 0.1)
    assert peak < 20e6


def test_one_thread_each(child, module):
    assert child.call(module.threads)[0] == ("1", "1")


def test_idle_children_are_lent_again_and_all_are_closed(module):
    children = Children()
    with children.one() as first:
        first.call(module.add, 1, 2)
    with children.one() as again, children.one() as second:
        assert again is first and second is not first
    children.close()
    assert not first.is_alive() and not second.is_alive()


PARENT = """
import sys, time
from ocsdf.benchmark.child_process import Child
child = Child()
child.call(time.sleep, 0.0)
print(child._process.pid, flush=True)
child.call(time.sleep, 3600.0) if sys.argv[1] == "busy" else time.sleep(3600.0)
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_child_ends_with_a_killed_parent(state):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, state], stdout=subprocess.PIPE)
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 300.0
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
