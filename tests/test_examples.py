"""Every public name has an example in its docstring, and examples print what they say."""

import ast
import doctest
import inspect
from importlib import import_module
from pathlib import Path

import matplotlib
import numpy as np
import pytest

CONFIGURATION = Path(__file__).parents[1] / "docs" / "conf.py"
# Examples that need a library which the tests do without.
EXTRAS = {"art_attack": "art", "foolbox_attack": "foolbox"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented_packages():
    """The packages that the site's reference has, as its configuration lists them."""
    for node in ast.parse(CONFIGURATION.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "PACKAGES":
            return ast.literal_eval(node.value)
    raise LookupError("PACKAGES")


def public_names():
    """Each public object once, where it is handed out first."""
    homes = {}
    for package in documented_packages():
        for name in import_module(package).__all__:
            if name != "__version__":
                homes.setdefault(name, package)
    return sorted(homes.items())


def examples_of(name, package):
    """The examples in the docstrings of a public object and of its own methods."""
    found = getattr(import_module(package), name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    # Methods of classes that were inherited are found where they are defined.
    tests = finder.find(found, name, module=inspect.getmodule(found), globs={})
    return [test for test in tests if test.examples]


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """Examples may write files, draw pictures and print numbers; nothing of it lasts."""
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context({"backend": "agg"}), np.printoptions(suppress=False):
        yield
        matplotlib.pyplot.close("all")


@pytest.mark.parametrize(("name", "package"), public_names())
def test_examples_print_what_they_say(name, package):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name], reason="an extra of its own, which no test needs")
    tests = examples_of(name, package)
    assert any(test.name == name for test in tests), f"{package}.{name} has no example"
    assert not any(example.options for test in tests for example in test.examples)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    said = []
    for test in tests:
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
