"""The order of the packages, and the house rules that a parser can check."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"ocsdf.sklearn_compat": ROOT / "sklearn_compat"} | {
    f"ocsdf.{init.parent.name}": init.parent for init in (ROOT / "ocsdf").glob("*/__init__.py")
}

# Each package may import those above it, and its own modules in one direction.
ORDER = [
    "ocsdf._version",
    "ocsdf.utils",
    "ocsdf.data",
    "ocsdf.operations",
    "ocsdf.networks",
    "ocsdf.certificate",
    "ocsdf.training",
    "ocsdf.recipes",
    "ocsdf.attacks",
    "ocsdf.explanation",
    "ocsdf.levelsets",
    "ocsdf.surfaces",
    "ocsdf.decisions",
    "ocsdf.displays",
    "ocsdf.export",
    "ocsdf.sklearn_compat",
    "ocsdf.benchmark",
    "ocsdf.report",
    "ocsdf.cli",
]
# The front door hands out names from anywhere, and imports none of their modules by itself.
FRONT_DOOR = "ocsdf"
MOST_LINES = 320
# Methods that Keras calls, documented by Keras.
KERAS_METHODS = {"build", "call", "get_config", "load_own_variables", "save_own_variables"}
# Methods that operations override, documented by ocsdf.operations.base.Operation.
OPERATION_METHODS = {
    "evaluate", "linearize", "linf_bound", "output_shape", "pass_on", "rounding", "to_keras",
    "to_onnx", "width",
}  # fmt: skip


def module_files():
    files = {FRONT_DOOR: ROOT / "ocsdf" / "__init__.py"}
    files["ocsdf._version"] = ROOT / "ocsdf" / "_version.py"
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            files[".".join((package, *parts))] = path
    return files


FILES = module_files()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported_modules(tree):
    """The project's modules that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "ocsdf")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module.split(".")[0] == "ocsdf":
                yield from (home(node.module, alias.name) for alias in node.names)


def home(module, name):
    """The module that ``from module import name`` reaches."""
    if f"{module}.{name}" in FILES:
        return f"{module}.{name}"
    if name == "__version__":
        return "ocsdf._version"
    return handed_out(module).get(name, module)


def handed_out(module):
    """The modules behind the names that a package's ``__init__`` hands out lazily."""
    strings = {}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                    strings[key.value] = value.value
    return strings


def package_of(module):
    return ".".join(module.split(".")[:2])


def public_definitions(node, prefix=""):
    """Public functions and classes of a module, and public methods of those classes."""
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{child.name}.")


def lines(name):
    return len(FILES[name].read_text(encoding="utf-8").splitlines())


def test_every_package_has_its_place():
    assert {package_of(name) for name in FILES} - {*ORDER, FRONT_DOOR} == set()


@pytest.mark.parametrize("name", sorted(set(FILES) - {FRONT_DOOR}))
def test_packages_import_those_above_them(name):
    order = {package: place for place, package in enumerate(ORDER)}
    here = order[package_of(name)]
    below = {
        module
        for module in imported_modules(TREES[name])
        if module != FRONT_DOOR and order[package_of(module)] > here
    }
    assert below == set()


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: {*imported_modules(tree)} - {name} for name, tree in TREES.items()}
    done = set()

    def visit(name, path):
        assert name not in path, [*path[path.index(name) :], name]
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, [*path, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])


def test_front_door_imports_little():
    assert set(imported_modules(TREES[FRONT_DOOR])) <= {"ocsdf._version", "ocsdf.utils.imports"}


def test_the_method_is_seen_from_the_folder():
    entries = [path for path in (ROOT / "ocsdf").iterdir() if path.suffix in ("", ".py")]
    entries = [path for path in entries if path.name != "__pycache__"]
    assert len(entries) <= 20


@pytest.mark.parametrize("name", sorted(FILES))
def test_docstrings(name):
    elsewhere = KERAS_METHODS | (OPERATION_METHODS if "operations" in name else set())
    undocumented = [
        label
        for label, node in public_definitions(TREES[name])
        if node.name not in elsewhere and not ast.get_docstring(node)
    ]
    assert ast.get_docstring(TREES[name]), "the module itself"
    assert undocumented == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_docstrings_have_a_subject(name):
    texts = [
        ast.get_docstring(node) or ""
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    assert [text for text in texts if text.startswith("Of ")] == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_assert_statement(name):
    assert [node.lineno for node in ast.walk(TREES[name]) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("name", sorted(n for n in FILES if package_of(n) != "ocsdf.cli"))
def test_only_the_command_line_prints(name):
    calls = [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert calls == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_modules_are_short(name):
    assert lines(name) <= MOST_LINES


def test_half_of_the_modules_fit_on_a_page():
    sizes = sorted(lines(name) for name in FILES)
    assert sizes[len(sizes) // 2] <= 160


@pytest.mark.parametrize("package", ["ocsdf.operations", "ocsdf.certificate"])
def test_proofs_load_no_tensorflow(package):
    heavy = {"tensorflow", "keras", "deel"}
    loaded = {
        alias.split(".")[0]
        for name, tree in TREES.items()
        if package_of(name) == package
        for node in tree.body
        for alias in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert loaded & heavy == set()
